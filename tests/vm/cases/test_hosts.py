# SPDX-License-Identifier: GPL-2.0-only
"""What different hosts offer, and what the driver makes of it; free page reporting and hinting as hosts see them."""

import time

from vbpvm import MIB
from vbpvm.runner import vm_test

from helpers.common import check_books, dmesg, free_pages, guest_mib, plug, settle, unload, unplug, wait_for

GUEST, SMALL, LOAD, LIVED = 1024, 512, 700, 800
IOTHREAD = ("-object", "iothread,id=io0")
ALL = "deflate-on-oom=on,free-page-reporting=on,free-page-hint=on,iothread=io0"
# options of the device, parameters of the module, elastic
HOSTS = {
    "neither bit": ("", "", 0),
    "neither bit, unilateral=1": ("", "unilateral=1", 1),
    "deflate-on-oom": ("deflate-on-oom=on", "", 1),
    "reporting": ("free-page-reporting=on", "", 0),
    "hinting": ("free-page-hint=on,iothread=io0", "", 0),
    "all": (ALL, "", 1),
}
TRACING = "/sys/kernel/tracing"
BLOCK = 512             # pages
# Bits of the features file, from the left
HINT, POISON, REPORTING = 3, 4, 5


def negotiated(vm, bit):
    return vm.read(vm.virtio_device() + "/features")[bit] == "1"


@vm_test(either=True, timeout=240)
def test_offers(t):
    """One host after the other, each with what it offers: hot-plugged, so that one guest meets them all."""
    with t.boot(mem=GUEST, balloon=None, extra=IOTHREAD) as vm:
        for host, (options, parameters, elastic) in HOSTS.items():
            with t.step(host):
                vm.run(f"modprobe virtio_balloon_pressure {parameters}")
                plug(vm, options)
                assert vm.pressure("elastic") == elastic
                said = dmesg(vm, "virtio_balloon_pressure virtio")[-1]
                assert ("gives memory back under pressure" in said) == bool(elastic), said
                assert ("see parameter unilateral" in said) == (not elastic), said
                guest_mib(vm, SMALL)
                check_books(vm)
                touched, given = vm.touch(LOAD, "--quiet"), vm.pressure("relief_pages")
                # Without an elastic range the guest has become smaller, and promises no more than it has.
                assert touched.outcome == ("ok" if elastic else "refused"), touched
                assert bool(given) == bool(elastic), given
                guest_mib(vm, GUEST)
                check_books(vm)
            unplug(vm)
            unload(vm)


@vm_test(either=True, patched=True)
def test_queue_of_blocks(t):
    """Blocks are reported wherever the host takes reports, also beside guest-pressure."""
    hosts = {"guest-pressure and reports": ("guest-pressure=on,free-page-reporting=on", True),
             "reports": ("deflate-on-oom=on,free-page-reporting=on", True),
             "guest-pressure": ("guest-pressure=on", False)}
    with t.boot(mem=GUEST, balloon=None) as vm:
        vm.run("modprobe virtio_balloon_pressure")
        vm.run(f"mount -t tracefs none {TRACING}", check=False)
        vm.write(f"{TRACING}/kprobe_events", "p:reported virtio_balloon_pressure:vbp_reporting_inflate")
        vm.write(f"{TRACING}/events/kprobes/reported/enable", "1")

        def reported():
            return int(vm.read(f"{TRACING}/kprobe_profile").split()[1])
        for host, (options, reports) in hosts.items():
            with t.step(host):
                plug(vm, options)
                before = reported()
                guest_mib(vm, SMALL)
                blocks, count = vm.pressure("block_pages") // BLOCK, reported() - before
                t.note(f"{count} of {blocks} blocks reported")
                assert blocks > 100 and count == (blocks if reports else 0), (blocks, count)
                touched = vm.touch(LOAD, "--quiet", "--verify")
                assert touched.outcome == "ok" and vm.pressure("relief_pages") > 0, touched
                settle(vm)
                check_books(vm)
                guest_mib(vm, GUEST)
            unplug(vm)
        # Or the kernel would not let the module go.
        vm.write(f"{TRACING}/events/kprobes/reported/enable", "0")
        vm.write(f"{TRACING}/kprobe_events", "")


@vm_test(either=True)
def test_reporting(t):
    """What the guest frees is the host's again, without being asked for."""
    with t.boot(mem=GUEST, balloon="free-page-reporting=on") as vm, t.step("reported"):
        vm.load_ours()
        assert negotiated(vm, REPORTING) and not negotiated(vm, POISON)
        check_reports(vm)
    with t.boot(mem=GUEST, balloon="free-page-reporting=on", append="init_on_free=1") as vm:
        with t.step("reported, with init_on_free"):
            vm.load_ours()
            assert negotiated(vm, REPORTING) and negotiated(vm, POISON)
            check_reports(vm)
        unplug(vm)
        with t.step("not reported to a host that can't be told what free pages contain"):
            plug(vm, "free-page-reporting=on,page-poison=off")
            assert not negotiated(vm, REPORTING) and not negotiated(vm, POISON)
            high = touched_and_freed(vm)
            time.sleep(6)           # the kernel reports two seconds after pages were freed
            assert vm.host_bytes() > high - 50 * MIB, (vm.host_bytes(), high)


def touched_and_freed(vm):
    """Touches most of the memory and returns what the host then had to provide, at the least."""
    load = vm.spawn(f"vbp-touch {LIVED} --hold 1 --quiet")
    load.wait_line("result ok")
    high = vm.host_bytes()
    assert high > LIVED * MIB, high
    load.wait()
    return high


def check_reports(vm):
    high = touched_and_freed(vm)
    wait_for(vm, lambda: vm.host_bytes() < high - 500 * MIB, "the host has the memory back", 60)
    assert vm.touch(LIVED, "--quiet", "--verify").outcome == "ok"
    guest_mib(vm, SMALL)
    guest_mib(vm, GUEST)
    check_books(vm)


@vm_test(either=True)
def test_hinting(t):
    """A migration asks which pages are free; they are the guest's again if it needs them, and in the end anyway."""
    with t.boot(mem=GUEST, balloon=ALL, extra=IOTHREAD) as vm:
        vm.load_ours()
        assert negotiated(vm, HINT) and vm.touch(LIVED, "--quiet").outcome == "ok"
        free = free_pages(vm)
        vm.qmp.command("migrate-set-parameters", **{"max-bandwidth": 20 * MIB})
        vm.qmp.command("migrate", uri="exec:cat >/dev/null")
        with t.step("free memory is hinted"):
            wait_for(vm, lambda: free_pages(vm) < free - 400 * MIB // 4096, "free memory is in hints", 30)
        with t.step("the guest gets it back when it needs it"):
            before = vm.vmstat()
            assert vm.touch(LOAD, "--quiet", "--verify").outcome == "ok"
            assert (vm.vmstat() - before)["oom_kill"] == 0
            assert vm.qmp.command("query-migrate")["status"] == "active", "the migration was over too early"
        with t.step("and all of it in the end"):
            vm.qmp.command("migrate-set-parameters", **{"max-bandwidth": 2000 * MIB})
            wait_for(vm, lambda: vm.qmp.command("query-migrate")["status"] == "completed", "the migration completes", 60)
            vm.qmp.command("cont")
            wait_for(vm, lambda: abs(free_pages(vm) - free) < 4 * MIB // 4096, "all hinted memory is back", 20)
        with t.step("unloaded, nothing is missing"):
            unload(vm)
            assert abs(free_pages(vm) - free) < 4 * MIB // 4096, (free_pages(vm), free)
