# SPDX-License-Identifier: GPL-2.0-only
"""
The experiment that started this project: a guest of 2 GiB whose balloon has taken 1 GiB, and a program that needs 1500 MiB.
With the kernel's own driver it is killed, refused, or crawls. With ours it gets its memory, without swap, without a stall.
"""

import time

from vbpvm import MIB, PAGE
from vbpvm.runner import LRU_MODES, vm_test

from helpers.common import check_books, dmesg, guest_mib, live, settle, unload, wait_for

GUEST, SMALL, LOAD, LIVED = 2048, 1024, 1500, 1700
RELIEF_LINE = r"virtio_balloon_pressure virtio\d+: gave back \d+ MiB under memory pressure"

# The in-tree driver needs about 11,000 of them for the same load.
FEW_STALLS = 100
# Pages. The in-tree driver swaps out 200,000 of them every time.
FEW_SWAPPED = 300
# What the load lacks is about 600 MiB: less given back than this cannot have been enough.
MUCH_GIVEN = 400 * MIB // PAGE
CACHED, BESIDE, LEFT = 280, 1500, 1536      # MiB: page cache, a program beside it, in a guest of so much
FINISHED = 4096             # MiB: a guest whose job has ended
# With so long a hold-off nothing is handed over unless it is free at once.
HOLDOFF_MS = 600000


class Run:
    """One load against an inflated balloon, and what it did to the counters."""

    def __init__(self, vm, *options):
        before, relief = vm.vmstat(), vm.pressure("relief_pages")
        self.touched = vm.touch(LOAD, "--quiet", *options)
        self.counts = vm.vmstat() - before
        self.given = vm.pressure("relief_pages") - relief

    def __repr__(self):
        names = ("allocstall", "oom_kill", "pswpout")
        return f"{self.touched}, {self.given * PAGE // MIB} MiB given back, {({n: self.counts[n] for n in names})}"

    def check(self, stalls=None):
        assert self.touched.outcome == "ok", self.touched
        assert self.counts["oom_kill"] == 0, self.counts["oom_kill"]
        assert self.given > MUCH_GIVEN, f"{self.given} pages given back"
        if stalls is not None:
            assert self.counts["allocstall"] < stalls, f"{self.counts['allocstall']} allocstalls"


def inflated(vm, parameters=""):
    """A newly loaded driver with the balloon at its target."""
    vm.balloon(SMALL * MIB)
    vm.load_ours(parameters)
    vm.wait_actual(SMALL * MIB)


