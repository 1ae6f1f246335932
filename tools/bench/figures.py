# SPDX-License-Identifier: GPL-2.0-only
"""From the runs of one load at one place to the lines of its table, and to the figures that were to be reached."""

import dataclasses
import typing

from vbpvm import MIB, PAGE

import rows
import settings
import stats

WALL_LIMIT = 1.15           # of the best case's time: the upper end of the interval
WORK_LIMIT = 1.05           # of the best case's work
SWAP_LIMIT = 300            # pages
REFAULT_LIMIT = 0.03        # of the in-tree driver's
TAIL_PART, TAIL_LIMIT, WORST_MS = 0.001, 1.5, 50
INFLATE_LIMIT = 1.1         # of the in-tree driver's time
ROUND_LIMIT = 1.15          # of the best case's worst round
OUTCOMES = {"ok": "finished", "refused": "malloc refused", "killed": "killed (OOM)", "corrupt": "MEMORY CORRUPTED", "failed": "failed"}


@dataclasses.dataclass
class Figure:
    place: str
    load: str
    row: str
    what: str
    value: str
    wanted: str
    reached: typing.Optional[bool]          # None: could not be judged, and why is the value


class Summary:
    """All runs of one load at one place."""

    def __init__(self, place, load, records):
        self.place, self.load = place, load
        self.rows = [row for row in rows.ROWS if any(record["row"] == row.key for record in records)]
        self._runs = {row.key: [record for record in records if record["row"] == row.key] for row in self.rows}

    def runs(self, key):
        return self._runs.get(key, [])

    def outcome(self, key):
        """The worst that happened: a program that survives four times out of five does not survive."""
        return next((run["outcome"] for run in self.runs(key) if run["outcome"] != "ok"), "ok")

    def values(self, key, name):
        return [run[name] for run in self.runs(key) if run.get(name) is not None]

    def counts(self, key, name):
        return [run["counters"].get(name, 0) for run in self.runs(key)]

    def seconds(self, key):
        return stats.median(self.values(key, "seconds"))

    def ratio(self, row):
        """(mean, low, high) of the row's time to its best case's, pair by pair; None without pairs of finished runs."""
        best = {run["pair"]: run["seconds"] for run in self.runs(row.best) if run["seconds"]} if row.best else {}
        pairs = [(run["seconds"], best[run["pair"]]) for run in self.runs(row.key) if run["seconds"] and run["pair"] in best]
        return stats.ratio(pairs) if pairs else None

    def tail_ms(self, key):
        slowest = [(run["slowest_us"], run["touched_mib"]) for run in self.runs(key) if "slowest_us" in run]
        found = stats.tail(slowest, TAIL_PART) if slowest else None
        return None if found is None else found / 1000

    def line(self, row):
        """Cells of the table."""
        key = row.key
        return (row.title, OUTCOMES[self.outcome(key)], str(len(self.runs(key))), number(self.seconds(key), "{:.2f}"),
                ratio_text(self.ratio(row)), number(max(self.values(key, "worst_ms"), default=None), "{:.0f}"),
                number(self.tail_ms(key), "{:.1f}"), *(number(stats.median(self.counts(key, name)), "{:.0f}")
                                                        for name in ("pswpout", "refault", "allocstall")),
                str(sum(self.counts(key, "oom_kill"))),
                number(stats.median(self.counts(key, "balloon_deflate")) * PAGE / MIB, "{:.0f}"))

    HEAD = ("", "outcome", "runs", "seconds", "/ best case's", "worst ms", "p99.9 ms", "swapped", "refaults", "stalls", "kills",
            "given back MiB")


def number(value, form):
    return "-" if value is None else form.format(value)


def ratio_text(ratio):
    if ratio is None:
        return "-"
    mean, low, high = ratio
    return f"{mean:.2f}" if low is None else f"{mean:.2f} ({low:.2f}-{high:.2f})"


def judge(summary):
    """The figures of one load: a list of Figure."""
    found = []
    for row in summary.rows:
        if not row.ours:
            continue

        def add(what, value, wanted, reached):
            found.append(Figure(str(summary.place), summary.load.key, row.key, what, value, wanted, reached))
        kills, outcome = sum(summary.counts(row.key, "oom_kill")), summary.outcome(row.key)
        add("survives", f"{OUTCOMES[outcome]}, {kills} OOM kills", "finished, none", outcome == "ok" and not kills)
        for claim in summary.load.claims:
            if claim in JUDGES:
                JUDGES[claim](summary, row, add)
    return found


