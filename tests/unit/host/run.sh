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
