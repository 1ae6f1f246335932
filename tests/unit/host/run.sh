# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# The host's policy, as the tier "unit" tests it; sourced by ../run, whose functions and flags it uses.

host=$here/host
host_policy=$VBP_TOP/qemu/policy/host-pressure-policy
# As QEMU itself is compiled: its MIN() compares an enum with a number. And what is shared with the guest policy's cases is more.
host_flags=("-I$host" "-I$VBP_TOP/qemu/policy" -Wno-sign-compare -Wno-unused-function)

with_host_policy() {
	local program=$out/host_test test="host policy compiles"
	if ! gcc "${flags[@]}" "${host_flags[@]}" -fsanitize=float-cast-overflow "$host/cases.c" "$host_policy.c" -o "$program" 2>"$program.log"; then
		not_compiled "$program" "$test"
		return
	fi
	run_cases "$program" "host: "
}

# What a patch adds as a new file.
added_by_patches() {
	cat "$VBP_TOP"/qemu/patches/*.patch | awk -v file="+++ b/$1" '
		$0 == file { on = 1; next }
		/^(diff|-- $)/ { on = 0 }
		on && /^\+/ { print substr($0, 2) }'
}

# The series carries the same bytes.
with_host_series() {
	local suffix test name
	for suffix in c h; do
		name=hw/virtio/host-pressure-policy.$suffix
		test="the series has this $(basename "$name")"
		if ! grep -q "^+++ b/$name" "$VBP_TOP"/qemu/patches/*.patch; then
			results_skip "$test" "no patch adds $name yet"
		elif diff -q "$host_policy.$suffix" <(added_by_patches "$name") >/dev/null; then
			results_pass "$test"
		else
			results_fail "$test" "$name differs: $(diff "$host_policy.$suffix" <(added_by_patches "$name") | sed -n 2p)"
		fi
	done
}

# Thousands of hosts with up to 50 guests, half of them on each CPU; a few again with sanitizers; and three of 10,000 guests.
with_host_simulation() {
	local program=$out/host_simulation test="host simulation compiles"
	local sources=("$host/machine.c" "$host_policy.c" "${policy[@]}")
	local simulated=(-std=gnu11 -g -O2 -Wall -Wextra -Werror "-I$VBP_TOP/driver/policy" "-I$here" "${host_flags[@]}")
	if ! gcc "${simulated[@]}" "${sources[@]}" -o "$program" 2>"$program.log" ||
		! gcc "${simulated[@]}" -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all "${sources[@]}" \
			-o "$program-sanitized" 2>"$program.log"; then
		not_compiled "$program" "$test"
		return
	fi
	local first=${VBP_FIRST_SEED:-1} half=$(((${VBP_SEEDS:-2000} + 1) / 2))
	simulate "$program" "hosts from seed $first" VBP_FIRST_SEED="$first" VBP_SEEDS="$half" &
	simulate "$program" "hosts from seed $((first + half))" VBP_FIRST_SEED="$((first + half))" VBP_SEEDS="$half"
	wait
	{
		simulate "$program" "a host of 10,000 guests with jobs" VBP_GUESTS=10000 VBP_WORLD=0 VBP_SEEDS=1
		simulate "$program" "a host of 10,000 guests with newcomers" VBP_GUESTS=10000 VBP_WORLD=4 VBP_SEEDS=1
	} &
	simulate "$program" "a host of 10,000 guests at rest" VBP_GUESTS=10000 VBP_WORLD=3 VBP_SEEDS=1
	wait
	simulate "$program-sanitized" "hosts with sanitizers" VBP_SEEDS=40
}
