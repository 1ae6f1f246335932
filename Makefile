# SPDX-License-Identifier: GPL-2.0-only
#
# `make help` lists what there is to make. The module's own objects are listed in Kbuild, which the kernel's build reads
# instead of this file.

KDIR ?= /lib/modules/$(shell uname -r)/build
TIERS := unit lint kunit qemu vm debug matrix
# By themselves, and with FULL=1: they boot whole Debians.
OTHER_TIERS := install libvirt

# For the scripts below. A variable that was not given stays unset there.
export KERNEL KERNELS ENDS FULL TESTS SIZES LRUS LOADS PAIRS QUICK

.DEFAULT_GOAL := modules
.PHONY: dkms-install dkms-remove modules modules_install install clean clean-cache help setup demo demo-host bench bench-host simulation pictures qemu qemu-deb deb dist check torture fuzz-driver fuzz-qemu $(TIERS:%=check-%) $(OTHER_TIERS:%=check-%) kdir

# kbuild's own default is gcc, make's is cc; CC may be several words ("ccache gcc").
COMPILER = $(firstword $(if $(filter default undefined,$(origin CC)),gcc,$(CC)))

# Objects of another kernel are never reused: the tree is cleaned when KDIR changes.
kdir:
	@case "$(CURDIR)" in *[[:space:]:]*) \
		echo "error: kbuild cannot work in a folder with a space or a colon in its path: move $(CURDIR)" >&2; exit 1 ;; \
	esac
	@test -f "$(KDIR)/Makefile" && test -f "$(KDIR)/.config" || { \
		release=$$(echo "$(KDIR)" | sed -n 's,^/lib/modules/\([^/]*\)/build/*$$,\1,p'); \
		if [ -n "$$release" ]; then \
			echo "error: no headers for kernel $$release: apt-get install linux-headers-$$release, or name another build tree with KDIR="; \
		else \
			echo "error: KDIR=$(KDIR) is no kernel build tree (no Makefile or no .config in it): use /lib/modules/VERSION/build of installed kernel headers"; \
		fi >&2; exit 1; }
	@command -v "$(COMPILER)" >/dev/null || { echo "error: no compiler $(COMPILER): apt-get install gcc" >&2; exit 1; }
	@mkdir -p build; new=$$(readlink -f "$(KDIR)"); \
	if [ -f build/kdir ] && [ "$$(cat build/kdir)" != "$$new" ]; then \
		$(MAKE) --no-print-directory -C "$(KDIR)" M="$(CURDIR)" clean >/dev/null; \
	fi; \
	echo "$$new" >build/kdir

modules: kdir			## virtio_balloon_pressure.ko for KDIR (the default target)
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" modules

# The kernel's build leaves depmod out where there is no System.map, as in Debian's headers: modprobe would not find the module.
modules_install: modules	## installs the module for KDIR's kernel (as root)
	$(MAKE) -C "$(KDIR)" M="$(CURDIR)" modules_install
	depmod $(if $(INSTALL_MOD_PATH),-b "$(INSTALL_MOD_PATH)") \
		"$$(sed -n 's/^#define UTS_RELEASE "\(.*\)"/\1/p' "$(KDIR)/include/generated/utsrelease.h")"

install: modules_install	## the same

dkms-install:			## builds the module by DKMS for every kernel that has headers, then installs it for these and those to come (as root)
	@tools/dkms.sh install

dkms-remove:			## takes it out again, all versions (as root)
	@tools/dkms.sh remove

setup:				## installs what demo and check need, if anything is missing (as root)
	@tools/setup.sh all

demo:				## the experiment: in-tree driver, ours and the best case side by side, with a picture
	@tools/setup.sh demo
	@tools/demo/run

bench:				## loads and the mechanism beside the in-tree driver and the best case: hours; QUICK=1 takes minutes
	@tools/setup.sh check
	@tools/bench/run

demo-host:			## four guests that together want more than their host has: minutes, with a picture (as root)
	@tools/setup.sh demo
	@tools/host/run demo

bench-host:			## the same beside other ways to share a host: an hour (as root)
	@tools/setup.sh demo
	@tools/host/run bench

simulation:			## hosts whose lives are drawn: ten guests for a day, 10,000 for an hour: build/simulation/
	@tools/setup.sh simulation
	@tools/simulation/run

pictures:			## the documents' pictures, from their text in Documentation/pictures
	@tools/pictures.sh

qemu:				## Debian's QEMU with the host's half: build/qemu/bin/qemu-system-x86_64
	@qemu/build.sh

qemu-deb:			## it with all that Debian's can do, as packages beside Debian's own: build/qemu-deb/ (as root)
	@qemu/deb.sh $(SUITE)

