# SPDX-License-Identifier: GPL-2.0-only
"""The picture of one run of ours: a panel for the host, and one for each guest, drawn by gnuplot."""

import subprocess

import rows

WIDTH, PANEL = 980, 150
MARGIN, ACTUAL, ASKED, AUTOMATIC, USED, SWAP, LEVEL = "#888888", "#b9cbe4", "#6a3d9a", "#d1495b", "#1b7f5c", "#d1495b", "#e08e0b"
SHADES = {"memory": "#f3d9dc", "file": "#dcefe6"}


def _write(path, points):
    path.write_text("".join(" ".join(f"{value:.2f}" for value in point) + "\n" for point in points) or "0 0 0 0 0 0\n")
    return path


def _shades(shifts, end, first):
    """What the guest is doing, as coloured ground: rectangles from a change of phase to the next."""
    lines, number = [], first
    for index, (when, phase) in enumerate(shifts):
        if index and shifts[index - 1][1] == phase:
            continue
        over = next((later for later, other in shifts[index:] if other != phase), end)
        if phase in SHADES:
            lines.append(f'set object {number} rectangle from {when:.1f},graph 0 to {min(over, end):.1f},graph 1 '
                         f'fillcolor rgb "{SHADES[phase]}" fillstyle solid noborder behind')
            number += 1
    return "\n".join(lines)


def draw(run, target):
    folder = target.parent / "data"
    folder.mkdir(exist_ok=True)
    end = run.host[-1][0]
    host = _write(folder / "host.dat", run.host)
    panels = len(run.sizes) + 1
    script = [f"""# Written by tools/host/plot.py.
set terminal svg size {WIDTH},{PANEL * panels + 60} dynamic font "Helvetica,Arial,sans-serif,12" background "#ffffff"
set output "{target}"
set multiplot layout {panels},1 margins 0.075,0.985,0.06,0.94 spacing 0,0.03 title "{rows.GUESTS} guests of {rows.GUEST_MIB} MiB on a \
host with {run.limit} MiB. Red ground: the guest works on {rows.MEMORY_MIB} MiB of memory; green: on a file of {rows.FILE_MIB} MiB"
set border 3 linecolor rgb "{MARGIN}"
set tics nomirror out
set grid ytics linecolor rgb "#e4e4e4"
set xrange [0:{end:.1f}]
set xtics {rows.DAY_S // 4}
set format x ""
set key inside top right maxrows 1 samplen 2 width 1
set yrange [0:{run.limit * 1.35:.0f}]
set ytics 512
set y2range [0:4]
set ylabel "host, MiB"
plot "{host}" using 1:2 title "used" with filledcurves y1=0 linecolor rgb "{ACTUAL}", \\
     {run.limit} title "what it has" with lines linecolor rgb "{MARGIN}" dashtype 2, \\
     "{host}" using 1:3 title "in swap" with lines linecolor rgb "{SWAP}", \\
     "{host}" using 1:($4 > 0 ? $4 : 1/0) axes x1y2 title "level (1 to 3)" with points pointtype 7 pointsize 0.3 linecolor rgb "{LEVEL}"
set yrange [0:{rows.GUEST_MIB * 1.35:.0f}]
set ytics 256
"""]
    for number, (sizes, shifts) in enumerate(zip(run.sizes, run.shifts)):
        data = _write(folder / f"guest{number}.dat", sizes)
        last = number == len(run.sizes) - 1
        script.append(f"""unset object
{_shades(shifts, end, 1)}
{'set format x "%g"; set xlabel "seconds"' if last else ""}
set ylabel "guest {number + 1}, MiB"
plot "{data}" using 1:2 title "it has" with filledcurves y1=0 linecolor rgb "{ACTUAL}" fillstyle transparent solid 0.8, \\
     "{data}" using 1:3 title "asked for" with steps linecolor rgb "{ASKED}", \\
     "{data}" using 1:4 title "automatic part" with steps linecolor rgb "{AUTOMATIC}"
""")
    path = target.parent / "shared.gnuplot"
    path.write_text("".join(script) + "unset multiplot\n")
    done = subprocess.run(["gnuplot", str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode or done.stdout.strip():
        raise RuntimeError(f"gnuplot could not draw {path}: {done.stdout.strip()}")
