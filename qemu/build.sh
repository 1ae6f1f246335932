#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# build.sh: builds Debian's QEMU with the patches in this folder, in the cache, and links the program to
# build/qemu/bin/qemu-system-x86_64. Does nothing when the cache has it: the name of its folder is a hash of all that it depends on.
#
# QEMU=VERSION takes another QEMU that the series is made for (the file base names them; "newest" is the last one), and links nothing.
#
#	build.sh		prints the program's path
#	build.sh tests		prints the folder with the series' tests and what else tests/qemu needs of the source; the program is beside it
#	build.sh fuzz		prints the path of its fuzzer, by clang, with AddressSanitizer and UndefinedBehaviorSanitizer (for tests/qemu/fuzz.sh)
#	build.sh fuzz cached	the same if it has been built, or nothing
#	build.sh s390x		prints the path of a program for that machine, whose device is a file of its own (for FULL=1)
#	build.sh source DIR	unpacks the source with the patches applied, and builds nothing
#	build.sh patches DIR	writes the series for this QEMU to DIR
#	build.sh version	prints the version of Debian's source that it builds
#	build.sh obtain		downloads the source, if it is not there yet
#	build.sh applies	applies the series to the source, and builds nothing; that it did is kept, so that the next time is no work
#	build.sh each		builds after each patch; kept as well, or it would take long
#
# Exits with 3 if the mirrors do not have what this QEMU is built from: then nothing is wrong with the series.
set -euo pipefail
. "$(dirname "$0")/../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/apt.sh"
. "$VBP_TOP/tools/lib/debian.sh"
. "$VBP_TOP/tools/lib/ninja.sh"

here=$VBP_TOP/qemu
downloads=$VBP_CACHE/qemu-source
ages() { sed '/^#/d' "$here/base"; }
oldest=$(ages | sed -n '1s/ .*//p')
age=${QEMU:-$oldest}
[ "$age" != newest ] || age=$(ages | sed -n '$s/ .*//p')
read -r suite made_for < <(ages | sed -n "s/^$age //p") || die "QEMU=$age: the series is for $(ages | sed 's/ .*//' | paste -sd ' ')"
program=qemu-system-x86_64
qtests="tests/qtest/virtio-balloon-pressure-test"
# What tests/qemu wants of the source, beside those.
extras="scripts/checkpatch.pl scripts/update-linux-headers.sh include/standard-headers/linux/virtio_balloon_pressure.h"
# Builds kept, so that going back to other patches, in this checkout or another, is no build.
keep=8
tools="dpkg-dev python3 meson ninja-build pkg-config ccache patch"
libraries="libglib2.0-dev libpixman-1-dev zlib1g-dev libfdt-dev libslirp-dev libaio-dev libcap-ng-dev libattr1-dev libseccomp-dev"
# What the tests and the demo need, and what a guest of libvirt's would miss most; the firmware is Debian's.
options=(--target-list=x86_64-softmmu --without-default-features --enable-system --enable-tcg --enable-kvm --enable-fdt=system
	--enable-slirp --enable-linux-aio --enable-attr --enable-cap-ng --enable-virtfs --enable-seccomp --disable-docs
	--disable-tools --disable-install-blobs --firmwarepath=/usr/share/qemu:/usr/share/seabios:/usr/lib/ipxe/qemu)
# QEMU has a Python environment of its own since 8.1, and Debian's own Python has what that wants. Nothing is downloaded by pip or meson.
if [ "$age" != "$oldest" ]; then
	tools="$tools python3-venv python3-distlib"
	# And nobody debugs what is stripped: that saves a good part of the compiler's time.
	options+=(--python=/usr/bin/python3 --disable-download --disable-debug-info)
fi
compiler=gcc compiler_version="gcc -dumpfullversion" fuzzer=
if [ "${1:-}" = fuzz ]; then
	[ "${2:-}" != cached ] || command -v clang >/dev/null || exit 0
	compiler=clang compiler_version="clang -dumpversion"
	program=qemu-fuzz-x86_64
	qtests=
	tools="$tools clang llvm"
	options+=(--enable-fuzzing --enable-sanitizers --cxx=clang++)
	fuzzer=$here/fuzz/virtio_balloon_fuzz.c
