# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# What every script here needs: where things are, how to speak, how to stop. Sourced, never run.

# Scripts are found by their own place, never by the current folder.
VBP_TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
VBP_BUILD=${VBP_BUILD:-$VBP_TOP/build}
# Outside the tree, so that a fresh clone on the same machine need not download everything again.
VBP_CACHE=${VBP_CACHE:-${HOME:-/root}/.cache/virtio-balloon-pressure}
export VBP_TOP VBP_BUILD VBP_CACHE
# Messages of apt, gcc and make are searched for words below.
export LC_ALL=C

say() { printf '==> %s\n' "$*" >&2; }
warn() { printf 'warning: %s\n' "$*" >&2; }
die() { printf 'error: %s\n' "$*" >&2; exit 1; }

# need_space GIB DIR: DIR's file system has GIB free, or stop. DIR may not exist yet.
need_space() {
	local dir=$2 free_kib
	while [ ! -d "$dir" ]; do dir=$(dirname "$dir"); done
	free_kib=$(df -Pk "$dir" | awk 'NR == 2 { print $4 }')
	[ "$free_kib" -ge $(($1 * 1024 * 1024)) ] ||
		die "$((free_kib / 1024 / 1024)) GiB free for $2, $1 GiB needed: free some space, or set VBP_CACHE to a folder on a larger disk"
}

# with_lock NAME COMMAND...: two checkouts share the cache, so whoever fills it does so alone.
with_lock() {
	local name=$1 fd
	shift
	mkdir -p "$VBP_CACHE" || die "cannot create $VBP_CACHE: set VBP_CACHE to a folder you can write to"
	exec {fd}>"$VBP_CACHE/.lock-$name" || die "cannot write to $VBP_CACHE: set VBP_CACHE to a folder you can write to"
	if ! flock -n "$fd"; then
		say "waiting for another run that is filling $VBP_CACHE ($name)"
		flock "$fd"
	fi
	"$@"
	exec {fd}>&-
}
