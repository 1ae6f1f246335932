#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Debian kernels to test with: the newest cloud kernel of a series that apt knows with both its image and its headers,
# unpacked into the cache. Nothing is installed: an image would touch the boot loader, and from 6.12 on Debian's headers
# depend on an image.
#
#	kernel.sh info SERIES...	fetch if needed, print one line each: series release version folder vmlinuz modules headers
#	kernel.sh headers SERIES	fetch if needed, print the folder to give to make as KDIR
#	kernel.sh source SERIES		fetch if needed, print linux-source-SERIES's tarball
#
# A cache entry is named after package and version, appears by one rename, and counts only with its completeness stamp.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"
. "$(dirname "$0")/lib/apt.sh"

flavour=cloud-amd64

# The newest "package version" whose image and headers apt both has, at the same version.
find_newest() {
	local series=$1 releases release image headers pattern
	# 6.1.0-56-cloud-amd64 and 6.12.117+deb12-cloud-amd64 are both names Debian uses.
	pattern="^linux-headers-${series//./\\.}\\.[0-9].*-$flavour\$"
	releases=$(apt-cache pkgnames "linux-headers-$series." | grep -E "$pattern" | sed 's/^linux-headers-//' | sort -Vr) || return 1
	for release in $releases; do
		image=$(apt_version "linux-image-$release")
		headers=$(apt_version "linux-headers-$release")
		if [ -n "$image" ] && [ "$image" = "$headers" ]; then
			printf '%s %s\n' "$release" "$image"
			return 0
		fi
	done
	return 1
}

# As find_newest, but apt (half a second a question) is asked only when its lists have changed.
resolve() {
	local series=$1 key memo=$VBP_CACHE/resolved/$1 found
	key=$(apt_lists_key)
	if [ -f "$memo" ] && read -r old_key found <"$memo" && [ "$old_key" = "$key" ]; then
		printf '%s\n' "$found"
		return 0
	fi
	apt_have_lists || return 1
	found=$(find_newest "$series") || return 1
	mkdir -p "$VBP_CACHE/resolved"
	printf '%s %s\n' "$key" "$found" >"$memo.$$" && mv "$memo.$$" "$memo"
	printf '%s\n' "$found"
}

# The newest complete entry of a series, for a machine that has no lists and no network but a cache.
newest_cached() {
	local dir
	for dir in $(compgen -G "$VBP_CACHE/kernels/$1.*-$flavour""_*" | sort -Vr); do
		if complete "$dir"; then basename "$dir" | tr _ ' '; return 0; fi
	done
	return 1
}

complete() {
	[ -f "$1/.complete" ] && [ "$(cat "$1/.complete")" = "$(basename "$1")" ] &&
		[ -s "$1/vmlinuz" ] && [ -s "$1/modules/modules.dep" ] && [ -s "$1/headers/Module.symvers" ] &&
		[ -s "$1/headers/Makefile" ]
}

