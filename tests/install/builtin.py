# SPDX-License-Identifier: GPL-2.0-only
"""A kernel whose own balloon driver is no module, as Ubuntu's (kernel.sh): it has the device before anything can be loaded."""

from vbpvm import MIB, VM, kernels

from boot import check_console
from helpers.common import IN_TREE, check_books, dmesg, free_noise, free_pages, guest_mib, hand_back, unload
from dkms import MODULE

GUEST, SMALL, LOAD = 1024, 384, 700
BALLOON = "deflate-on-oom=on,free-page-reporting=on"
KEPT_OUT = "initcall_blacklist=virtio_balloon_driver_init"
PARAMETERS = f"/sys/module/{MODULE}/parameters"


def boot(append=""):
    kernel = kernels.get("builtin")
    assert IN_TREE in kernel.builtin(), f"{kernel} has no driver built in: this would test nothing"
    return VM(kernel, mem=GUEST, balloon=BALLOON, module=kernels.our_module("builtin"), append=append, name="builtin")


def test_takeover(t):
    """From the driver that is built in, at work, and back to it."""
    with boot() as vm:
        with t.step("the driver that is built in has the device, and inflates"):
            assert vm.driver() == IN_TREE, vm.driver()
            assert vm.run("lsmod").out.count("balloon") == 0
            guest_mib(vm, SMALL)
        with t.step("takeover=0 leaves it"):
            vm.run(f"modprobe {MODULE} takeover=0")
            assert vm.driver() == IN_TREE and vm.actual() == SMALL * MIB
            assert len(dmesg(vm, f"held by {IN_TREE}; to use {MODULE}")) == 1
            unload(vm)
            assert vm.driver() == IN_TREE and vm.actual() == SMALL * MIB
        guest_mib(vm, GUEST)
        free = free_pages(vm)
        guest_mib(vm, SMALL)
        with t.step("loaded as udev does, by the device's alias, ours takes it, and the balloon comes back"):
            vm.run(f"modprobe $(cat {vm.virtio_device()}/modalias)")
            assert vm.driver() == MODULE, vm.driver()
            assert len(dmesg(vm, f"taken over from {IN_TREE}")) == 1
            assert not dmesg(vm, "free page reporting is not available")
            vm.wait_actual(SMALL * MIB)
            check_books(vm)
        with t.step("and gives memory back"):
            touched = vm.touch(LOAD, "--quiet")
            assert touched.outcome == "ok", touched
            assert vm.pressure("relief_pages") > 0
            vm.write(f"{PARAMETERS}/holdoff_ms", "2000")
        with t.step("unloading hands it back, and the driver that is built in works"):
            hand_back(vm, SMALL, GUEST)
        with t.step("again and again, and every page comes back"):
            for _ in range(3):
                vm.run(f"modprobe {MODULE}")
                assert vm.driver() == MODULE
                unload(vm)
                assert vm.driver() == IN_TREE
            guest_mib(vm, SMALL)
            guest_mib(vm, GUEST)
            missing = free - free_pages(vm)
            assert missing < free_noise(vm), f"{missing} pages are missing"
        with t.step("the kernel has nothing to complain about"):
            vm.run("true")
            check_console(vm)


def test_kept_out(t):
    """The parameter that the guide names, for guests whose host cannot spare a moment of full size."""
    with boot(KEPT_OUT) as vm:
        with t.step("with initcall_blacklist nobody has the device at boot"):
            assert vm.driver() is None, vm.driver()
        with t.step("and ours need not take it from anybody"):
            vm.balloon(SMALL * MIB)
            vm.run(f"modprobe {MODULE}")
            assert vm.driver() == MODULE
            vm.wait_actual(SMALL * MIB)
            assert not dmesg(vm, "taken over")
            unload(vm)
            assert vm.driver() is None and vm.actual() == GUEST * MIB
            vm.run("true")
            check_console(vm)