def judge_work(place, load, records):
    """The same for the guest's work (icount.py)."""
    work = {record["row"]: record for record in records}
    found = []
    for row in rows.ROWS:
        if not row.ours or row.key not in work or row.best not in work:
            continue
        ours, best = work[row.key], work[row.best]
        fine = ours["outcome"] == best["outcome"] == "ok"
        part = ours["work_s"] / best["work_s"]
        found.append(Figure(str(place), load.key, row.key, "guest's work / the best case's",
                            f"{part:.3f} ({ours['work_s']:.3f} s)" if fine else f"{ours['outcome']}, the best case {best['outcome']}",
                            f"at most {WORK_LIMIT}", part <= WORK_LIMIT if fine else None))
    return found


def _time(summary, row, add):
    ratio = summary.ratio(row)
    if summary.load.brief:
        return                      # it was not asked
    reached = ratio and ratio[2] is not None and ratio[2] <= WALL_LIMIT
    # The interval of a few pairs is wide: only if it is beyond WALL_LIMIT as a whole has it not been reached.
    if not reached and summary.load.pairs < settings.PAIRS and not (ratio and ratio[1] and ratio[1] > WALL_LIMIT):
        reached = None
    add("time / the best case's", ratio_text(ratio), f"upper end at most {WALL_LIMIT}", reached)


def _tail(summary, row, add):
    ours, best = summary.tail_ms(row.key), summary.tail_ms(row.best)
    add("touching 1 MiB, p99.9 / the best case's", "-" if not (ours and best) else f"{ours / best:.2f} ({ours:.1f} ms)",
        f"at most {TAIL_LIMIT}", None if not (ours and best) else ours / best <= TAIL_LIMIT)
    worst = max(summary.values(row.key, "worst_ms"), default=None)
    best_worst = max(summary.values(row.best, "worst_ms"), default=None)
    add("touching 1 MiB, the worst", f"{number(worst, '{:.0f} ms')}, the best case's {number(best_worst, '{:.0f} ms')}",
        f"at most {WORST_MS} ms", None if worst is None else worst <= WORST_MS)


def _swap(summary, row, add):
    worst = max(summary.counts(row.key, "pswpout"))
    add("pages swapped out", str(worst), f"at most {SWAP_LIMIT}", worst <= SWAP_LIMIT)


def _refaults(summary, row, add):
    ours, theirs = (stats.median(summary.counts(key, "refault")) for key in (row.key, "in-tree-oom"))
    part = ours / theirs if ours is not None and theirs else None
    add("refaults / the in-tree driver's", number(part, "{:.3f}") + f" ({number(ours, '{:.0f}')} of {number(theirs, '{:.0f}')})",
        f"at most {REFAULT_LIMIT}", None if part is None else part <= REFAULT_LIMIT)


def _none(summary, row, add):
    worst = max(summary.counts(row.key, "balloon_deflate"))
    add("pages given back", str(worst), "none", worst == 0)


def _inflate(summary, row, add):
    ours, theirs = (stats.median(summary.values(key, "inflate_seconds")) for key in (row.key, "in-tree-oom"))
    add("time to inflate / the in-tree driver's", "-" if not (ours and theirs) else f"{ours / theirs:.2f} ({ours:.2f} s)",
        f"at most {INFLATE_LIMIT}", None if not (ours and theirs) else ours / theirs <= INFLATE_LIMIT)


def _rounds(summary, row, add):
    def seconds(key):
        return [each["seconds"] for run in summary.runs(key) for each in run["rounds"] if each["seconds"]]
    ours, best = seconds(row.key), seconds(row.best)
    part = max(ours) / max(best) if ours and best else None
    add("worst round / the best case's worst", number(part, "{:.2f}"), f"at most {ROUND_LIMIT}",
        None if part is None else part <= ROUND_LIMIT)
    inflated = [each["inflated"] * PAGE // MIB for each in summary.runs(row.key)[0]["rounds"]]
    half = len(inflated) // 2
    first, last = sum(inflated[:half]), sum(inflated[-half:])
    add("MiB inflated, first half of the rounds and second", f"{first}, {last}", "fewer", last < first or first == last == 0)
    stalls = sum(each["allocstall"] for each in summary.runs(row.key)[0]["rounds"])
    add("allocation stalls in all rounds", str(stalls), "none", stalls == 0)


JUDGES = {"time": _time, "tail": _tail, "swap": _swap, "refaults": _refaults, "none": _none, "inflate": _inflate, "rounds": _rounds}
