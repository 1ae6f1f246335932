# SPDX-License-Identifier: GPL-2.0-only
"""The demo's results in figures: one line for each row, and the verdict."""

import statistics

import rows

OUTCOMES = {"ok": "finished", "refused": "malloc refused", "killed": "killed (OOM)", "corrupt": "MEMORY CORRUPTED",
            "failed": "failed"}


def summarise(runs):
    """runs: list of Run of one row -> a dictionary; medians over the runs that finished, sums of the kills."""
    # The worst that happened is the outcome: a program that survives four times out of five does not survive.
    worst = next((run for run in runs if run.outcome != "ok"), runs[0])
    return {
        "outcome": worst.outcome,
        "runs": len(runs),
        "seconds": _median([run.seconds for run in runs]),
        "worst_ms": _median([run.worst_ms for run in runs]),
        "oom_kills": sum(run.oom_kills for run in runs),
        "allocstalls": _median([run.allocstalls for run in runs]),
        "balloon_before": _median([run.balloon_before for run in runs]),
        "balloon_after": _median([run.balloon_after for run in runs]),
    }


def _median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def add_ratios(chosen, summaries, runs):
    """
    Adds each row's ratio to its best case. The machine's speed drifts from run to run but less within a pair of neighbours: for rows
    repeated in turn with the best case, the median of the pairs' ratios (one run that something else on the machine disturbed must
    not decide); for the others, the quotient of the medians.
    """
    for row in chosen:
        summary, best = summaries[row.key], summaries[row.best]
        summary["ratio"] = None
        if summary["outcome"] != "ok" or best["outcome"] != "ok" or row.whole:
            continue            # A whole cycle runs once, and long after the best case.
        if row.timed:
            pairs = zip(runs[row.key], runs[row.best])
            summary["ratio"] = statistics.median(run.seconds / other.seconds for run, other in pairs)
        else:
            summary["ratio"] = summary["seconds"] / best["seconds"]


def render(chosen, summaries):
    lines = [("", "outcome", "seconds", "ratio", "worst MiB", "OOM kills", "allocstalls", "balloon MiB")]
    for row in chosen:
        summary = summaries[row.key]
        lines.append((
            row.title, OUTCOMES[summary["outcome"]], _number(summary["seconds"], "{:.2f}"), _number(summary["ratio"], "{:.2f} x"),
            _number(summary["worst_ms"], "{:.0f} ms"), str(summary["oom_kills"]), _number(summary["allocstalls"], "{:.0f}"),
            f"{summary['balloon_before']:.0f} -> {summary['balloon_after']:.0f}"))
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = []
    for line in lines:
        # Words to the left, figures to the right.
        cells = [cell.ljust(width) if column < 2 else cell.rjust(width)
                 for column, (cell, width) in enumerate(zip(line, widths))]
        text.append("  ".join(cells).rstrip())
    return "\n".join(text)


def _number(value, form):
    return "-" if value is None else form.format(value)


def verdict(chosen, summaries):
    """The reasons why the demo has failed; empty if all is well."""
    reasons = []
    for row in chosen:
        summary = summaries[row.key]
        if row.host_deflates and summary["outcome"] != "ok":
            reasons.append(f"{row.title}: could not be measured, the program ended as '{OUTCOMES[summary['outcome']]}'")
        if not row.judged:
            continue
        if summary["outcome"] != "ok":
            reasons.append(f"{row.title}: the program did not survive: {OUTCOMES[summary['outcome']]}")
        elif summary["oom_kills"]:
            reasons.append(f"{row.title}: {summary['oom_kills']} OOM kills")
        elif summary["ratio"] and summary["ratio"] > rows.RATIO_LIMIT:
            reasons.append(f"{row.title}: {summary['ratio']:.2f} times the best case, {rows.RATIO_LIMIT} allowed")
    return reasons
