#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Runs a command in a Debian of our own, with /proc (objtool of 7.x wants it) and /dev, as root:
#
#	in-chroot.sh [--bind FOLDER] DIR COMMAND...	FOLDER is /mnt there
#	in-chroot.sh --beside DIR COMMAND...		a command of this machine's, that only looks at DIR
#
# In a process and mount namespace of its own: what is mounted, or still runs, goes with the last process.
set -euo pipefail

bind='' beside=''
case ${1-} in
--bind) bind=$2; shift 2 ;;
--beside) beside=1; shift ;;
esac
[ $# -ge 2 ] || { echo "usage: in-chroot.sh [--bind FOLDER | --beside] DIR COMMAND..." >&2; exit 2; }
dir=$1
shift
exec unshare --mount --pid --fork --kill-child sh -ec '
	dir=$1 bind=$2 beside=$3
	shift 3
	mount -t proc proc "$dir/proc"
	mount -t devtmpfs dev "$dir/dev"
	mount -t devpts pts "$dir/dev/pts"
	[ -z "$bind" ] || mount --bind "$bind" "$dir/mnt"
	[ -z "$beside" ] || exec "$@"
	exec chroot "$dir" "$@"' sh "$dir" "$bind" "$beside" "$@"
