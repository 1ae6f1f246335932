# SPDX-License-Identifier: GPL-2.0-only
"""Memory that no counter of the kernel's names, as ZFS's cache: what the driver shows of it."""

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.runner import vm_test

from helpers.common import check_books, load, unload, wait_for

GUEST = 1024
HOARD = "/sys/module/hoard/parameters"
# Caches of CPUs, page tables of the shell that looks, and the like.
NOISE = 12 * MIB // PAGE
# What is given back at a time.
STEP = GUEST * MIB // PAGE // 20


def held(vm):
    return int(vm.read(f"{HOARD}/held"))


def warmed(vm):
    """Pages that came back until now. The cache has taken what was free, and somebody needs some of that."""
    wait_for(vm, lambda: vm.meminfo()["MemFree"] < 80 * MIB, "the cache has what was free", 60)
    vm.run("dd if=/dev/zero of=/tmp/file bs=1M count=60")
    vm.run("rm /tmp/file")
    return vm.pressure("relief_pages")


@vm_test(either=True, timeout=240)
def test_unnamed(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", files={"/hoard.ko": guestmodule.build(t.kernel, "hoard")}) as vm:
        vm.load_ours("holdoff_ms=2000")
        vm.run("insmod /hoard.ko")
        with t.step("what no counter names is shown"):
            before = vm.pressure("unnamed_pages")
            t.note(f"{before} pages at first")
            assert before < 100 * MIB // PAGE, before
            vm.write(f"{HOARD}/most", "300")
            vm.write(f"{HOARD}/warm", "1")
            wait_for(vm, lambda: held(vm) >= 300 * MIB // PAGE, "the hoard has its pages", 30)
            grown = vm.pressure("unnamed_pages") - before
            assert abs(grown - held(vm)) < NOISE, (grown, held(vm))
        with t.step("page cache, a program's memory and the balloon are not in it"):
            vm.run("dd if=/dev/zero of=/tmp/file bs=1M count=100")
            job = vm.spawn("vbp-touch 100 --quiet --hold 60")
            vm.balloon((GUEST - 200) * MIB)
            vm.wait_actual((GUEST - 200) * MIB)
            wait_for(vm, lambda: vm.meminfo()["AnonPages"] > 90 * MIB, "the program has its memory", 30)
            grown = vm.pressure("unnamed_pages") - before
            assert abs(grown - held(vm)) < NOISE, (grown, held(vm))
            job.kill()
            job.wait()
            vm.run("rm /tmp/file")
        vm.run("rmmod hoard")
        assert abs(vm.pressure("unnamed_pages") - before) < NOISE
        unload(vm)


@vm_test(either="6.1", timeout=300)
def test_gives_way(t):
    """The balloon grows about as far as the in-tree driver's beside a cache that nobody knows of, because that gives way."""
    for name in ("in-tree", "ours"):
        with t.boot(mem=GUEST, balloon="deflate-on-oom=on", files={"/hoard.ko": guestmodule.build(t.kernel, "hoard")}) as vm:
            load(vm, name, "holdoff_ms=2000")
            vm.run("insmod /hoard.ko warm=1")
            wait_for(vm, lambda: vm.meminfo()["MemFree"] < 80 * MIB, "the cache has nearly all", 60)
            had = held(vm)
            vm.balloon(GUEST // 2 * MIB)
            with t.step(f"{name}: the balloon grows into it"):
                seconds = vm.wait_actual(GUEST // 2 * MIB, timeout=90)
                t.note(f"after {seconds:.1f} s; the cache had {had * PAGE // MIB} MiB and has {held(vm) * PAGE // MIB}")
            if name == "in-tree":
                continue
            check_books(vm)
            with t.step("a program that ends leaves its memory to the cache"):
                job = vm.spawn("vbp-touch 100 --quiet --hold 60")
                wait_for(vm, lambda: vm.meminfo()["AnonPages"] > 90 * MIB, "the program has its memory", 30)
                job.kill()
                job.wait()
                taken = warmed(vm)
                t.note(f"{taken} pages came back")
                assert taken <= STEP + NOISE, taken
            with t.step("a program that needs more than both has its memory"):
                touched, before = vm.touch(GUEST // 2, "--quiet"), taken
                taken = vm.pressure("relief_pages")
                t.note(f"{touched}: {taken - before} pages came back")
                assert touched.outcome == "ok" and taken > before, touched
            with t.step("that one leaves its memory to the cache, too"):
                before, taken = taken, warmed(vm)
                t.note(f"{taken - before} pages came back")
                # What the program needed may have doubled the step. 49,000 pages where what the cache took does not count.
                assert taken - before <= 2 * STEP + NOISE, taken - before
            vm.run("rmmod hoard")
            unload(vm)
