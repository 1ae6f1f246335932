#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Every kernel that the module is for, in a chroot of its own Debian: that suite's compiler, make and sparse, and the packages of
# the kernel's headers and image.
#
#	kernels.sh list		their names: SUITE-SERIES-FLAVOUR
#	kernels.sh ends		the oldest and the newest
#	kernels.sh get NAME	fetches it if needed, prints: NAME release version chroot vmlinuz modules headers
#
# Exit status of get: 77 if the kernel cannot be had now, and the reason is on stdout.
#
# A chroot's name is a hash of its recipe, it appears by one rename. Kernels are added to it, and newer ones take their place. One that
# was had once is good enough when the mirrors do not answer.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/apt.sh"
. "$VBP_TOP/tools/lib/debian.sh"

flavours="cloud-amd64 amd64"
# gcc and sparse for our sources; kmod: depmod.
packages=gcc,make,sparse,kmod
# Of another architecture; built by a cross compiler, in the amd64 chroot of the suite. Those of -16k have pages of 16 KiB.
foreign="bookworm-6.1-arm64 bookworm-6.12-arm64-16k trixie-6.12-arm64"
foreign_flavours="arm64 arm64-16k"
# Most of what an image weighs; no guest here has such a device.
unneeded="gpu net media infiniband scsi staging iio hwmon usb mtd target isdn ata md bluetooth"

skip() { printf '%s\n' "$*"; exit 77; }

# suite, series and the releases that count as such.
kernels() {
	cat <<-'END'
		bullseye 5.10 ^5\.10\.
		bookworm 6.1 ^6\.1\.
		bookworm 6.12 ^6\.12\.
		trixie 6.12 ^6\.12\.
		trixie 7.x ^([7-9]|[1-9][0-9]+)\.
		sid newest .
	END
}

suites_of() {
	case $1 in
	sid) echo sid ;;
	trixie) echo trixie trixie-security trixie-backports ;;
	*) echo "$1" "$1-security" ;;
	esac
}

list() {
	local suite series flavour
	for flavour in $flavours; do
		kernels | while read -r suite series _; do echo "$suite-$series-$flavour"; done
	done
	printf '%s\n' $foreign
}

# apt with package lists of its own: this machine's sources and lists are not touched.
own_apt() {
	local state=$VBP_CACHE/newest command=$1
	shift
	"$command" -o Dir::Etc::SourceList="$state/sources.list" -o Dir::Etc::SourceParts=- -o Dir::State::Lists="$state/lists" \
		-o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User="$(id -un)" "$@"
}

# sid has the newest kernel, or trixie's backports: at times they are the first to have one.
newest_suite() {
	local state=$VBP_CACHE/newest suites="sid trixie-backports" release
	mkdir -p "$state/lists/partial"
	debian_sources $suites >"$state/sources.list"
	refresh "$state/stamp" "$state/log" "$suites" own_apt
	release=$(own_apt apt-cache pkgnames linux-headers- | sed -n 's/^linux-headers-\([0-9.]*[-+].*-cloud-amd64\)$/\1/p' | sort -V | tail -1)
	own_apt apt-cache madison "linux-headers-$release" | sed -nE '/Packages/ { s/.* (sid|trixie-backports)\/.*/\1/p; q }'
}

# Those of the cloud, which have less to load.
ends() {
	list | grep cloud | sed -n 1p
	case $(newest_suite) in
	trixie-backports) echo trixie-7.x-cloud-amd64 ;;
	*) echo sid-newest-cloud-amd64 ;;
	esac
}

# Neither documentation nor an initramfs (INITRD=No: what initramfs-tools goes by): these kernels boot with one of ours.
inside() {
	local dir=$1
	shift
	cp /etc/resolv.conf "$dir/etc/resolv.conf"
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C DEBIAN_FRONTEND=noninteractive INITRD=No \
		"$VBP_TOP/tools/in-chroot.sh" "$dir" "$@"
}

