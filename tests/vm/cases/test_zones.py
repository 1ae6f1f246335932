# SPDX-License-Identifier: GPL-2.0-only
"""Where memory is short matters: the balloon comes from where most is free, and relief from where it is needed."""

import re

from vbpvm import MIB, PAGE
from vbpvm.runner import vm_test

from helpers.common import check_books, guest_mib, load, offline, settle, unload, wait_for

GUEST = 2048
MOVABLE = 1536              # MiB that the kernel itself cannot use
KERNEL_NEEDS = 150          # MiB, as 120,000 files in a tmpfs
MEMORY = "/sys/devices/system/memory"
KERNEL_ZONES = ("DMA", "DMA32", "Normal")
BLOCK = 2 * MIB // PAGE
# Free pages that lie on lists of single CPUs, and what a shell or a driver takes.
NOISE = 24 * MIB // PAGE


def zones(vm):
    """{(node, zone): its numbers of /proc/zoneinfo, in pages}, of zones that have memory."""
    vm.write("/proc/sys/vm/stat_refresh", "1")
    found = {}
    for part in re.split(r"^(?=Node \d+, zone)", vm.read("/proc/zoneinfo"), flags=re.M)[1:]:
        node, name = re.match(r"Node (\d+), zone +(\w+)", part).groups()
        values = {what: int(re.search(rf"^ +{what} +(\d+)$", part, re.M)[1]) for what in ("pages free", "high", "managed")}
        # On lists of single CPUs.
        values["kept"] = sum(map(int, re.findall(r"^ +count: +(\d+)$", part, re.M)))
        values["protected"] = max(map(int, re.search(r"protection: \((.*?)\)", part)[1].split(", ")))
        if values["managed"]:
            found[int(node), name] = values
    return found


def free_of(vm, names=KERNEL_ZONES, node=None):
    return sum(zone["pages free"] for (number, name), zone in zones(vm).items() if name in names and node in (None, number))


def check_watermarks(vm):
    """No zone that the kernel itself uses has less than it is to keep."""
    for (_, name), zone in zones(vm).items():
        if name in ("DMA32", "Normal"):
            assert zone["pages free"] >= zone["high"] + zone["protected"], (name, zone)


def use_tables(vm, mib):
    """Uses the kernel's own memory; returns what that did to the counters."""
    before = vm.vmstat()
    vm.run(f"vbp-tables {mib}", timeout=120)
    return vm.vmstat() - before


def take_offline(vm):
    """One of the pieces of movable memory that hold some of the balloon; its number, and how much."""
    pages = int(vm.read(f"{MEMORY}/block_size_bytes"), 16) // PAGE
    for number in map(int, re.findall(r"memory(\d+)", vm.run(f"ls {MEMORY}").out)):
        if "Movable" in vm.read(f"{MEMORY}/memory{number}/valid_zones") and offline(vm, number * pages, pages):
            ballooned = offline(vm, number * pages, pages)
            vm.run(f"echo offline >{MEMORY}/memory{number}/state", timeout=120)
            return number, ballooned
    raise AssertionError("no movable memory holds any of the balloon")


