# SPDX-License-Identifier: GPL-2.0-only
"""A day of a guest's life by the guest's own clock, which skips the time in which nothing but timers would run."""

from vbpvm import MIB, PAGE
from vbpvm.runner import vm_test

from helpers.common import check_books, dmesg, free_noise, free_pages, guest_mib, vmstat_folded

GUEST, SMALL, LOAD = 1024, 512, 700
HOURS = 24
SKIPS = {"smp": 1, "accel": "tcg,thread=single", "extra": ("-icount", "shift=2,sleep=off"), "boot_timeout": 240}


def state(vm):
    """What must not drift: free pages, the kernel's own memory in bytes, and lines in the log."""
    vmstat_folded(vm)
    own = vm.meminfo()
    return free_pages(vm), own["SUnreclaim"] + own["KernelStack"] + own["PageTables"], len(dmesg(vm, "."))


@vm_test(either=True, patched=True, full=True, timeout=900)
def test_day(t):
    """Each hour a program needs what is in the balloon, and ends."""
    with t.boot(mem=GUEST, balloon="guest-pressure=on", **SKIPS) as vm:
        vm.load_ours()
        start = vm.uptime_ms()
        guest_mib(vm, SMALL)
        states = []
        with t.step("the balloon gives and grows back, each hour"):
            for hour in range(HOURS):
                assert vm.touch(LOAD, "--quiet").outcome == "ok", hour
                vm.run("sleep 3590", timeout=300)
                assert vm.pressure("balloon_pages") == (GUEST - SMALL) * MIB // PAGE, (hour, vm.pressure())
                states.append(state(vm))
        hours = (vm.uptime_ms() - start) / 3600e3
        t.note(f"{hours:.1f} hours by the guest's clock; free pages, bytes of the kernel's, lines: {states[1]}, {states[-1]}")
        assert hours > HOURS - 1, hours
        with t.step("nothing has grown by the evening but the log, by a line or two an hour"):
            # The first hours fill what the kernel keeps for later.
            free, own, lines = (last - first for first, last in zip(states[1], states[-1]))
            assert abs(free) < free_noise(vm) and own < 2 * MIB, states
            assert lines <= 2 * HOURS, dmesg(vm, ".")[-20:]
        with t.step("the books balance, and nothing was killed or swapped"):
            check_books(vm)
            now = vm.vmstat()
            assert now["oom_kill"] == 0 and now["pswpout"] == 0, now
