#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# checkpatch.sh FILE...: checkpatch --strict from Debian's kernel source on whole files, which are named from the top of the
# tree. Prints what it says, one line each; checkpatch.py knows which of that counts.
set -euo pipefail
. "$(dirname "$0")/../../tools/lib/common.sh"

series=6.12

extract() {
	local tarball version dir new
	tarball=$("$VBP_TOP/tools/kernel.sh" source $series) || exit 1
	version=$(basename "$(dirname "$tarball")")
	dir=$VBP_CACHE/checkpatch/$version
	if [ ! -f "$dir/.complete" ]; then
		mkdir -p "$VBP_CACHE/checkpatch"
		find "$VBP_CACHE/checkpatch" -mindepth 1 -maxdepth 1 ! -name "$version" -exec rm -rf {} +
		new=$(mktemp -d "$VBP_CACHE/checkpatch/.new-XXXXXX")
		say "extracting checkpatch from $version"
		# --occurrence: the search ends with the last of them.
		tar -xJf "$tarball" -C "$new" --strip-components=2 --occurrence=1 \
			"linux-source-$series/scripts/checkpatch.pl" "linux-source-$series/scripts/spelling.txt" \
			"linux-source-$series/scripts/const_structs.checkpatch" ||
			die "cannot extract checkpatch from $tarball: is the disk full?"
		# It looks for the names of a kernel tree, which this is not.
		mkdir "$new/include"
		chmod 755 "$new"
		: >"$new/.complete"
		mv "$new" "$dir"
	fi
	printf '%s\n' "$dir"
}

command -v perl >/dev/null || die "no perl: apt-get install perl"
dir=$(with_lock checkpatch extract)
# Not in the checkout: there it would leave a cache of its own.
cd "$dir"
perl ./checkpatch.pl --strict --no-tree --root="$dir" --no-summary --terse --show-types --color=never -f "${@/#/$VBP_TOP/}" |
	sed "s,^$VBP_TOP/,,"
