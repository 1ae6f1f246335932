#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# root.sh: prints the folder of a Debian 12 that boots and can build modules, made with mmdebstrap if the cache does not have it:
# systemd, initramfs-tools, dkms, and the cloud kernel 6.1 with its headers. The packages of the next kernel, 6.12, lie in
# /srv/next-kernel, for an upgrade without a network. Nobody may change it: copy it.
#
# root.sh 13: prints the folder of a Debian 13 that builds modules and packages, and the release of the kernel whose headers it has.
#
# The folder's name is a hash of all that it is made of, it appears by one rename, and it counts only with its completeness stamp.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/apt.sh"
. "$VBP_TOP/tools/lib/debian.sh"

store=$VBP_CACHE/install
log=$VBP_BUILD/logs/install-root.log
# What boots, and what builds modules. zstd: what initramfs-tools would rather have than gzip, which is slow. apt-utils: autopkgtest.
packages="apt-utils systemd-sysv udev kmod initramfs-tools zstd dkms gcc make libc6-dev openssl linux-headers-cloud-amd64"

packages_13="dkms gcc make libc6-dev openssl linux-headers-cloud-amd64 debhelper dh-dkms dpkg-dev"

sources() { debian_sources bookworm bookworm-updates bookworm-security; }

make_root() {
	local now=$1 now_version=$2 next=$3 next_version=$4 dir=$5 new=$store/.new list=() line
	if [ -f "$dir/.vbp-complete" ]; then return 0; fi
	need_space 6 "$VBP_CACHE"
	mkdir -p "$store" "$(dirname "$log")"
	# Half-made ones, and those of other kernels, but for one that another checkout may be copying.
	find "$store" -mindepth 1 -maxdepth 1 \( -name '.new*' -o -mtime +7 \) -exec rm -rf {} +
	while IFS= read -r line; do list+=("$line"); done < <(sources)
	[ ${#list[@]} -gt 0 ] || die "apt's sources have no bookworm: this needs a Debian 12 machine's sources"
	say "making a Debian 12 with Linux $now: about 250 MB of packages, three minutes, once (log: $log)"
	if ! mmdebstrap --variant=minbase --skip=cleanup/apt/cache \
		--include="$(tr ' ' , <<<"$packages"),linux-image-$now=$now_version,linux-headers-$now=$now_version" \
		--customize-hook='rm -f "$1"/var/cache/apt/archives/*.deb' \
		--customize-hook="chroot \"\$1\" apt-get -y --no-install-recommends --download-only install \
			linux-image-$next=$next_version linux-headers-$next=$next_version" \
		--customize-hook='mkdir -p "$1/srv/next-kernel" && mv "$1"/var/cache/apt/archives/*.deb "$1/srv/next-kernel/"' \
		bookworm "$new" "${list[@]}" >"$log" 2>&1; then
		rm -rf "$new"
		die "cannot make a Debian 12: $(apt_why "$(cat "$log")"), then try again (log: $log)"
	fi
	# Not lib/modules/…/build, a link that leads to this machine's headers.
	[ -s "$new/boot/initrd.img-$now" ] && [ -d "$new/usr/src/linux-headers-$now/include" ] &&
		compgen -G "$new/srv/next-kernel/linux-image-*" >/dev/null ||
		die "the Debian 12 that was made has no initramfs, headers or next kernel (see $new and $log)"
	: >"$new/.vbp-complete"
	mv "$new" "$dir"
}

make_13() {
	local dir=$1 new=$store/.new-13 list=() line
	if [ -f "$dir/.vbp-complete" ]; then return 0; fi
	need_space 6 "$VBP_CACHE"
	mkdir -p "$store" "$(dirname "$log")"
	rm -rf "$new"
	while IFS= read -r line; do list+=("$line"); done < <(debian_sources trixie trixie-security)
	[ ${#list[@]} -gt 0 ] || die "apt on this machine has no Debian mirror"
	say "making a Debian 13: 150 MB of packages, two minutes, once (log: $log)"
	if ! mmdebstrap --dpkgopt=force-unsafe-io --variant=minbase --include="$(tr ' ' , <<<"$packages_13")" trixie "$new" "${list[@]}" >"$log" 2>&1; then
		rm -rf "$new"
		die "cannot make a Debian 13: $(apt_why "$(cat "$log")"), then try again (log: $log)"
	fi
	: >"$new/.vbp-complete"
	mv "$new" "$dir"
}

main_13() {
	local dir
	dir=$store/13-$({ echo "$packages_13"; declare -f make_13; } | sha256sum | cut -c1-16)
	make_13 "$dir"
	printf '%s %s\n' "$dir" "$(basename "$(dirname "$(echo "$dir"/lib/modules/*/build)")")"
}

main() {
	local key
	read -r _ now now_version _ < <("$VBP_TOP/tools/kernel.sh" info 6.1) || exit 1
	read -r _ next next_version _ < <("$VBP_TOP/tools/kernel.sh" info 6.12) || exit 1
	key=$({ echo "$now $now_version $next $next_version $packages"; declare -f make_root; } | sha256sum | cut -c1-16)
	make_root "$now" "$now_version" "$next" "$next_version" "$store/$key"
	printf '%s %s %s\n' "$store/$key" "$now" "$next"
}

[ "$(id -u)" = 0 ] || die "making a Debian needs root"
command -v mmdebstrap >/dev/null || die "mmdebstrap is missing: run 'make setup'"
case ${1-} in
13) with_lock install main_13 ;;
*) with_lock install main ;;
esac