deb:				## the Debian package, whose module DKMS builds: build/deb/
	@tools/setup.sh deb
	@debian/build.sh

dist:				## a release, as a tarball: build/dist/
	@tools/dist.sh

check: export ENDS := 1
check: tiers = $(TIERS) $(if $(filter 1,$(FULL)),$(OTHER_TIERS))
check:				## all tests but check-install's and check-libvirt's, and of check-matrix's kernels the oldest and the newest
	@tools/setup.sh check
	@for tier in $(tiers); do $(MAKE) --no-print-directory tier-$$tier || :; done
	@tests/lib/report.sh $(tiers)

check-unit:			## tests of the policy on this machine
check-lint:			## sparse, checkpatch, W=1 and rules of our own
check-kunit:			## the same cases inside a kernel
check-qemu:			## the host's half by itself
check-vm:			## tests in real guests
check-debug:			## some of them, and torture, on a kernel that watches itself
check-install:			## each way to install the module, in a Debian of its own, also booted; part of check with FULL=1
check-libvirt:			## the experiment and the guides' recipes, typed on a host with Debian's libvirt; part of check with FULL=1
check-matrix:			## every kernel the module is for, built and booted, and a table
$(TIERS:%=check-%) $(OTHER_TIERS:%=check-%): check-%:
	@tools/setup.sh check
	@$(MAKE) --no-print-directory tier-$* || :
	@tests/lib/report.sh $*

torture:			## longer torture: MINUTES=30, and SEED= of one life that failed
	@tools/setup.sh check
	@VBP_MINUTES="$(or $(MINUTES),30)" VBP_SEED="$(SEED)" TESTS=torture $(MAKE) --no-print-directory tier-debug || :
	@tests/lib/report.sh debug

fuzz-driver:			## the driver and hostile devices: MINUTES=30, and SEED= of one that it failed with
	@tools/setup.sh check
	@VBP_MINUTES="$(or $(MINUTES),30)" VBP_SEED="$(SEED)" TESTS=hostile.fuzz $(MAKE) --no-print-directory tier-debug || :
	@tests/lib/report.sh debug

fuzz-qemu:			## QEMU's balloon and hostile guests: MINUTES=30, and SEED= of one that it failed with
	@tests/qemu/fuzz.sh "$(or $(MINUTES),30)" $(SEED)

# Results of an earlier run must not count for a tier that dies before it starts.
tier-%:
	@mkdir -p build/results && rm -f build/results/$*.txt
	@echo "==> $*" >&2
	@start=$$(date +%s); status=0; tests/$*/run || status=$$?; echo "==> $* took $$(($$(date +%s) - start)) s" >&2; exit $$status

clean:				## removes everything built here
	rm -rf build virtio_balloon_pressure.ko virtio_balloon_pressure.o virtio_balloon_pressure.mod*
	rm -f Module.symvers modules.order .module-common.o .*.cmd
	find driver -name '*.o' -o -name '.*.cmd' -o -name '.*.d' | xargs rm -f

clean-cache:			## removes the downloads kept outside the tree
	rm -rf "$${VBP_CACHE:-$$HOME/.cache/virtio-balloon-pressure}"

help:				## this list
	@awk -F ':.*## ' '/^[a-z_-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "  KDIR=            kernel build tree for the module (now $(KDIR))"
	@echo "  KERNEL=6.12      the guest's kernel for demo (default 6.1)"
	@echo "  KERNELS=6.1      kernels for check-vm and check-matrix (default: all)"
	@echo "  ENDS=1           check-matrix with the oldest and the newest of its kernels only"
	@echo "  SUITE=trixie     the Debian that qemu-deb builds packages for (default: this machine's)"
	@echo "  LOADS=, ROWS=, SIZES=, LRUS=, PAIRS=, KERNELS=  what bench runs (see Documentation/internals.rst)"
	@echo "  ROUNDS=3, ROWS=  what bench-host and demo-host run (see tools/host/rows.py)"
	@echo "  FULL=1           check-vm with every kernel and LRU mode for every test, not only where it matters"
	@echo "                   check-qemu with the device of s390x, a guest of 20 TiB and QEMU 10, too; check with check-install and check-libvirt"
	@echo "  TESTS=PATTERN    tests for check-vm, check-debug, check-install, check-libvirt and check-matrix, by a part of the name"
	@echo "  VBP_CACHE=       folder for downloads (default ~/.cache/virtio-balloon-pressure)"
	@echo "  VBP_ACCEL=auto   guests under KVM if a probe proves that it works (default tcg)"
	@echo "  VBP_QEMU=        QEMU program for the guests (default qemu-system-x86_64)"
	@echo "  VBP_KEEP=1       keeps the guests' logs (build/vm/runs) of tests that passed, too"
