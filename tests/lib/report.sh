#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# report.sh TIER...: sums up build/results/<tier>.txt (results.sh describes the lines). Names what failed and what was
# skipped; the last line is the count. A tier that left neither PASS nor FAIL did not run, which is a failure of its own.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"

passed=0 failed=0 skipped=0
for tier in "$@"; do
	file=$VBP_BUILD/results/$tier.txt
	[ -f "$file" ] || file=/dev/null
	pass=$(grep -c '^PASS ' "$file" || :)
	fail=$(grep -c '^FAIL ' "$file" || :)
	skip=$(grep -c '^SKIP ' "$file" || :)
	sed -n "s/^\(FAIL\|SKIP\) /\1 $tier: /p" "$file" | sort
	if [ $((pass + fail)) = 0 ]; then
		printf 'FAIL %s: the tier ran no test\n' "$tier"
		fail=1
	fi
	passed=$((passed + pass)) failed=$((failed + fail)) skipped=$((skipped + skip))
done
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