@vm_test(either="6.12", timeout=300)
def test_movable(t):
    """A zone that only programs can use is taken first; what the kernel itself can use is left to it."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", append=f"movablecore={MOVABLE}M") as vm:
        vm.load_ours()
        with t.step("movable memory goes first"):
            before = free_of(vm)
            guest_mib(vm, GUEST // 2, timeout=120)
            taken = before - free_of(vm)
            t.note(f"{taken} pages fewer are free in the kernel's zones; {vm.pressure('small_pages')} single pages are held")
            assert taken < NOISE, (taken, before)
            check_books(vm)
        with t.step("the kernel's own needs are met"):
            seen = use_tables(vm, KERNEL_NEEDS)
            t.note(f"{seen['allocstall']} stalls, {vm.pressure('relief_pages')} pages given back")
            assert seen["allocstall"] == 0 and seen["oom_kill"] == 0, seen["allocstall"]
        with t.step("what lies in memory that goes offline comes to lie elsewhere, and is found there"):
            # It takes what is left of the movable memory.
            holder = vm.spawn(f"vbp-touch {MOVABLE - GUEST // 2 - 40} --quiet --hold 600")
            holder.wait_line("^result")
            before = vm.vmstat()
            number, ballooned = take_offline(vm)
            moved = (vm.vmstat() - before)["balloon_migrate"]
            settle(vm)
            t.note(f"memory{number}: {ballooned} pages of the balloon's were in it, {moved} moved")
            assert moved >= ballooned, (moved, ballooned)
            check_books(vm)
            vm.run(f"echo online_movable >{MEMORY}/memory{number}/state")
            holder.kill()
            holder.wait()
        with t.step("programs get it back"):
            assert vm.touch(1200, "--quiet").outcome == "ok"
            check_books(vm)
        with t.step("all of it comes back"):
            guest_mib(vm, GUEST)
            check_books(vm)
            unload(vm)


@vm_test(timeout=600, full=True)
def test_files(t):
    """What a tmpfs with many files costs beside a balloon: no more than with the in-tree driver, which takes movable pages."""
    # With less for the kernel 6.12 has none left for this, with any driver.
    movable, seen = {"6.1": 1792, "6.12": MOVABLE}[t.series], {}
    for name in ("in-tree", "ours"):
        with t.boot(mem=GUEST, balloon="deflate-on-oom=on", append=f"movablecore={movable}M") as vm:
            load(vm, name)
            guest_mib(vm, GUEST // 2, timeout=120)
            before = vm.vmstat()
            vm.run("mkdir /files && mount -t tmpfs -o nr_inodes=0 files /files && cd /files && seq 120000 | xargs touch", timeout=240)
            done = vm.vmstat() - before
            seen[name] = {"allocstalls": done["allocstall"], "swapped": done["pswpout"], "free": free_of(vm), "balloon": vm.actual() // MIB}
            t.note(f"{name}: {seen[name]}")
    assert seen["ours"]["allocstalls"] <= seen["in-tree"]["allocstalls"], seen
    assert seen["ours"]["free"] > seen["in-tree"]["free"] - NOISE, seen


@vm_test(either="6.1", timeout=300)
def test_kernel_zone(t):
    """However much the host asks for, the kernel keeps what it needs; and is given back its own when it is short."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", append=f"movablecore={GUEST // 2}M") as vm:
        vm.load_ours()
        with t.step("asked for too much, it stops"):
            vm.balloon(64 * MIB)
            wait_for(vm, lambda: vm.actual() < GUEST // 2 * MIB, "the balloon grows")
            settle(vm, timeout=120)
            check_watermarks(vm)
            left = {name: zone["pages free"] for (_, name), zone in zones(vm).items()}
            t.note(f"{left} pages are free; {vm.pressure('block_pages', 'small_pages')}")
            check_books(vm)
        with t.step("what the kernel is short of comes from where it can use it"):
            seen = use_tables(vm, KERNEL_NEEDS)
            given = vm.pressure("relief_pages", "relief_oom_pages")
            t.note(f"{seen['allocstall']} stalls, {given}")
            assert given["relief_pages"] > 0 and given["relief_oom_pages"] == 0 and seen["oom_kill"] == 0, (given, seen["oom_kill"])
            assert seen["allocstall"] < 50, seen["allocstall"]
            check_books(vm)
        with t.step("all of it comes back"):
            guest_mib(vm, GUEST)
            check_books(vm)
            unload(vm)


def nodes(t, *sizes):
    """QEMU's options for a guest with NUMA nodes of these sizes, in MiB; a CPU each, as far as there are."""
    options = []
    for number, size in enumerate(sizes):
        memory = [f"memdev=memory{number}"] if size else []
        options += ["-object", f"memory-backend-ram,id=memory{number},size={size}M"] if size else []
        cpus = [f"cpus={number}"] if number < (t.kernel.cpus or 2) else []
        options += ["-numa", ",".join(["node", f"nodeid={number}", *cpus, *memory])]
    return options


def held_on(vm, *sizes):
    """Ballooned pages on each of these nodes, up to 3 GiB in all, where page frames have no gap."""
    held, start = [], 0
    for size in sizes:
        pages = size * MIB // PAGE
        held.append(offline(vm, start, pages) if pages else 0)
        start += pages
    return held


def shares(vm, *sizes, take):
    """Takes that many MiB; each node has to give its part of what was free, to the block."""
    free = [free_of(vm, node=number) for number in range(len(sizes))]
    guest_mib(vm, sum(sizes) - take, timeout=120)
    held = held_on(vm, *sizes)
    assert sum(held) == take * MIB // PAGE, held
    # Others allocate and free while the balloon grows, and what is free moves: so much the parts may move, too.
    after = [free_of(vm, node=number) + pages for number, pages in enumerate(held)]
    for number, pages in enumerate(held):
        first, last = (sum(held) * each[number] // sum(each) for each in (free, after))
        assert min(first, last) - 4 * BLOCK <= pages <= max(first, last) + 4 * BLOCK, (held, free, after)
    return held, free


def bound(t, vm, node, mib):
    """A program that may have memory of that node only gets what the balloon has there, before anything stalls or is about to die."""
    before, elsewhere = vm.vmstat(), free_of(vm, node=1 - node)
    touched = vm.touch(mib, "--quiet", f"--node {node}")
    seen = vm.vmstat() - before
    given = vm.pressure("relief_pages", "relief_oom_pages", "relief_kswapd_pages", "relief_worker_pages", "relief_shrinker_pages")
    t.note(f"{touched}: {seen['allocstall']} stalls, {given}; {free_of(vm, node=1 - node) - elsewhere} pages became free elsewhere")
    assert touched.outcome == "ok" and seen["oom_kill"] == 0, touched
    assert given["relief_pages"] > 0 and given["relief_oom_pages"] == 0, given
    assert seen["allocstall"] < 20, seen["allocstall"]
    assert free_of(vm, node=1 - node) - elsewhere < NOISE, "the other node's part was given back, too"
    check_books(vm)


@vm_test(either="6.12", timeout=180, alone=True, oom_kills=1)
def test_two_nodes(t):
    """Each node gives its part, and is given what it is short of."""
    sizes = GUEST // 2, GUEST // 2
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", extra=nodes(t, *sizes)) as vm:
        vm.load_ours()
        with t.step("each node gives its part of what is free"):
            held, free = shares(vm, *sizes, take=GUEST // 2)
            t.note(f"{held} pages are held of {free} free ones")
            check_books(vm)
        with t.step("a program that is bound to one gets its memory back"):
            bound(t, vm, 1, 800)
        with t.step("who needs more than its node has is killed, and the other one keeps its part"):
            held = held_on(vm, *sizes)
            touched = vm.touch(GUEST * 2 // 3, "--quiet", "--node 1")
            left = held_on(vm, *sizes)
            t.note(f"{touched}: {held} pages were held, {left} are left")
            assert touched.outcome == "killed", touched
            assert left[1] < NOISE and held[0] - left[0] < held[0] // 2, (held, left)
            check_books(vm)
        with t.step("all of it comes back"):
            guest_mib(vm, GUEST)
            check_books(vm)
            unload(vm)


@vm_test(either="6.12", timeout=120, alone=True)
def test_small_node(t):
    """The same with a node a tenth of the other."""
    sizes = 1280, 128
    with t.boot(mem=sum(sizes), balloon="deflate-on-oom=on", extra=nodes(t, *sizes)) as vm:
        vm.load_ours("reserve_pct=4")
        with t.step("each node gives its part of what is free"):
            held, free = shares(vm, *sizes, take=704)
            t.note(f"{held} pages are held of {free} free ones")
            check_books(vm)
        with t.step("a program that is bound to the small one gets its memory back"):
            # What this leaves on the lists of both CPUs is of little use to the program, and more than the node is to keep.
            for cpu in (1, 2):
                vm.run(f"taskset {cpu} vbp-touch 16 --quiet --node 1")
            t.note(f"CPUs keep {sum(zone['kept'] for (node, _), zone in zones(vm).items() if node == 1)} pages of it")
            bound(t, vm, 1, 96)
        with t.step("all of it comes back"):
            guest_mib(vm, sum(sizes))
            check_books(vm)
            unload(vm)


@vm_test(timeout=240, full=True)
def test_empty_node(t):
    """A node without memory is none to take from, and single pages come back beside it."""
    for sizes in ((1024, 0), (0, 1024)):
        with t.boot(mem=sum(sizes), balloon="deflate-on-oom=on", extra=nodes(t, *sizes)) as vm:
            vm.load_ours()
            with t.step(f"{sizes}: inflated, and given back"):
                guest_mib(vm, 400)
                check_books(vm)
                touched = vm.touch(700, "--quiet")
                assert touched.outcome == "ok" and vm.pressure("relief_pages") > 0, touched
                assert vm.pressure("relief_oom_pages") == 0
                check_books(vm)
            with t.step(f"{sizes}: all of it comes back"):
                guest_mib(vm, sum(sizes))
                check_books(vm)
                unload(vm)
