#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# root.sh: prints two folders, each made with mmdebstrap if the cache does not have it:
#
#	a Debian 12 with libvirt and QEMU, for host.py to start libvirtd in; nobody may change it
#	a guest: vmlinuz, initrd.img and disk.raw, a standard Debian 12 with the cloud kernel 6.1, and next to nothing of ours
#
# A folder's name is a hash of all that it is made of, it appears by one rename, and it counts only with its completeness stamp.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/apt.sh"
. "$VBP_TOP/tools/lib/debian.sh"

store=$VBP_CACHE/libvirt
log=$VBP_BUILD/logs/libvirt-root.log
suites="bookworm bookworm-updates bookworm-security"
# libvirt-daemon-system would only add systemd's units for it. The libraries of QEMU are those that ours needs, too.
host_packages="libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients qemu-system-x86 qemu-utils"
# Beside what every Debian has ("important"): what servers have.
guest_packages="systemd-sysv dbus openssh-server chrony rsyslog unattended-upgrades initramfs-tools zstd"
guest_mib=2048

# debian VARIANT PACKAGES DIR HOOK...
debian() {
	local variant=$1 packages=$2 dir=$3 hooks=() list=() line
	shift 3
	for line in "$@"; do hooks+=("--customize-hook=$line"); done
	while IFS= read -r line; do list+=("$line"); done < <(debian_sources $suites)
	[ ${#list[@]} -gt 0 ] || die "apt's sources have no bookworm: this needs a Debian 12 machine's sources"
	mmdebstrap --dpkgopt=force-unsafe-io --variant="$variant" --include="$(tr ' ' , <<<"$packages")" "${hooks[@]}" bookworm "$dir" "${list[@]}" >"$log" 2>&1 ||
		die "cannot make a Debian 12: $(apt_why "$(cat "$log")"), then try again (log: $log)"
}

make_host() {
	say "making a Debian 12 with libvirt: 100 MB of packages, two minutes, once (log: $log)"
	# libvirtd looks for that user, whoever it is told to be.
	debian minbase "$host_packages" "$1" 'chroot "$1" useradd --system --user-group libvirt-qemu'
	mkdir -p "$1"/{etc,var/lib,var/log,var/cache}/libvirt "$1/srv"
	[ -x "$1/usr/sbin/libvirtd" ] && [ -x "$1/usr/bin/qemu-system-x86_64" ] || die "the Debian 12 that was made has no libvirtd (log: $log)"
}

# The initramfs has what this guest's disk needs and no more: emulated, a large one takes half a minute to unpack. No swap, so what
# does not fit is killed. The unit starts what the tests talk to, from a disk of theirs.
make_guest() {
	local dir=$1 release=$2 version=$3 root=$1/root
	say "making a Debian 12 for a guest, with Linux $release: 200 MB of packages, three minutes, once (log: $log)"
	mkdir -p "$dir"
	debian important "$guest_packages linux-image-$release=$version" "$root" \
		'rm -rf "$1"/var/cache/apt/archives/*.deb "$1"/var/lib/apt/lists/*' \
		"sed -i 's/^MODULES=.*/MODULES=list/' \"\$1/etc/initramfs-tools/initramfs.conf\"" \
		'printf "%s\n" virtio_pci virtio_blk ext4 >>"$1/etc/initramfs-tools/modules"' \
		"chroot \"\$1\" update-initramfs -u -k $release" \
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
	[ "$(id -u)" = 0 ] || die "making a Debian 12 needs root"
	command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
	read -r _ release version _ < <("$VBP_TOP/tools/kernel.sh" info 6.1) || exit 1
	made host "$({ echo "$suites $host_packages"; declare -f debian make_host; } | key)" make_host
	made guest "$({ echo "$suites $guest_packages $guest_mib $release $version"; declare -f debian make_guest
		cat "$(dirname "$0")/vbp-agent.service"; } | key)" make_guest "$release" "$version"
}

with_lock libvirt main
