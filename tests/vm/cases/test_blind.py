# SPDX-License-Identifier: GPL-2.0-only
"""
What must not move the balloon: reclaim of memory that nobody will miss. Each step also proves that its load made the kernel
do what used to fool balloon drivers; otherwise it would show nothing.
"""

import time

from vbpvm import MIB, PAGE
from vbpvm.runner import LRU_MODES, Skip, vm_test

from helpers.cgroup import CGROUP, LIMITED, limit_cgroup
from helpers.common import free_pages, guest_mib, settle, wait_for, zones
from helpers.trace import Trace

GUEST, SMALL = 1024, 512
DISK = 1200                 # more than twice what the guest can cache


class Still:
    """`with Still(vm):` - the balloon has not moved, and nothing has been taken from it, not even for a moment."""

    def __init__(self, vm):
        self.vm = vm

    def _look(self):
        return self.vm.pressure("relief_pages", "relief_episodes", "balloon_pages")

    def __enter__(self):
        self.balloon, self.events, self.free = self._look(), self.vm.vmstat(), free_pages(self.vm)
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            return
        now = self._look()
        assert now == self.balloon, f"{self.balloon} before, {now} after"
        moved = self.vm.vmstat() - self.events
        assert moved["balloon_inflate"] == moved["balloon_deflate"] == 0, moved

    def moved(self, *names):
        """How far counters have come, summed up."""
        now = self.vm.vmstat() - self.events
        return sum(now[name] for name in names)

    def freed(self):
        return (free_pages(self.vm) - self.free) * PAGE


def read_disk(vm, mib=DISK):
    """Reads it for the first time, as far as the kernel remembers: what is read again is missed, and that is need."""
    vm.write("/proc/sys/vm/drop_caches", "1")
    done = vm.run(f"vbp-readfile --mib {mib} /dev/vda", timeout=120)
    assert f" mib={mib}" in done.out, done


@vm_test(either=True, lru=LRU_MODES, oom_kills=1, timeout=240, matrix=True)
def test_blind(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(DISK,)) as vm:
        vm.load_ours()
        # A block device's cache goes with its last user.
        vm.spawn("sleep 10000 </dev/vda")
        with t.step("inflates while a disk is read"):
            reader = vm.spawn(f"vbp-readfile --mib {DISK} /dev/vda")
            wait_for(vm, lambda: vm.meminfo()["Buffers"] > 600 * MIB, "the cache is full of it")
            vm.balloon(SMALL * MIB)
            vm.wait_actual(SMALL * MIB)
            assert vm.pressure("relief_pages") == 0
            reader.wait(120)
            assert vm.pressure("vmpressure_hook") == "kprobe", "the hook was thought to be silent"
        with t.step("a disk is read once"):
            calls = vm.pressure("vmpressure_events")
            with Still(vm) as still:
                read_disk(vm)
                scanned = still.moved("pgscan_kswapd", "pgscan_direct")
                assert scanned > 100 * MIB // PAGE, f"{scanned} pages scanned"
                # Newer kernels reclaim for large folios here: no sign, but the hook lives. The watchdog's own limit.
                calls = vm.pressure("vmpressure_events") - calls
                assert scanned < calls * 8 * zones(vm)["low"], f"{scanned} pages scanned, {calls} calls seen"
                assert vm.meminfo()["Buffers"] > 100 * MIB
        with t.step("a disk is written once"):
            with Still(vm) as still:
                vm.write("/proc/sys/vm/drop_caches", "1")
                vm.run("dd if=/dev/zero of=/dev/vda bs=1M count=600 conv=notrunc", timeout=120)
                scanned = still.moved("pgscan_kswapd", "pgscan_direct")
                assert scanned > 100 * MIB // PAGE, f"{scanned} pages scanned"
        for what, counter in (("1", "drop_pagecache"), ("2", "drop_slab"), ("3", "drop_slab")):
            with t.step(f"drop_caches={what}"):
                read_disk(vm, 200)
                with Still(vm) as still:
                    vm.write("/proc/sys/vm/drop_caches", what)
                    assert still.moved(counter) == 1
                    assert what == "2" or still.freed() > 100 * MIB, still.freed()
        limit_cgroup(vm)
        with t.step("a cgroup reads more than its limit"):
            with Still(vm):
                # Again and again: what it misses is its own limit's doing.
                vm.run(f"{LIMITED} vbp-readfile --mib 400 --loops 3 /dev/vda", timeout=120)
                stat = dict(line.split() for line in vm.read(f"{CGROUP}/memory.stat").splitlines())
                assert int(stat["pgscan"]) > 50000, stat["pgscan"]
        with t.step("a cgroup runs out of memory"):
            with Still(vm) as still:
                done = vm.run(f"{LIMITED} vbp-touch 100 --quiet", check=False)
                assert vm.touched_of(done).outcome == "killed" and still.moved("oom_kill") == 1, done
        with t.step("memory.reclaim of the whole guest"):
            read_disk(vm, 300)
            if vm.run("test -e /sys/fs/cgroup/memory.reclaim", check=False).rc:
                raise Skip("this kernel has no memory.reclaim")
            with Still(vm) as still:
                vm.run("echo 100M >/sys/fs/cgroup/memory.reclaim")
                assert still.freed() > 60 * MIB, still.freed()


