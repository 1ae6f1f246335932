# SPDX-License-Identifier: GPL-2.0-only
"""The harness itself, with the kernel's own driver as its subject: if these fail, do not believe the others."""

import hashlib
import time

from vbpvm import CommandFailed, CommandTimeout, GuestDied, MIB, VM
from vbpvm.runner import LRU_MODES, vm_test

DEFLATED, INFLATED = 1024 * MIB, 512 * MIB


@vm_test(module=False, lru=LRU_MODES, timeout=120)
def test_in_tree_driver(t):
    with t.boot(mem=1024, balloon="deflate-on-oom=on") as vm:
        with t.step("the LRU mode is as asked"):
            enabled = int(vm.read("/sys/kernel/mm/lru_gen/enabled"), 16)
            assert (enabled & 1) == (t.mode == "mglru"), f"lru_gen/enabled is {enabled:#x} in mode {t.mode}"
        with t.step("no balloon driver is loaded at boot"):
            assert vm.driver() is None, vm.driver()
        vm.load_in_tree()
        with t.step("inflates 512 MiB"):
            before = vm.meminfo()["MemTotal"]
            vm.balloon(INFLATED)
            t.note(f"inflated in {vm.wait_actual(INFLATED):.1f} s")
        # With deflate-on-oom the in-tree driver keeps MemTotal and takes free memory.
        with t.step("the guest has 512 MiB less"):
            now = vm.meminfo()
            assert now["MemTotal"] == before and now["MemFree"] < before - 500 * MIB, (before, now["MemFree"])
        with t.step("deflates"):
            vm.balloon(DEFLATED)
            vm.wait_actual(DEFLATED)


@vm_test(module=False, timeout=120, oom_kills=1, kernels=("6.1",))
def test_channel(t):
    """The control channel keeps its promises, also in a guest without memory."""
    with t.boot(mem=512, balloon=None) as vm:
        with t.step("exit status and output"):
            result = vm.run("echo out; echo err >&2; exit 3", check=False)
            assert result.rc == 3 and sorted(result.out.split()) == ["err", "out"], result
        with t.step("a failing command raises"):
            try:
                vm.run("false")
            except CommandFailed:
                pass
            else:
                raise AssertionError("vm.run('false') did not raise CommandFailed")
        with t.step("binary output of 1 MB arrives whole"):
            job = vm.spawn("head -c 1000000 /dev/urandom | tee /tmp/x; sha256sum /tmp/x >/tmp/sum")
            job.wait()
            assert hashlib.sha256(job.raw).hexdigest() == vm.read("/tmp/sum").split()[0]
            vm.run("rm /tmp/x")
        with t.step("files are written and read"):
            vm.write("/tmp/file", "some text\n")
            assert vm.read("/tmp/file") == "some text\n"
        with t.step("jobs run side by side and can be killed"):
            slow, fast = vm.spawn("echo begun; sleep 1000"), vm.spawn("echo done")
            slow.wait_line("begun")
            assert fast.wait().out == "done\n" and slow.running()
            slow.kill()
            assert slow.wait().rc == 137
        with t.step("lines come with the host's time"):
            job = vm.spawn("for i in 1 2 3; do echo $i; sleep 0.5; done")
            job.wait()
            times = [when for when, line in job.lines]
            assert len(times) == 3 and 0.9 < times[2] - times[0] < 3, job.lines
        with t.step("answers while the guest has no memory"):
            hog = vm.spawn("vbp-touch 360 --hold 1000 --quiet; echo gone")
            hog.wait_line("result ok")
            more = vm.spawn("vbp-touch 300 --rate 200 --quiet")      # the larger of the two is killed for it
            for _ in range(30):
                assert "MemAvailable" in vm.read("/proc/meminfo", timeout=10)
            hog.wait_line("gone")
            more.kill()
        with t.step("the console told of the OOM kill"):
            assert "Killed process" in vm.console.text()


@vm_test(module=False, timeout=60, kernels=("6.1",))
def test_bad_news(t):
    """What must not be overlooked is not."""
    with t.boot(mem=256) as vm:
        with t.step("a warning on the console is seen once"):
            vm.run("echo 'WARNING: made up for a test' >/dev/kmsg")
            vm.run("true")
            bad, kills = vm.console.check()
            assert len(bad) == 1 and "made up" in bad[0] and kills == 0, (bad, kills)
            assert vm.console.check() == ([], 0)
        with t.step("a warning that a kernel is known for is told from others like it"):
            warning = "WARNING: CPU: 0 PID: 1 at kernel/time/timekeeping.c:1 ktime_get_seconds+0x1/0x2"
            known = (warning, "Call Trace:", " crng_make_state+0x1/0x2", " syscore_resume+0x1/0x2")
            for lines, bad in ((known, 0), ((warning, "Call Trace:", " syscore_resume+0x1/0x2"), 2)):
                vm.run("".join(f"echo '{line}' >/dev/kmsg; " for line in lines))
                assert vm.console.check() == ([], 0), "before all of it is there"
                vm.run("echo '---[ end trace 0 ]---' >/dev/kmsg")
                vm.run("true")
                assert len(vm.console.check()[0]) == bad, lines
        with t.step("a command that takes too long is killed"):
            try:
                vm.run("sleep 1000", timeout=1)
            except CommandTimeout:
                assert vm.run("pidof sleep", check=False).rc, "it still runs"
            else:
                raise AssertionError("no CommandTimeout")
    with t.step("a guest that panics is noticed at once"):
        with VM(t.kernel, mem=256, name="panics") as vm:
            start = time.monotonic()
            try:
                vm.run("echo c >/proc/sysrq-trigger")
            except GuestDied:
                assert time.monotonic() - start < 30
                assert any("panic" in line for line in vm.console.check()[0])
            else:
                raise AssertionError("no GuestDied")