fi
# Its oldest meson that will do; bookworm's is older.
meson=1.5.0

export CCACHE_DIR=$VBP_CACHE/ccache CCACHE_BASEDIR=$VBP_CACHE CCACHE_MAXSIZE=2G

# unobtainable WHY
unobtainable() { printf 'error: %s\n' "$*" >&2; exit 3; }

# own_apt SUITE TOOL...: apt with entries for one suite on the machine's own mirrors, in a state folder of its own: /etc/apt stays as it is.
own_apt() {
	local state=$VBP_CACHE/apt-$1 tool=$2
	shift 2
	"$tool" -o Dir::Etc::sourcelist="$state/sources.list" -o Dir::Etc::sourceparts=/dev/null \
		-o Dir::State::lists="$state/lists" -o Dir::Cache::srcpkgcache= -o Dir::Cache::pkgcache= \
		-o APT::Sandbox::User="$(id -un)" "$@"
}

# own_lists SUITE ENTRIES: fetches its lists. ENTRIES: apt's lines.
own_lists() {
	local state=$VBP_CACHE/apt-$1
	mkdir -p "$state/lists/partial"
	echo "$2" >"$state/sources.list"
	[ -n "$2" ] || unobtainable "apt on this machine has no Debian mirror"
	own_apt "$1" apt-get update >"$VBP_BUILD/logs/qemu-apt.log" 2>&1
}

# The newest version of the source that the mirrors have. Their answer is good for a day.
source_version() {
	local state=$VBP_CACHE/apt-$suite suites=$suite
	if [ -z "$(find "$state/version-$age" -mmin -1440 2>/dev/null)" ]; then
		say "asking the mirrors for QEMU $age's source"
		apt_have_lists || apt_refresh 'there are none'
		[ "$suite" = sid ] || suites="$suite $suite-updates $suite-security"
		if own_lists "$suite" "$(debian_sources $suites | sed 's/^deb /deb-src /')"; then
			own_apt "$suite" apt-cache showsrc --only-source qemu | sed -n 's/^Version: //p' | grep -E "^1:${age//./\\.}[.+]" |
				sort -V | tail -1 >"$state/version.new" || :
			# A suite goes on to the next QEMU and drops this one; what has been downloaded stays.
			if [ ! -s "$state/version.new" ] && [ -f "$downloads/qemu_${made_for#*:}.dsc" ]; then echo "$made_for" >"$state/version.new"; fi
			[ -s "$state/version.new" ] || unobtainable "the mirrors have no source of QEMU $age in $suite (log: $VBP_BUILD/logs/qemu-apt.log)"
			mv "$state/version.new" "$state/version-$age"
		elif [ -s "$state/version-$age" ]; then
			warn "the mirrors do not answer; building the version seen last"
		else
			unobtainable "cannot fetch QEMU's source: $(apt_why "$(cat "$VBP_BUILD/logs/qemu-apt.log")"), then try again"
		fi
	fi
	cat "$state/version-$age"
}

# Where the machine's meson is too old, the one of Debian's backports, unpacked in the cache and nowhere else.
use_meson() {
	local have dir=$VBP_CACHE/meson new=$VBP_CACHE/.new-meson
	have=$(dpkg-query -W -f '${Version}' meson)
	if [ "$age" = "$oldest" ] || dpkg --compare-versions "$have" ge $meson; then return 0; fi
	if [ ! -x "$dir/usr/bin/meson" ]; then
		say "fetching meson from bookworm-backports: Debian's own ($have) is too old"
		own_lists bookworm-backports "$(debian_sources bookworm-backports)" ||
			unobtainable "cannot fetch meson: $(apt_why "$(cat "$VBP_BUILD/logs/qemu-apt.log")"), then try again"
		rm -rf "$new"
		mkdir -p "$new"
		(cd "$new" && own_apt bookworm-backports apt-get download meson) >"$VBP_BUILD/logs/qemu-apt.log" 2>&1 ||
			unobtainable "cannot fetch meson: $(apt_why "$(cat "$VBP_BUILD/logs/qemu-apt.log")"), then try again"
		dpkg -x "$new"/meson_*.deb "$new"
		rm -rf "$dir"
		mv "$new" "$dir"
	fi
	export PYTHONPATH=$dir/usr/lib/python3/dist-packages PATH=$dir/usr/bin:$PATH
}

