# SPDX-License-Identifier: GPL-2.0-only
"""What the guest and the host see of ballooned memory, and that nothing is missing once the driver is gone."""

import re
import time

from vbpvm import MIB, PAGE
from vbpvm.runner import vm_test

from helpers.common import check_books, guest_mib, offline, settle, unload, vmstat_folded, wait_for, zones
from helpers.contract import set_limit

GUEST, SMALL = 1024, 384
TAKEN = (GUEST - SMALL) * MIB
# Page tables and slab of the test's own commands.
NOISE = 4 * MIB
# The kernel itself says up to 2 % less than there is (its reserves; measured without a balloon), and we up to 2 % on top.
TOO_MUCH = 1.04
# MiB. The test's commands put aside 8; of 640 MiB that were freed as huge pages 28 or more were.
ASIDE = 16


def look(vm):
    """The guest's figures in bytes."""
    figures = vm.meminfo()
    for _ in range(5):
        lent, lists, then = vmstat_folded(vm)["nr_kernel_misc_reclaimable"], zones(vm), figures
        figures = vm.meminfo()
        # All of one moment: pages that went to a CPU's list in between would count twice or not at all.
        if abs(figures["MemFree"] - then["MemFree"]) < 64 * PAGE:
            break
    figures["lent"] = lent * PAGE
    figures["free"] = (lists["free"] + lists["per_cpu"]) * PAGE
    figures["low"] = lists["low"] * PAGE
    # Pages on per-CPU lists are as good as free, but the kernel leaves them out, and their number changes all the time.
    figures["available"] = figures["MemAvailable"] + lists["per_cpu"] * PAGE
    return figures