@vm_test(lru=LRU_MODES, timeout=240, alone=True, matrix=True)
def test_survives(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        live(vm, LIVED)
        total = vm.meminfo()["MemTotal"]
        inflated(vm)
        with t.step("the program gets its memory"):
            assert vm.meminfo()["MemTotal"] == total
            run = Run(vm, "--verify")
            t.note(run)
            run.check(stalls=FEW_STALLS)
            assert vm.meminfo()["MemTotal"] == total
        with t.step("the host knows, and the books balance"):
            settle(vm)
            check_books(vm)
        with t.step("one line in the log for each episode"):
            wait_for(vm, lambda: dmesg(vm, RELIEF_LINE), "a line about the relief", 10)
            episodes, lines = vm.pressure("relief_episodes"), dmesg(vm, RELIEF_LINE)
            assert len(lines) == episodes <= 2, (episodes, lines)


@vm_test(either=True, timeout=240)
def test_slowly(t):
    """A program that grows for twenty seconds is one episode, and one line in the log."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        live(vm, LIVED)
        inflated(vm)
        run = Run(vm, "--rate 70")
        t.note(run)
        run.check(stalls=FEW_STALLS)
        wait_for(vm, lambda: dmesg(vm, RELIEF_LINE), "a line about the relief", 20)
        time.sleep(2)
        lines = dmesg(vm, RELIEF_LINE)
        assert len(lines) == vm.pressure("relief_episodes") == 1, lines


@vm_test(either=True, lru=LRU_MODES, timeout=240)
def test_without(t):
    """Each sensor off in turn, and all of them."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        live(vm, LIVED)
        for off, silent in (("vmpressure_hook=none", "vmpressure_events"), ("kswapd=0", "kswapd_wakeups"),
                            ("direct=0", "relief_pool_pages"), ("shrinker=0", "relief_shrinker_pages"),
                            ("sampler=0", "relief_refault_pages")):
            with t.step(f"without a sensor: {off}"):
                inflated(vm, off)
                run = Run(vm)
                t.note(run)
                run.check()
                seen = vm.pressure(silent)
                assert seen == 0, f"{silent}: {seen}"
            unload(vm)
        with t.step("with the OOM notifier alone"):
            inflated(vm, "vmpressure_hook=none kswapd=0 direct=0 shrinker=0 sampler=0")
            run = Run(vm)
            t.note(run)
            run.check()
            # Once it has told, the driver's own work may go ahead of the next.
            given = vm.pressure("relief_shrinker_pages", "relief_refault_pages", "relief_oom_pages", "vmpressure_events", "kswapd_wakeups")
            assert given.pop("relief_oom_pages") > 0 and not any(given.values()), given


@vm_test(either=True, lru=LRU_MODES, timeout=240, alone=True)
def test_swap(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(1024,)) as vm:
        live(vm, LIVED)
        with t.step("rather than swap"):
            vm.run("mkswap /dev/vda && swapon /dev/vda")
            inflated(vm)
            run = Run(vm)
            t.note(run)
            run.check()
            assert run.counts["pswpout"] <= FEW_SWAPPED, f"{run.counts['pswpout']} pages swapped out"


@vm_test(either="6.12", patched=True, timeout=120)
def test_cache_of_swap(t):
    """Nor where there is page cache that makes memory look available when kswapd wakes: that of the swap, which has just been written."""
    for qemu, options in (("stock", "deflate-on-oom=on"), ("patched", "guest-pressure=on")):
        with t.step(qemu), t.boot(mem=GUEST, qemu=t.patched if qemu == "patched" else None, balloon=options, disks=(1024,)) as vm:
            vm.spawn("sleep 10000 </dev/vda")
            vm.run(f"dd if=/dev/zero of=/dev/vda bs=1M count={CACHED} && sync && mkswap /dev/vda && swapon /dev/vda")
            vm.load_ours()
            guest_mib(vm, LEFT)
            cached, before = vm.meminfo()["Buffers"] // MIB, vm.vmstat()
            assert cached >= CACHED, cached
            touched = vm.touch(BESIDE, "--quiet")
            swapped, given = (vm.vmstat() - before)["pswpout"], vm.pressure("relief_pages")
            t.note(f"{qemu}: {touched}, {given} pages given back, {swapped} swapped out")
            assert touched.outcome == "ok" and given > 0, (touched, given)
            assert swapped <= FEW_SWAPPED, f"{swapped} pages swapped out"


@vm_test(either=True, timeout=120)
def test_reinflates(t):
    """After relief the balloon stays small for the hold-off, then grows in steps until it has what the host asked for."""
    holdoff_ms = 3000
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        live(vm, LIVED)
        # Steps of a tenth of the guest, or the way back would take half a minute.
        inflated(vm, f"holdoff_ms={holdoff_ms} relief_step_pct=20")
        step = vm.meminfo()["MemTotal"] // PAGE // 10
        target = vm.pressure("balloon_target_pages")
        samples = []        # (guest's time before the look, pages, guest's time after it)

        def look():
            samples.append((vm.uptime_ms(), vm.pressure("balloon_pages"), vm.uptime_ms()))
            return samples[-1][1] == target
        load = vm.spawn(f"vbp-touch {LOAD} --quiet")
        wait_for(vm, lambda: not look(), "the balloon gives pages back")
        wait_for(vm, look, "the balloon is back at its target")
        assert vm.touched_of(load.wait()).outcome == "ok"
        t.note([(after, pages) for _, pages, after in samples][::5])

        smallest = min(pages for _, pages, _ in samples)
        bottom = next(i for i, sample in enumerate(samples) if sample[1] == smallest)
        with t.step("not before the hold-off has passed"):
            assert target - smallest > MUCH_GIVEN, samples[bottom]
            # The last relief came after the look before the one that found the balloon at its smallest.
            not_before = samples[bottom - 1][0] + holdoff_ms
            grown = next(after for _, pages, after in samples[bottom:] if pages > smallest)
            assert grown >= not_before, f"grew at {grown} ms, not before {not_before} was agreed"
        with t.step("in steps"):
            way_up = samples[bottom:]
            for i, (_, pages, after) in enumerate(way_up):
                # Within less than a second at most the rest of one step and the whole next one.
                soon = [more for before, more, _ in way_up[i:] if before < after + 900]
                assert all(0 <= more - pages <= 2 * step for more in soon), f"from {pages} to {soon} within a second"
            assert len({pages for _, pages, _ in way_up}) >= 3, way_up
        with t.step("the books balance"):
            check_books(vm)


@vm_test(either="6.12", timeout=240)
def test_handed_over(t):
    """What a job that has ended leaves free goes to the host soon after it asks for more, however long the hold-off still is."""
    with t.boot(mem=FINISHED, balloon="deflate-on-oom=on") as vm:
        vm.load_ours(f"holdoff_ms={HOLDOFF_MS}")
        guest_mib(vm, FINISHED // 4)
        touched, given = vm.touch(FINISHED * 3 // 4, "--quiet"), vm.pressure("relief_pages")
        assert touched.outcome == "ok" and given > FINISHED // 4 * MIB // PAGE, (touched, given)
        with t.step("handed over in time"):
            start, lacking = vm.uptime_ms(), vm.actual() // MIB
            guest_mib(vm, FINISHED // 4 - 2, timeout=150)
            took = vm.uptime_ms() - start
            t.note(f"{given * PAGE // MIB} MiB given back; a guest of {lacking} MiB was small again after {took} ms")
        with t.step("the books balance"):
            check_books(vm)


@vm_test(kernels=("6.1",), module=False, oom_kills=1, timeout=120)
def test_without_us(t):
    """The same with the kernel's own driver: if that had no trouble, the tests above would show nothing."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        live(vm, LIVED)
        vm.load_in_tree()
        guest_mib(vm, SMALL)
        with t.step("thousands of stalls with deflate-on-oom"):
            before = vm.vmstat()
            touched, stalls = vm.touch(LOAD, "--quiet"), (vm.vmstat() - before)["allocstall"]
            t.note(f"{touched}, {stalls} allocstalls")
            assert touched.outcome == "ok" and stalls > 10 * FEW_STALLS, (touched, stalls)
    with t.boot(mem=GUEST, balloon="") as vm:
        vm.load_in_tree()
        guest_mib(vm, SMALL)
        with t.step("no memory without it"):
            assert vm.touch(LOAD, "--quiet").outcome in ("refused", "killed")
