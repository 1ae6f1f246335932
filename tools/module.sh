#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# Builds the module for a test kernel and prints its path:
#
#	module.sh SERIES		for the cached kernel of that series (kernel.sh)
#	module.sh --kdir FOLDER NAME [MAKE-ARGUMENT...]	for the build tree FOLDER, in build/modules/NAME
#	module.sh --sources FOLDER	copies the sources there and builds nothing
#
# Each kernel has a copy of the sources of its own: objects of one never meet the headers of another, and the top of the tree
# stays as `make` left it.
set -euo pipefail
. "$(dirname "$0")/lib/common.sh"

# Copies what has changed, removes what is gone, and leaves the rest alone, so that kbuild rebuilds no more than it must.
sync_sources() {
	local to=$1 file
	local sources=() known
	cd "$VBP_TOP"
	for file in Kbuild driver include; do
		[ -e "$file" ] || die "$VBP_TOP/$file is missing: this is no complete checkout"
		sources+=("$file")
	done
	mkdir -p "$to"
	while IFS= read -r -d '' file; do
		if ! cmp -s "$file" "$to/$file"; then
			mkdir -p "$to/$(dirname "$file")"
			cp "$file" "$to/$file"
		fi
	done < <(find "${sources[@]}" -type f \( -name '*.[chS]' -o -name 'Kbuild*' -o -name '*.sh' -o -name '*.mk' \) -print0)
	# Nothing else in the copy ends in .c or .h but what kbuild makes (*.mod.c) or the compat probes generate.
	while IFS= read -r -d '' file; do
		known=${file#"$to/"}
		[ -e "$known" ] || case $known in
		*.mod.c | *generated*) ;;
		*) rm "$file" ;;
		esac
	done < <(find "$to" -type f -name '*.[chS]' -print0)
	cd - >/dev/null
}

build() {
	local kdir=$1 name=$2 dir=$VBP_BUILD/modules/$2 key
	shift 2
	[ -f "$kdir/Module.symvers" ] || die "$kdir is no kernel build tree"
	mkdir -p "$dir"
	# Two at a time would overwrite each other's objects.
	exec 9>"$dir.lock"
	flock 9
	# Other headers or another compiler: nothing that lies there may be used.
	key="$kdir $(stat -c %Y:%i "$kdir/Module.symvers") $(gcc -dumpfullversion) $*"
	if [ "$(cat "$dir/.key" 2>/dev/null)" != "$key" ]; then
		rm -rf "$dir"
		mkdir -p "$dir"
		printf '%s\n' "$key" >"$dir/.key"
	fi
	sync_sources "$dir"
	if ! make -C "$kdir" M="$dir" "$@" modules >"$dir/build.log" 2>&1; then
		grep -E 'error|Error|warning' "$dir/build.log" | sed -n '1,20p' >&2 || :
		die "the module does not build against $kdir (whole log: $dir/build.log)"
	fi
	# make's own way of finding the warnings: a build that is up to date has none to show.
	grep -E 'warning:' "$dir/build.log" >&2 || :
	printf '%s\n' "$dir/virtio_balloon_pressure.ko"
}

case ${1-} in
--kdir)
	[ $# -ge 3 ] || die "usage: module.sh SERIES | --kdir FOLDER NAME [MAKE-ARGUMENT...]"
	shift
	build "$@"
	;;
--sources)
	[ $# = 2 ] || die "usage: module.sh --sources FOLDER"
	sync_sources "$2"
	;;
[0-9]*)
	read -r _ release _ _ _ _ headers < <("$(dirname "$0")/kernel.sh" info "$1") || exit 1
	build "$headers" "$release"
	;;
*) die "usage: module.sh SERIES | --kdir FOLDER NAME [MAKE-ARGUMENT...]" ;;
esac
