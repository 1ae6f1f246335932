# SPDX-License-Identifier: GPL-2.0-only
"""
Hibernation of an inflated guest: QEMU ends, another one starts, and the guest goes on where it was. The new device knows
nothing of the old one's pages.
"""

import pathlib
import re
import tempfile

from vbpvm import GuestDied, MIB, PAGE, VM
from vbpvm.runner import vm_test

from helpers.common import check_books, free_pages, guest_mib, offline, unload, wait_for

GUEST, SMALL, LATER, LOAD = 768, 384, 448, 550
NOISE = 4 * MIB // PAGE
# Kernel, root and the sleeping program; what the balloon holds is not in it.
IMAGE = 200 * MIB


def start_write(vm, path, text):
    """A write whose answer comes when this guest has moved to another QEMU, or never."""
    return vm.channel.start(path, b"put", path.encode() + b"\0" + text.encode())


@vm_test(either=True, timeout=180)
def test_hibernate(t):
    with tempfile.TemporaryDirectory() as folder:
        swap = pathlib.Path(folder, "swap")
        with open(swap, "wb") as image:
            image.truncate(GUEST * MIB)
        options = {"mem": GUEST, "balloon": "deflate-on-oom=on", "module": t.module, "disks": (swap,)}
        with VM(t.kernel, name="hibernates", **options) as old:
            old.run("mkswap /dev/vda && swapon /dev/vda")
            free = free_pages(old)
            old.load_ours()
            guest_mib(old, SMALL)
            sleeper = old.spawn("vbp-touch 50 --quiet --verify --hold 3")
            asleep = start_write(old, "/sys/power/state", "disk")
            with t.step("goes to sleep without the balloon's pages"):
                try:
                    old.channel.wait(lambda: False, 60)
                except GuestDied:
                    pass
                bad, kills = old.console.check()
                assert old.channel.dead and not bad and not kills, (bad, kills, old.console.tail())
                copied = re.search(r"Image created \((\d+) pages", old.console.text())
                assert int(copied[1]) * PAGE < IMAGE, copied[0]

        with t.boot(**options) as vm:
            # The old guest's answers come to the new QEMU.
            vm.balloon(LATER * MIB)
            swap_device = vm.read("/sys/block/vda/dev").strip()
            vm.channel.take_over(old.channel)
            start_write(vm, "/sys/power/resume", swap_device)
            with t.step("wakes up, and inflates to what this host asks for"):
                wait_for(vm, lambda: asleep.rc is not None, "the guest that slept answers", 60)
                assert asleep.rc == 0, asleep.rc
                vm.wait_actual(LATER * MIB)
                check_books(vm)
                assert offline(vm) == (GUEST - LATER) * MIB // PAGE
            with t.step("what programs had in memory is there"):
                assert vm.touched_of(sleeper.wait()).outcome == "ok"
            with t.step("still gives memory back"):
                assert vm.touch(LOAD, "--quiet", "--verify").outcome == "ok"
                assert vm.pressure("relief_pages") > 0
            with t.step("unloaded, nothing is missing"):
                unload(vm)
                assert offline(vm) == 0 and free - free_pages(vm) < NOISE, (free, free_pages(vm))
