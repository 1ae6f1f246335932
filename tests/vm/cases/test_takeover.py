# SPDX-License-Identifier: GPL-2.0-only
"""Taking the device from the in-tree driver, and giving it back: with a balloon in it, without, in either order, and refused."""

import time

from vbpvm import MIB, guestmodule
from vbpvm.runner import vm_test

from helpers.common import (IN_TREE, POLL_S, add_device, check_books, dmesg, free_noise, free_pages, guest_mib, hand_back, unload,
                            unplug, wait_for)

GUEST, SMALL = 1024, 384
DEVICE = "deflate-on-oom=on,free-page-reporting=on"
PARAMETER = "/sys/module/virtio_balloon_pressure/parameters/takeover"
OURS = "virtio_balloon_pressure"


def watch(vm, command, timeout=30):
    """Runs it, and looks at the host's view of the guest until that is SMALL again; returns (most MiB, seconds it was more)."""
    start = time.monotonic()
    job = vm.spawn(command)
    most, since, until = vm.actual(), None, None
    while time.monotonic() - start < timeout * vm.channel.patience:
        now = vm.actual()
        most = max(most, now)
        if now > SMALL * MIB:
            since, until = since or time.monotonic(), None
        elif since and not until:
            until = time.monotonic()
        # It may come back in steps; what has been at rest for a second has come back.
        if not job.running() and until and time.monotonic() - until > 1:
            break
        time.sleep(POLL_S)
    result = job.wait(1)
    assert result.rc == 0, result
    assert until, f"the balloon is not back: {vm.actual() / MIB:.0f} MiB"
    return most / MIB, until - since


@vm_test(either=True, matrix=True)
def test_inflated(t):
    """From a driver that is at work, and back to it."""
    with t.boot(mem=GUEST, balloon=DEVICE) as vm:
        vm.run("true")
        free = free_pages(vm)
        vm.load_in_tree()
        guest_mib(vm, SMALL)
        with t.step("loading takes it, and the balloon comes back"):
            most, seconds = watch(vm, "modprobe virtio_balloon_pressure")
            t.note(f"the host saw {most:.0f} of {GUEST} MiB at most, and more than {SMALL} for {seconds:.1f} s")
            assert vm.driver() == OURS
            assert most <= GUEST
            assert len(dmesg(vm, f"taken over from {IN_TREE}")) == 1
            check_books(vm)
        with t.step("and it gives memory back, with free page reporting in its hands"):
            assert not dmesg(vm, "free page reporting is not available")
            touched = vm.touch(700, "--quiet")
            assert touched.outcome == "ok", touched
            assert vm.pressure("relief_pages") > 0
            vm.write("/sys/module/virtio_balloon_pressure/parameters/holdoff_ms", "2000")
        with t.step("unloading hands it back, and the in-tree driver works"):
            hand_back(vm, SMALL, GUEST)
        with t.step("again and again, and every page comes back"):
            for _ in range(3):
                vm.run("modprobe virtio_balloon_pressure")
                assert vm.driver() == OURS
                time.sleep(0.3)
                unload(vm)
                assert vm.driver() == IN_TREE
            guest_mib(vm, SMALL)
            vm.run("rmmod virtio_balloon")
            assert vm.driver() is None
            missing = free - free_pages(vm)
            assert missing < free_noise(vm), f"{missing} pages are missing"
            assert vm.actual() == vm.mem_bytes


@vm_test(either=True)
def test_order(t):
    """Nothing bound, the in-tree driver loaded later, the parameter off, a device that ours cannot use."""
    with t.boot(mem=GUEST, balloon=DEVICE, files={"/refuse.ko": guestmodule.build(t.kernel, "refuse")}) as vm:
        vm.balloon(SMALL * MIB)
        with t.step("with nothing bound there is nothing to take, or to hand back"):
            vm.load_ours()
            vm.wait_actual(SMALL * MIB)
            unload(vm)
            assert vm.driver() is None
            assert not dmesg(vm, "taken over|handed back")
        with t.step("the in-tree driver, loaded later, does not get it, but inherits it"):
            vm.load_ours()
            vm.run("modprobe virtio_balloon")
            assert vm.driver() == OURS
            vm.wait_actual(SMALL * MIB)
            check_books(vm)
            unload(vm)
            assert vm.driver() == IN_TREE
            vm.wait_actual(SMALL * MIB)
        with t.step("takeover=0 leaves it, and the log says what to do"):
            vm.run("modprobe virtio_balloon_pressure takeover=0")
            assert vm.driver() == IN_TREE
            assert vm.actual() == SMALL * MIB
            lines = dmesg(vm, f"held by {IN_TREE}; to use {OURS}, load it with takeover=1, or unload {IN_TREE} ")
            assert len(lines) == 1, lines
            assert not dmesg(vm, "taken over")
        with t.step("and unloading then leaves it, too"):
            unload(vm)
            assert vm.driver() == IN_TREE and vm.actual() == SMALL * MIB
        with t.step("switched off at run time, nothing is handed back"):
            vm.load_ours()
            vm.write(PARAMETER, "0")
            unload(vm)
            assert vm.driver() is None
            vm.run("rmmod virtio_balloon")
        with t.step("a device that ours cannot use stays with the in-tree driver"):
            vm.load_in_tree()
            vm.run("insmod /refuse.ko")
            vm.run("modprobe virtio_balloon_pressure")
            assert vm.driver() == IN_TREE
            assert dmesg(vm, "refuse: vbp_hint_init") and dmesg(vm, f"handed back to {IN_TREE}")
            vm.wait_actual(SMALL * MIB)
            unload(vm)
            assert vm.driver() == IN_TREE


