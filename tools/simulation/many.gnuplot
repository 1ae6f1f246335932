# SPDX-License-Identifier: GPL-2.0-only
# many.gnuplot DATA SVG: the host's memory, the sum of the automatic parts, and how large the guests are.
data = ARG1
set terminal svg size 900,520 dynamic font "Helvetica,Arial,sans-serif,12" background "#ffffff"
set output ARG2
set multiplot layout 3,1 margins 0.09,0.985,0.1,0.93 spacing 0,0.06 title "10,000 guests of 4 GiB on a host of 20 TiB: one hour (simulated)"
set border 3 linecolor rgb "#888888"
set tics nomirror out
set grid ytics linecolor rgb "#e4e4e4"
set xrange [0:60]
set format x ""
set key inside top right maxrows 1 samplen 2 width 1
set ytics 5
set ylabel "host, TiB"
set yrange [0:20]
plot data using ($1 * 60):($2 / 1024) title "free" with lines linecolor rgb "#1b7f5c", \
     data using ($1 * 60):($3 / 1024) title "reserve" with lines linecolor rgb "#888888" dashtype 2
set yrange [0:40]
set ytics 10
set ylabel "sum, TiB"
plot data using ($1 * 60):($5 / 1024) title "automatic parts" with lines linecolor rgb "#6a3d9a"
set format x "%g"
set xlabel "minutes"
set yrange [0:6]
set ytics 2
set ylabel "guest, GiB"
plot data using ($1 * 60):6:8 title "size (90 % of them)" with filledcurves linecolor rgb "#b9cbe4", \
     data using ($1 * 60):7 title "the middle one" with lines linecolor rgb "#333333"
unset multiplot
