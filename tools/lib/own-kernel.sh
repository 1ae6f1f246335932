# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
#
# A kernel of a configuration of our own: Debian's source, tinyconfig, the lines given, nothing else. Sourced after common.sh,
# then
#
#	own_kernel NAME MINUTES CONFIG...
#
# builds it if the cache does not have it (MINUTES on two cores, to announce) and prints its folder in the cache: bzImage,
# release, root/lib/modules if it has modules, and in tree/ what it takes to build modules for it. The folder's name is a hash of
# all that the result depends on, it appears by one rename, and it counts only with its completeness stamp.
#
#	own_kernel_line NAME MINUTES CONFIG...
#
# prints, for a guest of tests/vm, the line that kernel.sh prints for Debian's, NAME being the series. Its configuration is
# guest.config and then what is given.

own_kernel_series=6.12
# Most of what an unpacked source weighs. Kconfig and Makefiles stay, a small configuration needs no more of them.
own_kernel_unneeded=(arch/{alpha,arc,arm,arm64,csky,hexagon,loongarch,m68k,microblaze,mips,nios2,openrisc,parisc,powerpc,riscv,s390,sh,sparc,xtensa}/'*.'{c,h,S,dts,dtsi,json}
	drivers/{gpu,net,media,staging,infiniband,scsi,crypto,iio,usb,accel,mtd,clk,pinctrl,hwmon}/'*.[ch]' sound/'*.[ch]'
	net/'*.c' tools/{perf,testing})

# own_kernel_key TARBALL CONFIG
own_kernel_key() {
	{
		basename "$(dirname "$1")"
		gcc -dumpfullversion
		ld --version | head -n1
		# Without their comments, so that writing another one costs no build.
		grep -E '^(CONFIG_|# CONFIG_)' "$2"
		declare -f own_kernel_configure own_kernel_build
	} | sha256sum | cut -c1-16
}

own_kernel_complete() {
	[ -f "$1/.complete" ] && [ -s "$1/bzImage" ] && [ -s "$1/release" ] && [ -s "$1/tree/Module.symvers" ]
}

# own_kernel_configure TREE CONFIG: every line must have made it, or the kernel is not the one we think.
own_kernel_configure() {
	local tree=$1 config=$2 line
	make -C "$tree" tinyconfig || return 1
	cat "$config" >>"$tree/.config"
	make -C "$tree" olddefconfig || return 1
	while IFS= read -r line; do
		case $line in
		CONFIG_*) grep -qxF "$line" "$tree/.config" || { echo "error: this kernel refuses $line"; return 1; } ;;
		'# CONFIG_'*)
			line=${line#\# } line=${line%% *}
			! grep -q "^$line=" "$tree/.config" || { echo "error: this kernel insists on $line"; return 1; }
			;;
		esac
	done <"$config"
}

# own_kernel_build TARBALL CONFIG FOLDER
own_kernel_build() {
	local tarball=$1 config=$2 new=$3 src=$3/src exclude=() pattern compiler=gcc
	for pattern in "${own_kernel_unneeded[@]}"; do exclude+=("--exclude=linux-source-$own_kernel_series/$pattern"); done
	mkdir "$src"
	tar -xJf "$tarball" -C "$src" --strip-components=1 "${exclude[@]}" || return 1
	own_kernel_configure "$src" "$config" || return 1
	# Another configuration is another kernel, but most of its objects are the same.
	if command -v ccache >/dev/null; then compiler="ccache gcc"; fi
	make -C "$src" -j"${VBP_JOBS:-$(nproc)}" CC="$compiler" bzImage modules || return 1
	cp "$src/arch/x86/boot/bzImage" "$new/bzImage" || return 1
	cp "$src/include/config/kernel.release" "$new/release" || return 1
	if [ -s "$src/modules.order" ]; then
		make -C "$src" CC="$compiler" INSTALL_MOD_PATH="$new/root" modules_install || return 1
		rm -f "$new"/root/lib/modules/*/build
	fi
	# The kernel's own list of what building modules needs.
	make -C "$src" CC="$compiler" run-command \
		KBUILD_RUN_COMMAND="\$(srctree)/scripts/package/install-extmod-build $new/tree" || return 1
	rm -rf "$src"
}

own_kernel_progress() {
	awk -v log_file="$1" '
		{ print >log_file; fflush(log_file) }
		/^  (CC|AR|AS|LD) / && ++n % 100 == 0 { printf "    %d objects\n", n; fflush() }' >&2
}

own_kernel_ensure() {
	local name=$1 minutes=$2 tarball dir new config=$VBP_BUILD/logs/$1-kernel.config log=$VBP_BUILD/logs/$1-kernel.log
	mkdir -p "$(dirname "$log")"
	cat "${@:3}" >"$config" || exit 1
	tarball=$("$VBP_TOP/tools/kernel.sh" source $own_kernel_series) || exit 1
	dir=$VBP_CACHE/$name/$(own_kernel_key "$tarball" "$config")
	if ! own_kernel_complete "$dir"; then
		need_space 3 "$VBP_CACHE"
		mkdir -p "$VBP_CACHE/$name"
		find "$VBP_CACHE/$name" -maxdepth 1 -name '.new-*' -exec rm -rf {} +
		new=$(mktemp -d "$VBP_CACHE/$name/.new-XXXXXX")
		say "building the $name kernel from $(basename "$(dirname "$tarball")"): about $minutes minutes on two cores, once (log: $log)"
		if ! own_kernel_build "$tarball" "$config" "$new" 2>&1 | own_kernel_progress "$log"; then
			rm -rf "$new"
			die "the $name kernel does not build: $(grep -m1 -E 'error: |\*\*\* |No space left' "$log" || tail -n1 "$log") (log: $log)"
		fi
		chmod 755 "$new"
		: >"$new/.complete"
		rm -rf "$dir"
		mv "$new" "$dir"
		own_kernel_complete "$dir" || die "the $name kernel was built but is incomplete (see $dir and $log)"
		# Kernels of another source or configuration: not wanted again.
		find "$VBP_CACHE/$name" -mindepth 1 -maxdepth 1 -type d ! -path "$dir" -mtime +30 -exec rm -rf {} +
	fi
	touch "$dir"
	printf '%s\n' "$dir"
}

own_kernel() {
	export CCACHE_DIR=$VBP_CACHE/ccache CCACHE_BASEDIR=$VBP_CACHE CCACHE_MAXSIZE=2G
	with_lock "$1" own_kernel_ensure "$@"
}

own_kernel_line() {
	local dir release
	dir=$(own_kernel "$1" "$2" "$VBP_TOP/tools/lib/guest.config" "${@:3}") || exit 1
	release=$(cat "$dir/release")
	printf '%s %s %s %s %s %s %s\n' "$1" "$release" "$(basename "$dir")" "$dir" "$dir/bzImage" "$dir/root/lib/modules/$release" "$dir/tree"
}
