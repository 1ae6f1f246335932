#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# deb.sh [SUITE]: builds Debian's QEMU of that suite with the patches in this folder as packages that are installed beside Debian's own,
# and prints the path of their .changes file in build/qemu-deb. SUITE is this machine's if it is not given.
#
# Debian's own rules configure it, with all features that Debian's has, in a Debian of that suite (root.sh). What is built, and the
# packages that are made of it, stay in the cache; the name of a folder there is a hash of all that it depends on.
set -euo pipefail
. "$(dirname "$0")/../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/ninja.sh"

here=$VBP_TOP/qemu
store=$VBP_CACHE/qemu-deb
ours=qemu-pressure
program=qemu-system-x86_64
libdir=/usr/lib/x86_64-linux-gnu/$ours
# The modules are in a folder of their own; data and firmware are Debian's. What runs the guest, and nothing else.
options="--target-list=x86_64-softmmu --disable-docs --disable-tools --disable-guest-agent --disable-debug-info --libdir=$libdir"
# Builds kept, so that going back to other patches, in this checkout or another, is no build.
keep=4
build_log=$VBP_BUILD/logs/qemu-deb-build.log
log=$VBP_BUILD/logs/qemu-deb.log

# inside ROOT COMMAND: a shell command in the chroot, where the cache is /mnt. ccache needs the sources where they were the last time.
inside() {
	env -i PATH=/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEB_CFLAGS_STRIP=-g \
		DEB_BUILD_OPTIONS="noautodbgsym parallel=$(nproc)" CCACHE_DIR=/mnt/ccache CCACHE_BASEDIR=/mnt CCACHE_MAXSIZE=2G \
		"$VBP_TOP/tools/in-chroot.sh" --bind "$VBP_CACHE" "$1" sh -ec "$2"
}

# build DIR ROOT VERSION STAMP: usr, with the program and the modules, and Debian's copyright of them.
build() {
	local dir=$1 root=$2 version=$3 stamp=$4 new=$store/.new-build tree=$store/source
	if [ -f "$dir/.vbp-complete" ]; then return 0; fi
	need_space 6 "$VBP_CACHE"
	say "building QEMU $version with all of Debian's features: half an hour, once (log: $build_log)"
	rm -rf "$new" "$tree"
	QEMU=$age "$here/build.sh" source "$tree" || exit 1
	# The packages that a missing module's message names, on Debian 12.
	sed -i "s/\"qemu-block-extra\"/\"$ours-block-extra\"/; s/\"qemu-system-gui\"/\"$ours-gui\"/" "$tree/util/module.c"
	! grep -q '"qemu-system-\|"qemu-block-' "$tree/util/module.c" || die "util/module.c hints at packages of Debian's"
	inside "$root" "cd /mnt/qemu-deb/source && debian/rules b/qemu/configured PKGVERSION='$stamp' QEMU_CONFIGURE_OPTIONS='$options'" \
		>"$VBP_BUILD/logs/qemu-deb-configure.log" 2>&1 ||
		die "QEMU cannot be configured: $(grep -m1 ERROR "$VBP_BUILD/logs/qemu-deb-configure.log") (log: $VBP_BUILD/logs/qemu-deb-configure.log)"
	# Debian has no use for the modules of qtest either. Those in folders are tests.
	inside "$root" "cd /mnt/qemu-deb/source/b/qemu
		modules=\$(ninja -t targets all | sed -n '/^accel-qtest-/d; s|^\([^/:]*\.so\): .*|\1|p')
		ninja -j $(nproc) $program \$modules
		install -D -m 755 $program ../usr/bin/$program-pressure
		install -D -m 644 -t ../usr/$(cut -d/ -f3- <<<"$libdir")/qemu \$modules" 2>&1 | ninja_progress "$build_log" ||
		die "QEMU does not build: $(grep -m1 -E 'error:|FAILED' "$build_log") (log: $build_log)"
	mkdir -p "$new"
	mv "$tree/b/usr" "$tree/debian/copyright" "$new/"
	rm -rf "$tree"
	: >"$new/.vbp-complete"
	rm -rf "$dir"
	mv "$new" "$dir"
}