# obtain VERSION
obtain() {
	local version=$1 new=$downloads/.new
	mkdir -p "$downloads"
	[ ! -f "$downloads/qemu_${version#*:}.dsc" ] || return 0
	say "downloading QEMU $version"
	rm -rf "$new"
	mkdir "$new"
	(cd "$new" && own_apt "$suite" apt-get source --download-only --only-source "qemu=$version") >"$VBP_BUILD/logs/qemu-source.log" 2>&1 ||
		unobtainable "cannot download QEMU's source: $(apt_why "$(cat "$VBP_BUILD/logs/qemu-source.log")"), then try again"
	# Who has the .dsc has all of it.
	mv "$new"/*.tar.* "$downloads"
	mv "$new"/*.dsc "$downloads"
}

# unpack VERSION DIR
unpack() {
	local version=$1 dir=$2
	obtain "$version"
	rm -rf "$dir"
	mkdir -p "$(dirname "$dir")"
	dpkg-source --no-check --no-copy -x "$downloads/qemu_${version#*:}.dsc" "$dir" >"$VBP_BUILD/logs/qemu-source.log" 2>&1 ||
		die "cannot unpack QEMU's source (log: $VBP_BUILD/logs/qemu-source.log)"
}

# apply_patch DIR PATCH
apply_patch() {
	patch -s -p1 -F0 --no-backup-if-mismatch -d "$1" <"$2" >"$VBP_BUILD/logs/qemu-patch.log" 2>&1 ||
		die "$(basename "$2") does not apply to this QEMU; it was made for $made_for of $suite (log: $VBP_BUILD/logs/qemu-patch.log)"
}

run_configure() {
	say "configuring QEMU"
	mkdir -p "$1/build"
	# By hand, because configure would look for ccache only in the name of the compiler.
	(cd "$1/build" && ../configure --cc="ccache $compiler" --host-cc="ccache $compiler" "${options[@]}") >"$VBP_BUILD/logs/qemu-configure.log" 2>&1 ||
		die "QEMU cannot be configured: $(grep -m1 ERROR "$VBP_BUILD/logs/qemu-configure.log") (log: $VBP_BUILD/logs/qemu-configure.log)"
}

# run_ninja DIR TARGET...
run_ninja() {
	local dir=$1 log=$VBP_BUILD/logs/qemu-build.log
	shift
	ninja -C "$dir/build" -j "$(nproc)" "$@" 2>&1 | ninja_progress "$log" ||
		die "QEMU does not build: $(grep -m1 -E 'error:|FAILED' "$log") (log: $log)"
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
		echo "$1" "${options[@]}" "$qtests $extras" "$($compiler_version)" "$(dpkg-query -W -f '${Package} ${Version} ' $libraries)"
		cat "$patches"/*.patch $fuzzer
	} | sha256sum | cut -c1-16
}

# fill DIR VERSION: the program, in the cache, and the folder that the tests are built in.
fill() {
	local dir=$1 version=$2 patch tree=$VBP_CACHE/qemu-tree
	[ ! -f "$dir/complete" ] || return 0
	need_space 4 "$VBP_CACHE"
	say "building QEMU $version with $(ls "$patches"/*.patch | wc -l) patches: 5 to 10 minutes the first time"
	# One folder name for all versions, or ccache would find nothing.
	unpack "$version" "$tree"
	for patch in "$patches"/*.patch; do
		apply_patch "$tree" "$patch"
	done
	if [ -n "$fuzzer" ]; then
		cp "$fuzzer" "$tree/tests/qtest/fuzz/"
		echo "specific_fuzz_ss.add(when: 'CONFIG_VIRTIO_BALLOON', if_true: files('$(basename "$fuzzer")'))" >>"$tree/tests/qtest/fuzz/meson.build"
	fi
	use_meson
	run_configure "$tree"
	run_ninja "$tree" $program $qtests
	mkdir -p "$dir/tests"
	if [ $compiler = gcc ]; then
		strip -o "$dir/$program" "$tree/build/$program"
	else
		cp "$tree/build/$program" "$dir/"
	fi
	[ -z "$qtests" ] || (cd "$tree/build" && cp $qtests "$dir/tests/")
	(cd "$tree" && cp $extras "$dir/tests/")
	rm -rf "$tree"
	: >"$dir/complete"
	ls -dt "$VBP_CACHE"/qemu-* | grep -E '/qemu-[0-9a-f]{16}$' | tail -n +$((keep + 1)) | xargs -r rm -rf
}

# build_each STAMP VERSION
build_each() {
	local tree=$VBP_CACHE/qemu-tree patch
	[ ! -f "$1" ] || return 0
	say "building QEMU $2 after each of $(ls "$patches"/*.patch | wc -l) patches: 10 to 30 minutes"
	unpack "$2" "$tree"
	use_meson
	run_configure "$tree"
	for patch in "$patches"/*.patch; do
		apply_patch "$tree" "$patch"
		say "$(basename "$patch")"
		run_ninja "$tree" $program
	done
	run_ninja "$tree" $qtests
	rm -rf "$tree"
	mkdir -p "$(dirname "$1")"
	: >"$1"
}

# apply_all STAMP VERSION
apply_all() {
	local tree=$VBP_CACHE/qemu-tree-applied patch
	[ ! -f "$1" ] || return 0
	unpack "$2" "$tree"
	for patch in "$patches"/*.patch; do apply_patch "$tree" "$patch"; done
	rm -rf "$tree"
	mkdir -p "$(dirname "$1")"
	: >"$1"
}

mkdir -p "$VBP_BUILD/logs"
install_tools
patches=$(mktemp -d)
trap 'rm -rf "$patches"' EXIT
"$here/series.py" show "$age" "$patches" || exit 1
case ${1:-} in
patches) version= ;;
*) version=$(source_version) ;;
esac
case ${1:-} in
'' | tests)
	key=$(cache_key "$version")
	dir=$VBP_CACHE/qemu-$key
	[ -f "$dir/complete" ] || with_lock qemu fill "$dir" "$version"
	bin=$dir
	if [ "$age" = "$oldest" ]; then
		bin=$VBP_BUILD/qemu/bin
		mkdir -p "$bin"
		ln -sfn "$dir/$program" "$bin/$program"
		ln -sfn "$dir/tests" "$VBP_BUILD/qemu/tests"
	fi
	if [ "${1:-}" = tests ]; then echo "$dir/tests"; else echo "$bin/$program"; fi
	;;
fuzz)
	dir=$VBP_CACHE/qemu-$(cache_key "$version")
	[ -f "$dir/complete" ] || [ "${2:-}" = cached ] || with_lock qemu fill "$dir" "$version"
	[ ! -f "$dir/complete" ] || echo "$dir/$program"
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
	for patch in "$patches"/*.patch; do apply_patch "$2" "$patch"; done
	;;
patches)
	[ -n "${2:-}" ] || die "usage: build.sh patches DIR"
	"$here/series.py" show "$age" "$2"
	;;
version) echo "$version" ;;
obtain) with_lock qemu-source obtain "$version" ;;
applies) with_lock qemu-applies apply_all "$VBP_CACHE/qemu-proved/applies-$(cache_key "$version")" "$version" ;;
each) with_lock qemu build_each "$VBP_CACHE/qemu-proved/each-$(cache_key "$version")" "$version" ;;
*) die "usage: build.sh [tests|fuzz [cached]|s390x|source DIR|patches DIR|version|obtain|applies|each]" ;;
esac
