# SPDX-License-Identifier: GPL-2.0-only
"""Loading, refusing to load, suspending, and leaving again: also in the wrong moment."""

import time

from vbpvm import MIB, PAGE, guestmodule, kernels
from vbpvm.runner import vm_test

from helpers import failures, watchers
from helpers.common import check_books, dmesg, free_pages, guest_mib, settle, unload, unplug, wait_for

GUEST, SMALL = 1024, 384
MODULE = "/lib/modules/$(uname -r)/extra/virtio_balloon_pressure.ko"
PARAMETERS = "/sys/module/virtio_balloon_pressure/parameters"
NOISE = 4 * MIB // PAGE

# name, what is accepted, what is not
RANGES = (
    ("reserve_pct", ("1", "50"), ("0", "51", "-1", "4294967306", "ten", "")),
    ("relief_step_pct", ("1", "50"), ("0", "51", "5%")),
    ("reserve_max_mib", ("64", "1048576"), ("63", "1048577", "4G")),
    ("relief_step_max_mib", ("2", "1048576"), ("1", "1048577", "-1")),
    ("holdoff_ms", ("2000", "3600000"), ("0", "1999", "3600001", "-1", "1s")),
)


@vm_test(either=True)
def test_parameters(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        for name, good, bad in RANGES:
            with t.step(f"{name} out of range keeps the module out, and the log says why"):
                for value in bad:
                    before = len(dmesg(vm, f"{name} must be a number from"))
                    failed = vm.run(f"insmod {MODULE} '{name}={value}'", check=False)
                    assert failed.rc, f"{name}={value} was accepted"
                    # insmod tries twice, in two ways.
                    assert len(dmesg(vm, f"{name} must be a number from")) > before, f"{name}={value}: nothing in the log"
                    assert vm.driver() is None
            with t.step(f"the ends of {name}'s range are accepted"):
                for value in good:
                    vm.load_ours(f"{name}={value}")
                    assert vm.read(f"{PARAMETERS}/{name}").strip() == value
                    unload(vm)
        vm.load_ours()
        with t.step("at run time, too, and a refused value changes nothing"):
            for name, good, bad in RANGES:
                for value in good:
                    vm.write(f"{PARAMETERS}/{name}", value)
                for value in bad:
                    assert vm.run(f"echo '{value}' >{PARAMETERS}/{name}", check=False).rc, f"{name}={value} was accepted"
                assert vm.read(f"{PARAMETERS}/{name}").strip() == good[-1]
        with t.step("switches take yes and no"):
            unload(vm)
            assert vm.run(f"insmod {MODULE} unilateral=perhaps", check=False).rc
            vm.load_ours("unilateral=1 vmpressure_hook=none kswapd=0 direct=0 shrinker=0")
            assert vm.pressure("vmpressure_hook") == "none"


@vm_test(either=True)
def test_company(t):
    """Without a device, with another driver, with another kernel's module: harmless, and one line says so."""
    # Any address makes a crash kernel of it, if one whose attempt to show the crashed one's memory fails.
    with t.boot(mem=256, balloon="deflate-on-oom=on", append="elfcorehdr=0x1000000") as vm:
        with t.step("a crash kernel has no memory to spare"):
            vm.balloon(128 * MIB)
            vm.run("modprobe virtio_balloon_pressure")
            assert dmesg(vm, "left alone in a crash kernel") and vm.driver() is None
            time.sleep(0.5)
            assert vm.actual() == vm.mem_bytes
            unload(vm)
        unplug(vm)
        with t.step("no balloon device"):
            before = len(dmesg(vm, "no balloon device here"))
            vm.run("modprobe virtio_balloon_pressure")
            assert len(dmesg(vm, "no balloon device here")) == before + 1
            unload(vm)
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", files={
            "/other.ko": kernels.our_module("6.12" if t.series == "6.1" else "6.1")}) as vm:
        with t.step("the in-tree driver keeps its device"):
            vm.load_in_tree()
            guest_mib(vm, SMALL)
            vm.run("modprobe virtio_balloon_pressure takeover=0")
            assert vm.driver() == "virtio_balloon", vm.driver()
            lines = dmesg(vm, "held by virtio_balloon; .* unload virtio_balloon or unbind")
            assert len(lines) == 1, lines
            assert vm.actual() == SMALL * MIB
        with t.step("and ours takes it once that one is gone"):
            vm.run("rmmod virtio_balloon; rmmod virtio_balloon_pressure")
            vm.load_ours()
            vm.wait_actual(SMALL * MIB)
            check_books(vm)
        with t.step("ours keeps its device from the in-tree driver"):
            vm.run("modprobe virtio_balloon")
            assert vm.driver() == "virtio_balloon_pressure", vm.driver()
            vm.run("rmmod virtio_balloon")
            assert vm.actual() == SMALL * MIB
        unload(vm)
        with t.step("another kernel's module is refused by the kernel"):
            assert vm.run("insmod /other.ko", check=False).rc
            assert dmesg(vm, "version magic|disagrees about version|section size must match"), "no reason in the log"
            assert vm.driver() is None