@vm_test(either=True, timeout=240)
def test_container(t):
    """What a container misses at its own limit is no reason to give anything back for ever, whatever else was reclaimed once."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(DISK, 400, 400)) as vm:
        vm.load_ours("holdoff_ms=2000")
        vm.spawn("sleep 10000 </dev/vda 3</dev/vdb")
        limit_cgroup(vm)
        container = vm.spawn(f"{LIMITED} vbp-readfile --mib 400 --loops 1000 /dev/vdb")
        with t.step("a disk is read once beside it, and the balloon grows"):
            read_disk(vm)
            vm.balloon(SMALL * MIB)
            wait_for(vm, lambda: vm.pressure("balloon_pages") > 20 * MIB // PAGE, "it grows", 60)
        with t.step("and nothing is said to be lacking"):
            before = vm.vmstat()
            # Each step that it grows by may be tried out and taken back, which raises the level for a second.
            levels = []
            for _ in range(30):
                levels.append(vm.pressure("guest_pressure"))
                time.sleep(0.5)
            assert levels.count(0) > 20, levels
            missed = (vm.vmstat() - before)["workingset_refault_file"]
            assert missed > 1000, f"the container missed {missed} pages"
        container.kill()
        container.wait()
        vm.run("mkswap /dev/vdc && swapon /dev/vdc")
        vm.write("/proc/sys/vm/drop_caches", "1")
        with t.step("one that swaps gets nothing back, for it would not help"):
            guest_mib(vm, SMALL)
            events = vm.pressure("vmpressure_events")
            with Still(vm) as still:
                swapper = vm.spawn(f"{LIMITED} vbp-touch 150 --loops 1000 --quiet --small")
                wait_for(vm, lambda: still.moved("pswpin") > 10000, "what was swapped out comes in again")
                assert not still.moved("pgscan_kswapd", "allocstall"), "the guest itself reclaims"
            assert vm.pressure("vmpressure_events") == events, "what it reclaims is counted"
            assert vm.pressure("guest_pressure") == 0
        with t.step("and the balloon grows beside it"):
            guest_mib(vm, SMALL - 100)
        swapper.kill()
        swapper.wait()


@vm_test(either="6.12", lru=LRU_MODES, timeout=120)
def test_tight(t):
    """Reading where the balloon has left the guest little: a full cache then looks much like a lack of memory."""
    for what, mem, small in (("asked", GUEST, 256 * MIB), ("as far as it goes", 2 * GUEST, 1)):
        with t.boot(mem=mem, balloon="deflate-on-oom=on", disks=(DISK,)) as vm:
            vm.load_ours()
            vm.spawn("sleep 10000 </dev/vda")
            # The trace's own memory is taken before the balloon takes what is left: it is more than half of what the balloon leaves above the reserve.
            with Trace(vm) as trace:
                vm.balloon(small)
                # On a busy machine it seems to rest while it still grows.
                wait_for(vm, lambda: vm.pressure("balloon_pages") * PAGE > (mem - 300) * MIB, "the guest has little left", 60)
                settle(vm)
                # What a program leaves on the lists of its CPU is no longer free to the kernel's counters, but to everybody else.
                for cpu in (1, 2):
                    vm.run(f"taskset {cpu} vbp-touch 24 --quiet")
                before = vm.vmstat()
                read_disk(vm, 600)
                scanned = (vm.vmstat() - before)["pgscan_kswapd"]
            with t.step(f"{what}: a disk is read once"):
                assert scanned > 300 * MIB // PAGE, f"{scanned} pages scanned"
                looks = [one for one in trace.of("vbp_decision") if one["reclaim"]]
                if looks:
                    t.note(f"least available while reclaim ran: {min(one['available'] for one in looks)} pages")
                # It may grow: where the target is out of reach the driver tries again every few seconds.
                assert not trace.of("vbp_relief"), [one for one in trace.of("vbp_decision") if one["relief"] or one["inflate"]]
                assert vm.pressure("relief_pages") == 0, f"{vm.pressure('relief_pages')} pages given back before"
