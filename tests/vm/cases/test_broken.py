# SPDX-License-Identifier: GPL-2.0-only
"""
A device that goes wrong in the middle. What the host may still touch stays out of use until the device is reset; everything
else is the guest's at once; nothing hangs.
"""

import re
import time

from vbpvm import MIB, PAGE
from vbpvm.runner import Skip, vm_test

from helpers.common import check_books, dmesg, free_pages, guest_mib, offline, plug, unload, unplug, wait_for
from helpers.faults import DEFLATE, INFLATE, Faults

GUEST, SMALL = 1024, 384
BLOCK = 512                     # pages
BUFFERS = 4                     # VBP_BUFFERS
NOISE = 4 * MIB // PAGE
REMOVE_WAIT_S = 5               # VBP_REMOVE_WAIT
UPTIME = "cut -d' ' -f1 /proc/uptime"
# Fits only if the balloon gives back all it holds.
LOAD = 700
BROKEN_LINE = "virtio_balloon_pressure virtio.*device is broken"
REPORTING = 3                   # the queue's number without hinting


def fault_while_inflating(vm, faults):
    """The device falls silent with a few blocks given to it."""
    vm.balloon(SMALL * MIB)
    wait_for(vm, lambda: vm.actual() < (GUEST - 200) * MIB, "the balloon inflates")
    faults.silence(vm)
    held = wait_for(vm, lambda: vm.pressure("balloon_pages"), "the driver answers")
    assert held < (GUEST - SMALL) * MIB // PAGE, "too late: it was at its target already"
    wait_for(vm, lambda: missing_blocks(vm) == missing_blocks(vm) > 0, "blocks are in flight", 10)


def missing_blocks(vm):
    """Blocks that are nobody's and not held: in flight, but for one that waits for a buffer to become free."""
    pages = offline(vm) - vm.pressure("balloon_pages")
    assert 0 <= pages <= (BUFFERS + 1) * BLOCK and pages % BLOCK == 0, pages
    return pages // BLOCK


def check_relief(vm, in_flight):
    """A load gets all that is held and nothing that is in flight."""
    touched = vm.touch(LOAD, "--quiet", "--verify")
    assert touched.outcome == "ok", touched
    assert vm.pressure("relief_pages") > 0
    assert offline(vm) == vm.pressure("balloon_pages") + in_flight


def check_leaves(vm, free):
    """Unloading resets the device, which makes everything safe; a new driver finds a device that works."""
    start = time.monotonic()
    unload(vm)
    assert time.monotonic() - start < 40, "unloading took too long"
    assert offline(vm) == 0 and free - free_pages(vm) < NOISE, (offline(vm), free - free_pages(vm))
    assert vm.actual() == vm.mem_bytes, "the host still counts on ballooned memory"
    vm.load_ours()
    vm.wait_actual(SMALL * MIB)
    check_books(vm)


@vm_test(either=True)
def test_silent(t):
    """The host hangs: buffers never come back, and nobody says so."""
    with Faults() as faults, t.boot(mem=GUEST, balloon="deflate-on-oom=on", extra=faults.arguments) as vm:
        free = free_pages(vm)
        vm.load_ours()
        with t.step("while inflating"):
            fault_while_inflating(vm, faults)
        with t.step("the guest takes back what is its own"):
            check_relief(vm, missing_blocks(vm) * BLOCK)
        with t.step("the driver can be unloaded, and loaded again"):
            check_leaves(vm, free)
        with t.step("while nothing happens, it is not even noticed"):
            faults.silence(vm)
            check_relief(vm, 0)
        with t.step("unloading then waits for the host, but not for ever"):
            check_leaves(vm, free)
        with t.step("and gives memory back meanwhile"):
            guest_mib(vm, GUEST)
            fault_while_inflating(vm, faults)
            # Most of what is free is taken before, so that little is left to do within the few seconds of the wait.
            before = free_pages(vm) * PAGE // MIB - 120
            holder = vm.spawn(f"vbp-touch {before} --quiet --hold 1000")
            holder.wait_line("^result ok")
            load = free_pages(vm) * PAGE // MIB + 20
            leaving = vm.spawn(f"{UPTIME}; rmmod virtio_balloon_pressure; {UPTIME}")
            wait_for(vm, lambda: vm.run(f"test -e {vm.virtio_device()}/pressure", check=False).rc, "it begins to leave")
            touched = vm.touch(load, "--quiet")
            touched_at = vm.uptime_ms() / 1000
            assert touched.outcome == "ok", touched
            assert leaving.wait(20).rc == 0
            start, end = map(float, leaving.out.split())
            t.note(f"the load was done after {touched_at - start:.1f} s, the driver gone after {end - start:.1f}")
            # By the guest's clock: how long we took for it says nothing on a busy machine.
            assert end - start > REMOVE_WAIT_S, f"the host was waited for too short a time: {end - start:.1f} s"
            if float(re.search(r"seconds=([\d.]+)", holder.out)[1]) / before * load > REMOVE_WAIT_S / 2:
                raise Skip("this machine takes too long for the load")
            assert touched_at < end, "the load did not get its memory before the driver was gone"


