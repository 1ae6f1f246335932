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

# What is, or is about to be, in the repository; of an unpacked archive, all but what was built.
list_sources() {
	cd "$VBP_TOP"
	if [ -e .git ]; then
		git ls-files -coz --exclude-standard
	else
		find . -path ./build -prune -o -name '__pycache__' -prune -o -type f ! -name '*.o' ! -name '*.ko' ! -name '*.cmd' \
			! -name '*.mod' ! -name '*.mod.c' -print0
	fi
}

claim_version() {
	local dir=$1 new=$2
	sed -i "s/^PACKAGE_VERSION=.*/PACKAGE_VERSION=\"$new\"/" "$dir/dkms.conf"
	sed -i "s/^MODULE_VERSION(.*/MODULE_VERSION(\"$new\");/" "$dir"/driver/main.c
	sed -i "1s/(.*)/($new)/" "$dir/debian/changelog"
}

rm -rf "$out"
mkdir -p "$out" "$VBP_BUILD/logs"
dir=$out/$name-${1:-$version}
mkdir "$dir"
# A file may be gone that the index still has.
list_sources | (cd "$VBP_TOP" && while IFS= read -r -d '' file; do [ ! -f "$file" ] || printf '%s\0' "$file"; done) |
	tar -C "$VBP_TOP" --null -T - -c | tar -C "$dir" -x
if [ -n "${1-}" ]; then claim_version "$dir" "$1"; fi
if ! (cd "$dir" && dpkg-buildpackage --no-sign -I.git >"$log" 2>&1); then
	grep -E 'error|Error|unmet' "$log" | sed -n '1,10p' >&2 || :
	die "the package does not build (whole log: $log)"
fi
rm -rf "$dir"
ls "$out"/*.changes
