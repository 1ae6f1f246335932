# SPDX-License-Identifier: GPL-2.0-only
"""Free page hinting: what the host has stays with it, what it has returned is as good as free."""

import time

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.runner import vm_test

from helpers.common import free_pages, guest_mib, live, settle, unload, wait_for, zones

GUEST, SMALL, LIVED = 1024, 700, 800
BALLOON = "deflate-on-oom=on,free-page-hint=on,iothread=io0"
IOTHREAD = ("-object", "iothread,id=io0")
LATE = "/sys/module/late/parameters/"
NOISE = 16 * MIB // PAGE
# VBP_HINT_OUT blocks of 4 MiB: what a silent host can keep.
WITH_HOST = 16 * 4 * MIB // PAGE


def begin_migration(vm, mib_per_second):
    """Which asks for hints, and is not over before end_migration()."""
    vm.qmp.command("migrate-set-parameters", **{"max-bandwidth": mib_per_second * MIB})
    vm.qmp.command("migrate", uri="exec:cat >/dev/null")


def end_migration(vm):
    assert vm.qmp.command("query-migrate")["status"] == "active", "the migration was over too early"
    vm.qmp.command("migrate-set-parameters", **{"max-bandwidth": 2000 * MIB})
    wait_for(vm, lambda: vm.qmp.command("query-migrate")["status"] == "completed", "the migration completes", 60)
    vm.qmp.command("cont")


def allocated(vm):
    return sum(value for name, value in vm.vmstat().items() if name.startswith("pgalloc_"))


@vm_test(either=True)
def test_late(t):
    """A host that takes hints and does not return them: it may discard them at any time."""
    with t.boot(mem=GUEST, balloon=BALLOON, extra=IOTHREAD, files={"/late.ko": guestmodule.build(t.kernel, "late")}) as vm:
        live(vm, LIVED)
        vm.load_ours()
        vm.run("insmod /late.ko queue=hint")
        free = free_pages(vm)
        begin_migration(vm, 10)
        wait_for(vm, lambda: free - free_pages(vm) > WITH_HOST - NOISE, "the host has hints", 30)
        time.sleep(1)
        hinted = free - free_pages(vm)
        t.note(f"{hinted * PAGE // MIB} MiB are hinted")
        with t.step("it keeps only so much"):
            assert hinted < WITH_HOST + NOISE, hinted
        with t.step("and is waited for without haste"):
            before = allocated(vm)
            time.sleep(2)
            took = allocated(vm) - before
            assert took < 20000, f"{took} pages allocated by a guest that does nothing"
        with t.step("reclaim gets none of it"):
            for _ in range(2):
                vm.write("/proc/sys/vm/drop_caches", "2")
            left = free - free_pages(vm)
            assert left > hinted - NOISE, (left, hinted)
        with t.step("unloading gives it back after the reset, not before"):
            unload(vm)
            at_reset, now = int(vm.read(LATE + "free_at_reset")), zones(vm)["free"]
            assert now - at_reset > hinted - NOISE, (now, at_reset, hinted)
            assert free - free_pages(vm) < NOISE, (free, free_pages(vm))


@vm_test(either=True)
def test_available(t):
    """The balloon of a guest that migrates: hinted memory counts as available, and comes back first."""
    with t.boot(mem=GUEST, balloon=BALLOON, extra=IOTHREAD) as vm:
        live(vm, LIVED)
        vm.load_ours()
        guest_mib(vm, SMALL)
        settle(vm)
        free, available = free_pages(vm), vm.pressure("available_pages")
        begin_migration(vm, 5)
        with t.step("hinted memory is available"):
            wait_for(vm, lambda: free - free_pages(vm) > 300 * MIB // PAGE, "free memory is hinted", 30)
            now = vm.pressure("available_pages")
            t.note(f"available: {available} before, {now} while {free - free_pages(vm)} are hinted")
            assert now > available - WITH_HOST - NOISE, (available, now)
        with t.step("who needs it has it, and the balloon stays"):
            assert vm.touch(200, "--quiet").outcome == "ok"
            now = vm.pressure("relief_pages", "guest_pressure", "balloon_pages")
            assert now["relief_pages"] == 0 and now["balloon_pages"] == (GUEST - SMALL) * MIB // PAGE, now
        with t.step("all of it comes back in the end"):
            end_migration(vm)
            wait_for(vm, lambda: abs(free_pages(vm) - free) < NOISE, "all hinted memory is back", 20)
            unload(vm)
