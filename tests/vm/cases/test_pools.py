# SPDX-License-Identifier: GPL-2.0-only
"""Huge pages: a pool that somebody asks for gets the blocks that the balloon holds; what would only be nice to have gets none."""

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.runner import vm_test

from helpers.common import check_books, guest_mib, load, settle, wait_for

GUEST, SMALL = 2048, 1024
BLOCK = 512             # pages
MOST = 850              # huge pages: of what is left, a tenth of the guest is never available
BESIDE = 64
MANY = 32               # MiB that the kernel itself may have in what is to be taken out
ONCE = 300
GIGANTIC = "/sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages"
POOL = "/proc/sys/vm/nr_hugepages"
HUGE_PAGES = "/sys/kernel/mm/transparent_hugepage"


def pool(vm, pages):
    """Asks for so many huge pages; returns how many there are."""
    vm.write(POOL, str(pages), timeout=120)
    return vm.meminfo()["HugePages_Total"]


@vm_test(either=True, timeout=240)
def test_pools(t):
    """Where memory is in small pieces, as in a guest that has run for long: the balloon has the only whole ones."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(SMALL,), files={"/pinned.ko": guestmodule.build(t.kernel, "pinned")}) as vm:
        vm.load_ours("holdoff_ms=2000")
        vm.spawn("sleep 10000 </dev/vda")
        vm.balloon(SMALL * MIB)
        vm.wait_actual(SMALL * MIB)
        vm.run("insmod /pinned.ko")
        vm.run(f"vbp-readfile --mib {SMALL} /dev/vda", timeout=120)
        assert vm.meminfo()["Buffers"] > SMALL // 2 * MIB, vm.meminfo()["Buffers"]
        before = vm.pressure("balloon_pages")
        with t.step("a program that would like huge pages gets none of them"):
            vm.write(f"{HUGE_PAGES}/enabled", "always")
            vm.write(f"{HUGE_PAGES}/defrag", "always")
            events = vm.vmstat()
            assert vm.touch(100, "--quiet").outcome == "ok"
            moved = vm.vmstat() - events
            assert moved["thp_fault_fallback"] > 10, moved["thp_fault_alloc"]
            vm.write("/proc/sys/vm/compact_memory", "1", timeout=60)
            assert vm.pressure("balloon_pages") == before and vm.pressure("relief_pages") == 0
        with t.step("a pool gets what it asks for"):
            got = pool(vm, 160)
            given = before - vm.pressure("balloon_pages")
            t.note(f"{got} of 160 pages, {given // BLOCK} blocks given, {vm.pressure('relief_pool_pages') // BLOCK} of them to it")
            assert got == 160 and given <= 160 * BLOCK, (got, given)
        with t.step("also nearly all that the balloon holds"):
            got = pool(vm, 500)
            t.note(f"{got} of 500 pages, {(before - vm.pressure('balloon_pages')) // BLOCK} blocks given")
            assert got == 500, got
        with t.step("and keeps it while the balloon grows again"):
            settle(vm, seconds=3)
            check_books(vm)
            assert vm.meminfo()["HugePages_Total"] == got
        with t.step("and comes back after it"):
            assert pool(vm, 0) == 0
            wait_for(vm, lambda: vm.pressure("balloon_pages") == before, "the balloon is at its target again", 100)
            check_books(vm)


@vm_test(either=True, timeout=180)
def test_most_of_it(t):
    """Where most of the guest is in a pool: that is no part of the memory of which the reserve is a share."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(ONCE,)) as vm:
        assert pool(vm, MOST) == MOST
        vm.load_ours("holdoff_ms=2000")
        vm.spawn("sleep 10000 </dev/vda")
        available = vm.pressure("available_pages") * PAGE
        t.note(f"{available // MIB} MiB available")
        assert 2 * BESIDE * MIB < available < (GUEST // 10) * MIB, available
        with t.step("the balloon grows beside it"):
            vm.balloon((GUEST - BESIDE) * MIB)
            vm.wait_actual((GUEST - BESIDE) * MIB, timeout=30)
        with t.step("and stays when a disk is read once"):
            before = vm.vmstat()
            vm.run(f"vbp-readfile --mib {ONCE} /dev/vda", timeout=60)
            assert (vm.vmstat() - before)["pgscan_kswapd"] > 100 * MIB // PAGE
            assert vm.pressure("relief_pages") == 0 and vm.pressure("balloon_pages") == BESIDE * MIB // PAGE


def use(vm, driver, mib):
    """Loads the driver of that name, if any, and has it make the guest so large."""
    if driver != "none":
        load(vm, driver)
        guest_mib(vm, mib)


def gigantic(vm):
    """Asks for three pages of 1 GiB; returns how many there are."""
    vm.write(GIGANTIC, "3", timeout=120)
    return int(vm.read(GIGANTIC))


@vm_test(kernels=("6.12",), full=True, timeout=240)
def test_gigantic(t):
    """Such a page needs a GiB that nothing lies in: single pages of a balloon move out of the way, blocks do not, as the guide says."""
    found = {}
    for driver in ("none", "in-tree", "ours"):
        with t.boot(mem=2 * GUEST, balloon="deflate-on-oom=on", extra=("-cpu", "qemu64,pdpe1gb=on")) as vm:
            use(vm, driver, GUEST)
            found[driver] = gigantic(vm)
            if driver == "ours":
                guest_mib(vm, 2 * GUEST)
                found["ours, emptied first"] = gigantic(vm)
    t.note(f"pages of 1 GiB of a guest of 4 GiB, 2 GiB ballooned: {found}")
    assert found["none"] > 0 and found["in-tree"] > 0, found
    assert found["ours, emptied first"] >= found["none"], found


@vm_test(kernels=("6.12",), full=True, timeout=400)
def test_virtio_mem(t):
    """The same for what virtio-mem takes out, where the kernel itself can use it; movable memory is no trouble."""
    found = {}
    for driver, online in (("none", "kernel"), ("in-tree", "kernel"), ("ours", "kernel"), ("ours", "movable")):
        with t.boot(mem=SMALL, balloon="deflate-on-oom=on", extra=(
                "-m", f"{SMALL}M,slots=1,maxmem={2 * GUEST}M", "-object", f"memory-backend-ram,id=plugged,size={SMALL}M",
                "-device", f"virtio-mem-pci,id=vmem,memdev=plugged,requested-size={SMALL}M")) as vm:
            def plugged():
                return vm.qmp.command("qom-get", path="/machine/peripheral/vmem", property="size") // MIB

            vm.write("/sys/devices/system/memory/auto_online_blocks", f"online_{online}")
            vm.run("modprobe virtio_mem")
            wait_for(vm, lambda: plugged() == SMALL, "all of it is plugged")
            use(vm, driver, SMALL // 2)
            vm.qmp.command("qom-set", path="/machine/peripheral/vmem", property="requested-size", value=0)
            stays = (driver, online) == ("ours", "kernel")
            if stays:
                vm.run("sleep 20")
            else:
                wait_for(vm, lambda: plugged() <= MANY, f"{driver}, {online}: it is taken out", 90)
            found[driver, online] = plugged()
            if stays:
                vm.balloon(SMALL * MIB)
                wait_for(vm, lambda: plugged() <= MANY, "once the balloon is empty, it can be taken out", 90)
    t.note(f"MiB left of {SMALL}, with {SMALL // 2} ballooned: {found}")
