# SPDX-License-Identifier: GPL-2.0-only
"""What the runs came to: one line for each row, and the verdict on ours."""

import statistics

import rows

# Of the work that is done with memory for all, and of what swaps without a balloon.
WORK_RATIO, SWAP_RATIO = 0.9, 0.05


def summarise(runs):
    """runs: of one row."""
    def median(name):
        return statistics.median(getattr(run, name) for run in runs)
    return {"work": median("work"), "memory": median("memory"), "file": median("file"), "most_swap": max(run.most_swap for run in runs),
            "kills": sum(run.kills for run in runs), "host_kills": sum(run.host_kills for run in runs),
            "smallest": min(run.smallest for run in runs), "runs": len(runs)}


def add_ratios(summaries, runs):
    """To memory for all: the median of the rounds' ratios, because the machine is faster in some rounds than in others."""
    for key, summary in summaries.items():
        pairs = list(zip(runs[key], runs.get("all", [])))
        summary["ratio"] = statistics.median(run.work / other.work for run, other in pairs) if pairs else None


def render(summaries):
    lines = [("", "GiB worked on", "in memory", "in files", "of memory for all", "most swap", "smallest guest", "kills")]
    for key, summary in summaries.items():
        ratio = "-" if summary["ratio"] is None else f"{summary['ratio']:.2f}"
        lines.append((rows.BY_KEY[key].title, *(f"{summary[name] / 1024:.1f}" for name in ("work", "memory", "file")), ratio,
                      f"{summary['most_swap']:.0f} MiB", f"{summary['smallest']:.0f} MiB", str(summary["kills"] + summary["host_kills"])))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(cell.rjust(width) if number else cell.ljust(width) for number, (cell, width) in enumerate(zip(line, widths)))
                     for line in lines)


def broken(summaries):
    """What must not be, as sentences; empty if all is well. Time plays no part in it."""
    ours, reasons = summaries["ours"], []
    if ours["kills"] or ours["host_kills"]:
        reasons.append(f"{ours['kills']} programs were killed in guests, and {ours['host_kills']} times something on the host")
    if ours["smallest"] < rows.SIZE_MIN_MIB:
        reasons.append(f"a guest had {ours['smallest']:.0f} MiB, less than its minimum of {rows.SIZE_MIN_MIB}")
    if "swap" in summaries and ours["most_swap"] > SWAP_RATIO * summaries["swap"]["most_swap"]:
        reasons.append(f"{ours['most_swap']:.0f} MiB were in swap, and {summaries['swap']['most_swap']:.0f} without a balloon: "
                       f"{SWAP_RATIO:.0%} of that are allowed")
    return reasons


def missed(summaries):
    """Figures that were not reached: no failure, a busy machine does that."""
    ours, wanted = summaries["ours"], []
    if ours["ratio"] is not None and ours["ratio"] < WORK_RATIO:
        wanted.append(f"{ours['ratio']:.2f} of the work with memory for all; {WORK_RATIO} are wanted")
    pollers = [summaries[key]["ratio"] for key in ("poller", "sixteenth") if key in summaries]
    if pollers and ours["ratio"] is not None:
        goal = max(pollers) + 0.8 * (1 - max(pollers))
        if ours["ratio"] < goal:
            wanted.append(f"{ours['ratio']:.2f} of the work with memory for all; four fifths of the way from the better poller are {goal:.2f}")
    return wanted
