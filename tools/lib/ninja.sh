# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# ninja's output as the scripts here show it. Sourced after common.sh.

# ninja_progress LOG: a line now and then instead of 1,500. The log has everything.
ninja_progress() {
	tee "$1" | awk '
		match($0, /^\[[0-9]+\/[0-9]+\]/) {
			split(substr($0, 2, RLENGTH - 2), n, "/")
			percent = int(10 * n[1] / n[2]) * 10
			if (percent != last) { printf "    %d %% of %d steps\n", percent, n[2]; fflush(); last = percent }
		}' >&2
}