unpack_all() {
	local dir=$1 deb
	for deb in "$dir"/*.deb; do
		dpkg -x "$deb" "$dir/root" || return 1
		rm "$deb"
	done
}

# fetch RELEASE VERSION: fills the cache entry; returns 1 if the packages cannot be had.
fetch() {
	local release=$1 version=$2 name=$1_$2 dir=$VBP_CACHE/kernels/$1_$2 new common kbuild
	complete "$dir" && return 0
	need_space 6 "$VBP_CACHE"
	mkdir -p "$VBP_CACHE/kernels"
	find "$VBP_CACHE/kernels" -maxdepth 1 -name '.new-*' -exec rm -rf {} +
	new=$(mktemp -d "$VBP_CACHE/kernels/.new-XXXXXX")
	say "fetching kernel $release ($version): image and headers, about 45 MB"
	common=linux-headers-${release%-"$flavour"}-common
	# Named after the series on 6.1, after the release from 6.12 on.
	kbuild=$(apt-cache show "linux-headers-$release=$version" |
		awk '/^Depends:/ && match($0, /linux-kbuild-[^ ,]*/) { name = substr($0, RSTART, RLENGTH) } END { print name }')
	[ -n "$kbuild" ] || return 1
	apt_download "$new" "linux-image-$release=$version" "linux-headers-$release=$version" "$common=$version" \
		"$kbuild=$version" || { rm -rf "$new"; return 1; }
	unpack_all "$new" || die "cannot unpack kernel $release into $VBP_CACHE: is the disk full?"
	# Newer packages have their modules under /usr/lib; depmod looks under /lib only.
	[ -d "$new/root/lib/modules/$release" ] || ln -s usr/lib "$new/root/lib"
	depmod -b "$new/root" "$release" || die "depmod failed for kernel $release"
	# The only absolute path in the headers. $dir, not $new: the entry is about to be renamed.
	printf 'include %s/root/usr/src/%s/Makefile\n' "$dir" "$common" >"$new/root/usr/src/linux-headers-$release/Makefile"
	ln -s "root/boot/vmlinuz-$release" "$new/vmlinuz"
	ln -s "root/lib/modules/$release" "$new/modules"
	ln -s "root/usr/src/linux-headers-$release" "$new/headers"
	printf '%s\n' "$name" >"$new/.complete"
	chmod 755 "$new"
	rm -rf "$dir"
	mv "$new" "$dir"
	complete "$dir" || die "the packages of kernel $release have an unexpected layout (see $dir)"
}

# ensure SERIES: prints "release version" of a kernel that is now in the cache.
ensure() {
	local series=$1 found
	if ! found=$(resolve "$series") || ! fetch $found; then
		# Either apt knows no such kernel, or its lists name one the mirror has replaced since.
		if apt_refresh_or_not "$series" && found=$(resolve "$series") && fetch $found; then :; else
			found=$(newest_cached "$series") ||
				die "cannot get a Linux $series kernel (linux-image and linux-headers, $flavour): ${apt_download_why:-"apt's sources do not have it; this needs Debian 12's main and security archives"}"
			warn "apt cannot provide a Linux $series kernel now; using $found from the cache"
		fi
	fi
	printf '%s\n' "$found"
}

# A machine without root rights but with a filled cache can still work.
apt_refresh_or_not() {
	[ "$(id -u)" = 0 ] || return 1
	(apt_refresh "for a Linux $1 kernel")
}

info() {
	local series found dir
	for series in "$@"; do
		found=$(with_lock kernels ensure "$series") || exit 1
		set -- $found
		dir=$VBP_CACHE/kernels/$1_$2
		printf '%s %s %s %s %s %s %s\n' "$series" "$1" "$2" "$dir" "$dir/vmlinuz" "$dir/modules" "$dir/headers"
	done
}

fetch_source() {
	local series=$1 version dir new package=linux-source-$1
	apt_have_lists || apt_refresh "for $package" || return 1
	version=$(apt_version "$package")
	[ -n "$version" ] || die "apt's sources do not have $package: this needs Debian 12's main and security archives"
	dir=$VBP_CACHE/sources/${package}_$version
	if [ ! -f "$dir/.complete" ]; then
		need_space 6 "$VBP_CACHE"
		mkdir -p "$VBP_CACHE/sources"
		find "$VBP_CACHE/sources" -maxdepth 1 -name '.new-*' -exec rm -rf {} +
		new=$(mktemp -d "$VBP_CACHE/sources/.new-XXXXXX")
		say "fetching $package ($version), about 150 MB"
		apt_download "$new" "$package=$version" || {
			rm -rf "$new"
			die "cannot download $package: $apt_download_why"
		}
		unpack_all "$new" || die "cannot unpack $package into $VBP_CACHE: is the disk full?"
		mv "$new/root/usr/src/linux-source-$series.tar.xz" "$new/"
		rm -rf "$new/root"
		: >"$new/.complete"
		chmod 755 "$new"
		rm -rf "$dir"
		mv "$new" "$dir"
	fi
	printf '%s\n' "$dir/linux-source-$series.tar.xz"
}

case ${1-} in
info) shift; info "$@" ;;
headers) info "$2" | awk '{ print $7 }' ;;
source) with_lock sources fetch_source "$2" ;;
*) die "usage: kernel.sh info SERIES... | headers SERIES | source SERIES" ;;
esac
