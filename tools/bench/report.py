# SPDX-License-Identifier: GPL-2.0-only
"""build/bench/report.html: all figures, and plots of each load. One file, nothing loaded from elsewhere."""

import html

import figures
import loads
import rows
import stats
import svg
from compare import Place
from vbpvm import MIB, PAGE

COLOURS = {"never": "#999999", "in-tree": "#e9a2ab", "in-tree-oom": "#d1495b", "stock": "#1b7f5c", "stock-best": "#9fd3c0",
           "patched": "#2b59a3", "patched-best": "#b9cbe4"}
NAMES = {"never": "never ballooned", "in-tree": "in-tree", "in-tree-oom": "in-tree, deflate-on-oom", "stock": "ours, stock QEMU",
         "stock-best": "best case, stock QEMU", "patched": "ours, patched QEMU", "patched-best": "best case, patched QEMU"}
STYLE = """
body { font-family: Helvetica, Arial, sans-serif; color: #333; margin: 2em auto; max-width: 1000px; line-height: 1.4; }
table { border-collapse: collapse; font-size: 13px; margin: 0.6em 0 1.4em; }
th, td { padding: 3px 10px; border-bottom: 1px solid #e4e4e4; text-align: left; }
.missed { background: #fbe9eb; } .unjudged { background: #f4f0dc; }
.plots { display: flex; flex-wrap: wrap; gap: 14px 24px; margin: 0.6em 0 2em; }
.key span { display: inline-block; width: 0.9em; height: 0.9em; margin: 0 0.4em 0 1.2em; vertical-align: -1px; }
h2 { margin-top: 2em; border-bottom: 2px solid #333; }
"""
WORDS = {True: "reached", False: "NOT REACHED", None: "not judged"}
CLASSES = {True: "", False: "missed", None: "unjudged"}


def write(target, results, heading):
    """results: what results.json holds."""
    parts = [f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(heading)}</title>"
             f"<style>{STYLE}</style></head><body><h1>{html.escape(heading)}</h1>",
             "<p>The best case is the same guest, whose balloon the host empties just before the load. Ours and its best case ran back to "
             "back, in alternating order. Ratios are geometric means over the pairs, with their 95 % interval. Under emulation wall time "
             "is noisy, and the guest's own work takes ten to twenty times as long. Counts and the guest's work depend on neither.</p>",
             "<h2>Figures to reach</h2>", _table(results["figures"])]
    by_place = {}
    for record in results["runs"]:
        place = Place(record["series"], record["lru"], record["mem"])
        by_place.setdefault(place, {}).setdefault(record["load"], []).append(record)
    for place, by_load in by_place.items():
        parts.append(f"<h2>{html.escape(str(place))}, half of it ballooned</h2>")
        for load in loads.LOADS:
            if load.key in by_load:
                work = {record["row"]: record["work_s"] for record in results["work"]
                        if record["load"] == load.key and Place(record["series"], record["lru"], record["mem"]) == place}
                parts.append(_load(figures.Summary(place, load, by_load[load.key]), work))
    parts.append("</body></html>\n")
    target.write_text("".join(parts))


def _table(judged):
    lines = ["<table><tr><th>where</th><th>load</th><th>row</th><th>figure</th><th>measured</th><th>wanted</th><th></th></tr>"]
    for figure in judged:
        cells = (figure["place"], figure["load"], NAMES.get(figure["row"], figure["row"]), figure["what"], figure["value"],
                 figure["wanted"], WORDS[figure["reached"]])
        lines.append(f"<tr class='{CLASSES[figure['reached']]}'>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    return "".join(lines) + "</table>"


def _load(summary, work):
    shown = summary.rows
    plots = []

    def bars(title, value, limit=None):
        values = [(NAMES[row.key], value(row), COLOURS[row.key]) for row in shown]
        if any(each for _, each, _ in values):
            plots.append(svg.bars(title, values, limit))
    ratios = [(NAMES[row.key], *_ratio(summary, row), COLOURS[row.key]) for row in shown if row.ours or row.driver == rows.IN_TREE]
    if any(mean for _, mean, *_ in ratios):
        plots.append(svg.intervals("time / the best case's", ratios, figures.WALL_LIMIT))
    bars("worst stall, ms", lambda row: max(summary.values(row.key, "worst_ms"), default=None))
    for title, name in (("pages swapped out", "pswpout"), ("pages refaulted", "refault"), ("allocation stalls", "allocstall")):
        bars(title, lambda row, name=name: stats.median(summary.counts(row.key, name)))
    bars("given back, MiB", lambda row: stats.median(summary.counts(row.key, "balloon_deflate")) * PAGE / MIB)
    if summary.load.drive == "inflating":
        bars("inflating, seconds", lambda row: stats.median(summary.values(row.key, "inflate_seconds")))
    bars("the guest's work by instructions, seconds at 500 million a second", lambda row: work.get(row.key))
    plots.append(svg.paths("the balloon over time, MiB (one run each)",
                           [(NAMES[row.key], _typical(summary, row)["balloon"], COLOURS[row.key]) for row in shown if row.driver],
                           summary.place.mem * loads.LEFT * 1.05))
    key = "".join(f"<span style='background:{COLOURS[row.key]}'></span>{html.escape(NAMES[row.key])}" for row in shown)
    return (f"<h3>{html.escape(summary.load.title)}</h3>{_lines(summary)}<p class='key'>{key}</p>"
            f"<div class='plots'>{''.join(plots)}</div>")


def _lines(summary):
    lines = ["<table><tr>" + "".join(f"<th>{html.escape(cell)}</th>" for cell in summary.HEAD) + "</tr>"]
    for row in summary.rows:
        lines.append("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in (NAMES[row.key], *summary.line(row)[1:])) + "</tr>")
    return "".join(lines) + "</table>"


def _ratio(summary, row):
    """The in-tree driver runs once, beside no best case of its own: against the median of the stock QEMU's."""
    if row.ours:
        return summary.ratio(row) or (None, None, None)
    ours, best = summary.seconds(row.key), summary.seconds("stock-best")
    return (ours / best if ours and best else None), None, None


def _typical(summary, row):
    """The run nearest to the median."""
    middle = summary.seconds(row.key) or 0
    return min(summary.runs(row.key), key=lambda run: abs((run["seconds"] or 0) - middle))
