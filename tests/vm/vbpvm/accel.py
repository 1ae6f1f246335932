# SPDX-License-Identifier: GPL-2.0-only
"""Which accelerator guests run on: TCG, unless VBP_ACCEL=kvm, or VBP_ACCEL=auto and KVM is proven to work."""

import os
import pathlib
import subprocess

from . import paths

# /dev/kvm may exist, open, and still not run a stock kernel: only a guest that boots proves anything.
PROBE_SECONDS = 20


def choose():
    wanted = os.environ.get("VBP_ACCEL", "tcg")
    if wanted not in ("tcg", "kvm", "auto"):
        raise paths.HarnessError(f"VBP_ACCEL={wanted}: must be tcg, kvm or auto")
    if wanted == "auto":
        wanted = "kvm" if _kvm_works() else "tcg"
    return wanted


def _kvm_works():
    """Boots a guest under KVM, with a time limit; the answer holds until this machine reboots."""
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    memo = paths.BUILD / "vm/kvm-probe"
    if memo.exists() and memo.read_text().split()[0] == boot:
        return memo.read_text().split()[1] == "yes"
    from . import kernels, vm                     # they need us
    try:
        with vm.VM(kernels.get("6.1"), mem=256, accel="kvm", name="kvm-probe", boot_timeout=PROBE_SECONDS):
            works = True
    except (vm.GuestDied, paths.HarnessError, subprocess.SubprocessError):
        works = False
    memo.parent.mkdir(parents=True, exist_ok=True)
    memo.write_text(f"{boot} {'yes' if works else 'no'}\n")
    return works
