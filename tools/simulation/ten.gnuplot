# SPDX-License-Identifier: GPL-2.0-only
# ten.gnuplot DATA SVG: the host's free memory and level, and below it three of the ten guests.
data = ARG1
set terminal svg size 900,640 dynamic font "Helvetica,Arial,sans-serif,12" background "#ffffff"
set output ARG2
set multiplot layout 4,1 margins 0.07,0.985,0.08,0.94 spacing 0,0.045 title "Ten guests of 4 GiB on a host of 20 GiB: one day (simulated)"
set border 3 linecolor rgb "#888888"
set tics nomirror out
set grid ytics linecolor rgb "#e4e4e4"
set xrange [0:24]
set xtics 3
set format x ""
set key inside top right maxrows 1 samplen 2 width 1
set yrange [0:4]
set ytics 1
set ylabel "host, GiB"
plot data using 1:2 title "free" with lines linecolor rgb "#1b7f5c", \
     data using 1:3 title "reserve" with lines linecolor rgb "#888888" dashtype 2, \
     data using 1:($4 > 0 ? $4 : 1/0) title "level (1-3)" with points pointtype 7 pointsize 0.25 linecolor rgb "#d1495b"
set yrange [0:5]
do for [guest = 0:2] {
	column = 6 + 3 * guest
	if (guest == 2) { set format x "%g"; set xlabel "hours" }
	set ylabel sprintf("guest %d, GiB", guest + 1)
	plot data using 1:column title "size" with filledcurves y1=0 linecolor rgb "#b9cbe4", \
	     data using 1:(column(column + 1)) title "asked for" with steps linecolor rgb "#6a3d9a", \
	     data using 1:(column(column + 2)) title "used by programs" with lines linecolor rgb "#d1495b"
}
unset multiplot
