#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# root.sh: prints a folder, made with mmdebstrap if the cache does not have it:
#
#	root.sh host SUITE	a Debian with libvirt, AppArmor's parser and all of Debian's x86 emulator; nobody may change it: copy it
#	root.sh guest		vmlinuz, initrd.img and disk.raw: a standard Debian 12 with the cloud kernel 6.1, and next to nothing of ours
#
# A folder's name is a hash of all that it is made of, it appears by one rename, and it counts only with its completeness stamp.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/apt.sh"
. "$VBP_TOP/tools/lib/debian.sh"

store=$VBP_CACHE/libvirt
log=$VBP_BUILD/logs/libvirt-root.log
host_packages="qemu-system-x86 qemu-system-gui qemu-block-extra qemu-utils ovmf libvirt-daemon-system libvirt-clients apparmor"
# What it takes to boot, where it is a guest itself.
host_packages="$host_packages systemd-sysv dbus udev initramfs-tools zstd linux-image-cloud-amd64"
# What else Debian's emulator is divided into since 13.
host_packages_13="qemu-system-modules-opengl qemu-system-modules-spice"
# Beside what every Debian has ("important"): what servers have.
guest_packages="systemd-sysv dbus openssh-server chrony rsyslog unattended-upgrades initramfs-tools zstd"
guest_mib=2048
# It has what this harness's disks need and no more: emulated, a large one takes half a minute to unpack.
small_initramfs=("sed -i 's/^MODULES=.*/MODULES=list/' \"\$1/etc/initramfs-tools/initramfs.conf\""
	'printf "%s\n" virtio_pci virtio_blk ext4 >>"$1/etc/initramfs-tools/modules"')

# debian SUITE VARIANT PACKAGES DIR HOOK...
debian() {
	local suite=$1 variant=$2 packages=$3 dir=$4 hooks=() list=() line
	shift 4
	for line in "$@"; do hooks+=("--customize-hook=$line"); done
	while IFS= read -r line; do list+=("$line"); done < <(debian_sources "$suite" "$suite-updates" "$suite-security")
	[ ${#list[@]} -gt 0 ] || die "apt on this machine has no Debian mirror"
	mmdebstrap --dpkgopt=force-unsafe-io --variant="$variant" --include="$(tr ' ' , <<<"$packages")" "${hooks[@]}" "$suite" "$dir" "${list[@]}" >"$log" 2>&1 ||
		die "cannot make a Debian of $suite: $(apt_why "$(cat "$log")"), then try again (log: $log)"
}

# DIR SUITE PACKAGES
make_host() {
	say "making a Debian with libvirt ($2): 300 MB of packages, five minutes, once (log: $log)"
	debian "$2" minbase "$3" "$1" "${small_initramfs[@]}" 'chroot "$1" update-initramfs -u -k all'
	[ -x "$1/usr/sbin/libvirtd" ] && [ -x "$1/usr/bin/qemu-system-x86_64" ] || die "the Debian that was made has no libvirtd (log: $log)"
}

# No swap, so what does not fit is killed. The unit starts what the tests talk to, from a disk of theirs.
make_guest() {
	local dir=$1 release=$2 version=$3 root=$1/root
	say "making a Debian 12 for a guest, with Linux $release: 200 MB of packages, three minutes, once (log: $log)"
	mkdir -p "$dir"
	debian bookworm important "$guest_packages linux-image-$release=$version" "$root" \
		'rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*' \
		"${small_initramfs[@]}" "chroot \"\$1\" update-initramfs -u -k $release" \
		'echo "/dev/vda / ext4 defaults 0 1" >"$1/etc/fstab"; echo seed >"$1/etc/hostname"' \
		'cp "$VBP_TOP/tests/libvirt/vbp-agent.service" "$1/etc/systemd/system/"; chroot "$1" systemctl enable vbp-agent.service' \
		'chroot "$1" systemd-machine-id-setup'
	cp "$root/boot/vmlinuz-$release" "$dir/vmlinuz"
	cp "$root/boot/initrd.img-$release" "$dir/initrd.img"
	mke2fs -q -t ext4 -d "$root" "$dir/disk.raw" "${guest_mib}M" >>"$log" 2>&1 || die "cannot make the guest's disk (log: $log)"
	rm -rf "$root"
}

# made NAME KEY COMMAND...: COMMAND fills a folder, unless it is there
made() {
	local dir=$store/$1-$2 name=$1
	shift 2
	if [ ! -f "$dir/.vbp-complete" ]; then
		need_space 4 "$VBP_CACHE"
		mkdir -p "$store" "$(dirname "$log")"
		# Half-made ones, and those of other kernels, but for one that another checkout may be using.
		find "$store" -mindepth 1 -maxdepth 1 \( -name ".new-$name" -o -name "$name-*" -mtime +7 \) -exec rm -rf {} +
		"$1" "$store/.new-$name" "${@:2}"
		: >"$store/.new-$name/.vbp-complete"
		mv "$store/.new-$name" "$dir"
	fi
	echo "$dir"
}

key() { sha256sum | cut -c1-16; }

main() {
	local packages=$host_packages release version
	[ "$(id -u)" = 0 ] || die "making a Debian needs root"
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
	if [ "$1" = host ]; then
		[ "$2" = bookworm ] || packages="$packages $host_packages_13"
		made "host-$2" "$({ echo "$packages ${small_initramfs[*]}"; declare -f debian make_host; } | key)" make_host "$2" "$packages"
		return
	fi
	read -r _ release version _ < <("$VBP_TOP/tools/kernel.sh" info 6.1) || exit 1
	made guest "$({ echo "$guest_packages ${small_initramfs[*]} $guest_mib $release $version"; declare -f debian make_guest
		cat "$(dirname "$0")/vbp-agent.service"; } | key)" make_guest "$release" "$version"
}

case ${1-},${2-} in
host,bookworm | host,trixie | guest,) with_lock libvirt main "$@" ;;
*) die "usage: root.sh host bookworm|trixie, or root.sh guest" ;;
esac
