#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# host.sh ROOT SHARED GUEST NAME: libvirtd in the Debian in ROOT, which it leaves as it is; SHARED is /srv there, GUEST is /srv/guest, and
# libvirt's sockets are in /srv/run-NAME, where another host that has the same SHARED finds them. Ends, with all that it has started and
# mounted, when its standard input is closed, as it is when whoever started it has ended, whichever way. As root.
set -euo pipefail

# As process 1 of its own namespace, because with that all others end, and because libvirtd's guests are orphans that must be reaped:
# libvirt waits for them to be gone.
inside() {
	local root=$1 shared=$2 guest=$3 sockets=$2/run-$4 folder device
	# Processes here must not see the machine's network, nor libvirtd change its firewall.
	ip link set lo up
	mount --bind "$root" "$root"
	mount -o remount,bind,ro "$root"
	mount -t proc proc "$root/proc"
	mount -t sysfs -o ro sys "$root/sys"
	# Neither disks nor KVM.
	mount -t tmpfs dev "$root/dev"
	for device in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "$root/dev/${device%:*}" c 1 "${device#*:}"; done
	mkdir "$root"/dev/{pts,shm}
	mount -t devpts -o newinstance,ptmxmode=666 pts "$root/dev/pts"
	ln -s pts/ptmx "$root/dev/ptmx"
	ln -s /proc/self/fd "$root/dev/fd"
	for folder in dev/shm run tmp etc/libvirt var/lib/libvirt var/log/libvirt var/cache/libvirt; do
		mount -t tmpfs tmpfs "$root/$folder"
	done
	mkdir "$sockets" "$root/run/libvirt"
	mount --bind "$sockets" "$root/run/libvirt"
	mount --bind "$shared" "$root/srv"
	mount --bind "$guest" "$root/srv/guest"
	mount -o remount,bind,ro "$root/srv/guest"
	# Nobody but root is there, nothing confines QEMU, and there are no cgroups.
	cat >"$root/etc/libvirt/qemu.conf" <<-END
		user = "root"
		group = "root"
		security_driver = "none"
		cgroup_controllers = []
		namespaces = []
		remember_owner = 0
	END
	printf '%s = "%s"\n' auth_unix_rw none host_uuid "$(cat /proc/sys/kernel/random/uuid)" >"$root/etc/libvirt/libvirtd.conf"
	cd "$root"
	exec chroot . /bin/bash -c '
		export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C
		cd /
		virtlogd -d && libvirtd -d && >/run/libvirtd-started || exit
		read -r _ || :'
}

if [ "${1-}" = --inside ]; then
	inside "${@:2}"
fi
exec unshare --mount --pid --net --uts --ipc --fork --kill-child "$0" --inside "$@"
