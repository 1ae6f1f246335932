# SPDX-License-Identifier: GPL-2.0-only
"""
Large guests: what everybody waits for must not grow with them. Time is told by a clock that counts instructions, or things are counted:
emulated CPUs say nothing of time in a lock.
"""

import re

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.runner import vm_test

from helpers.common import check_books, settle, unload

GUEST = 1024
COST = "/sys/module/lock_cost/parameters"
SINGLES = 256               # pages in one hold of the lock
ICOUNT = {"smp": 1, "accel": "tcg,thread=single", "extra": ("-icount", "shift=1,sleep=on"), "boot_timeout": 240}

HUGE, USUAL = 64, 2         # GiB
PART = 7 / 8                # of them in the balloon
ROUNDS = 5
CPUS = 16
HOLDS = 1500                # of the lock, for a GiB that many CPUs allocate; 741 were counted
CROWDED = 16                # GiB, 7680 blocks in the balloon
MEAN, LONGEST = 1200, 8000      # instructions in a hold; 430 and 2200 were counted
NS = 2                      # an instruction
WATCHDOGS = "watchdog_thresh=10 rcupdate.rcu_cpu_stall_timeout=21"


def big_guest(gib, append=""):
    """More memory than this machine has, of which next to none is touched."""
    backend = f"memory-backend-ram,id=ram,size={gib}G,reserve=off"
    return {"mem": gib * 1024, "append": f"init_on_alloc=0 {append}", "extra": ("-object", backend, "-machine", "memory-backend=ram")}


def busy_ns(vm):
    """Time that the guest's only CPU was not idle."""
    text = vm.read("/proc/timer_list")

    def ns(pattern):
        return int(re.search(pattern, text, re.M)[1])
    return ns(r"^now at (\d+)") - ns(r"\.idle_sleeptime *: (\d+)") - ns(r"\.iowait_sleeptime *: (\d+)")


def watch_lock(t, vm):
    """Counts from the next move of the balloon on."""
    vm.run("insmod /lock_cost.ko")
    cost(t, vm)


def cost(t, vm, what=None):
    """What the lock has cost since the last time."""
    names = ("acquired", "alone", "held_ns", "longest_ns", "empty_ns", "range_ns", "readings", "singles")
    values = {name: int(vm.read(f"{COST}/{name}")) for name in names}
    vm.write(f"{COST}/reset", "1")
    if what:
        t.note(f"{what}: {values}")
    return values


def size(vm, mib):
    vm.balloon(mib * MIB)
    vm.wait_actual(mib * MIB, timeout=240)


def offline_block(vm):
    """Takes a part of memory offline most of which the balloon holds, and puts it back."""
    for number in vm.run("cd /sys/devices/system/memory; echo memory*").out.replace("memory", "").split():
        place = f"/sys/devices/system/memory/memory{number}/state"
        before = vm.pressure("balloon_pages")
        if vm.run(f"echo offline >{place}", timeout=120, check=False).rc == 0:
            gone = before - vm.pressure("balloon_pages")
            vm.write(place, "online")
            if gone * PAGE >= 64 * MIB:
                return gone
    raise AssertionError("no part of memory goes offline with a good part of the balloon")


