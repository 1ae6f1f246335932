#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# root.sh SUITE: prints the folder of a Debian of that suite that can build its QEMU and packages, made with mmdebstrap if the cache does
# not have it: what Debian's QEMU wants for its build, ccache and debhelper. Nobody may change it.
#
# The folder's name is a hash of all that it is made of, it appears by one rename, and it counts only with its completeness stamp.
set -euo pipefail
. "$(dirname "$0")/../tools/lib/common.sh"
. "$VBP_TOP/tools/lib/apt.sh"
. "$VBP_TOP/tools/lib/debian.sh"

store=$VBP_CACHE/qemu-deb
suite=${1:?root.sh SUITE}
log=$VBP_BUILD/logs/qemu-root.log
packages="build-essential ccache debhelper lintian"

# Nobody reads there.
unread=(--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*')

make_root() {
	local dir=$1 new=$store/.new-root-$suite list=() line
	if [ -f "$dir/.vbp-complete" ]; then return 0; fi
	need_space 6 "$VBP_CACHE"
	mkdir -p "$store" "$(dirname "$log")"
	# A half-made one, and those of other recipes, but for one that another checkout may be using.
	find "$store" -mindepth 1 -maxdepth 1 \( -name ".new-root-$suite" -o -name "root-$suite-*" -mtime +7 \) -exec rm -rf {} +
	while IFS= read -r line; do list+=("$line" "deb-src${line#deb}"); done < <(debian_sources "$suite" "$suite-updates" "$suite-security")
	[ ${#list[@]} -gt 0 ] || die "apt on this machine has no Debian mirror"
	say "making a Debian to build in ($suite): 300 MB of packages, four minutes, once (log: $log)"
	if ! mmdebstrap --variant=minbase --dpkgopt=force-unsafe-io "${unread[@]}" --include="$(tr ' ' , <<<"$packages")" \
		--customize-hook='chroot "$1" apt-get -y --no-install-recommends --arch-only build-dep qemu' \
		"$suite" "$new" "${list[@]}" >"$log" 2>&1; then
		rm -rf "$new"
		die "cannot make a Debian to build in: $(apt_why "$(cat "$log")"), then try again (log: $log)"
	fi
	: >"$new/.vbp-complete"
	mv "$new" "$dir"
}

[ "$(id -u)" = 0 ] || die "making a Debian to build in needs root"
command -v mmdebstrap >/dev/null || apt_install mmdebstrap
dir=$store/root-$suite-$({ echo "$suite $packages"; declare -f make_root; } | sha256sum | cut -c1-16)
with_lock "qemu-root-$suite" make_root "$dir"
echo "$dir"
