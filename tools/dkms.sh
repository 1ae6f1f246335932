#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dkms.sh install|remove: the module by DKMS, from this tree, as root.
#
# install builds for every kernel whose headers are there, in a DKMS tree of its own. Only if that works is anything changed: until
# then what was installed stays installed. remove takes out every version that came this way.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"

name=virtio-balloon-pressure
module=virtio_balloon_pressure
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$VBP_TOP/dkms.conf")
dkms_tree=/var/lib/dkms
work=

# dkms asks make for the compiler and takes all that make prints: it must not know that it runs below another make.
run_dkms() { env -u MAKELEVEL -u MAKEFLAGS -u MFLAGS dkms "$@"; }

# Kernels that a module can be built for.
kernels() {
	local dir
	for dir in /lib/modules/*; do
		[ ! -e "$dir/build/include" ] || basename "$dir"
	done
}

# has_ours KERNEL: dkms has installed a version of ours there.
has_ours() { compgen -G "/lib/modules/$1/updates/dkms/$module.ko*" >/dev/null; }

# Versions that dkms knows, or that lie where dkms looks for sources.
versions() {
	local dir
	{
		for dir in "$dkms_tree/$name"/*/; do
			[ ! -L "$dir/source" ] || basename "$dir"
		done
		for dir in "/usr/src/$name"-[0-9]*/; do
			[ ! -d "$dir" ] || basename "${dir%/}" | sed "s/^$name-//"
		done
	} | sort -u
}

check_root() { [ "$(id -u)" = 0 ] || die "DKMS installs into /usr/src and /lib/modules: run this as root"; }

# dpkg would go on believing that its files are there.
check_package() {
	local owner
	command -v dpkg >/dev/null || return 0
	owner=$(dpkg -S "/usr/src/$name-*" 2>/dev/null | sed -n '1s/: .*//p') || :
	[ -z "$owner" ] ||
		die "the package $owner has installed this module: use apt-get ('make deb' makes a newer package, 'apt-get purge $owner' removes it)"
}

check_tools() {
	local compiler=${CC:-gcc} kernel headers=
	command -v dkms >/dev/null || die "no dkms: apt-get install dkms linux-headers-$(uname -r)"
	command -v "${compiler%% *}" >/dev/null || die "no compiler ${compiler%% *}: apt-get install gcc"
	command -v make >/dev/null || die "no make: apt-get install make"
	headers=$(kernels)
	# In a chroot the running kernel is somebody else's.
	kernel=$(uname -r)
	if [ -d "/lib/modules/$kernel" ] && ! grep -qxF "$kernel" <<<"$headers"; then
		die "no headers for the running kernel: apt-get install linux-headers-$kernel"
	fi
	[ -n "$headers" ] || die "no kernel here has headers: apt-get install linux-headers-VERSION, VERSION being a folder in /lib/modules"
	for kernel in $(cd /lib/modules && echo *); do
		if has_ours "$kernel" && ! grep -qxF "$kernel" <<<"$headers"; then
			die "kernel $kernel has this module, but no headers to build the new one: apt-get install linux-headers-$kernel, or purge it"
		fi
	done
}

# copy_sources DIR: only what the module is made of; a package's sources must not carry tests, results or history.
copy_sources() {
	mkdir -p "$1/tools"
	(cd "$VBP_TOP" && cp -r Makefile Kbuild dkms.conf driver include "$1" && cp tools/initramfs.sh "$1/tools")
	find "$1" \( -name '*.o' -o -name '.*.cmd' -o -name '.*.d' \) -delete
}

# Builds for each kernel in $work and leaves the names of those that it did in $built.
build_all() {
	local kernel log status in_work
	in_work=(--dkmstree "$work/tree" --sourcetree "$work/src")
	mkdir -p "$work/tree" "$VBP_BUILD/logs"
	copy_sources "$work/src/$name-$version"
	run_dkms add "${in_work[@]}" "$name/$version" >/dev/null
	built=()
	for kernel in $(kernels); do
		say "building for $kernel"
		log=$VBP_BUILD/logs/dkms-$kernel.log status=0
		run_dkms build "${in_work[@]}" "$name/$version" -k "$kernel" >"$log" 2>&1 || status=$?
		case $status in
		0) built+=("$kernel"); rm "$log"; continue ;;
		77) say "$kernel is none of those that this module is for"; rm "$log"; continue ;;
		esac
		cat "$work/tree/$name/$version/build/make.log" >>"$log" 2>/dev/null || :
		grep -m 10 -E 'error|Error' "$log" | sed 's/^/    /' >&2 || :
		if [ "$kernel" = "$(uname -r)" ] || has_ours "$kernel"; then
			die "the module does not build for kernel $kernel; nothing was changed (whole log: $log)"
		fi
		warn "the module does not build for kernel $kernel, which is left without it (whole log: $log)"
	done
	[ ${#built[@]} -gt 0 ] || die "there is no kernel here that the module can be built for; nothing was changed"
}

# All versions: dkms would bring an older one back. It does not remove one whose sources are gone.
remove_all() {
	local old
	for old in $(versions); do
		if [ -L "$dkms_tree/$name/$old/source" ]; then
			if [ ! -f "/usr/src/$name-$old/dkms.conf" ]; then
				mkdir -p "/usr/src/$name-$old"
				sed "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$old\"/" "$VBP_TOP/dkms.conf" >"/usr/src/$name-$old/dkms.conf"
			fi
			run_dkms remove "$name/$old" --all || die "dkms does not remove $name/$old (its messages are above)"
		fi
		rm -rf "/usr/src/${name:?}-$old"
	done
}

install() {
	local kernel failed=
	check_root
	check_package
	check_tools
	work=$(mktemp -d "/var/tmp/$name-XXXXXX")
	trap 'rm -rf "$work"' EXIT
	build_all
	# From here to the end it is a matter of seconds, and half of it would be worse than all or nothing.
	trap '' INT TERM HUP
	remove_all
	copy_sources "/usr/src/$name-$version"
	run_dkms add "$name/$version" >/dev/null
	for kernel in "${built[@]}"; do
		# dkms builds anew what it does not find where it expects it.
		cp -r "$work/tree/$name/$version/$kernel" "$dkms_tree/$name/$version/"
		run_dkms install --force "$name/$version" -k "$kernel" || failed+=" $kernel"
	done
	[ -z "$failed" ] || die "it was built, but not installed for:$failed (dkms's messages are above)"
	say "$name $version is installed for: ${built[*]}"
}

remove() {
	local found
	check_root
	check_package
	found=$(versions)
	if [ -z "$found" ]; then
		say "there is nothing to remove"
		return
	fi
	[ ! -d "$dkms_tree/$name" ] || command -v dkms >/dev/null || die "no dkms, which has installed the module: apt-get install dkms"
	remove_all
	"$VBP_TOP/tools/initramfs.sh" $(cd /lib/modules && echo *)
	say "removed: ${found//$'\n'/, }"
}

case ${1-} in
install | remove) "$1" ;;
*) die "usage: dkms.sh install|remove" ;;
esac
