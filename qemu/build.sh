#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# build.sh: builds Debian's QEMU with the patches in this folder, in the cache, and links the program to
# build/qemu/bin/qemu-system-x86_64. Does nothing when the cache has it: the name of its folder is a hash of all that it depends on.
#
#	build.sh		prints the program's path
#	build.sh tests		prints the folder with the series' tests and what else tests/qemu needs of the source
#	build.sh s390x		prints the path of a program for that machine, whose device is a file of its own (for FULL=1)
#	build.sh source DIR	unpacks the source with the patches applied, and builds nothing
#	build.sh each		builds after each patch (for whoever changes the series; takes long)
set -euo pipefail
. "$(dirname "$0")/../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/apt.sh"

here=$VBP_TOP/qemu
suite=bookworm
program=qemu-system-x86_64
qtests="tests/qtest/virtio-balloon-pressure-test"
# What tests/qemu wants of the source, beside those.
extras="scripts/checkpatch.pl scripts/update-linux-headers.sh include/standard-headers/linux/virtio_balloon_pressure.h"
# Builds kept, so that going back to other patches, in this checkout or another, is no build.
keep=4
tools="dpkg-dev meson ninja-build pkg-config ccache patch"
libraries="libglib2.0-dev libpixman-1-dev zlib1g-dev libfdt-dev libslirp-dev libaio-dev libcap-ng-dev libattr1-dev libseccomp-dev"
# What the tests and the demo need, and what a guest of libvirt's would miss most; the firmware is Debian's.
options=(--target-list=x86_64-softmmu --without-default-features --enable-system --enable-tcg --enable-kvm --enable-fdt=system
	--enable-slirp --enable-linux-aio --enable-attr --enable-cap-ng --enable-virtfs --enable-seccomp --disable-docs
	--disable-tools --disable-install-blobs --firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu)

export CCACHE_DIR=$VBP_CACHE/ccache CCACHE_BASEDIR=$VBP_CACHE CCACHE_MAXSIZE=2G

# apt with source entries for the machine's own mirrors, in a state folder of its own: /etc/apt stays as it is.
source_apt() {
	local state=$VBP_CACHE/apt-source tool=$1
	shift
	"$tool" -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$state/lists" -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= \
		-o APT::Sandbox::User="$(id -un)" "$@"
}

# The newest version of the source that the mirrors have. Their answer is good for a day.
source_version() {
	local state=$VBP_CACHE/apt-source
	mkdir -p "$state/lists/partial"
	if [ -z "$(find "$state/version" -mmin -1440 2>/dev/null)" ]; then
		say "asking the mirrors for QEMU's source"
		apt_have_lists || apt_refresh 'there are none'
		apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | sort -u |
			awk -v suite=$suite 'index($2, suite) == 1 { print "deb-src", $1, $2, "main" }' >"$state/sources.list"
		[ -s "$state/sources.list" ] || die "apt's sources have no suite $suite: this needs a Debian 12 machine's sources"
		if source_apt apt-get update >"$VBP_BUILD/logs/qemu-apt.log" 2>&1; then
			source_apt apt-cache showsrc --only-source qemu | sed -n 's/^Version: //p' | sort -V | tail -1 >"$state/version.new"
			[ -s "$state/version.new" ] || die "the mirrors have no source package qemu (log: $VBP_BUILD/logs/qemu-apt.log)"
			mv "$state/version.new" "$state/version"
		elif [ -s "$state/version" ]; then
			warn "the mirrors do not answer; building the version seen last"
		else
			die "cannot fetch QEMU's source: $(apt_why "$(cat "$VBP_BUILD/logs/qemu-apt.log")"), then try again"
		fi
	fi
	cat "$state/version"
}

# unpack VERSION DIR
unpack() {
	local version=$1 dir=$2 downloads=$VBP_CACHE/qemu-source
	mkdir -p "$downloads"
	if [ ! -f "$downloads/qemu_${version#*:}.dsc" ]; then
		say "downloading QEMU $version"
		(cd "$downloads" && source_apt apt-get source --download-only --only-source "qemu=$version") >"$VBP_BUILD/logs/qemu-source.log" 2>&1 ||
			die "cannot download QEMU's source: $(apt_why "$(cat "$VBP_BUILD/logs/qemu-source.log")"), then try again"
	fi
	rm -rf "$dir"
	mkdir -p "$(dirname "$dir")"
	dpkg-source --no-check --no-copy -x "$downloads/qemu_${version#*:}.dsc" "$dir" >"$VBP_BUILD/logs/qemu-source.log" 2>&1 ||
		die "cannot unpack QEMU's source (log: $VBP_BUILD/logs/qemu-source.log)"
}

# apply_patch DIR PATCH
apply_patch() {
	patch -s -p1 -F0 --no-backup-if-mismatch -d "$1" <"$2" >"$VBP_BUILD/logs/qemu-patch.log" 2>&1 ||
		die "$(basename "$2") does not apply to this QEMU; it was made for $(cat "$here/base") (log: $VBP_BUILD/logs/qemu-patch.log)"
}

