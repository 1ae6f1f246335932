#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# An image of a small Debian with the real programs that loads use; prints its path. Kept in the cache by a hash of this script and
# of the programs' versions: some 300 MB, a minute.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"
. "$(dirname "$0")/../lib/apt.sh"

suite=bookworm
packages="redis-server redis-tools stress-ng"
size_mib=1024
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
folder=$VBP_CACHE/programs

image_key() {
	{
		cat "$(readlink -f "$0")"
		for package in $packages; do
			apt_version "$package"
		done
	} | sha256sum | cut -c1-16
}

make_image() {
	local image=$1 uri work log=$VBP_BUILD/logs/rootfs.log
	[ ! -s "$image" ] || return 0
	[ "$(id -u)" = 0 ] || die "making the image with $packages needs root"
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
	need_space 3 "$VBP_CACHE"
	# The Debian mirror that this machine uses already.
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 'Created-By: Packages' 2>/dev/null | sed -n 1p)
	[ -n "$uri" ] || die "apt on this machine has no Debian mirror: check /etc/apt/sources.list*"
	mkdir -p "$folder" "$VBP_BUILD/logs"
	# Half-made ones, and those of other versions.
	find "$folder" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
	work=$folder/.new
	say "making an image of $suite with $packages"
	# Services must not be started in it: nothing runs there yet.
	if ! mmdebstrap --quiet --variant=minbase --include="${packages// /,}" "$suite" "$work" \
		"deb [signed-by=$keyring] $uri $suite main" >"$log" 2>&1; then
		rm -rf "$work"
		die "mmdebstrap could not make it (log: $log)"
	fi
	mkdir -p "$work/proc" "$work/sys" "$work/dev" "$work/tmp"
	rm -rf "$work"/var/cache/apt/* "$work"/var/lib/apt/lists/*
	if ! mkfs.ext4 -q -F -L vbp-programs -d "$work" "$image.new" "${size_mib}M" >>"$log" 2>&1; then
		rm -rf "$work" "$image.new"
		die "the image could not be written (log: $log)"
	fi
	rm -rf "$work"
	mv "$image.new" "$image"
}

apt_have_lists || apt_refresh 'there are none'
image=$folder/$(image_key).ext4
with_lock programs make_image "$image"
echo "$image"
