# SPDX-License-Identifier: GPL-2.0-only
"""
A host that must be told before a ballooned page is used (VIRTIO_BALLOON_F_MUST_TELL_HOST). QEMU is none: a module in the guest
adds the bit to what the device offers, see modules/must_tell/must_tell.c.
"""

import pathlib
import re
import tempfile
import time

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.runner import vm_test

from helpers.common import check_books, free_pages, guest_mib, offline, settle, unload, wait_for
from helpers.faults import DEFLATE, Faults

GUEST, SMALL, LOAD, LIVED = 1024, 384, 700, 800
NOISE = 4 * MIB // PAGE
FRAGMENT_MIB = 800
KEPT = "/sys/module/kept/parameters/users"
TRACE = "virtio_balloon_handle_output"
TOLD = re.compile(TRACE + r".*gpa: 0x([0-9a-f]+)")


def trace(vm, state):
    vm.qmp.command("human-monitor-command", **{"command-line": f"trace-event {TRACE} {state}"})


def told(log):
    """Addresses of pages that QEMU was told of, on either queue, since the tracing began."""
    return [int(match, 16) for match in TOLD.findall(log.read_text())]


@vm_test(either=True, oom_kills=1)
def test_must_tell(t):
    with tempfile.TemporaryDirectory() as folder, Faults() as faults, \
            t.boot(mem=GUEST, balloon="deflate-on-oom=on", extra=(*faults.arguments, "-D", f"{folder}/log"),
                   files={f"/{name}.ko": guestmodule.build(t.kernel, name) for name in ("must_tell", "kept")}) as vm:
        log = pathlib.Path(folder, "log")
        assert vm.touch(LIVED, "--quiet").outcome == "ok"
        free = free_pages(vm)
        vm.run("insmod /must_tell.ko")
        with t.step("each page that goes is told, once, in full buffers"):
            vm.load_ours()
            assert vm.read(vm.virtio_device() + "/features")[0] == "1", "the bit was not negotiated"
            guest_mib(vm, SMALL)
            trace(vm, "on")
            for pages in (5, 700):
                size = vm.actual() + pages * PAGE
                before, buffers = len(told(log)), faults.queue(vm, DEFLATE)["last-avail-idx"]
                vm.balloon(size)
                vm.wait_actual(size)
                new = told(log)[before:]
                assert len(new) == len(set(new)) == pages, (len(new), len(set(new)), pages)
                assert faults.queue(vm, DEFLATE)["last-avail-idx"] - buffers <= pages // 256 + 2
            trace(vm, "off")
            guest_mib(vm, SMALL)
            check_books(vm)
        with t.step("a load is relieved, but not by the shrinker"):
            before = vm.vmstat()
            touched = vm.touch(LOAD, "--quiet", "--verify")
            given = vm.pressure("relief_worker_pages", "relief_shrinker_pages", "relief_oom_pages", "balloon_pages")
            t.note(f"{touched} {given}")
            assert touched.outcome == "ok" and (vm.vmstat() - before)["oom_kill"] == 0, touched
            assert given["relief_shrinker_pages"] == 0 and given["relief_worker_pages"] + given["relief_oom_pages"], given
            check_books(vm)
        with t.step("unloaded while inflated, all comes back"):
            unload(vm)
            assert free - free_pages(vm) < NOISE and vm.actual() == vm.mem_bytes
        with t.step("no page is used that the host does not know of"):
            vm.load_ours()
            vm.wait_actual(SMALL * MIB)
            faults.silence(vm)
            lent = offline(vm)
            load = vm.spawn(f"vbp-touch {LOAD} --quiet")
            # What the load needs is on its way to the host, and the host does not answer. Nothing can be asked of the guest
            # now: whoever needs a page stands still, as with the in-tree driver.
            wait_for(vm, lambda: faults.waiting(vm, DEFLATE), "the host is told", 20)
            time.sleep(3)
            assert load.running(), load.out
            faults.garble(vm, DEFLATE)
            # Not ever, now: there is nothing left but to kill.
            touched = vm.touched_of(load.wait(30))
            assert touched.outcome == "killed", touched
            assert offline(vm) == lent and vm.pressure("relief_pages") == 0, (offline(vm), lent)
        with t.step("after the reset it is the guest's again"):
            unload(vm)
            assert offline(vm) == 0 and free - free_pages(vm) < NOISE
            vm.load_ours()
            vm.wait_actual(SMALL * MIB)
            check_books(vm)
            unload(vm)
        with t.step("so is a page that compaction moved and the host was not told of"):
            # Every hole is of one page, so the balloon has to take single ones.
            vm.spawn(f"vbp-fragment {FRAGMENT_MIB}").wait_line("^fragmented")
            vm.load_ours()
            vm.balloon((GUEST - 200) * MIB)
            settle(vm)
            assert vm.pressure("small_pages") > 1000, vm.pressure("small_pages")
            vm.run("insmod /kept.ko")
            faults.silence(vm)
            moving = vm.spawn("echo 1 >/proc/sys/vm/compact_memory")
            wait_for(vm, lambda: faults.waiting(vm, DEFLATE), "a page is being moved", 20)
            faults.garble(vm, DEFLATE)
            assert moving.wait(20).rc == 0
            assert vm.read(KEPT) == "1 pages 1 users\n", vm.read(KEPT)
            unload(vm)
            assert vm.read(KEPT) == "1 pages 0 users\n", vm.read(KEPT)