# package DIR ROOT BUILT VERSION STAMP
package() {
	local dir=$1 root=$2 built=$3 version=$4 stamp=$5 new=$store/.new-package
	if [ -f "$dir/.vbp-complete" ]; then return 0; fi
	need_space 1 "$VBP_CACHE"
	say "making the packages of QEMU $version (log: $log)"
	rm -rf "$new"
	mkdir -p "$new/source"
	cp -a "$built/usr" "$new/source/"
	cp -r "$here/debian" "$new/source/"
	cat "$built/copyright" "$here/debian/copyright" >"$new/copyright"
	mv "$new/copyright" "$new/source/debian/"
	# What module_load() in util/module.c makes of it.
	tr -c 'A-Za-z0-9+.~\n-' _ <<<"$stamp" >"$new/source/debian/build"
	cat >"$new/source/debian/changelog" <<-END
		$ours ($version) ${suite}; urgency=medium

		  * Debian's QEMU with guest-pressure for the balloon.

		 -- virtio-balloon-pressure maintainers <virtio-balloon-pressure@example.org>  $(date -R)
	END
	inside "$root" "cd /mnt/qemu-deb/.new-package/source && dpkg-buildpackage --no-sign -b" >"$log" 2>&1 ||
		die "the packages cannot be made: $(grep -m1 -i error "$log") (log: $log)"
	rm -rf "$new/source"
	: >"$new/.vbp-complete"
	rm -rf "$dir"
	mv "$new" "$dir"
}

# kept KIND: removes all but those used last.
kept() {
	find "$store" -mindepth 1 -maxdepth 1 -type d -name "$1-*" -printf '%T@ %p\n' | sort -rn |
		tail -n +$((keep + 1)) | cut -d' ' -f2- | xargs -r rm -rf
}

main() {
	local version root key built packages patches stamp
	version=$(QEMU=$age "$here/build.sh" version) || exit 1
	patches=$(mktemp -d)
	"$here/series.py" show "$age" "$patches" || exit 1
	root=$("$here/root.sh" "$suite") || exit 1
	key=$({ echo "$version" "$options" "$(basename "$root")"; declare -f inside build; cat "$patches"/*.patch; } | sha256sum | cut -c1-16)
	rm -rf "$patches"
	built=$store/build-$key
	# A module is loaded only by the program that has its stamp.
	stamp="Debian $version, $ours $release, $key"
	build "$built" "$root" "$version" "$stamp"
	key=$({ echo "$key $release"; declare -f package; cd "$here" && find debian -type f | sort | xargs sha256sum; } | sha256sum | cut -c1-16)
	packages=$store/packages-$key
	package "$packages" "$root" "$built" "$version+pressure$release" "$stamp"
	touch "$built" "$packages"
	kept build
	kept packages
	rm -rf "$VBP_BUILD/qemu-deb"
	cp -r "$packages" "$VBP_BUILD/qemu-deb"
	rm "$VBP_BUILD/qemu-deb/.vbp-complete"
	ls "$VBP_BUILD"/qemu-deb/*.changes
}

suite=${1:-$(. /etc/os-release && echo "${VERSION_CODENAME-}")}
age=$(sed '/^#/d' "$here/base" | awk -v suite="$suite" '$2 == suite { print $1 }')
case $suite in
bookworm | trixie) ;;
*) die "there are packages for SUITE=bookworm (Debian 12) and SUITE=trixie (Debian 13), not for ${suite:-this system}" ;;
esac
release=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$VBP_TOP/dkms.conf")
[ "$(id -u)" = 0 ] || die "make qemu-deb needs root, for a Debian to build in"
mkdir -p "$VBP_BUILD/logs" "$store"
with_lock qemu-deb main
