# SPDX-License-Identifier: GPL-2.0-only
"""
Memory that is missed though it looks available: page cache that is read again, and what is swapped out. And the sensors that notice
it: whichever of them is missing, the others suffice.
"""

from vbpvm import MIB, PAGE
from vbpvm.runner import LRU_MODES, Skip, vm_test

from helpers.common import dmesg, guest_mib, settle, unload, wait_for
from helpers.trace import Trace

GUEST, SMALL = 768, 384
# The set fits without half of the balloon, and does not fit beside all of it; the other one never fits.
FILES, TOO_MANY = 400, 1100
ONCE = 600                  # to have the kernel reclaim
LOOPS = 4
MISSED = 20000              # pages: a set is being read that does not fit
SWAP_LOAD = 600
COLD, IN_USE = 60, 110
FEW_STALLS = 10             # a step of relief each
FEW_SWAPPED = 300           # pages; the in-tree driver swaps out nearly all that is lacking
FIRST_LOAD = 340            # what the first relief suffices for
ROUNDS = 20
SWAP = 512                  # MiB of it, before the disk that zswap is in front of
ZSWAP = "/sys/module/zswap/parameters"
SENSORS = ("vmpressure_hook=none", "kswapd=0", "direct=0", "shrinker=0", "sampler=0")
COUNTERS = ("workingset_refault_file", "workingset_refault_anon", "pgscan_kswapd", "pgscan_direct", "pswpout", "zswpout", "zswpwb",
            "allocstall", "oom_kill")
LRU_GEN = "/sys/kernel/debug/lru_gen"
KPROBES = "/sys/kernel/debug/kprobes/enabled"


def inflated(vm, parameters="", small=SMALL):
    vm.write("/proc/sys/vm/drop_caches", "1")
    vm.balloon(small * MIB)
    vm.load_ours(parameters)
    vm.wait_actual(small * MIB)


def swap_on_zram(vm):
    vm.run("modprobe zram num_devices=1 && echo 512M >/sys/block/zram0/disksize && mkswap /dev/zram0 && swapon /dev/zram0")


def swap_on_zswap(vm):
    """Before /dev/vdb. What it takes pswpout does not count."""
    if vm.run(f"test -d {ZSWAP}", check=False).rc or "zswpout" not in vm.vmstat():
        raise Skip(f"{vm.kernel} has no zswap, or does not count what it takes")
    vm.run(f"mkswap /dev/vdb && swapon /dev/vdb && echo Y >{ZSWAP}/enabled")


def grow_old(vm):
    """
    Memory that nobody touches becomes two generations old. MGLRU swaps nothing out that is younger, and nothing grows older as long as
    there is page cache to take. (Where nothing is swapped out, a balloon has nothing to grow into either.)
    """
    for _ in range(2):
        words = vm.read(LRU_GEN).split()        # memcg 1 /path node 0, then a line of four for each generation
        vm.write(LRU_GEN, f"+ {words[1]} {words[4]} {words[-4]} 200 1")


def counted(vm, before):
    """What the kernel has counted since."""
    since = vm.vmstat() - before
    return {name: since.get(name, 0) for name in COUNTERS}


def read(vm, mib, loops):
    """What the kernel counted meanwhile."""
    before = vm.vmstat()
    done = vm.run(f"vbp-readfile --loops {loops} --mib {mib} /dev/vda", timeout=150)
    assert "result ok" in done.out, done
    return counted(vm, before)


def touch(vm, mib, options):
    """The same of a program that survives."""
    before = vm.vmstat()
    touched = vm.touch(mib, f"--quiet {options}")
    assert touched.outcome == "ok", touched
    return counted(vm, before)


