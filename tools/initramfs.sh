#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
#
# initramfs.sh KERNEL...: makes the initramfs of each anew if it has this module in it, or the kernel's own driver and this module has
# come. DKMS runs it whenever it has installed the module (dkms.conf), which is before it runs depmod.
set -eu

command -v lsinitramfs >/dev/null && command -v update-initramfs >/dev/null || exit 0
for kernel; do
	[ -f "/boot/initrd.img-$kernel" ] || continue
	case $(lsinitramfs "/boot/initrd.img-$kernel") in
	*/virtio_balloon_pressure.ko*) ;;
	*/virtio_balloon.ko*) find "/lib/modules/$kernel" -name 'virtio_balloon_pressure.ko*' | grep -q . || continue ;;
	*) continue ;;
	esac
	depmod "$kernel"
	update-initramfs -u -k "$kernel"
done