run_configure() {
	say "configuring QEMU"
	mkdir -p "$1/build"
	# By hand, because configure would look for ccache only in the name of the compiler.
	(cd "$1/build" && ../configure --cc="ccache gcc" --host-cc="ccache gcc" "${options[@]}") >"$VBP_BUILD/logs/qemu-configure.log" 2>&1 ||
		die "QEMU cannot be configured: $(grep -m1 ERROR "$VBP_BUILD/logs/qemu-configure.log") (log: $VBP_BUILD/logs/qemu-configure.log)"
}

# run_ninja DIR TARGET...: a line now and then instead of 1,500.
run_ninja() {
	local dir=$1 log=$VBP_BUILD/logs/qemu-build.log
	shift
	ninja -C "$dir/build" "$@" 2>&1 | tee "$log" | awk '
		match($0, /^\[[0-9]+\/[0-9]+\]/) {
			split(substr($0, 2, RLENGTH - 2), n, "/")
			percent = int(10 * n[1] / n[2]) * 10
			if (percent != last) { printf "    %d %% of %d steps\n", percent, n[2]; fflush(); last = percent }
		}' >&2
	[ "${PIPESTATUS[0]}" = 0 ] || die "QEMU does not build: $(grep -m1 -E 'error:|FAILED' "$log") (log: $log)"
}

install_tools() {
	local missing
	missing=$(comm -23 <(tr ' ' '\n' <<<"$tools $libraries" | sort -u) \
		<(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $tools $libraries 2>/dev/null | sed -n 's/^installed //p' | sort -u))
	[ -z "$missing" ] || apt_install $missing
}

# What the program depends on, but for the libraries' exact builds.
cache_key() {
	{
		echo "$1" "${options[@]}" "$qtests $extras" "$(gcc -dumpfullversion)" "$(dpkg-query -W -f '${Package} ${Version} ' $libraries)"
		cat "$here"/patches/*.patch
	} | sha256sum | cut -c1-16
}

# fill DIR VERSION: the program, in the cache, and the folder that the tests are built in.
fill() {
	local dir=$1 version=$2 patch tree=$VBP_CACHE/qemu-tree
	[ ! -f "$dir/complete" ] || return 0
	need_space 4 "$VBP_CACHE"
	say "building QEMU $version with $(ls "$here"/patches/*.patch | wc -l) patches: 5 to 10 minutes the first time"
	# One folder name for all versions, or ccache would find nothing.
	unpack "$version" "$tree"
	for patch in "$here"/patches/*.patch; do
		apply_patch "$tree" "$patch"
	done
	run_configure "$tree"
	run_ninja "$tree" $program $qtests
	mkdir -p "$dir/tests"
	strip -o "$dir/$program" "$tree/build/$program"
	[ -z "$qtests" ] || (cd "$tree/build" && cp $qtests "$dir/tests/")
	(cd "$tree" && cp $extras "$dir/tests/")
	rm -rf "$tree"
	: >"$dir/complete"
	ls -dt "$VBP_CACHE"/qemu-[0-9a-f]* | tail -n +$((keep + 1)) | xargs -r rm -rf
}

# build_each VERSION
build_each() {
	local tree=$VBP_CACHE/qemu-tree patch
	unpack "$1" "$tree"
	run_configure "$tree"
	for patch in "$here"/patches/*.patch; do
		apply_patch "$tree" "$patch"
		say "$(basename "$patch")"
		run_ninja "$tree" $program
	done
	run_ninja "$tree" $qtests
	rm -rf "$tree"
}

mkdir -p "$VBP_BUILD/logs"
install_tools
version=$(source_version)
case ${1:-} in
'' | tests)
	key=$(cache_key "$version")
	dir=$VBP_CACHE/qemu-$key
	[ -f "$dir/complete" ] || with_lock qemu fill "$dir" "$version"
	mkdir -p "$VBP_BUILD/qemu/bin"
	ln -sfn "$dir/$program" "$VBP_BUILD/qemu/bin/$program"
	ln -sfn "$dir/tests" "$VBP_BUILD/qemu/tests"
	if [ "${1:-}" = tests ]; then echo "$dir/tests"; else echo "$VBP_BUILD/qemu/bin/$program"; fi
	;;
s390x)
	program=qemu-system-s390x
	qtests=
	options[0]=--target-list=s390x-softmmu
	dir=$VBP_CACHE/qemu-$(cache_key "$version")
	[ -f "$dir/complete" ] || with_lock qemu fill "$dir" "$version"
	echo "$dir/$program"
	;;
source)
	[ -n "${2:-}" ] || die "usage: build.sh source DIR"
	[ ! -e "$2" ] || die "$2 is there already: name a folder that is not, or remove it"
	unpack "$version" "$2"
	for patch in "$here"/patches/*.patch; do apply_patch "$2" "$patch"; done
	;;
each) with_lock qemu build_each "$version" ;;
*) die "usage: build.sh [tests|s390x|source DIR|each]" ;;
esac