@vm_test(lru=LRU_MODES, timeout=240)
def test_cache(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(TOO_MANY,)) as vm:
        vm.spawn("sleep 10000 </dev/vda")
        inflated(vm)
        with t.step("a set of files that is read again gets memory"):
            first = read(vm, FILES, 1)
            evicted = first["pgscan_kswapd"] + first["pgscan_direct"]
            assert evicted > 50 * MIB // PAGE and vm.pressure("relief_pages") == 0, first
            again = read(vm, FILES, LOOPS - 1)
            t.note(f"evicted {evicted} pages, then {again}")
            # What has left must be read once more. In a guest that thrashes it is all of it, each time round.
            assert again["workingset_refault_file"] < 2 * evicted < (LOOPS - 1) * FILES * MIB // PAGE, (evicted, again)
            given = vm.pressure("relief_pages", "relief_refault_pages")
            assert given["relief_pages"] == given["relief_refault_pages"] > 0, given
        with t.step("no more than it needs"):
            held = settle(vm)
            calm = read(vm, FILES, 2)
            assert calm["workingset_refault_file"] == 0, calm
            assert vm.pressure("balloon_pages") == held > 0, held
            wait_for(vm, lambda: dmesg(vm, "gave back .*page cache was missed"), "a line about it", 10)
        unload(vm)
        with t.step("a set that never fits does not keep what it got"):
            inflated(vm, "holdoff_ms=2000 relief_step_pct=20")
            reader = vm.spawn(f"vbp-readfile --loops 60 --mib {TOO_MANY} /dev/vda")
            wait_for(vm, lambda: vm.pressure("relief_refault_pages") > 0, "something is tried", 60)
            wait_for(vm, lambda: vm.pressure("guest_pressure") == 0, "it is given up", 60)
            target = vm.pressure("balloon_target_pages")
            # Between two trials, whose distance doubles up to 32 s: on a slow machine the first ones are too short for it.
            wait_for(vm, lambda: vm.pressure("balloon_pages") == target, "it is taken back while the reading goes on", 120)
            assert reader.running()
            reader.kill()
            reader.wait()
        unload(vm)


@vm_test(either=True, lru=LRU_MODES, timeout=240)
def test_before(t):
    """A set that never fits, read before there is a balloon: it keeps no more than it kept of one that was there first."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(TOO_MANY,)) as vm:
        vm.spawn("sleep 10000 </dev/vda")
        vm.load_ours("holdoff_ms=2000")
        reader = vm.spawn(f"vbp-readfile --loops 200 --mib {TOO_MANY} /dev/vda")
        wait_for(vm, lambda: vm.vmstat()["workingset_refault_file"] > MISSED, "pages are missed", 60)
        # A step, a look whether more is missed, a step twice as large.
        guest_mib(vm, SMALL, timeout=120)
        assert reader.running()
        reader.kill()
        reader.wait()


@vm_test(kernels=("6.1",), timeout=300)
def test_sensors(t):
    """Each of them off in turn."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(FILES,)) as vm:
        vm.spawn("sleep 10000 </dev/vda")
        for off in SENSORS:
            with t.step(f"files, without {off}"):
                inflated(vm, off)
                counts = read(vm, FILES, LOOPS)
                t.note(counts)
                assert counts["workingset_refault_file"] < 2 * FILES * MIB // PAGE, counts
                assert vm.pressure("relief_refault_pages") > 0
            unload(vm)


