# SPDX-License-Identifier: GPL-2.0-only
"""The demo's picture: one panel for each row, drawn by gnuplot."""

import subprocess

import rows
import table

COLUMNS = 2
PANEL_WIDTH, PANEL_HEIGHT = 520, 314
HEAD_HEIGHT = 74
BEFORE_S = 2.6              # shown before the load's start
AFTER_S = 0.8               # and after the longest run's end
BALLOON, AVAILABLE, TOUCHED, INK, RELIEF = "#b9cbe4", "#1b7f5c", "#d1495b", "#333333", "#6a3d9a"


def draw(chosen, runs, target, kernel, terminal="svg"):
    """chosen: rows; runs: {row key: Run}; target: the file to write."""
    folder = target.parent / "data"
    folder.mkdir(exist_ok=True)
    x_max = max(runs[row.key].ended_at for row in chosen) + AFTER_S
    count = -(-len(chosen) // COLUMNS)
    height = HEAD_HEIGHT + count * PANEL_HEIGHT
    script = [_head(target, height, count, kernel, terminal)]
    for row in chosen:
        script.append(_panel(row, runs[row.key], folder, x_max))
        # Headline and legend belong to the screen, yet a plot has to draw them: the first.
        script.append("unset label\nunset object\nunset arrow\n")
    script.append("unset multiplot\n")
    path = target.parent / "timeline.gnuplot"
    path.write_text("".join(script))
    done = subprocess.run(["gnuplot", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or done.stdout.strip():
        raise RuntimeError(f"gnuplot could not draw {path}: {done.stdout.strip()}")


def _head(target, height, count, kernel, terminal):
    top = 1 - HEAD_HEIGHT / height
    terminals = {"svg": 'svg size {w},{h} dynamic font "Helvetica,Arial,sans-serif,13" background "#ffffff"',
                 "png": 'pngcairo size {w},{h} font "Helvetica,11"'}
    return f"""# Written by tools/demo/plot.py.
set terminal {terminals[terminal].format(w=COLUMNS * PANEL_WIDTH, h=height)}
set output "{target}"
set encoding utf8
set label 1 "A program needs {rows.LOAD_MIB} MiB; of the guest's {rows.GUEST_MIB} MiB the balloon holds {rows.GUEST_MIB - rows.TARGET_MIB} \
(Linux {kernel}, no swap)" at screen 0.5,{1 - 22 / height} center font ",15" textcolor rgb "{INK}"
{_legend(height)}
set multiplot layout {count},{COLUMNS} margins 0.06,0.985,{64 / height},{top - 30 / height} spacing 0.07,{98 / height}
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
        files[name].write_text("".join(f"{when:.3f} {size:.1f}\n" for when, size in points) or "0 0\n")
    marks = []
    if run.relief_at is not None:
        word = "host deflates" if row.host_deflates else "relief"
        marks.append(f'set arrow 10 from {run.relief_at:.3f},0 to {run.relief_at:.3f},{rows.GUEST_MIB} nohead '
                     f'linecolor rgb "{RELIEF}" linewidth 1.5 dashtype 2 front\n'
                     f'set label 10 "{word}" at {run.relief_at:.3f},{rows.GUEST_MIB * 0.95} left offset 0.6,0 '
                     f'textcolor rgb "{RELIEF}" front')
    last = run.touched[-1] if run.touched else [0, 0]
    ending = f"finished after {run.seconds:.1f} s" if run.outcome == "ok" else table.OUTCOMES[run.outcome]
    # To the right of the line's end where there is room, above it otherwise.
    place = "left offset 1.5,0" if last[0] < x_max * 0.6 else "right offset 0.5,0"
    height = max(last[1] - 300, 80) if last[0] < x_max * 0.6 else last[1] + 110
    marks.append(f'set label 11 "{ending}" at {last[0]:.3f},{height} {place} textcolor rgb "{TOUCHED}" front')
    for number, (when, name, data) in enumerate(run.events):
        # The first in full, the others by what they said: names would cover the picture.
        text = data.get("level", name) if number else f"{name}: {data.get('level', '')}"
        marks.append(f'set label {20 + number} "{text}" at {when:.3f},{rows.GUEST_MIB * 0.86 - 110 * (number % 4)} left '
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


def _dot(run):
    """A cross where the program ended before its time."""
    if run.outcome == "ok":
        return ""
    when, size = run.touched[-1] if run.touched else (0, 0)
    return f", \\\n     '+' using ({when:.3f}):({size}) every ::0::0 title 'end' with points pointtype 2 pointsize 1.4 linewidth 3 linecolor rgb \"{TOUCHED}\""
