# SPDX-License-Identifier: GPL-2.0-only
"""
A guest with a balloon crashes, and the kernel that was loaded for that (kexec -p) starts in the little memory set aside for it,
with our module at hand and the device as the dead kernel left it. test_lifecycle and test_takeover only claim to be one (elfcorehdr=).
"""

import time

from vbpvm import MIB, initramfs
from vbpvm.runner import vm_test

from helpers.common import dmesg, guest_mib, unload

GUEST, RESERVED, SMALL, LESS = 768, 192, 512, 448
PARAMETERS = "console=ttyS0 quiet panic=-1 maxcpus=1 reset_devices"
STILL_S = 3


@vm_test(either=True)
def test_kexec(t):
    image = initramfs.build(t.kernel, t.module)
    files = {"/crashload": initramfs._compile("crashload"), "/crash-kernel": t.kernel.vmlinuz, "/crash-initrd": image}
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", append=f"crashkernel={RESERVED}M", files=files) as vm:
        vm.run(f"/crashload /crash-kernel /crash-initrd '{PARAMETERS}'")
        assert vm.read("/sys/kernel/kexec_crash_loaded").strip() == "1"
        vm.load_ours()
        guest_mib(vm, SMALL)
        with t.step("an inflated guest crashes, and the crash kernel starts"):
            vm.channel.ready = False            # until its agent says hello
            vm.spawn("echo c >/proc/sysrq-trigger")
            assert vm.channel.wait(lambda: vm.channel.ready, 90), vm.console.tail()
            # What the crash had to say; all after it counts again.
            bad, _ = vm.console.check()
            assert any("Kernel panic - not syncing: sysrq triggered crash" in line for line in bad), bad
            assert "elfcorehdr=" in vm.read("/proc/cmdline") and vm.run("test -s /proc/vmcore", check=False).rc == 0
            total = vm.meminfo()["MemTotal"]
            assert total < RESERVED * MIB, total
        with t.step("there our module leaves the device alone, whatever the host asks for"):
            vm.run("modprobe virtio_balloon_pressure")
            assert vm.driver() is None
            assert len(dmesg(vm, "left alone in a crash kernel")) == 1
            vm.balloon(LESS * MIB)
            time.sleep(STILL_S)
            assert vm.vmstat()["balloon_inflate"] == 0
            # The device remembers what the dead kernel had given.
            assert vm.actual() == SMALL * MIB, vm.actual()
            assert vm.meminfo()["MemTotal"] == total
        with t.step("and goes again"):
            unload(vm)
            assert vm.driver() is None
