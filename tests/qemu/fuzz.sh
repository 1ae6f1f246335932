#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# fuzz.sh MINUTES [SEED]: hostile guests against the balloon of the QEMU that has the series, built with AddressSanitizer and
# UndefinedBehaviorSanitizer: libFuzzer and what qemu/fuzz/virtio_balloon_fuzz.c makes of its inputs. Each kind of device gets its share of the
# time. Prints PASS or FAIL and the kind.
#
# What a kind has learned is kept in the cache, and the next run goes on from there. Then a seed alone does not repeat a run; the input that
# a failure leaves in build/qemu/fuzz does:
#
#	fuzz.sh --repeat FILE
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"

found=$VBP_BUILD/qemu/fuzz
# Kind, and its device's properties. One is QEMU's own device without guest-pressure, so that QEMU's own faults can be told apart.
kinds() {
	cat <<-END
		modern guest-pressure=on size-min=16M size-max=48M host-pressure-level=2 free-page-hint=on iothread=thread
		reporting guest-pressure=on size-min=16M free-page-reporting=on disable-legacy=on
		legacy guest-pressure=on size-min=16M disable-modern=on disable-legacy=off deflate-on-oom=on
		packed guest-pressure=on free-page-reporting=on packed=on deflate-on-oom=on
		stock free-page-reporting=on deflate-on-oom=on
	END
}

# fuzz KIND PROPERTIES ARGUMENT...
fuzz() {
	local property
	export VBP_FUZZ_ARGS=" -object iothread,id=thread"
	for property in $2; do VBP_FUZZ_ARGS="$VBP_FUZZ_ARGS -global virtio-balloon-pci.$property"; done
	export ASAN_OPTIONS=detect_leaks=0 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
	"$program" --fuzz-target=virtio-balloon-fuzz -artifact_prefix="$found/$1-" -rss_limit_mb=3000 -timeout=60 "${@:3}"
}

# run KIND PROPERTIES SECONDS SEED
run() {
	local corpus=$VBP_CACHE/qemu-fuzz/$1 log=$VBP_BUILD/logs/qemu-fuzz-$1.log status why again
	mkdir -p "$corpus"
	rm -f "$found/$1"-*
	fuzz "$1" "$2" -max_total_time="$3" -seed="$4" -max_len=4096 -print_final_stats=1 "$corpus" >"$log" 2>&1 && status=0 || status=$?
	why=$(grep -m1 -E 'runtime error:|^ERROR:|Assertion|ERROR: (Address|lib)' "$log") || why=
	if [ -n "$why" ] || compgen -G "$found/$1-*" >/dev/null; then
		again=$(ls "$found/$1"-* 2>/dev/null | head -1)
		echo "FAIL fuzz/$1: seed $4: ${why:-exit status $status} (repeat it: tests/qemu/fuzz.sh --repeat $again; log: $log)"
	elif [ "$status" != 0 ] || ! grep -q '^stat::number_of_executed_units: [1-9]' "$log"; then
		echo "FAIL fuzz/$1: exit status $status: $(tail -n1 "$log") (log: $log)"
	else
		echo "PASS fuzz/$1 $(sed -n 's/^stat::number_of_executed_units: //p' "$log") inputs in $3 s, seed $4"
	fi
}

program=$("$VBP_TOP/qemu/build.sh" fuzz) || exit 1
mkdir -p "$found"
if [ "${1-}" = --repeat ]; then
	kind=$(basename "${2:?fuzz.sh --repeat FILE}")
	kind=${kind%%-*}
	properties=$(kinds | sed -n "s/^$kind //p")
	[ -n "$properties" ] || die "$2: its name does not begin with a kind ($(kinds | cut -d' ' -f1 | paste -sd ' '))"
	fuzz "$kind" "$properties" "$2"
	exit
fi
[[ ${1-} =~ ^[1-9][0-9]*$ ]] || die "MINUTES=${1-}: a whole number of minutes"
[[ ${2-1} =~ ^[1-9][0-9]*$ ]] || die "SEED=$2: a whole number above 0"
seed=${2:-$((RANDOM * 32768 + RANDOM + 1))}
share=$(($1 * 60 / $(kinds | wc -l)))
failed=0
while read -r kind properties; do
	line=$(run "$kind" "$properties" "$share" "$seed")
	echo "$line"
	[[ $line = PASS* ]] || failed=1
done < <(kinds)
exit $failed