make_chroot() {
	local suite=$1 dir=$2 log=$3 new=$VBP_CACHE/matrix/.new-$1 options=() name sources
	if [ -f "$dir/.vbp-complete" ]; then return 0; fi
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
	need_space 6 "$VBP_CACHE"
	mkdir -p "$VBP_CACHE/matrix"
	# Half-made ones, and those of other recipes.
	find "$VBP_CACHE/matrix" -mindepth 1 -maxdepth 1 \( -name ".new-$suite" -o -name "$suite-*" \) -exec rm -rf {} +
	mapfile -t sources < <(debian_sources $(suites_of "$suite"))
	[ ${#sources[@]} -gt 0 ] || skip "apt on this machine has no Debian mirror"
	for name in doc man locale info; do options+=("--dpkgopt=path-exclude=/usr/share/$name/*"); done
	for name in $unneeded; do options+=("--dpkgopt=path-exclude=*/lib/modules/*/kernel/drivers/$name/*"); done
	say "making a chroot of $suite: 100 MB of packages, a minute (log: $log)"
	# The lists of a suite that is no longer cared for say that they are too old.
	if ! mmdebstrap --variant=minbase --skip=cleanup/apt --aptopt='Acquire::Check-Valid-Until "false"' "${options[@]}" \
		--include="$packages" "$suite" "$new" "${sources[@]}" >"$log" 2>&1; then
		rm -rf "$new"
		skip "no chroot of $suite: $(apt_why "$(cat "$log")") (log: $log)"
	fi
	touch "$new/.vbp-complete" "$new/.vbp-lists"
	mv "$new" "$dir"
}

# refresh STAMP LOG WHOSE COMMAND...: lists are good for a day. If the mirrors do not answer, those that are there have to do.
refresh() {
	local stamp=$1 log=$2 whose=$3
	shift 3
	if [ -n "$(find "$stamp" -mmin -1440 2>/dev/null)" ]; then return 0; fi
	if "$@" apt-get update >>"$log" 2>&1; then
		: >"$stamp"
	else
		warn "the lists of $whose cannot be refreshed (log: $log)"
	fi
}

# The newest "release version" of which apt has both headers and image.
newest() {
	local dir=$1 pattern=$2 flavour=$3 release version
	inside "$dir" apt-cache pkgnames linux-headers- |
		# 6.1.0-56 and 6.12.117+deb12 are both names Debian uses; amd64 is also the end of other flavours' names.
		sed -nE "s/^linux-headers-([0-9.]+[-+][a-z0-9.]+-$flavour)\$/\1/p" | grep -E -- "$pattern" | sort -Vr |
		while read -r release; do
			version=$(inside "$dir" apt-cache madison "linux-image-$release" | awk -F' *[|] *' '/Packages/ && !n++ { print $2 }')
			[ -z "$version" ] || { echo "$release $version"; break; }
		done
}

# Also what its headers include: those of arm64 are no package that would keep it.
complete() {
	local headers=$1/usr/src/linux-headers-$2
	[ -f "$1/.vbp-kernel-$2_$3" ] && [ -s "$1/boot/vmlinuz-$2" ] && [ -s "$1/lib/modules/$2/modules.dep" ] &&
		[ -s "$headers/Module.symvers" ] && [ -d "$headers/scripts" ] && [ -s "$1$(sed -n 's/^include //p' "$headers/Makefile" 2>/dev/null)" ]
}

# add DIR RELEASE VERSION LOG INSTALL: by the function INSTALL, which gets the first three and where to say what it does.
add() {
	local dir=$1 release=$2 version=$3 log=$4 install=$5
	complete "$dir" "$release" "$version" && return 0
	need_space 2 "$VBP_CACHE"
	say "fetching Linux $release ($version) for $(basename "$dir")"
	inside "$dir" sh -c 'dpkg --configure -a; apt-get -y -f install' >>"$log" 2>&1 || :
	if ! "$install" "$dir" "$release" "$version" "$log.last"; then
		cat "$log.last" >>"$log"
		return 1
	fi
	inside "$dir" apt-get clean
	: >"$dir/.vbp-kernel-${release}_$version"
	complete "$dir" "$release" "$version" || die "the packages of kernel $release have an unexpected layout (see $dir)"
}

install_own() {
	local dir=$1 release=$2 version=$3 log=$4 from=()
	# What it depends on comes from there, too.
	case $version in
	*~bpo*) from=(-t "$(basename "${dir%-*}")-backports") ;;
	esac
	inside "$dir" apt-get -y --no-install-recommends "${from[@]}" install \
		"linux-headers-$release=$version" "linux-image-$release=$version" >"$log" 2>&1
}

# apt's lists have the other architecture's packages from now on.
know_foreign() {
	local dir=$1 log=$2
	if grep -qx arm64 "$dir/var/lib/dpkg/arch" 2>/dev/null; then return 0; fi
	inside "$dir" dpkg --add-architecture arm64 >>"$log" 2>&1
	rm -f "$dir/.vbp-lists"
}

# Its headers cannot be installed, for they want a compiler of their own architecture. So its packages are unpacked beside those that
# serve all of them: the common headers, and kbuild's programs. The guest's busybox lies beside its kernel.
install_foreign() {
	local dir=$1 release=$2 version=$3 log=$4 depends beside
	depends=$(inside "$dir" apt-cache show "linux-headers-$release:arm64=$version" | sed -n 's/^Depends: //p')
	mapfile -t beside < <(grep -oE 'linux-(kbuild-[^ ,]+|headers-[^ ,]+-common)' <<<"$depends" | sort -u)
	[ ${#beside[@]} = 2 ] || die "the headers of kernel $release depend on unexpected packages: $depends"
	inside "$dir" sh -ec '
		release=$1 version=$2 unneeded=$3
		shift 3
		apt-get -y --no-install-recommends install gcc-aarch64-linux-gnu "$@"
		apt-mark auto "$@"
		rm -rf /var/tmp/foreign
		mkdir /var/tmp/foreign
		cd /var/tmp/foreign
		apt-get -o APT::Sandbox::User=root download \
			"linux-headers-$release:arm64=$version" "linux-image-$release:arm64=$version" busybox-static:arm64
		for deb in *.deb; do dpkg -x "$deb" .; done
		# Newer packages have their modules, and programs, under /usr.
		for name in lib bin; do
			[ -d "$name" ] || ln -s "usr/$name" "$name"
		done
		for name in $unneeded; do rm -rf "lib/modules/$release/kernel/drivers/$name"; done
		cp -a "usr/src/linux-headers-$release" /usr/src/
		cp -a boot/*"-$release" /boot/
		cp -a bin/busybox "/boot/busybox-$release"
		rm -rf "/lib/modules/$release"
		cp -a "lib/modules/$release" /lib/modules/
		depmod "$release"
		rm -rf /var/tmp/foreign' sh "$release" "$version" "$unneeded" "${beside[@]}" >"$log" 2>&1
}

# The one before it goes, or the cache would grow with each update.
forget() {
	local dir=$1 release=$2 log=$3
	rm -f "$dir/.vbp-kernel-${release}_"*
	case $release in
	*-arm64*)
		rm -rf "$dir/usr/src/linux-headers-$release" "$dir/lib/modules/$release" "$dir/boot/"*"-$release"
		return 0
		;;
	esac
	inside "$dir" apt-get -y purge "linux-headers-$release" "linux-image-$release" >>"$log" 2>&1 &&
		inside "$dir" apt-get -y autoremove >>"$log" 2>&1 || warn "Linux $release stays in $(basename "$dir") (log: $log)"
}

get() {
	local name=$1 suite series pattern flavour dir log found had='' release version key install=install_own
	[ "$(id -u)" = 0 ] || skip "a chroot needs root"
	read -r suite series pattern flavour < <(kernels | while read -r suite series pattern; do
		for flavour in $flavours $foreign_flavours; do
			[ "$suite-$series-$flavour" != "$name" ] || echo "$suite $series $pattern $flavour"
		done
	done) || die "there is no kernel $name: kernels.sh list names them"
	key=$({ echo "$packages $unneeded"; declare -f make_chroot suites_of; } | sha256sum | cut -c1-8)
	dir=$VBP_CACHE/matrix/$suite-$key
	log=$VBP_BUILD/logs/matrix-$suite.log
	mkdir -p "$(dirname "$log")"
	make_chroot "$suite" "$dir" "$log"
	inside "$dir" true 2>>"$log" || skip "this machine does not allow mounting /proc in a chroot"
	case $flavour in
	arm64*)
		know_foreign "$dir" "$log"
		install=install_foreign
		;;
	esac
	refresh "$dir/.vbp-lists" "$log" "$(basename "$dir")" inside "$dir"
	found=$(newest "$dir" "$pattern" "$flavour") || :
	if [ -f "$dir/.vbp-name-$name" ]; then had=$(cat "$dir/.vbp-name-$name"); fi
	if [ -n "$found" ] && add "$dir" $found "$log" "$install"; then
		echo "$found" >"$dir/.vbp-name-$name"
		if [ -n "$had" ] && [ "${had% *}" != "${found% *}" ]; then forget "$dir" "${had% *}" "$log"; fi
	elif [ -n "$had" ] && complete "$dir" $had; then
		warn "apt cannot provide ${found:-"a kernel for $name"} now; using $had from the cache"
		found=$had
	elif [ -z "$found" ]; then
		skip "$suite has no such kernel"
	else
		skip "Linux ${found% *}: $(apt_why "$(cat "$log.last")") (log: $log)"
	fi
	release=${found% *} version=${found#* }
	echo "$name $release $version $dir $dir/boot/vmlinuz-$release $dir/lib/modules/$release $dir/usr/src/linux-headers-$release"
}

case ${1-} in
list) list ;;
ends) with_lock newest ends ;;
get) with_lock matrix get "$2" ;;
*) die "usage: kernels.sh list | ends | get NAME" ;;
esac