@vm_test(kernels=("6.12",))
def test_gap(t):
    """
    Some kernels oops when the in-tree driver lets go of a device with a gap among its queues. This one is mended and only told to be
    such a one: the device stays where it is, and takeover=force has it. Ours leaves no gap, so it can always let go.
    """
    modules = {"/refuse.ko": guestmodule.build(t.kernel, "refuse"), "/queues.ko": guestmodule.build(t.kernel, "queues")}
    with t.boot(mem=GUEST, balloon=DEVICE, files=modules) as vm:
        vm.run("insmod /queues.ko")
        vm.load_in_tree()
        guest_mib(vm, SMALL)
        with t.step("the in-tree driver leaves a gap"):
            assert dmesg(vm, f"queues: {IN_TREE} passes 5 with a gap")
        vm.run("insmod /refuse.ko function=vbp_takeover_gap_oopses value=1")
        with t.step("its device is left to it, and the log says what to do"):
            vm.run("modprobe virtio_balloon_pressure")
            assert vm.driver() == IN_TREE and vm.actual() == SMALL * MIB
            lines = dmesg(vm, f"left to {IN_TREE}: this kernel would oops .*softdep {IN_TREE} pre: {OURS}.* takeover=force")
            assert len(lines) == 1 and not dmesg(vm, "taken over"), lines
            unload(vm)
            assert vm.driver() == IN_TREE
        with t.step("takeover=force takes it, and ours leaves no gap"):
            vm.run("modprobe virtio_balloon_pressure takeover=force")
            assert vm.driver() == OURS and vm.read(PARAMETER).strip() == "force"
            vm.wait_actual(SMALL * MIB)
            assert dmesg(vm, f"queues: {OURS} passes 4 without a gap"), dmesg(vm, "queues:")
            assert not dmesg(vm, "free page reporting is not available")
            unload(vm)
            assert vm.driver() == IN_TREE
        with t.step("a device without a gap is taken over as ever"):
            vm.balloon(GUEST * MIB)
            vm.wait_actual(GUEST * MIB)
            unplug(vm)
            add_device(vm, "deflate-on-oom=on")
            wait_for(vm, lambda: vm.driver() == IN_TREE, "the in-tree driver has the new device", 20)
            vm.run("modprobe virtio_balloon_pressure")
            assert vm.driver() == OURS
        with t.step("what is no mode is refused, and the log says which there are"):
            assert vm.run(f"echo perhaps >{PARAMETER}", check=False).rc
            assert dmesg(vm, "takeover must be Y, N or force, not .perhaps.")
            for written, shown in (("1", "Y"), ("N", "N"), ("force", "force"), ("0", "N"), ("y", "Y")):
                vm.write(PARAMETER, written)
                assert vm.read(PARAMETER).strip() == shown


@vm_test(kernels=("6.1",))
def test_crash_kernel(t):
    """There the in-tree driver keeps what it has: ours would not use it. That it inflates is why the guide says to keep it out."""
    with t.boot(mem=256, balloon=DEVICE, append="elfcorehdr=0x1000000") as vm:
        vm.load_in_tree()
        guest_mib(vm, 200)
        vm.run("modprobe virtio_balloon_pressure")
        assert vm.driver() == IN_TREE
        # No word of takeover=1, which would change nothing.
        assert len(dmesg(vm, f"left to {IN_TREE} in a crash kernel")) == 1 and not dmesg(vm, "takeover=")
        vm.run("rmmod virtio_balloon_pressure")
        assert vm.driver() == IN_TREE
