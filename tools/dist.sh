#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dist.sh: makes a release, a tarball of the commit that is checked out, and prints its path. The same commit makes the same bytes.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"

name=virtio-balloon-pressure-$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$VBP_TOP/dkms.conf")
out=$VBP_BUILD/dist

# Nothing of this user's configuration may get into it. Root may look into a user's clone.
in_tree() { git -C "$VBP_TOP" -c safe.directory='*' -c core.fsmonitor=false -c tar.umask=0022 "$@"; }

git version >/dev/null 2>&1 || die "no git: apt-get install git"
[ "$(in_tree rev-parse --show-prefix 2>/dev/null)" = "" ] && in_tree rev-parse --verify -q HEAD >/dev/null 2>&1 ||
	die "$VBP_TOP is no git repository with a commit: a release is made of a commit"
changed=$(in_tree status --porcelain)
[ -z "$changed" ] || die "a release is made of a commit, and these files are not as they are in it: $(echo $changed)"
mkdir -p "$out"
in_tree archive --format=tar --prefix="$name/" HEAD | gzip -9n >"$out/.new"
mv "$out/.new" "$out/$name.tar.gz"
say "$(cd "$out" && sha256sum "$name.tar.gz")"
echo "$out/$name.tar.gz"
