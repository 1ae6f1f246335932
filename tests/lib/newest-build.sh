#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Compiles the module, with W=1, for the newest kernel Debian has, in a chroot of that kernel's suite: kbuild's host tools
# need that suite's libc and compiler.
#
# Exit status 0: no warning, and the kernel's name on stdout; 1: warnings or errors, on stderr; 77: cannot be tried here, and
# the reason on stdout.
set -euo pipefail
. "$(dirname "$0")/common.sh"
. "$(dirname "$0")/apt.sh"
. "$(dirname "$0")/debian.sh"

# Where kernels newer than Debian 12's are to be found.
suites="sid trixie-backports"
state=$VBP_CACHE/newest

skip() { echo "$*"; exit 77; }

# apt with package lists of its own: this machine's sources and lists are not touched.
own_apt() {
	local command=$1
	shift
	"$command" -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$state/lists" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User="$(id -un)" "$@"
}

refresh_lists() {
	if [ -n "$(find "$state/lists.stamp" -mmin -1440 2>/dev/null)" ]; then return 0; fi
	mkdir -p "$state/lists/partial"
	debian_sources $suites >"$state/sources.list"
	say "looking for the newest kernel in $suites"
	if own_apt apt-get update >"$state/update.log" 2>&1; then
		: >"$state/lists.stamp"
	else
		warn "not all of '$suites' could be read (see $state/update.log)"
	fi
}

# Prints "release version suite".
find_newest() {
	local release
	release=$(own_apt apt-cache pkgnames linux-headers- | sed -n 's/^linux-headers-\([0-9.]*[-+].*-cloud-amd64\)$/\1/p' | sort -V | tail -1)
	[ -n "$release" ] || return 1
	own_apt apt-cache madison "linux-headers-$release" |
		awk -F' *[|] *' -v release="$release" '/Packages/ && !n++ { print release, $2, suite() }
			# The third column: ADDRESS SUITE/COMPONENT ARCHITECTURE Packages
			function suite() { split($3, word, " "); split(word[2], part, "/"); return part[1] }'
}

make_chroot() {
	local release=$1 version=$2 suite=$3 dir=$4 new=$VBP_CACHE/chroots/.new sources
	if [ "$(cat "$dir/.vbp-complete" 2>/dev/null)" = "$version" ]; then return 0; fi
	need_space 6 "$VBP_CACHE"
	mkdir -p "$VBP_CACHE/chroots"
	# Half-made ones, and those of kernels that are no longer the newest: 400 MB each.
	find "$VBP_CACHE/chroots" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
	mapfile -t sources < <(debian_sources $(tr ' ' '\n' <<<"${suite%-backports} $suite" | sort -u))
	say "making a chroot of $suite with the headers of Linux $release"
	if ! mmdebstrap --quiet --variant=minbase --include="linux-headers-$release,make,gcc,kmod" "${suite%-backports}" "$new" \
		"${sources[@]}" >"$state/chroot.log" 2>&1; then
		rm -rf "$new"
		return 1
	fi
	echo "$version" >"$new/.vbp-complete"
	mv "$new" "$dir"
}

compile() {
	local dir=$1 release=$2 work=$1/vbp log=$state/build.log
	rm -rf "$work"
	"$(dirname "$0")/module.sh" --sources "$work"
	if ! "$(dirname "$0")/in-chroot.sh" "$dir" true 2>/dev/null; then
		skip "this machine does not allow mounting /proc in a chroot"
	fi
	if ! "$(dirname "$0")/in-chroot.sh" "$dir" make -C "/lib/modules/$release/build" M=/vbp W=1 modules >"$log" 2>&1; then
		grep -E 'error|Error|undefined' "$log" | sed -n '1,20p' >&2 || :
		die "the module does not build for Linux $release (whole log: $log)"
	fi
	# The compiler may be a later build of the one that made the kernel.
	if grep -i 'warning' "$log" | grep -v 'the compiler differs from the one used to build the kernel' >&2; then
		die "the module builds for Linux $release with the warnings above (whole log: $log)"
	fi
	[ -s "$work/virtio_balloon_pressure.ko" ] || die "the build for Linux $release left no module (whole log: $log)"
}

main() {
	local found dir
	[ "$(id -u)" = 0 ] || skip "making a chroot needs root"
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
	[ -n "$(debian_sources $suites)" ] || skip "apt on this machine has no Debian mirror"
	refresh_lists
	found=$(find_newest) || skip "the mirror has none of '$suites'"
	set -- $found
	[ $# = 3 ] || skip "the mirror has no cloud kernel in '$suites'"
	dir=$VBP_CACHE/chroots/$3_$1_$2
	make_chroot "$1" "$2" "$3" "$dir" || skip "cannot make a chroot of $3 with Linux $1 (see $state/chroot.log)"
	compile "$dir" "$1"
	echo "Linux $1 ($3)"
}

with_lock newest main
