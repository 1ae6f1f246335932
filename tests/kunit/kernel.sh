#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
#
# The kernel of the KUnit tier: Debian's source, kernel.config, nothing else. Builds it if the cache does not have it and prints
# the folder: bzImage, and in tree/ what it takes to build modules for it. The suite is a module, so that a change of the policy
# or its cases builds no kernel.
set -euo pipefail
. "$(dirname "$0")/../lib/common.sh"

series=6.12
jobs=${VBP_JOBS:-$(nproc)}
here=$VBP_TOP/tests/kunit
# Most of what an unpacked source weighs. Kconfig and Makefiles stay, a tinyconfig needs no more of them.
unneeded=(arch/{alpha,arc,arm,arm64,csky,hexagon,loongarch,m68k,microblaze,mips,nios2,openrisc,parisc,powerpc,riscv,s390,sh,sparc,xtensa}/'*.'{c,h,S,dts,dtsi,json}
	drivers/{gpu,net,media,staging,infiniband,scsi,crypto,iio,usb,accel,mtd,clk,pinctrl,hwmon}/'*.[ch]' sound/'*.[ch]'
	net/'*.c' tools/{perf,testing})

key_of() {
	{
		basename "$(dirname "$1")"
		gcc -dumpfullversion
		ld --version | head -n1
		grep -v '^#\( \|$\)' "$here/kernel.config"
		grep '^# CONFIG_' "$here/kernel.config"
		# Without their comments, so that writing another one costs no build.
		declare -f configure build
	} | sha256sum | cut -c1-16
}

complete() {
	[ -f "$1/.complete" ] && [ -s "$1/bzImage" ] && [ -s "$1/tree/Module.symvers" ]
}

# configure TREE: every line of kernel.config must have made it, or the kernel is not the one we think.
configure() {
	local tree=$1 line
	make -C "$tree" tinyconfig || return 1
	cat "$here/kernel.config" >>"$tree/.config"
	make -C "$tree" olddefconfig || return 1
	while IFS= read -r line; do
		case $line in CONFIG_*) ;; *) continue ;; esac
		grep -qxF "$line" "$tree/.config" || { echo "error: this kernel refuses $line"; return 1; }
	done <"$here/kernel.config"
}

build() {
	local tarball=$1 new=$2 src=$2/src exclude=() pattern
	for pattern in "${unneeded[@]}"; do exclude+=("--exclude=linux-source-$series/$pattern"); done
	mkdir "$src"
	tar -xJf "$tarball" -C "$src" --strip-components=1 "${exclude[@]}" || return 1
	configure "$src" || return 1
	make -C "$src" -j"$jobs" bzImage modules || return 1
	cp "$src/arch/x86/boot/bzImage" "$new/bzImage" || return 1
	# The kernel's own list of what building modules needs.
	make -C "$src" run-command \
		KBUILD_RUN_COMMAND="\$(srctree)/scripts/package/install-extmod-build $new/tree" || return 1
	rm -rf "$src"
}

progress() {
	awk -v log_file="$1" '
		{ print >log_file; fflush(log_file) }
		/^  (CC|AR|AS|LD) / && ++n % 100 == 0 { printf "    %d objects\n", n; fflush() }' >&2
}

ensure() {
	local tarball dir new log=$VBP_BUILD/logs/kunit-kernel.log
	tarball=$("$VBP_TOP/tests/lib/kernel.sh" source $series) || exit 1
	dir=$VBP_CACHE/kunit/$(key_of "$tarball")
	if ! complete "$dir"; then
		need_space 3 "$VBP_CACHE"
		mkdir -p "$VBP_CACHE/kunit" "$(dirname "$log")"
		find "$VBP_CACHE/kunit" -maxdepth 1 -name '.new-*' -exec rm -rf {} +
		new=$(mktemp -d "$VBP_CACHE/kunit/.new-XXXXXX")
		say "building the KUnit kernel from $(basename "$(dirname "$tarball")"): about 6 minutes on two cores, once (log: $log)"
		if ! build "$tarball" "$new" 2>&1 | progress "$log"; then
			rm -rf "$new"
			die "the KUnit kernel does not build: $(grep -m1 -E 'error: |\*\*\* |No space left' "$log" || tail -n1 "$log") (log: $log)"
		fi
		chmod 755 "$new"
		: >"$new/.complete"
		rm -rf "$dir"
		mv "$new" "$dir"
		complete "$dir" || die "the KUnit kernel was built but is incomplete (see $dir and $log)"
		# Kernels of another source or configuration: not wanted again.
		find "$VBP_CACHE/kunit" -mindepth 1 -maxdepth 1 -type d ! -path "$dir" -mtime +30 -exec rm -rf {} +
	fi
	touch "$dir"
	printf '%s\n' "$dir"
}

with_lock kunit ensure
