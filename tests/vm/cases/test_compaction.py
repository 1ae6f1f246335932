# SPDX-License-Identifier: GPL-2.0-only
"""Single pages: taken where there are no free blocks, moved by compaction, and out of the way of memory that goes offline."""

import re
import time

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.runner import Skip, vm_test

from helpers.common import check_books, free_pages, guest_mib, offline, settle, unload, wait_for
from helpers.told import Told

GUEST, SMALL = 1024, 512
BLOCK = 512             # pages
NOISE = 4 * MIB // PAGE
COMPACT = "echo 1 >/proc/sys/vm/compact_memory"
DEAF = "/sys/module/deaf/parameters"
# Leaves holes: one of every two pages that it takes. Free memory is then plenty, free blocks are few.
FRAGMENT_MIB = 800


def fragmented(vm):
    """A program that leaves no blocks free."""
    holder = vm.spawn(f"vbp-fragment {FRAGMENT_MIB}")
    holder.wait_line("^fragmented")
    return holder


def inflate_small(t, vm, mib):
    """A good part of it by single pages."""
    vm.balloon((GUEST - mib) * MIB)
    settle(vm)
    small = vm.pressure("small_pages")
    t.note(f"{small} single pages")
    assert small > 1000, small
    check_books(vm)


@vm_test(either=True, timeout=240, matrix=True)
def test_single_pages(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        free = free_pages(vm)
        holder = fragmented(vm)
        vm.load_ours()
        with t.step("inflates by single pages where no blocks are free"):
            inflate_small(t, vm, 200)
        holder.kill()
        holder.wait()
        with t.step("compaction moves them"):
            before = vm.vmstat()
            # How many are in its way each time is up to chance.
            for _ in range(10):
                vm.run(COMPACT)
                now = vm.vmstat() - before
                moved, failed = now["balloon_migrate"], now["pgmigrate_fail"]
                if moved > 300:
                    break
            t.note(f"{moved} moved, {failed} times in vain")
            # One by one each of them may be in the way of a huge page.
            assert moved > 300 and failed < moved // 10, (moved, failed)
            settle(vm)
            check_books(vm)
            assert vm.pressure("balloon_pages") == 200 * MIB // PAGE
        with t.step("and all of them come back"):
            guest_mib(vm, GUEST)
            check_books(vm)
        with t.step("moved while the balloon goes up and down"):
            for size in (700, GUEST, 800, GUEST):
                vm.balloon(size * MIB)
                vm.run(COMPACT)
                vm.wait_actual(size * MIB)
            check_books(vm)
        unload(vm)
        assert free - free_pages(vm) < NOISE, "memory is missing"


@vm_test(either=True, timeout=180)
def test_unanswered(t):
    """What has come back, but of which the host has not taken note, may be in no new inflation: compaction waits for the answer."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", files={"/deaf.ko": guestmodule.build(t.kernel, "deaf")}) as vm:
        holder = vm.spawn(f"vbp-fragment {FRAGMENT_MIB}")
        holder.wait_line("^fragmented")
        vm.load_ours()
        vm.balloon((GUEST - 200) * MIB)
        settle(vm)
        holder.kill()
        holder.wait()
        before = vm.vmstat()["balloon_migrate"]
        with t.step("the first deflation is not answered, so there is no second inflation"):
            vm.run("insmod /deaf.ko queue=deflate deaf=1")
            compaction = vm.spawn("echo 1 >/proc/sys/vm/compact_memory")
            wait_for(vm, lambda: int(vm.read(f"{DEAF}/unheard")), "a page is moved", 20)
            # A deflation is waited for for a second.
            time.sleep(4)
            moved = vm.vmstat()["balloon_migrate"] - before
            assert int(vm.read(f"{DEAF}/unheard")) == 1 and moved <= 1, (vm.read(f"{DEAF}/unheard"), moved)
        with t.step("answered, it goes on"):
            vm.write(f"{DEAF}/deaf", "0")
            assert compaction.wait(30).rc == 0

            def moved():
                vm.run(COMPACT)
                return vm.vmstat()["balloon_migrate"] - before > 100
            wait_for(vm, moved, "100 pages are moved", 30)
            settle(vm)
            check_books(vm)
        vm.run("rmmod deaf")
        guest_mib(vm, GUEST)


@vm_test(either=True)
def test_host(t):
    """What the host hears while pages are moved, and what becomes of them if it is late."""
    with Told() as told, t.boot(mem=GUEST, balloon="deflate-on-oom=on", extra=told.arguments,
                                files={"/deaf.ko": guestmodule.build(t.kernel, "deaf")}) as vm:
        fragmented(vm)
        told.trace(vm, "on")
        before = vm.vmstat()
        vm.load_ours("holdoff_ms=2000")
        # More than the load below can make it give back.
        inflate_small(t, vm, 280)
        target = vm.pressure("balloon_pages")

        def back():
            wait_for(vm, lambda: vm.pressure("balloon_pages") == target, "the balloon is at its target again", 30)
            check_books(vm)
        with t.step("no page is moved before the host is told of those that were given back"):
            # It is told when the guest has been quiet for a second. By huge pages the load itself would have pages moved.
            load = vm.meminfo()["MemFree"] // MIB + 20
            vm.run(f"vbp-touch {load} --quiet --small; cat /proc/vmstat >/tmp/vmstat; {COMPACT}")
            now = {name: int(value) for name, value in map(str.split, vm.read("/tmp/vmstat").splitlines())}
            back()
            given = now["balloon_deflate"] - before["balloon_deflate"]
            moved = now["balloon_migrate"] - before["balloon_migrate"]
            deflated = told.deflated_before(now["balloon_inflate"] - before["balloon_inflate"] + moved)
            t.note(f"{given} pages were given back, the host was told of {deflated} before the next was inflated")
            assert 0 < given + moved <= deflated, (given, moved, deflated)
        with t.step("each page goes and comes in turn"):
            assert len(told.check_turns()) == vm.pressure("balloon_pages")
        told.trace(vm, "off")
        before = vm.vmstat()
        with t.step("compaction does not wait for long for a host that is late"):
            vm.run("insmod /deaf.ko deaf=1")
            job = vm.spawn(COMPACT)
            assert job.wait(30).rc == 0
            lost = (vm.vmstat() - before)["balloon_deflate"]
            assert lost and vm.pressure("balloon_pages") == target - lost, (lost, target)
        with t.step("what is lost meanwhile is replaced as soon as the host answers"):
            vm.write(f"{DEAF}/deaf", "0")
            back()


@vm_test(either=True, timeout=180, debug=True, matrix=True)
def test_memory_offline(t):
    """Memory can be taken offline although the balloon holds blocks of it."""
    with Told() as told, t.boot(mem=GUEST, balloon="deflate-on-oom=on", append="movable_node", extra=told.arguments) as vm:
        folder = "/sys/devices/system/memory"
        if vm.run(f"test -d {folder}", check=False).rc:
            raise Skip("this kernel has no memory hotplug")
        vm.load_ours()
        guest_mib(vm, SMALL)
        blocks = sorted((int(number) for number in re.findall(r"memory(\d+)", vm.run(f"ls {folder}").out)), reverse=True)
        taken, counted, pages = None, None, int(vm.read(f"{folder}/block_size_bytes"), 16) // PAGE
        told.trace(vm, "on")
        settle(vm)
        for number in blocks:
            # One that holds nothing of the balloon's would show nothing.
            ballooned = offline(vm, number * pages, pages)
            if ballooned < BLOCK:
                continue
            before, since = vm.vmstat(), len(told.pages())
            went = vm.run(f"echo offline >{folder}/memory{number}/state", check=False).rc == 0
            vm.wait_actual(SMALL * MIB)
            settle(vm)
            # Single pages leave by migration.
            moved, given = map((vm.vmstat() - before).get, ("balloon_migrate", "balloon_deflate"))
            wait_for(vm, lambda: len(told.pages()) >= since + 2 * (given + moved), "the host is told of all of it", 10)
            deflated = told.deflated_first(since)
            t.note(f"memory{number}: {ballooned} ballooned pages; {given} were given back, {moved} moved; "
                   f"the host was told of {deflated} first")
            # The kernel refuses most blocks that hold its own pages before it asks the balloon.
            if went or given or moved:
                counted = counted or (ballooned, given, moved, deflated)
            assert went or ballooned < pages, f"memory{number} is all the balloon's and does not go offline"
            if went:
                taken = number
                break
        if taken is None:
            raise Skip("none of the guest's memory can go offline: all of it holds pages of the kernel")
        with t.step("what lies in it leaves, and nothing else"):
            ballooned, given, moved, deflated = counted
            assert given + moved == ballooned, counted
        with t.step("and the host is told before others are inflated"):
            assert deflated >= given, counted
        t.note(f"memory{taken} went offline")
        with t.step("the balloon makes good for it elsewhere"):
            vm.wait_actual(SMALL * MIB)
            check_books(vm)
        with t.step("and it comes back"):
            vm.run(f"echo online >{folder}/memory{taken}/state")
            guest_mib(vm, GUEST)
            check_books(vm)
        unload(vm)