@vm_test(either=True)
def test_offline(t):
    """Memory that is to go offline is waited for with the kernel's locks held: not for a host that does not answer."""
    with Faults() as faults, t.boot(mem=GUEST, balloon="deflate-on-oom=on", extra=faults.arguments, append="movable_node") as vm:
        folder = "/sys/devices/system/memory"
        if vm.run(f"test -d {folder}", check=False).rc:
            raise Skip("this kernel has no memory hotplug")
        vm.load_ours()
        with t.step("the kernel hears that it can't, within seconds"):
            fault_while_inflating(vm, faults)
            blocks = sorted(map(int, re.findall(r"memory(\d+)", vm.run(f"ls {folder}").out)), reverse=True)
            for number in blocks:
                # With pages of the kernel's in it, it is not even asked for.
                start = time.monotonic()
                done = vm.run(f"echo offline >{folder}/memory{number}/state", timeout=30, check=False)
                t.note(f"memory{number}: {done.rc} after {time.monotonic() - start:.1f} s")
                refused = dmesg(vm, "memory can't go offline")
                if refused:
                    break
            else:
                raise Skip("none of the guest's memory can go offline: all of it holds pages of the kernel")
            assert done.rc, "it went offline all the same"
        with t.step("the device can be unplugged"):
            unplug(vm)
            wait_for(vm, lambda: offline(vm) == 0, "no page is the balloon's", 10)


@vm_test(either=True)
def test_broken(t):
    """A queue in which the kernel finds nonsense."""
    with Faults() as faults, t.boot(mem=GUEST, balloon="deflate-on-oom=on", extra=faults.arguments) as vm:
        free = free_pages(vm)
        vm.load_ours()
        with t.step("while inflating"):
            fault_while_inflating(vm, faults)
            faults.garble(vm, INFLATE)
            wait_for(vm, lambda: dmesg(vm, BROKEN_LINE), "the driver says that the device is broken", 10)
        with t.step("the guest takes back what is its own, and the host hears of it"):
            blocks = missing_blocks(vm)
            assert 0 < blocks <= BUFFERS, blocks
            check_relief(vm, blocks * BLOCK)
            check_books(vm)
        with t.step("unloaded and loaded again, it works"):
            check_leaves(vm, free)
        with t.step("while inflated"):
            faults.silence(vm)
            # Nothing is waited for before it is given back; the host is told later, and that is where it shows.
            check_relief(vm, 0)
            faults.garble(vm, DEFLATE)
            wait_for(vm, lambda: len(dmesg(vm, BROKEN_LINE)) == 2, "the driver says that the device is broken", 10)
            check_books(vm)
        with t.step("said once each time"):
            check_relief(vm, 0)
            assert len(dmesg(vm, BROKEN_LINE)) == 2, dmesg(vm, BROKEN_LINE)
        with t.step("unloaded and loaded again, it works again"):
            check_leaves(vm, free)


@vm_test(either=True)
def test_reporting_breaks(t):
    """Free pages are lent to the host for a moment only: it must not keep them."""
    with Faults() as faults, t.boot(mem=GUEST, balloon="deflate-on-oom=on,free-page-reporting=on",
                                    extra=faults.arguments) as vm:
        free = free_pages(vm)
        vm.load_ours()
        guest_mib(vm, SMALL)
        faults.silence(vm)
        with t.step("the device is reset"):
            # Whatever of it is freed is reported, and never comes back.
            assert vm.touch(100, "--quiet").outcome == "ok"
            time.sleep(4)
            faults.garble(vm, REPORTING)
            wait_for(vm, lambda: dmesg(vm, "virtio_balloon_pressure virtio.*resetting it"), "the driver resets the device", 10)
        with t.step("the guest takes back what is its own"):
            check_relief(vm, 0)
        with t.step("unloaded and loaded again, it works"):
            check_leaves(vm, free)


@vm_test(either=True)
def test_comes_and_goes(t):
    """Unplugged, plugged in, and a guest that is paused."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        free = free_pages(vm)
        vm.load_ours()

        def whole():
            wait_for(vm, lambda: offline(vm) == 0, "no page is the balloon's", 10)
            missing = free - free_pages(vm)
            assert missing < NOISE, f"{missing} pages are missing"
        with t.step("unplugged while inflated"):
            guest_mib(vm, SMALL)
            assert offline(vm) == (GUEST - SMALL) * MIB // PAGE
            unplug(vm)
            whole()
        with t.step("unplugged while inflating"):
            for delay in (0, 0.1, 0.3):
                plug(vm, "deflate-on-oom=on")
                vm.balloon(SMALL * MIB)
                time.sleep(delay)
                unplug(vm)
                whole()
        with t.step("plugged in again, it works"):
            plug(vm, "deflate-on-oom=on")
            guest_mib(vm, SMALL)
            check_books(vm)
            guest_mib(vm, GUEST)
        with t.step("paused while inflating, it goes on afterwards"):
            vm.balloon(SMALL * MIB)
            wait_for(vm, lambda: vm.actual() < GUEST * MIB, "the balloon inflates")
            vm.qmp.command("stop")
            size = vm.actual()
            time.sleep(1)
            assert SMALL * MIB < vm.actual() == size, "not in the middle"
            vm.qmp.command("cont")
            vm.wait_actual(SMALL * MIB)
            check_books(vm)
        with t.step("unloaded in the end, nothing is missing"):
            unload(vm)
            whole()
