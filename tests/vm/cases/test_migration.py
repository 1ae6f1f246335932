# SPDX-License-Identifier: GPL-2.0-only
"""Guests that move from one QEMU to another: between two that agree on the contract, and where one of them knows nothing of it."""

import time

from vbpvm import MIB, MigrationRefused, PAGE, qemus
from vbpvm.runner import Skip, vm_test

from helpers.common import check_books, guest_mib, live, settle, unload, wait_for
from helpers.contract import PRESSED, SWAP_MIB, Press, negotiated, report, swap_on, wait_pressed_at

GUEST, SMALL, LIVED, TOO_MUCH = 1024, 512, 800, 850


@vm_test(either=True, patched=True, timeout=240)
def test_pressed(t):
    """A guest that is inflated and lacks memory: what it said goes with it, what the host says is the new host's."""
    here, there = 640, 704
    with t.boot(mem=GUEST, balloon=f"guest-pressure=on,size-max={here}M,host-pressure-level=1", disks=(SWAP_MIB,)) as vm:
        swap_on(vm)
        vm.balloon(SMALL * MIB)
        # A quarter of it, for this host is short, is longer than what follows takes: calm, it keeps what it took until it has moved.
        vm.load_ours("holdoff_ms=300000")
        vm.wait_actual(SMALL * MIB)
        with Press(vm, TOO_MUCH) as press:
            before = wait_pressed_at(vm, here * MIB)
            vm.migrate(balloon=f"guest-pressure=on,size-max={there}M,host-pressure-level=2", timeout=120)
            arrived, now = time.monotonic(), report(vm)
            with t.step("what the guest said has come along"):
                t.note(now)
                assert now["negotiated"] and now["level"] in PRESSED and now["wanted"], (before, now)
                assert now["target"] == SMALL * MIB, now
            with t.step("floor and pressure are the new host's"):
                assert now["size-max"] == there * MIB and now["host-level"] == "medium", now
            with t.step("the guest hears of its lower floor and takes what it lacks"):
                wait_for(vm, lambda: vm.actual() == there * MIB, "the guest has what the new host allows", 20)
                t.note(f"{time.monotonic() - arrived:.2f} s")
                assert vm.pressure("balloon_floor_pages") == (GUEST - there) * MIB // PAGE
                wait_pressed_at(vm, there * MIB)
            with t.step("the program has not noticed"):
                assert press.running()
        with t.step("and back, calm"):
            wait_for(vm, lambda: report(vm)["level"] == "none", "a calm guest says so", 10)
            vm.migrate(balloon=f"guest-pressure=on,size-max={here}M", timeout=120)
            now = report(vm)
            assert now["level"] == "none" and now["size-max"] == here * MIB and now["host-level"] == "none", now
            # Larger than this host would have let it become: that is no reason to take anything away.
            assert now["actual"] == there * MIB, now
            wait_for(vm, lambda: vm.pressure("balloon_floor_pages") == (GUEST - here) * MIB // PAGE, "the guest sees the floor", 5)
        with t.step("the books balance"):
            settle(vm)
            check_books(vm)
            unload(vm)


@vm_test(either=True, patched=True, timeout=180)
def test_moving_balloon(t):
    """While the balloon inflates and deflates: it arrives all the same, and no page is lost on the way."""
    with t.boot(mem=GUEST, balloon="guest-pressure=on") as vm:
        live(vm, LIVED)
        vm.load_ours()
        for size in (SMALL * MIB - 5 * PAGE, GUEST * MIB):
            with t.step(f"on the way to {size / MIB:.2f} MiB"):
                start = vm.actual()
                vm.balloon(size)
                wait_for(vm, lambda: vm.actual() != start, "the balloon moves", 10)
                vm.migrate()
                t.note(f"arrived with {vm.actual() / MIB:.1f} MiB")
                vm.wait_actual(size, timeout=30)
                check_books(vm)
        with t.step("all of the memory holds what is written to it"):
            assert vm.touch(LIVED, "--quiet", "--verify").outcome == "ok"


@vm_test(kernels=("6.1",), patched=True, timeout=300, full=True, ages=True)
def test_ages(t):
    """A guest moves on from one QEMU to the next younger one, on the oldest's machine, and remains what it was: ballooned, and elastic."""
    try:
        (oldest, program), *younger = qemus.ages()
    except qemus.NotHere as error:
        raise Skip(str(error)) from error
    limit = 576
    with t.boot(mem=GUEST, qemu=program, balloon=f"guest-pressure=on,size-max={limit}M", disks=(SWAP_MIB,),
                extra=("-machine", f"pc-q35-{oldest}")) as vm:
        swap_on(vm)
        # As in test_pressed: what it took it keeps until the last step.
        vm.load_ours("holdoff_ms=300000")
        guest_mib(vm, SMALL)
        with Press(vm, TOO_MUCH) as press:
            before = wait_pressed_at(vm, limit * MIB)
            for age, program in younger:
                limit += 64
                vm.migrate(qemu=program, balloon=f"guest-pressure=on,size-max={limit}M", timeout=120)
                now = report(vm)
                with t.step(f"in QEMU {age}: what both sides said has come along"):
                    assert version(vm) == age, version(vm)
                    assert now["negotiated"] and now["level"] in PRESSED and now["wanted"], (before, now)
                    assert now["target"] == SMALL * MIB and now["size-max"] == limit * MIB, now
                    assert vm.pressure("elastic") == 1
                with t.step(f"in QEMU {age}: the guest takes what it lacks"):
                    before = wait_pressed_at(vm, limit * MIB)
                    t.note(before)
            with t.step("the program has not noticed"):
                assert press.running()
        with t.step("and in the end all is as ever"):
            wait_for(vm, lambda: report(vm)["level"] == "none", "a calm guest says so", 10)
            vm.write("/sys/module/virtio_balloon_pressure/parameters/holdoff_ms", "2000")
            vm.wait_actual(SMALL * MIB, timeout=60)
            check_books(vm)
            guest_mib(vm, GUEST)
            assert vm.touch(LIVED, "--quiet", "--verify").outcome == "ok"
            check_books(vm)
            unload(vm)


def version(vm):
    now = vm.qmp.command("query-version")["qemu"]
    return f"{now['major']}.{now['minor']}"


@vm_test(kernels=("6.1",), patched=True, timeout=180)
def test_refused(t):
    """A guest that uses the feature cannot live without it: the destination says so, and the guest goes on where it was."""
    with t.boot(mem=GUEST, balloon="guest-pressure=on") as vm:
        guest_mib_with_ours(vm)
        with t.step("to the patched QEMU without guest-pressure"):
            said = refusal(vm, balloon="")
            t.note(said)
            assert "The guest uses VIRTIO_BALLOON_F_PRESSURE" in said, said
            still_well(vm)
        with t.step("to the usual QEMU"):
            said = refusal(vm, balloon="", qemu="qemu-system-x86_64")
            assert "unsupported" in said and "load of migration failed" in said, said
            still_well(vm)
        with t.step("to one that offers it"):
            vm.migrate()
            still_well(vm)


def guest_mib_with_ours(vm):
    vm.load_ours()
    assert negotiated(vm)
    guest_mib(vm, SMALL)


def refusal(vm, **there):
    try:
        vm.migrate(**there)
    except MigrationRefused as refused:
        return str(refused)
    raise AssertionError("it was taken")


def still_well(vm):
    """Also after a migration that failed when the guest had stopped already."""
    vm.qmp.command("cont")
    guest_mib(vm, 700)
    check_books(vm)
    guest_mib(vm, SMALL)
    check_books(vm)


def move_while_it_inflates(vm, **there):
    """Of a buffer that is on its way nothing stays behind: the old QEMU would not look at it again, and the guest wait for ever."""
    guest_mib(vm, 900)
    start = vm.actual()
    vm.balloon(SMALL * MIB)
    wait_for(vm, lambda: vm.actual() != start, "the balloon moves", 10)
    vm.migrate(timeout=120, **there)
    vm.wait_actual(SMALL * MIB, timeout=60)


@vm_test(kernels=("6.1",), patched=True, timeout=360)
def test_without(t):
    """Where the guest does not use the feature, or the host does not offer it, guests move to and from the usual QEMU."""
    usual = "qemu-system-x86_64"
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
        vm.load_ours()
        guest_mib(vm, SMALL)
        for name, qemu in (("to the usual QEMU", usual), ("and back", t.patched)):
            with t.step(f"our driver, not offered: {name}"):
                move_while_it_inflates(vm, qemu=qemu)
                still_well(vm)
        unload(vm)
        vm.load_in_tree()
        guest_mib(vm, SMALL)
        for name, qemu, options in (("to one that offers it", t.patched, "guest-pressure=on,deflate-on-oom=on"),
                                    ("to the usual QEMU", usual, "deflate-on-oom=on"),
                                    ("and back", t.patched, "guest-pressure=on,deflate-on-oom=on")):
            with t.step(f"the kernel's own driver: {name}"):
                move_while_it_inflates(vm, qemu=qemu, balloon=options)
                guest_mib(vm, 700)
                guest_mib(vm, SMALL)
        with t.step("a driver loaded afterwards uses what is offered now"):
            vm.run("rmmod virtio_balloon")
            vm.load_ours()
            assert negotiated(vm) and report(vm)["negotiated"]
            guest_mib(vm, 700)
            check_books(vm)