@vm_test(either=True, matrix=True)
def test_elastic(t):
    """Memory that the guest may take back is only lent: it stays part of what there is."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        vm.load_ours()
        before = look(vm)
        guest_mib(vm, SMALL)
        now = look(vm)
        with t.step("MemTotal stays"):
            assert now["MemTotal"] == before["MemTotal"], (before["MemTotal"], now["MemTotal"])
        with t.step("MemAvailable stays"):
            fallen = before["available"] - now["available"]
            t.note(f"MemAvailable fell by {fallen / MIB:.1f} of {before['available'] // MIB} MiB, watermarks {now['low'] // MIB}")
            assert abs(fallen) < NOISE, fallen
        with t.step("KReclaimable grows by what was taken, and what MemAvailable leaves out of it"):
            lent = now["lent"] - before["lent"]
            assert TAKEN <= lent <= TAKEN + now["low"], (before["lent"], now["lent"])
            grown = now["KReclaimable"] - before["KReclaimable"]
            assert abs(grown - lent) < NOISE, grown
        with t.step("it is gone all the same"):
            assert abs(before["free"] - now["free"] - TAKEN) < NOISE, (before["free"], now["free"])
        with t.step("available_pages leaves our share out"):
            own = (vm.pressure("available_pages") + zones(vm)["per_cpu"]) * PAGE
            assert abs(before["available"] - own - TAKEN) < NOISE, (own, before["available"])
        with t.step("the host asks for all of it back"):
            guest_mib(vm, GUEST)
            after = look(vm)
            check_books(vm)
            assert after["lent"] == before["lent"] and after["MemTotal"] == before["MemTotal"], (before, after)
            assert abs(after["free"] - before["free"]) < NOISE, (before["free"], after["free"])


@vm_test(kernels=("6.12",))
def test_everybodys(t):
    """What is given back is not put aside on the lists of the CPU that freed it, where nobody else finds it."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        vm.load_ours()
        aside = []
        for _ in range(3):
            guest_mib(vm, SMALL)
            before = zones(vm)["per_cpu"]
            guest_mib(vm, GUEST)
            aside.append((zones(vm)["per_cpu"] - before) * PAGE // MIB)
        t.note(f"{aside} MiB")
        assert max(aside) < ASIDE, aside


@vm_test(kernels=(), debug=True)
def test_profiled(t):
    """The kernel's allocation profiling has all of the blocks that the balloon holds, and none that it has given back."""
    def profiled():
        lines = vm.run("grep func:vbp_pages_alloc /proc/allocinfo").out.splitlines()
        return sum(int(line.split()[0]) for line in lines)

    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", append="sysctl.vm.mem_profiling=1") as vm:
        vm.load_ours()
        for _ in range(2):
            guest_mib(vm, SMALL)
            blocks = profiled()
            t.note(f"{blocks // MIB} of {GUEST - SMALL} MiB")
            assert 0.9 * (GUEST - SMALL) * MIB < blocks <= (GUEST - SMALL) * MIB, blocks
            guest_mib(vm, GUEST)
            assert profiled() == 0, profiled()
        unload(vm)


@vm_test(either=True, timeout=240, oom_kills=1)
def test_available(t):
    """MemAvailable is what a program can touch, in each state of the balloon: two parts of a hundred less it gets, more it does not."""
    with t.boot(mem=2 * GUEST, balloon="deflate-on-oom=on") as vm:
        vm.write("/proc/sys/vm/overcommit_memory", "1")
        less, more = (0.98, "ok"), (TOO_MUCH, "killed")
        for state, small, tries in (("never ballooned", None, (less,)), ("inflated", GUEST, (less, more)),
                                    ("inflated as far as it goes", 1, (less,))):
            with t.step(state):
                for part, outcome in tries:
                    if small:
                        vm.balloon(small * MIB)
                        vm.load_ours()
                        settle(vm)
                    vm.write("/proc/sys/vm/drop_caches", "3")
                    # What lies on CPUs' own lists the kernel leaves out; whether it finds it before it kills is chance.
                    available = look(vm)["available" if outcome == "killed" else "MemAvailable"]
                    touched = vm.touch(int(available * part) // MIB, "--quiet")
                    t.note(f"MemAvailable {available // MIB} MiB, {part} of it: {touched.outcome}")
                    assert touched.outcome == outcome, touched
                    if small:
                        unload(vm)


@vm_test(either=True)
def test_not_elastic(t):
    """Without that, the host has taken it: the guest has become smaller, exactly by so much."""
    with t.boot(mem=GUEST, balloon="") as vm:
        vm.load_ours()
        before = look(vm)
        with t.step("MemTotal shrinks"):
            guest_mib(vm, SMALL)
            now = look(vm)
            assert before["MemTotal"] - now["MemTotal"] == TAKEN, (before["MemTotal"], now["MemTotal"])
            assert now["lent"] == before["lent"] and abs(now["KReclaimable"] - before["KReclaimable"]) < NOISE, (before, now)
        with t.step("by single pages, too"):
            odd = SMALL * MIB - 777 * PAGE
            vm.balloon(odd)
            vm.wait_actual(odd)
            assert before["MemTotal"] - vm.meminfo()["MemTotal"] == TAKEN + 777 * PAGE
        with t.step("an allocation larger than that is refused"):
            assert vm.touch(GUEST - 100, "--quiet").outcome == "refused"
        with t.step("MemTotal returns"):
            guest_mib(vm, GUEST)
            after = look(vm)
            assert after["MemTotal"] == before["MemTotal"], (before["MemTotal"], after["MemTotal"])
            assert abs(after["free"] - before["free"]) < NOISE, (before["free"], after["free"])


@vm_test(either=True, patched=True, timeout=240)
def test_floor(t):
    """What lies below the floor the guest cannot have: MemTotal is without it, and an allocation of more is refused, not killed for."""
    full, limit, small = 2 * GUEST, GUEST, GUEST // 2
    with t.boot(mem=full, balloon=f"guest-pressure=on,size-max={limit}M") as vm:
        vm.load_ours()
        before = look(vm)

        def wait_total(gone, seconds):
            wait_for(vm, lambda: vm.meminfo()["MemTotal"] == before["MemTotal"] - gone * MIB, f"MemTotal is {gone} MiB less", seconds)
        start = time.monotonic()
        guest_mib(vm, small)
        with t.step("a floor that has risen counts after a minute"):
            assert vm.meminfo()["MemTotal"] == before["MemTotal"]
            wait_total(full - limit, 90)
            took = time.monotonic() - start
            t.note(f"MemTotal changed after {took:.0f} s")
            assert took > 58, took
        with t.step("what lies above it is lent"):
            now = look(vm)
            lent = now["lent"] - before["lent"]
            assert (limit - small) * MIB <= lent <= (limit - small) * MIB + now["low"], (lent, now["low"])
            check_books(vm)
        with t.step("more than there is is refused"):
            assert vm.touch(limit + GUEST // 2, "--quiet").outcome == "refused"
            assert vm.pressure("relief_pages") == 0
        with t.step("what there is can be had"):
            touched = vm.touch(now["MemAvailable"] // MIB * 9 // 10, "--quiet")
            assert touched.outcome == "ok", touched
            assert vm.pressure("relief_pages") > 0
            wait_total(full - limit, 1)
        with t.step("a floor that sinks counts at once, one that rises again does not"):
            set_limit(vm, (limit + GUEST // 2) * MIB)
            wait_total(full - limit - GUEST // 2, 5)
            set_limit(vm, limit * MIB)
            wait_for(vm, lambda: vm.pressure("balloon_floor_pages") == (full - limit) * MIB // PAGE, "the floor is as before", 5)
            time.sleep(1)
            wait_total(full - limit - GUEST // 2, 1)
        with t.step("the host asks for all of it back"):
            guest_mib(vm, full)
            wait_total(0, 5)
            check_books(vm)
        unload(vm)
        assert vm.meminfo()["MemTotal"] == before["MemTotal"]


NODES = (768, 256)              # MiB
TWO_NODES = [part for number, size in enumerate(NODES) for part in (
    "-object", f"memory-backend-ram,id=memory{number},size={size}M",
    "-numa", f"node,nodeid={number},memdev=memory{number},cpus={number}")]
# Every sense of need knows its node; tasks in reclaim and kswapd, which this leaves, take from no other.
SHRINKER_ALONE = "vmpressure_hook=none kswapd=0 direct=0 sampler=0 holdoff_ms=2000"


def held_on_nodes(vm):
    """Ballooned pages on each of the two nodes."""
    edge = NODES[0] * MIB // PAGE
    return offline(vm, 0, edge), offline(vm, edge, NODES[1] * MIB // PAGE)


@vm_test(either=True)
def test_two_nodes(t):
    """Each node lends what the balloon has of it, and the fuller one gives first."""
    with t.boot(mem=sum(NODES), balloon="deflate-on-oom=on", extra=TWO_NODES) as vm:
        vm.load_ours(SHRINKER_ALONE)
        with t.step("what is lent is counted where it lies"):
            guest_mib(vm, SMALL)
            check_books(vm)
            held, lent = held_on_nodes(vm), vmstat_folded(vm)["nr_kernel_misc_reclaimable"]
            t.note(f"{held} pages are held, {lent} count as lent")
            assert min(held) > 0 and sum(held) == TAKEN // PAGE, held
            for node, pages in enumerate(held):
                here = int(re.search(r"nr_kernel_misc_reclaimable (\d+)", vm.read(f"/sys/devices/system/node/node{node}/vmstat"))[1])
                assert abs(here - lent * pages // sum(held)) <= 1, (node, here, lent, held)
        with t.step("the node of which most is held gives first"):
            guest_mib(vm, SMALL + 128)
            expected = list(held)
            for _ in range(128 // 2):
                fuller = expected.index(max(expected))
                expected[fuller] -= 2 * MIB // PAGE
            assert list(held_on_nodes(vm)) == expected, (held, held_on_nodes(vm))
            check_books(vm)
        with t.step("a node that has no more to give leaves nothing in the books"):
            # Not much, because it comes back slowly.
            guest_mib(vm, GUEST - 150)
            touched = vm.touch(800, "--quiet")
            t.note(f"{vm.pressure('relief_shrinker_pages')} pages by the shrinker")
            assert touched.outcome == "ok" and vm.pressure("relief_shrinker_pages") > 0, touched
            wait_for(vm, lambda: vm.pressure("balloon_pages") >= 150 * MIB // PAGE, "the balloon grows back")
            # What is believed to leave would be taken once more.
            assert settle(vm) == 150 * MIB // PAGE
            check_books(vm)
        with t.step("all of it comes back"):
            guest_mib(vm, GUEST)
            assert held_on_nodes(vm) == (0, 0)
            check_books(vm)
            unload(vm)


@vm_test(either=True)
def test_unload(t):
    """Unloading with an inflated balloon gives everything back, as often as one likes; loading again takes it again."""
    for host, options, loads in (("elastic", "deflate-on-oom=on", 5), ("not elastic", "", 2)):
        with t.boot(mem=GUEST, balloon=options) as vm:
            vm.load_ours()
            unload(vm)              # what the first load leaves in caches is not the balloon's
            start = look(vm)
            # Not whole blocks, so that both kinds of pages are held.
            odd = SMALL * MIB - 300 * PAGE
            for i in range(loads):
                with t.step(f"{host}: unloaded while inflated, time {i + 1}"):
                    vm.balloon(odd)
                    vm.load_ours()
                    vm.wait_actual(odd)
                    assert vm.pressure("block_pages") and vm.pressure("small_pages")
                    check_books(vm)
                    unload(vm)
                    assert vm.actual() == vm.mem_bytes, "the host still counts on ballooned memory"
                    end = look(vm)
                    assert end["MemTotal"] == start["MemTotal"], (start["MemTotal"], end["MemTotal"])
                    assert end["lent"] == start["lent"], (start["lent"], end["lent"])
                    assert abs(end["KReclaimable"] - start["KReclaimable"]) < NOISE, (start, end)
                    assert abs(end["free"] - start["free"]) < NOISE, (start["free"], end["free"])
                    events = vm.vmstat()
                    assert events["balloon_inflate"] == events["balloon_deflate"]
            with t.step(f"{host}: the memory holds what is written to it"):
                assert vm.touch(SMALL + 320, "--quiet", "--verify").outcome == "ok"