@vm_test(either=True, timeout=420, full=True)
def test_lock(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", files={"/lock_cost.ko": guestmodule.build(t.kernel, "lock_cost")}, **ICOUNT) as vm:
        vm.channel.patience *= 4
        vm.load_ours()
        watch_lock(t, vm)
        size(vm, 400)
        settle(vm)
        cost(t, vm, "inflated by 624 MiB")
        with t.step("memory is not read under the lock while reclaim runs"):
            assert vm.touch(600, "--small").outcome == "ok"
            given = vm.pressure("relief_pages")
            seen = cost(t, vm, f"{given} pages given back")
            assert given and seen["acquired"], (given, seen)
            assert seen["readings"] == 0, seen
        size(vm, GUEST)
        with t.step("what goes offline is taken in pieces no larger than others"):
            size(vm, 300)
            cost(t, vm)
            size(vm, 600)
            usual = cost(t, vm, "300 MiB given back")
            size(vm, 300)
            cost(t, vm)
            gone = offline_block(vm)
            seen = cost(t, vm, f"{gone} pages went offline")
            assert 0 < seen["range_ns"] < 2 * usual["longest_ns"], (seen, usual)
        size(vm, GUEST)
        with t.step("single pages leave by a few"):
            holder = vm.spawn("vbp-fragment 800")
            holder.wait_line("^fragmented")
            size(vm, GUEST - 200)
            holder.kill()
            holder.wait()
            small = vm.pressure("small_pages")
            assert small > 2 * SINGLES, small
            cost(t, vm)
            size(vm, GUEST)
            seen = cost(t, vm, f"{small} single pages given back")
            assert 0 < seen["singles"] <= SINGLES, seen
        check_books(vm)
        vm.run("rmmod lock_cost")
        unload(vm)


def call_cost(vm, options=""):
    """Instructions of a call of vmpressure() in a task that reclaims, with whatever has hooked it."""
    times = []
    for _ in range(3):
        vm.run(f"insmod /hook_cost.ko nr_calls=50000 nr_wakes=0 {options}", check=False)
        calls, taken = re.search(r"(\d+) calls, (\d+) ns", vm.run("dmesg | grep hook_cost: | tail -2").out).groups()
        times.append(int(taken) / int(calls) / 2)
    return min(times)


@vm_test(either=True, timeout=240)
def test_hook(t):
    """A container at its own limit calls vmpressure() all the time: that is nothing to the driver, and costs next to nothing."""
    with t.boot(mem=512, balloon="deflate-on-oom=on", files={"/hook_cost.ko": guestmodule.build(t.kernel, "hook_cost")}, **ICOUNT) as vm:
        bare, empty = call_cost(vm), call_cost(vm, "empty=1")
        vm.load_ours()
        assert vm.pressure("vmpressure_hook") == "kprobe"
        hooked = call_cost(vm)
        t.note(f"{bare:.0f} instructions, {empty:.0f} with any kprobe, {hooked:.0f} with the driver's")
        assert bare + 20 < empty, "the kprobe that does nothing is not there"
        # A call and one test of a flag, with what the kernel makes of an indirect call.
        assert hooked < empty + 60, (bare, empty, hooked)
        assert vm.pressure("vmpressure_events") == 0


@vm_test(either=True, timeout=600, full=True)
def test_huge(t):
    """Nothing that takes so long that a watchdog barks."""
    with t.boot(balloon="deflate-on-oom=on", boot_timeout=240, **big_guest(HUGE, WATCHDOGS)) as vm:
        vm.channel.patience *= 4
        vm.load_ours()
        small = int(HUGE * 1024 * (1 - PART))
        size(vm, small)
        size(vm, HUGE * 1024)
        check_books(vm)
        size(vm, small)
        unload(vm)
        vm.run("true")


@vm_test(either=True, timeout=900, full=True)
def test_huge_costs(t):
    """A gigabyte costs as many instructions as in a small guest."""
    costs = {}
    for gib in (USUAL, HUGE):
        options = big_guest(gib)
        options |= ICOUNT | {"extra": ICOUNT["extra"] + options["extra"]}
        with t.boot(balloon="deflate-on-oom=on", **options) as vm:
            vm.channel.patience *= 4
            vm.load_ours("boot_ms=0")
            # What else the guest does in that time counts, too: little for many GiB, and in a small guest for a few rounds of it.
            rounds = ROUNDS if gib == USUAL else 1
            sizes = {"inflating": int(gib * 1024 * (1 - PART)), "giving back": gib * 1024}
            total = dict.fromkeys(sizes, 0)
            for _ in range(rounds):
                for what, mib in sizes.items():
                    before = busy_ns(vm)
                    size(vm, mib)
                    total[what] += busy_ns(vm) - before
            costs |= {(what, gib): ns / (rounds * gib * PART) / 1e6 for what, ns in total.items()}
            unload(vm)
    t.note(f"ms of one CPU for each GiB: {costs}")
    for what in ("inflating", "giving back"):
        with t.step(what):
            assert costs[what, HUGE] < 1.5 * costs[what, USUAL], costs


def crowd(t, mib, least, **options):
    """Many CPUs that allocate at once, so many MiB each, of which the balloon gives at least so many; what the lock has cost."""
    options = {"boot_timeout": 240, "append": WATCHDOGS} | options | {"smp": CPUS}
    with t.boot(balloon="deflate-on-oom=on", files={"/lock_cost.ko": guestmodule.build(t.kernel, "lock_cost")}, **options) as vm:
        vm.channel.patience *= 4
        vm.load_ours()
        size(vm, 1024)
        watch_lock(t, vm)
        size(vm, 1040)
        cost(t, vm)
        jobs = [vm.spawn(f"vbp-touch {mib} --quiet --small --hold 5") for _ in range(CPUS)]
        for job in jobs:
            assert vm.touched_of(job.wait(240)).outcome == "ok"
        given = vm.pressure("relief_pages") * PAGE
        seen = cost(t, vm, f"{given // MIB} MiB given back to {CPUS} programs")
        assert given > least * MIB, given
        # At most eight blocks in one hold, and each task asks before it gets any.
        assert seen["acquired"] < HOLDS * given / (1024 * MIB), seen
        assert seen["readings"] == 0, seen
        check_books(vm)
        vm.run("rmmod lock_cost")
        unload(vm)
        return seen


@vm_test(either=True, timeout=400, full=True)
def test_crowd(t):
    crowd(t, 160, 1024, mem=4096)


@vm_test(either=True, timeout=400, full=True)
def test_crowd_instructions(t):
    """And how long they wait for one another, with a balloon of so many blocks that to walk all of them would show."""
    options = big_guest(CROWDED, WATCHDOGS)
    seen = crowd(t, 80, 256, **(options | ICOUNT | {"extra": ICOUNT["extra"] + options["extra"]}))
    # Elsewhere, too, who holds the lock is seldom interrupted.
    assert seen["alone"] > seen["acquired"] / 2, seen
    mean = (seen["held_ns"] / seen["alone"] - seen["empty_ns"]) / NS
    longest = (seen["longest_ns"] - seen["empty_ns"]) / NS
    t.note(f"{mean:.0f} instructions in a hold, {longest:.0f} in the longest")
    assert mean < MEAN and longest < LONGEST, (mean, longest)
