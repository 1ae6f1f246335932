#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# setup.sh [demo|simulation|check|deb|install|libvirt|arm64|all]: installs the packages and fetches the kernels that `make demo`, `make check`, `make deb`
# or `make check-install` needs. Does nothing, and uses no network, when everything is there.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"
. "$(dirname "$0")/lib/apt.sh"

# gcc, make and libc6-dev rather than build-essential, which brings a C++ compiler along. kmod: depmod. pahole: kbuild of
# 6.12 asks it for its version and, with it, gives modules their BTF. zstd, lz4: how Debian packs kernels.
base="gcc make libc6-dev kmod python3 qemu-system-x86 busybox-static pahole xz-utils zstd lz4"
demo="$base gnuplot-nox"
# sparse, mmdebstrap, docutils: lint. flex to bc: kernels of our own, openssl to sign a module.
check="$base sparse mmdebstrap python3-docutils flex bison libelf-dev libssl-dev openssl bc perl"
deb="debhelper dh-dkms dpkg-dev"
# e2fsprogs: the image of a guest's disk.
install="$check $deb lintian autopkgtest e2fsprogs"
libvirt="$check e2fsprogs iproute2"

# For guests of arm64: what emulates them, and compiles their programs.
arm64="qemu-system-arm gcc-aarch64-linux-gnu libc6-dev-arm64-cross"

what=${1:-all}
case $what in
demo) packages=$demo series=${KERNEL:-6.1} ;;
simulation) packages="gcc libc6-dev gnuplot-nox" series= ;;
check) packages=$check series="6.1 6.12" ;;
deb) packages=$deb series= ;;
install) packages=$install series="6.1 6.12" ;;
libvirt) packages=$libvirt series="6.1" ;;
arm64) packages=$arm64 series= ;;
all) packages="$demo $check" series="6.1 6.12" ;;
*) die "usage: setup.sh [demo|simulation|check|deb|install|libvirt|arm64|all]" ;;
esac

case "$VBP_TOP$VBP_BUILD$VBP_CACHE" in
*[[:space:]]*) die "kbuild cannot work in a folder with a space in its name: move the checkout, or set VBP_BUILD and VBP_CACHE" ;;
esac
command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
	die "this needs Debian's dpkg and apt to install packages and to fetch Debian's kernels: use a Debian 12 machine or container"
[ "$(uname -m)" = x86_64 ] || die "the test guests are x86_64 only, this machine is $(uname -m)"
release=$(. /etc/os-release 2>/dev/null && echo "${ID-} ${VERSION_ID-}") || release=unknown
[ "$release" = "debian 12" ] || warn "made for Debian 12, this is '$release': trying all the same"

packages=$(tr ' ' '\n' <<<"$packages" | sort -u)
installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null | sed -n 's/^installed //p' | sort -u) || :
missing=$(comm -23 <(printf '%s\n' "$packages") <(printf '%s\n' "$installed"))
# What is there already needs no space again: then only enough to work in.
need_space 1 "$VBP_BUILD"
if [ -n "$missing" ]; then
	need_space 6 "$VBP_CACHE"
	need_space 6 "$VBP_BUILD"
	apt_install $missing
fi
if [ -n "$series" ]; then
	"$(dirname "$0")/kernel.sh" info $series >/dev/null
fi
