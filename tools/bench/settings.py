# SPDX-License-Identifier: GPL-2.0-only
"""What a run of `make bench` is asked to do, by its environment, and how it speaks."""

import os
import sys
import time

from vbpvm import HarnessError
from vbpvm.runner import KERNELS, LRU_MODES

from rows import BY_KEY

QUICK = os.environ.get("QUICK") == "1"
# Few rows and no pairs but for one load, unless pairs are asked for.
BRIEF = QUICK and not os.environ.get("PAIRS")
# What LOADS= calls that which is no load.
MECHANISM, IDLE = "mechanism", "idle"
# The reclaim that each kernel comes with in Debian; LRUS= names others.
USUAL_LRU = {"6.1": "classic", "6.12": "mglru"}
PAIRS, QUICK_PAIRS = 15, 2
# Loads without a claim about time are there for their counts.
FEW = 3
QUICK_S = 300
ROUNDS = 3 if QUICK else 20

_started = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - _started:5.0f} s] {text}", file=sys.stderr, flush=True)


def affords(seconds):
    """Whether there is time for what takes so long on a quiet machine: QUICK=1 is for less than five minutes."""
    return not BRIEF or bool(os.environ.get("LOADS")) or time.monotonic() - _started + seconds <= QUICK_S


def chosen(name, default, known=None):
    """The words of a variable; each has to be one that is known, or a number."""
    values = (os.environ.get(name) or default).replace(",", " ").split()
    wrong = [value for value in values if (value not in known if known else not value.isdigit())]
    if wrong:
        raise HarnessError(f"{name}={' '.join(values)}: {wrong[0]} is not " + (f"one of {', '.join(known)}" if known else "a number"))
    return values


def kernels():
    return chosen("KERNELS", "6.1" if QUICK else " ".join(KERNELS), KERNELS)


def sizes(usual):
    """MiB."""
    return [int(size) for size in chosen("SIZES", "2048" if QUICK else usual)]


def lrus(series):
    return chosen("LRUS", USUAL_LRU[series], LRU_MODES)


def rows():
    """Keys of the rows that are to run."""
    known = tuple(BY_KEY)
    return chosen("ROWS", " ".join(known), known)


def pairs():
    count = int(chosen("PAIRS", str(QUICK_PAIRS if QUICK else PAIRS))[0])
    if count < 2:
        raise HarnessError(f"PAIRS={count}: an interval takes two at least")
    return count


def loads(keys, quick_keys):
    """Which of the loads are to run, and what else."""
    return chosen("LOADS", " ".join((MECHANISM, *(quick_keys if QUICK else (*keys, IDLE)))), (MECHANISM, *keys, IDLE))