@vm_test(either=True, timeout=240, matrix=True)
def test_leaving(t):
    """Every page comes back, whatever the driver was at when it was told to leave."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on,free-page-reporting=on", disks=(300,)) as vm:
        vm.run("true")
        free = free_pages(vm)

        def whole():
            unload(vm)
            missing = free - free_pages(vm)
            assert missing < NOISE, f"{missing} pages are missing"
            assert vm.actual() == vm.mem_bytes, vm.actual()
        with t.step("while inflating"):
            for delay in (0, 0.05, 0.2, 0.4):
                vm.load_ours()
                vm.balloon(SMALL * MIB)
                time.sleep(delay)
                whole()
        with t.step("while deflating"):
            for _ in range(3):
                vm.load_ours()
                guest_mib(vm, SMALL)
                vm.balloon(GUEST * MIB)
                whole()
        with t.step("while a load is being relieved"):
            for number in range(5):
                vm.load_ours()
                guest_mib(vm, SMALL)
                load = vm.spawn("vbp-touch 700 --quiet")
                time.sleep(0.2 * number)
                unload(vm)
                touched = vm.touched_of(load.wait())
                assert touched.outcome == "ok", touched
            assert free - free_pages(vm) < NOISE
        with t.step("twenty times, under loads that do not end"):
            vm.balloon(SMALL * MIB)
            load = vm.spawn("while vbp-touch 500 --quiet --verify; do :; done")
            reader = vm.spawn("while echo 1 >/proc/sys/vm/drop_caches; do vbp-readfile /dev/vda; done")
            for number in range(20):
                vm.run("modprobe virtio_balloon_pressure")
                time.sleep(number % 4 * 0.1)
                unload(vm)
            for job in (load, reader):
                results = [line for _, line in job.lines if "result" in line]
                assert job.running() and results and all("result ok" in line for line in results), job.out
                job.kill()
                job.wait()
            vm.write("/proc/sys/vm/drop_caches", "1")
            assert free - free_pages(vm) < NOISE


@vm_test(either=True, timeout=240, matrix=True)
def test_suspend(t):
    """Suspend to RAM of an inflated guest: no memory is lost, and the balloon comes back to what the host asks for."""
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on,free-page-reporting=on", sleeps=True) as vm:
        free = free_pages(vm)
        vm.load_ours()
        guest_mib(vm, SMALL)
        for _ in range(2):
            with t.step("sleeps and comes back inflated"):
                events = len(vm.qmp.events)
                job = vm.spawn("echo mem >/sys/power/state")
                vm.qmp.wait_event("SUSPEND", 30, since=events)
                vm.qmp.command("system_wakeup")
                assert job.wait(60).rc == 0, "the guest did not go to sleep"
                vm.wait_actual(SMALL * MIB)
                check_books(vm)
        with t.step("still gives memory back"):
            touched = vm.touch(700, "--quiet")
            assert touched.outcome == "ok", touched
            assert vm.pressure("relief_pages") > 0
        unload(vm)
        wait_for(vm, lambda: free - free_pages(vm) < NOISE, "all memory is free again", 10)


@vm_test(either=True)
def test_sleep_and_signs(t):
    """A target out of reach keeps nobody awake; and a sign of reclaim that comes too late to be looked at is not the last one."""
    # One CPU: a workqueue that is stuck on another may be passed by.
    with t.boot(mem=GUEST, smp=1, balloon="deflate-on-oom=on", sleeps=True, disks=(SMALL,),
                files={"/hungry.ko": guestmodule.build(t.kernel, "hungry")}) as vm:
        # Only the kprobe, and tasks that reclaim, give signs, and only the work looks at them.
        vm.load_ours("kswapd=0 shrinker=0 sampler=0 holdoff_ms=2000")
        power = f"{vm.virtio_device()}/power"
        vm.write(f"{power}/wakeup", "enabled")
        with t.step("awake until the host has what it asked for"):
            before = int(vm.read(f"{power}/wakeup_active_count"))
            vm.balloon(SMALL * MIB)
            vm.wait_actual(SMALL * MIB)
            wait_for(vm, lambda: vm.read(f"{power}/wakeup_active").strip() == "0", "the guest may sleep", 5)
            assert int(vm.read(f"{power}/wakeup_active_count")) > before
        with t.step("not while a target out of reach is tried again"):
            vm.balloon(MIB)
            settle(vm)
            assert vm.pressure("balloon_pages") < vm.pressure("balloon_target_pages")
            wait_for(vm, lambda: vm.read(f"{power}/wakeup_active").strip() == "0", "the guest may sleep", 8)
        with t.step("reclaim while it goes to sleep"):
            guest_mib(vm, SMALL)
            vm.spawn("sleep 10000 </dev/vda")
            vm.run("vbp-readfile /dev/vda", timeout=120)
            assert vm.meminfo()["MemFree"] < 100 * MIB
            vm.run(f"insmod /hungry.ko mib={vm.meminfo()['MemFree'] // MIB + 50}")
            stalls = vm.vmstat()["allocstall"]
            events = len(vm.qmp.events)
            job = vm.spawn("echo mem >/sys/power/state")
            vm.qmp.wait_event("SUSPEND", 30, since=events)
            vm.qmp.command("system_wakeup")
            assert job.wait(60).rc == 0, "the guest did not go to sleep"
            assert dmesg(vm, "hungry: took") and vm.vmstat()["allocstall"] > stalls
            vm.wait_actual(SMALL * MIB)
        with t.step("and the next sign is looked at"):
            # What was out of memory has put kswapd to rest, until somebody reclaims a page; without it there is no time for a work.
            vm.run("vbp-readfile /dev/vda", timeout=120)
            # No faster than a work can follow: what it gives back after the last resort has spoken says nothing.
            before = vm.pressure("relief_worker_pages", "relief_oom_pages")
            assert vm.touch(500, "--rate 25 --quiet").outcome == "ok"
            now = vm.pressure("relief_worker_pages", "relief_oom_pages")
            assert now["relief_worker_pages"] > before["relief_worker_pages"], (before, now)
            assert now["relief_oom_pages"] == before["relief_oom_pages"], (before, now)


@vm_test(kernels=(), debug=True, timeout=240)
def test_resume_fails(t):
    """A guest without memory for the queues does not get its balloon back when it wakes up."""
    def sleep():
        vm.run("echo devices >/sys/power/pm_test; echo mem >/sys/power/state", timeout=60)

    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", append=f"{watchers.APPEND} slab_nomerge suspend.pm_test_delay=1") as vm:
        failures.prepare(vm)
        vm.load_ours()
        for what in ("unloaded", "sleeps again"):
            with t.step(f"a failed resume, then {what}"):
                vm.balloon(SMALL * MIB)
                vm.wait_actual(SMALL * MIB, timeout=120)
                failures.begin(vm, 100, 100)
                sleep()
                failures.end(vm)
                assert dmesg(vm, r"virtio.*failed to resume.* -12"), "the resume did not fail"
                assert vm.pressure("balloon_pages") == 0
                if what == "unloaded":
                    unload(vm)
                    vm.load_ours()
        with t.step("the second time there is memory"):
            sleep()
            vm.wait_actual(SMALL * MIB, timeout=120)
            unload(vm)