@vm_test(either=True, lru=LRU_MODES, timeout=240)
def test_swap(t):
    """With swap the kernel need not kill. It shall not swap either while the balloon has memory."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        swap_on_zram(vm)
        for how, options in (("all at once", ""), ("slowly", "--rate 100")):
            with t.step(f"a program that needs more, {how}"):
                inflated(vm)
                counts = touch(vm, SWAP_LOAD, options)
                t.note(counts)
                assert counts["oom_kill"] == 0 and vm.pressure("relief_pages") > 0
                assert counts["pswpout"] <= FEW_SWAPPED, f"{counts['pswpout']} pages swapped out"
                unload(vm)


def cold(t, vm, counter, mode):
    """Memory that nobody touches goes to swap, by the administrator's wish: that is no need."""
    vm.write("/proc/sys/vm/swappiness", "200")
    inflated(vm, "holdoff_ms=2000 reserve_pct=5")
    holder = vm.spawn(f"vbp-touch {COLD} --small --quiet --hold 1000")
    wait_for(vm, lambda: vm.meminfo()["AnonPages"] > COLD * MIB, "there is cold memory", 30)
    if mode == "mglru":
        grow_old(vm)
    with t.step("a program starts beside files that are in use"):
        read(vm, IN_USE, 3)
        before, free = vm.vmstat(), vm.meminfo()["MemFree"] // MIB
        vm.spawn(f"vbp-touch {free + IN_USE // 5} --small --quiet --hold 1000")
        wait_for(vm, lambda: vm.vmstat()[counter] - before[counter] > FEW_SWAPPED, "memory is swapped out", 30)
        settle(vm, seconds=2)
        t.note(counted(vm, before))
        assert vm.pressure("relief_pages", "guest_pressure") == {"relief_pages": 0, "guest_pressure": 0}
    with t.step("while the balloon grows"):
        vm.balloon((SMALL - COLD // 4) * MIB)
        vm.wait_actual((SMALL - COLD // 4) * MIB)
        assert vm.pressure("relief_pages", "guest_pressure") == {"relief_pages": 0, "guest_pressure": 0}
    assert holder.running()


@vm_test(either=True, lru=LRU_MODES, timeout=180)
def test_cold(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(ONCE,)) as vm:
        vm.spawn("sleep 10000 </dev/vda")
        swap_on_zram(vm)
        cold(t, vm, "pswpout", t.mode)


@vm_test(kernels=(), matrix=True, timeout=300)
def test_zswap(t):
    """The same of memory that is compressed before it would be swapped out."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(ONCE, SWAP)) as vm:
        vm.spawn("sleep 10000 </dev/vda")
        swap_on_zswap(vm)
        if t.mode == "mglru":
            vm.use_lru("classic")       # swaps out what is in use, too
        with t.step("a program that needs more"):
            inflated(vm)
            counts = touch(vm, vm.meminfo()["MemTotal"] // MIB * 3 // 4, "")
            t.note(counts)
            assert counts["oom_kill"] == 0 and vm.pressure("relief_pages") > 0
            assert counts["zswpout"] + counts["pswpout"] <= FEW_SWAPPED, counts
        unload(vm)
        cold(t, vm, "zswpout", "classic")
        with t.step("what is cold is written to the disk, once zswap may keep less"):
            if "zswpwb" not in vm.vmstat():
                raise Skip(f"{vm.kernel} does not count it, so the driver takes it for what is missed")
            before, free = vm.vmstat(), vm.meminfo()["MemFree"] // MIB
            vm.write(f"{ZSWAP}/max_pool_percent", "0")
            vm.spawn(f"vbp-touch {free + IN_USE // 8} --small --quiet --hold 1000")
            wait_for(vm, lambda: vm.vmstat()["zswpwb"] - before["zswpwb"] > FEW_SWAPPED, "it is written", 30)
            settle(vm, seconds=2)
            counts = counted(vm, before)
            t.note(counts)
            assert counts["workingset_refault_anon"] > FEW_SWAPPED, "the kernel no longer takes it for what is missed"
            assert vm.pressure("relief_pages", "guest_pressure") == {"relief_pages": 0, "guest_pressure": 0}
            vm.write(f"{ZSWAP}/max_pool_percent", "20")
        vm.run("killall vbp-touch")
        unload(vm)
        with t.step("what is touched again and again gets memory"):
            inflated(vm, "holdoff_ms=2000 reserve_pct=5")
            read(vm, IN_USE, 3)
            mib = vm.meminfo()["MemFree"] // MIB + IN_USE // 5
            counts = touch(vm, mib, f"--small --loops {ROUNDS}")
            given = vm.pressure("relief_pages", "relief_refault_pages")
            t.note(f"{counts}, {given}")
            assert given["relief_pages"] == given["relief_refault_pages"] > 0, given
            assert counts["zswpout"] > counts["pswpout"], counts
            # Without, next to all of it, each time round.
            assert counts["workingset_refault_anon"] < ROUNDS * mib * MIB // PAGE // 4, counts
        unload(vm)


@vm_test(either=True, lru=LRU_MODES, timeout=120)
def test_no_helper(t):
    """Neither kswapd nor a work gets to run: what is needed comes before the task reclaims by itself."""
    with t.boot(mem=GUEST, smp=1, balloon="deflate-on-oom=on") as vm:
        swap_on_zram(vm)
        inflated(vm)
        vm.write("/proc/sys/kernel/sched_rt_runtime_us", "-1")
        with t.step("a task of real-time priority on the only CPU"):
            with Trace(vm) as trace:
                counts = touch(vm, FIRST_LOAD, "--fifo")
            given = trace.of("vbp_relief")
            assert given and given[0]["source"] == "kswapd", given
            assert counts["allocstall"] == counts["pswpout"] == 0, counts
        unload(vm)
        with t.step("it needs all that the balloon has: kswapd never sleeps, so nobody wakes it"):
            inflated(vm)
            counts = touch(vm, SWAP_LOAD, "--fifo")
            t.note(counts)
            # By the shrinker, unless the task has slept in reclaim and so let the work run.
            assert vm.pressure("relief_pages") > vm.pressure("relief_kswapd_pages") > 0
            assert counts["allocstall"] <= FEW_STALLS, counts["allocstall"]


@vm_test(kernels=(), debug=True)
def test_slow_to_free(t):
    """Where the kernel fills each page that is freed, no task may do it with preemption off."""
    with t.boot(mem=GUEST, smp=1, balloon="deflate-on-oom=on", append="page_poison=1") as vm:
        inflated(vm)
        counts = touch(vm, FIRST_LOAD, "")
        assert counts["oom_kill"] == 0 and vm.pressure("relief_pages") > 0
        assert vm.pressure("relief_kswapd_pages") == 0
        unload(vm)


@vm_test(kernels=("6.12",), lru=LRU_MODES, timeout=180)
def test_silent_hook(t):
    """A kprobe that the administrator has switched off, without a word to us."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(ONCE,)) as vm:
        vm.spawn("sleep 10000 </dev/vda")
        for mode, expected in (("auto", "kprobe"), ("kprobe", "kprobe"), ("tracepoint", "tracepoint"), ("none", "none")):
            with t.step(f"vmpressure_hook={mode}"):
                inflated(vm, f"vmpressure_hook={mode}")
                assert vm.pressure("vmpressure_hook") == expected, vm.pressure("vmpressure_hook")
                read(vm, ONCE, 1)
                assert (vm.pressure("vmpressure_events") > 0) == (expected != "none")
                assert vm.pressure("vmpressure_hook") == expected, "a hook that works was given up"
            unload(vm)
        with t.step("switched off: vmpressure_hook=auto goes over to the tracepoint"):
            inflated(vm)
            with Trace(vm) as trace:
                vm.write(KPROBES, "0")
                read(vm, ONCE, 1)
                wait_for(vm, lambda: vm.pressure("vmpressure_hook") == "tracepoint", "the fallback", 10)
            silent = trace.of("vbp_sensor_silent")
            assert len(silent) == 1 and silent[0]["scanned"] > 0, silent
            assert dmesg(vm, "kprobe on vmpressure is silent")
            seen = vm.pressure("vmpressure_events")
            vm.write("/proc/sys/vm/drop_caches", "1")
            read(vm, ONCE, 1)
            assert vm.pressure("vmpressure_events") > seen
        unload(vm)
        with t.step("vmpressure_hook=kprobe does as it is told"):
            inflated(vm, "vmpressure_hook=kprobe")
            read(vm, ONCE, 1)
            assert vm.pressure("vmpressure_hook") == "kprobe" and vm.pressure("vmpressure_events") == 0
        unload(vm)
        vm.write(KPROBES, "1")
