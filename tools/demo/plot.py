# SPDX-License-Identifier: GPL-2.0-only
"""The demo's picture: one panel for each row, drawn by gnuplot. The row that shows a whole cycle has one as wide as the picture."""

import subprocess

import rows
import table

COLUMNS = 2
# With title and axes; the edges of what is drawn in are below.
PANEL_WIDTH, PANEL_HEIGHT = 520, 314
LEFT, RIGHT, TITLE, BELOW = 62, 16, 34, 64
HEAD_HEIGHT = 74
BEFORE_S = 2.6              # shown before the load's start
AFTER_S = 1.2               # and after the longest run's end
BALLOON, AVAILABLE, TOUCHED, INK, RELIEF = "#b9cbe4", "#1b7f5c", "#d1495b", "#333333", "#6a3d9a"


def draw(chosen, runs, target, kernel, terminal="svg"):
    """chosen: rows; runs: {row key: Run}; target: the file to write."""
    folder = target.parent / "data"
    folder.mkdir(exist_ok=True)
    small, wide = [row for row in chosen if not row.whole], [row for row in chosen if row.whole]
    x_max = max(runs[row.key].ended_at for row in small) + AFTER_S
    lines = -(-len(small) // COLUMNS)
    height = HEAD_HEIGHT + (lines + len(wide)) * PANEL_HEIGHT
    script = [_head(target, height, kernel, terminal)]
    places = [(number // COLUMNS, number % COLUMNS, 1) for number in range(len(small))] + \
             [(lines + number, 0, COLUMNS) for number in range(len(wide))]
    for row, place in zip(small + wide, places):
        run = runs[row.key]
        script.append(_edges(*place, height))
        script.append(_panel(row, run, folder, x_max if not row.whole else run.regrown[1] + AFTER_S))
        # Headline and legend belong to the screen, yet a plot has to draw them: the first.
        script.append("unset label\nunset object\nunset arrow\n")
    script.append("unset multiplot\n")
    path = target.parent / "timeline.gnuplot"
    path.write_text("".join(script))
    done = subprocess.run(["gnuplot", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or done.stdout.strip():
        raise RuntimeError(f"gnuplot could not draw {path}: {done.stdout.strip()}")


def _edges(line, column, columns, height):
    """Where on the screen a panel's frame is, in gnuplot's words."""
    width = COLUMNS * PANEL_WIDTH
    top = HEAD_HEIGHT + line * PANEL_HEIGHT
    return (f"set lmargin at screen {(column * PANEL_WIDTH + LEFT) / width:.5f}\n"
            f"set rmargin at screen {((column + columns) * PANEL_WIDTH - RIGHT) / width:.5f}\n"
            f"set tmargin at screen {1 - (top + TITLE) / height:.5f}\n"
            f"set bmargin at screen {1 - (top + PANEL_HEIGHT - BELOW) / height:.5f}\n")


def _head(target, height, kernel, terminal):
    terminals = {"svg": 'svg size {w},{h} dynamic font "Helvetica,Arial,sans-serif,13" background "#ffffff"',
                 "png": 'pngcairo size {w},{h} font "Helvetica,11"'}
    return f"""# Written by tools/demo/plot.py.
set terminal {terminals[terminal].format(w=COLUMNS * PANEL_WIDTH, h=height)}
set output "{target}"
set encoding utf8
set label 1 "A guest of {rows.GUEST_MIB} MiB, {rows.IN_USE_MIB} in use and {rows.GUEST_MIB - rows.TARGET_MIB} in the balloon. \
A program needs {rows.LOAD_MIB} more (Linux {kernel}, no swap)" at screen 0.5,{1 - 22 / height} center font ",14" textcolor rgb "{INK}"
{_legend(height)}
set multiplot
set border 3 linecolor rgb "#888888"
set tics nomirror out textcolor rgb "{INK}"
set grid ytics linecolor rgb "#e4e4e4" linewidth 1
set ytics 512
set yrange [0:{rows.GUEST_MIB}]
unset key
"""


def _legend(height):
    """One for all panels, below the headline; gnuplot's own key would repeat in each."""
    y = 1 - 54 / height
    parts = [("balloon (host's view)", BALLOON), ("memory available in the guest", AVAILABLE), ("touched by the program", TOUCHED)]
    text = []
    x = 0.07
    for number, (name, colour) in enumerate(parts, 1):
        thick = 7 if colour == BALLOON else 2
        text.append(f'set object {number} rectangle from screen {x},{y - thick / height} to screen {x + 0.028},{y + thick / height} '
                    f'fillcolor rgb "{colour}" fillstyle solid noborder\n'
                    f'set label {number + 1} "{name}, MiB" at screen {x + 0.034},{y} left textcolor rgb "{INK}"')
        x += 0.29 if number == 1 else 0.35
    return "\n".join(text)


def _panel(row, run, folder, x_max):
    files = {}
    for name in ("balloon", "available", "touched"):
        files[name] = folder / f"{row.key}-{name}.dat"
        points = [point for point in getattr(run, name) if -BEFORE_S - 0.5 <= point[0] <= x_max + 0.5]
        if name == "balloon" and points:
            # The load found a full balloon, or one that the host had just emptied.
            until = run.relief_at if row.host_deflates and run.relief_at is not None else points[0][0]
            full = rows.GUEST_MIB - rows.TARGET_MIB
            points = [(-BEFORE_S, full), (until, full), *(point for point in points if point[0] >= until)]
        files[name].write_text("".join(f"{when:.3f} {size:.1f}\n" for when, size in points) or "0 0\n")
    marks = _phases(run) if row.whole else []
    if run.relief_at is not None:
        word = "host deflates" if row.host_deflates else "relief"
        marks.append(f'set arrow 10 from {run.relief_at:.3f},0 to {run.relief_at:.3f},{rows.GUEST_MIB} nohead '
                     f'linecolor rgb "{RELIEF}" linewidth 1.5 dashtype 2 front\n'
                     f'set label 10 "{word}" at {run.relief_at:.3f},{rows.GUEST_MIB * 0.95} left offset 0.6,0 '
                     f'textcolor rgb "{RELIEF}" front')
    last = run.touched[-1] if run.touched else [0, 0]
    ending = f"finished after {run.seconds:.1f} s" if run.outcome == "ok" else table.OUTCOMES[run.outcome]
    shown_until = run.balloon[-1][0]
    if row.whole:
        at, height, place = last[0], rows.GUEST_MIB * 0.6, "left offset 1.5,0"
    elif shown_until < x_max * 0.7:
        at, height, place = shown_until, rows.GUEST_MIB * 0.25, "left offset 1,0"
    else:
        at, height, place = last[0], rows.GUEST_MIB * 0.68, "right"
    marks.append(f'set label 11 "{ending}" at {at:.3f},{height} {place} textcolor rgb "{TOUCHED}" front')
    for number, (when, name, data) in enumerate(run.events):
        # The first in full, the others by what they said: names would cover the picture.
        text = data.get("level", name) if number else f"{name}: {data.get('level', '')}"
        marks.append(f'set label {20 + number} "{text}" at {when:.3f},{rows.GUEST_MIB * 0.86 - 115 * (number % 4)} left '
                     f'noenhanced point pointtype 7 pointsize 0.5 offset 0.5,0 textcolor rgb "{INK}" front')
    marks = "\n".join(marks)
    return f"""
set title "{row.title}" font ",14" textcolor rgb "{INK}" offset 0,-0.5
set xrange [{-BEFORE_S}:{x_max:.2f}]
set xlabel "seconds since the program's start" textcolor rgb "{INK}" offset 0,0.5
{marks}
plot "{files['balloon']}" using 1:2 title "balloon" with filledcurves above y1=0 linecolor rgb "{BALLOON}", \\
     "{files['available']}" using 1:2 title "available" with lines linecolor rgb "{AVAILABLE}" linewidth 2, \\
     "{files['touched']}" using 1:2 title "touched" with lines linecolor rgb "{TOUCHED}" linewidth 3{_dot(run)}
"""


def _phases(run):
    """What the balloon waits for after the load, below the line of available memory."""
    began, full = run.regrown
    y = rows.GUEST_MIB * 0.08
    marks = []
    for number, (start, end, text) in enumerate(((run.ended_at, began, "hold-off"), (began, full, "growing again"))):
        marks.append(f'set arrow {30 + number} from {start:.3f},{y} to {end:.3f},{y} heads size 0.6,20 linecolor rgb "{INK}" front\n'
                     f'set label {30 + number} "{text}, {end - start:.0f} s" at {(start + end) / 2:.3f},{y + 110} center '
                     f'textcolor rgb "{INK}" front')
    return marks


def _dot(run):
    """A cross where the program ended before its time."""
    if run.outcome == "ok":
        return ""
    when, size = run.touched[-1] if run.touched else (0, 0)
    return f", \\\n     '+' using ({when:.3f}):({size}) every ::0::0 title 'end' with points pointtype 2 pointsize 1.4 linewidth 3 linecolor rgb \"{TOUCHED}\""
