#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# build.sh [VERSION]: builds the Debian package, source and binary, in build/deb, and prints the path of the .changes file. All
# of it happens in a copy there, because dpkg-buildpackage writes beside the sources. With VERSION the copy claims to be that
# version, which is for tests of upgrades, and goes to build/deb-VERSION.
set -euo pipefail
. "$(dirname "$0")/../tools/lib/common.sh"

name=virtio-balloon-pressure
version=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$VBP_TOP/dkms.conf")
out=$VBP_BUILD/deb${1:+-$1}
log=$VBP_BUILD/logs/deb${1:+-$1}.log

# What is, or is about to be, in the repository. Without a repository, or without git: all but what was built. Root may look into a
# user's clone: it is about to run what is in there.
list_sources() {
	cd "$VBP_TOP"
	if [ -e .git ] &&
		git -c safe.directory='*' -c core.fsmonitor=false ls-files -coz --exclude-standard 2>/dev/null; then
		return
	fi
	find . \( -path ./build -o -name .git -o -name __pycache__ -o -name '.tmp_*' \) -prune -o -type f ! -name '*.o' ! -name '*.ko' \
		! -name '*.cmd' ! -name '.*.d' ! -name '*.mod' ! -name '*.mod.c' ! -path ./Module.symvers ! -path ./modules.order \
		! -path './.checkpatch-camelcase.*' -print0
}

claim_version() {
	local dir=$1 new=$2
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$new\"/" "$dir/dkms.conf"
	sed -i "s/^MODULE_VERSION(.*/MODULE_VERSION(\"$new\");/" "$dir"/driver/main.c
	sed -i "1s/(.*)/($new)/" "$dir/debian/changelog"
}

command -v dpkg-buildpackage >/dev/null || die "dpkg-buildpackage is missing: apt-get install dpkg-dev debhelper dh-dkms"
mkdir -p "$VBP_BUILD/logs"
# Whatever goes wrong, nothing half-made is left behind.
new=$(mktemp -d "$VBP_BUILD/.deb-XXXXXX")
trap 'rm -rf "$new"' EXIT
chmod 755 "$new"
dir=$new/$name-${1:-$version}
mkdir "$dir"
# A file may be gone that the index still has.
list_sources | (cd "$VBP_TOP" && while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done) |
	tar -C "$VBP_TOP" --null -T - -c | tar -C "$dir" -x
[ -f "$dir/dkms.conf" ] || die "there are no sources in $VBP_TOP"
if [ -n "${1-}" ]; then claim_version "$dir" "$1"; fi
# Nothing is compiled here, so it needs no build-essential: -I and -d leave that out, and nothing else.
if ! (cd "$dir" && dpkg-checkbuilddeps -I && dpkg-buildpackage --no-sign -d -I.git) >"$log" 2>&1; then
	grep -E 'error|Error|[Uu]nmet' "$log" | sed -n '1,10p' >&2 || :
	die "the package does not build (whole log: $log)"
fi
rm -rf "$dir" "$out"
mv "$new" "$out"
trap - EXIT
ls "$out"/*.changes
