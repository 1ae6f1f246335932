# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# How a tier written in shell says what it found: sourced after common.sh, then
#
#	results_start unit
#	results_pass NAME / results_fail NAME WHY / results_skip NAME WHY
#
# One line each in build/results/<tier>.txt, which report.sh sums up, and the same on the screen. results.py is its twin.

results_start() {
	results_file=$VBP_BUILD/results/$1.txt
	mkdir -p "$VBP_BUILD/results"
	: >"$results_file"
}

results_pass() { results_line "PASS $1"; }
results_fail() { results_line "FAIL $1: $2"; }
results_skip() { results_line "SKIP $1: $2"; }

# One line per result, whatever was in the reason.
results_line() {
	printf '%s\n' "$(tr '\n' ' ' <<<"$1" | sed 's/ *$//')" | tee -a "$results_file"
}

# The exit status of the tier: 0 only if something passed and nothing failed.
results_end() {
	grep -q '^PASS ' "$results_file" && ! grep -q '^FAIL ' "$results_file"
}
