# SPDX-License-Identifier: GPL-2.0-only
"""The few kinds of plot that the report has, as SVG text that needs nothing else."""

import html
import math

INK, GRID, MUTED = "#333333", "#e4e4e4", "#777777"
LABEL_WIDTH, WIDTH = 190, 470
LINE = 22
TOP, BOTTOM = 26, 24


def text(x, y, words, anchor="start", colour=INK, size=12):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{colour}" font-size="{size}">{html.escape(str(words))}</text>'


def line(x1, y1, x2, y2, colour=GRID, width=1, dash=""):
    dash = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}" stroke-width="{width}"{dash}/>'


def _figure(title, height, parts, width=WIDTH):
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
            f'role="img" aria-label="{html.escape(title)}">{text(0, 14, title, size=13)}{"".join(parts)}</svg>')


def short(value):
    """A number as a label."""
    if value >= 10000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.2g}"


def bars(title, rows, limit=None):
    """rows: (label, value or None, colour). A limit is a dashed line."""
    top = max([value for _, value, _ in rows if value is not None] + [limit or 0, 1e-9])
    room = WIDTH - LABEL_WIDTH - 50
    parts = []
    for number, (label, value, colour) in enumerate(rows):
        y = TOP + number * LINE
        parts.append(text(LABEL_WIDTH - 6, y + 14, label, "end"))
        if value is None:
            parts.append(text(LABEL_WIDTH + 4, y + 14, "-", colour=MUTED))
            continue
        length = room * value / top
        parts.append(f'<rect x="{LABEL_WIDTH}" y="{y + 3}" width="{length:.1f}" height="{LINE - 7}" fill="{colour}"/>')
        parts.append(text(LABEL_WIDTH + length + 4, y + 14, short(value)))
    height = TOP + len(rows) * LINE + 6
    if limit:
        x = LABEL_WIDTH + room * limit / top
        parts.append(line(x, TOP - 4, x, height - 4, INK, 1, "4 3"))
    return _figure(title, height, parts)


def intervals(title, rows, limit):
    """rows: (label, mean, low, high, colour); low and high may be None. The scale is logarithmic: twice and half are as far from 1."""
    known = [value for _, mean, low, high, _ in rows for value in (mean, low, high) if value] + [limit, 1]
    # An interval of two or three runs may be boundless: it is cut, and its figures say how long it is.
    smallest, largest = max(0.2, min(known)) * 0.93, min(12, max(known)) * 1.07
    room = WIDTH - LABEL_WIDTH - 110

    def at(value):
        value = min(max(value, smallest), largest)
        return LABEL_WIDTH + room * math.log(value / smallest) / math.log(largest / smallest)
    height = TOP + len(rows) * LINE + BOTTOM
    parts = []
    for tick in (0.25, 0.5, 1, 2, 4, 8):
        if smallest <= tick <= largest:
            parts += [line(at(tick), TOP - 2, at(tick), height - BOTTOM), text(at(tick), height - 8, f"{tick}×", "middle", MUTED, 11)]
    parts.append(line(at(limit), TOP - 4, at(limit), height - BOTTOM, INK, 1, "4 3"))
    for number, (label, mean, low, high, colour) in enumerate(rows):
        y = TOP + number * LINE + 10
        parts.append(text(LABEL_WIDTH - 6, y + 4, label, "end"))
        if mean is None:
            parts.append(text(LABEL_WIDTH + 4, y + 4, "-", colour=MUTED))
            continue
        words = f"{mean:.2f}"
        if low is not None:
            parts.append(line(at(low), y, at(high), y, colour, 3))
            words += f" ({low:.2f}-{high:.2f})"
        parts.append(f'<circle cx="{at(mean):.1f}" cy="{y}" r="5" fill="{colour}"/>')
        parts.append(text(WIDTH, y + 4, words, "end", size=11))
    return _figure(title, height, parts)


def paths(title, rows, top):
    """rows: (label, [[seconds, MiB], ...], colour); all begin at the load's start."""
    width, height, left = WIDTH, 200, 44
    last = max([points[-1][0] for _, points, _ in rows if points] + [1e-9])

    def x(value):
        return left + (width - left - 8) * value / last

    def y(value):
        return height - BOTTOM - (height - BOTTOM - TOP) * value / top
    parts = []
    for step in range(0, 5):
        value = top * step / 4
        parts += [line(left, y(value), width - 8, y(value)), text(left - 4, y(value) + 4, f"{value:.0f}", "end", MUTED, 11)]
    for step in range(0, 5):
        parts.append(text(x(last * step / 4), height - 6, f"{last * step / 4:.3g} s", "middle" if step < 4 else "end", MUTED, 11))
    for _, points, colour in rows:
        if points:
            joined = " ".join(f"{x(max(0, when)):.1f},{y(size):.1f}" for when, size in points)
            parts.append(f'<polyline points="{joined}" fill="none" stroke="{colour}" stroke-width="2" stroke-opacity="0.85"/>')
    return _figure(title, height, parts, width)
