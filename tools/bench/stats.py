# SPDX-License-Identifier: GPL-2.0-only
"""The arithmetic of the figures."""

import math
import statistics

# Student's t, two-sided 95 %, by degrees of freedom; beyond the table the next smaller entry, which errs on the wide side.
T95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262, 10: 2.228, 11: 2.201, 12: 2.179,
       13: 2.160, 14: 2.145, 15: 2.131, 16: 2.120, 17: 2.110, 18: 2.101, 19: 2.093, 20: 2.086, 25: 2.060, 30: 2.042, 40: 2.021,
       60: 2.000, 120: 1.980}


def ratio(pairs):
    """
    Geometric mean of the pairs' ratios and its 95 % interval: (mean, low, high). Pairs are (ours, best case). With a single pair
    there is no interval: None, None.
    """
    logs = [math.log(ours / best) for ours, best in pairs]
    mean = statistics.fmean(logs)
    if len(logs) < 2:
        return math.exp(mean), None, None
    t = T95[max(df for df in T95 if df <= len(logs) - 1)]
    half = t * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean), math.exp(mean - half), math.exp(mean + half)


def tail(runs, part):
    """
    The quantile 1 - part of all of the runs' values together, of which each run kept only the largest: runs are (largest, how
    many there were). None if too few were kept to tell.
    """
    total = sum(count for _, count in runs)
    rank = max(1, math.ceil(total * part))
    # A run that kept fewer than the rank may have had more above the answer than it kept.
    if any(len(largest) < min(rank, count) for largest, count in runs):
        return None
    return sorted((value for largest, _ in runs for value in largest), reverse=True)[rank - 1]


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None
