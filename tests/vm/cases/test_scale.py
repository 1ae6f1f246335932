# SPDX-License-Identifier: GPL-2.0-only
"""
Large guests and many CPUs: what everybody waits for must not grow with either. Time is told by a clock that counts instructions, or by
comparing two guests, or things are counted: emulated CPUs on a few real ones say nothing of time in a lock.
"""

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.runner import vm_test

from helpers.common import check_books, settle, unload, wait_for

GUEST = 1024
GIB = 1024 * MIB
COST = "/sys/module/lock_cost/parameters"
SINGLES = 256               # pages in one hold of the lock
ICOUNT = {"smp": 1, "accel": "tcg,thread=single", "extra": ("-icount", "shift=1,sleep=on"), "boot_timeout": 240}


def watch_lock(t, vm):
    """Counts from the next move of the balloon on."""
    vm.run("insmod /lock_cost.ko")
    cost(t, vm)


def cost(t, vm, what=None):
    """What the lock has cost since the last time."""
    names = ("acquired", "held_ns", "longest_ns", "empty_ns", "readings", "singles")
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


@vm_test(either=True, timeout=420)
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
            assert seen["longest_ns"] < 2 * usual["longest_ns"], (seen, usual)
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


def gib_costs(vm, total, gib):
    """Seconds a GiB, in and out."""
    vm.balloon((total - gib * 1024) * MIB)
    into = vm.wait_actual((total - gib * 1024) * MIB, timeout=400)
    vm.balloon(total * MIB)
    return into / gib, vm.wait_actual(total * MIB, timeout=400) / gib


def boot_gib(t, gib):
    """Of which hardly anything is ever touched."""
    return t.boot(mem=gib * 1024, balloon="deflate-on-oom=on", boot_timeout=300,
                  append="init_on_alloc=0 watchdog_thresh=10 rcupdate.rcu_cpu_stall_timeout=21",
                  extra=("-object", f"memory-backend-ram,id=ram,size={gib}G,reserve=off", "-machine", "memory-backend=ram"))


@vm_test(either=True, timeout=600, alone=True)
def test_large(t):
    with boot_gib(t, 2) as vm:
        vm.load_ours("boot_ms=0")
        small = [min(costs) for costs in zip(*(gib_costs(vm, 2 * 1024, 1) for _ in range(4)))]
    with boot_gib(t, 64) as vm:
        vm.load_ours("boot_ms=0")
        large = gib_costs(vm, 64 * 1024, 56)
        t.note(f"seconds a GiB, in and out: {small} of 2 GiB, {large} of 64 GiB")
        with t.step("a GiB costs what it costs in a small guest"):
            assert large[0] < 1.5 * small[0] and large[1] < 1.5 * small[1], (small, large)
        with t.step("and unloading gives all back"):
            vm.balloon(8 * GIB)
            vm.wait_actual(8 * GIB, timeout=400)
            vm.run("rmmod virtio_balloon_pressure", timeout=120)
            wait_for(vm, lambda: vm.actual() == 64 * GIB, "all is given back", 20)


@vm_test(either=True, timeout=400, alone=True)
def test_many_cpus(t):
    """All of them allocate at once. Whether one is stuck, the console says."""
    with t.boot(mem=2048, smp=16, balloon="deflate-on-oom=on", append="watchdog_thresh=10",
                files={"/lock_cost.ko": guestmodule.build(t.kernel, "lock_cost")}, boot_timeout=240) as vm:
        vm.load_ours("boot_ms=0")
        size(vm, 600)
        settle(vm)
        vm.run("insmod /lock_cost.ko")
        jobs = [vm.spawn("vbp-touch 80 --small --quiet") for _ in range(16)]
        for job in jobs:
            assert vm.touched_of(job.wait(240)).outcome == "ok"
        seen = cost(t, vm, "16 x 80 MiB")
        per_gib = seen["acquired"] / (16 * 80 / 1024)
        t.note(f"{per_gib:.0f} times a GiB")
        assert seen["readings"] == 0, seen
        assert vm.pressure("relief_pages") * PAGE > 400 * MIB
        vm.run("rmmod lock_cost")


GIGANTIC = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"


def gigantic(vm, ask):
    """How many of so many gigantic pages there are; none is kept."""
    vm.run(f"echo {ask} >{GIGANTIC}", timeout=240)
    got = int(vm.read(GIGANTIC))
    vm.run(f"echo 0 >{GIGANTIC}", timeout=120)
    return got


@vm_test(either=True, timeout=400, full=True)
def test_contiguous(t):
    """Nobody tells a driver that its blocks are in the way of a gigantic page. The guide says so, and what helps."""
    with t.boot(mem=4096, balloon="deflate-on-oom=on", append="init_on_alloc=0", extra=("-cpu", "qemu64,+rdrand,+pdpe1gb")) as vm:
        found = {}
        for name, load in (("in-tree", vm.load_in_tree), ("ours", lambda: vm.load_ours("boot_ms=0"))):
            found[name, "empty"] = gigantic(vm, 3)
            load()
            size(vm, 3072)
            found[name, "1 GiB held"] = gigantic(vm, 3)
            size(vm, 4096)
            found[name, "given back"] = gigantic(vm, 3)
        t.note(f"gigantic pages: {found}")
        assert found["ours", "given back"] >= found["in-tree", "given back"] - 1, found
