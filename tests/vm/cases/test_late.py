# SPDX-License-Identifier: GPL-2.0-only
"""A host that answers, but later than whoever asked can wait: compaction. A module in the guest makes it late, modules/late/late.c."""

import re
import time

from vbpvm import MIB, guestmodule
from vbpvm.runner import Skip, vm_test

from helpers.common import check_books, dmesg, free_noise, free_pages, guest_mib, settle, unload

GUEST, SMALL = 512, 384
FRAGMENT_MIB = 400
LATE = "/sys/module/late/parameters/"
COMPACT = "echo 1 >/proc/sys/vm/compact_memory"


def inflate_in_single_pages(vm):
    """What compaction moves: the driver is loaded, the balloon at its target, and most of it single pages."""
    holder = vm.spawn(f"vbp-fragment {FRAGMENT_MIB}")
    holder.wait_line("^fragmented")
    vm.load_ours()
    vm.balloon(SMALL * MIB)
    settle(vm)
    holder.kill()
    holder.wait()
    vm.wait_actual(SMALL * MIB)
    assert vm.pressure("small_pages") > 1000, vm.pressure()


def compact_meanwhile(vm):
    """Seconds that compaction took beside a late host."""
    start = time.monotonic()
    vm.run(COMPACT, timeout=40)
    return time.monotonic() - start


@vm_test(either=True)
def test_migration(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", files={
            "/late.ko": guestmodule.build(t.kernel, "late"), "/must_tell.ko": guestmodule.build(t.kernel, "must_tell")}) as vm:
        free = free_pages(vm)
        inflate_in_single_pages(vm)
        vm.run("insmod /late.ko")
        with t.step("the answer comes before compaction is done with the page"):
            before = vm.vmstat()
            vm.write(LATE + "linger_ms", "600")
            vm.write(LATE + "queue", "inflate")
            compact_meanwhile(vm)
            assert vm.read(LATE + "lingered").strip() == "1", "compaction has not waited in vain"
            vm.run(COMPACT)
            # What it cost is made good for, what was in flight is there.
            vm.wait_actual(SMALL * MIB)
            moved = (vm.vmstat() - before)["balloon_migrate"]
            assert moved > 100, moved
            check_books(vm)
        vm.write(LATE + "linger_ms", "0")
        vm.write(LATE + "queue", "none")
        with t.step("all of it comes back"):
            guest_mib(vm, GUEST)
            check_books(vm)
            unload(vm)
        with t.step("a host that must be told first does not keep compaction waiting"):
            vm.run("insmod /must_tell.ko")
            inflate_in_single_pages(vm)
            assert vm.read(vm.virtio_device() + "/features")[0] == "1", "the bit was not negotiated"
            vm.write(LATE + "queue", "deflate")
            took = compact_meanwhile(vm)
            t.note(f"{took:.1f} s")
            assert took > 1, "compaction found none of the balloon's pages"
        with t.step("and what it could not wait for comes back when the host answers"):
            vm.write(LATE + "queue", "none")
            guest_mib(vm, GUEST)
            check_books(vm)
            unload(vm)
            assert free - free_pages(vm) < free_noise(vm), (free, free_pages(vm))


@vm_test(either=True)
def test_gone(t):
    """After a resume that failed there are no queues, but memory can still go offline: nobody may ask them for anything."""
    folder = "/sys/devices/system/memory"
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on,free-page-reporting=on", sleeps=True, append="movable_node", files={
            "/late.ko": guestmodule.build(t.kernel, "late")}) as vm:
        if vm.run(f"test -d {folder}", check=False).rc:
            raise Skip("this kernel has no memory hotplug")
        vm.load_ours()
        guest_mib(vm, SMALL)
        vm.run("insmod /late.ko refuse=1")
        events = len(vm.qmp.events)
        job = vm.spawn("echo mem >/sys/power/state")
        vm.qmp.wait_event("SUSPEND", 30, since=events)
        vm.qmp.command("system_wakeup")
        job.wait(60)
        assert dmesg(vm, r"virtio.*failed to (resume|restore).* -12"), "the resume did not fail"
        assert vm.pressure("balloon_pages") == 0
        for number in sorted(map(int, re.findall(r"memory(\d+)", vm.run(f"ls {folder}").out)), reverse=True):
            if vm.run(f"echo offline >{folder}/memory{number}/state", check=False).rc == 0:
                break
        else:
            raise Skip("none of the guest's memory can go offline: all of it holds pages of the kernel")
        used = int(vm.read(LATE + "gone_used"))
        assert not used, f"{used} times a queue that was deleted"
        unload(vm)


@vm_test(either=True)
def test_reporting_queue(t):
    """That queue alone breaks: the balloon goes on without it, and says so once."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on,free-page-reporting=on", files={
            "/late.ko": guestmodule.build(t.kernel, "late")}) as vm:
        vm.load_ours()
        time.sleep(3)           # the kernel's own reports of what was free are over
        vm.run("insmod /late.ko broken=reporting")
        guest_mib(vm, SMALL)
        assert len(dmesg(vm, "reporting queue is broken")) == 1, dmesg(vm, "broken|resetting")
        guest_mib(vm, GUEST)
        guest_mib(vm, SMALL)
        check_books(vm)
        unload(vm)
