# SPDX-License-Identifier: GPL-2.0-only
"""An installed guest with systemd and an initramfs, booted: who holds the balloon device, before, with and after the module."""

import copy
import re
import shutil
import subprocess

from vbpvm import GuestDied, MIB, VM, initramfs, kernels

from chroot import Chroot
from dkms import MODULE
from package import BINARY, told

IN_TREE = "virtio_balloon"
GUEST, SMALL = 1024, 600
DISK_MIB = 3072
BALLOON = "deflate-on-oom=on"
AGENT = """[Unit]
Description=what the tests talk to
[Service]
ExecStartPre=/bin/sh -c 'echo 1 > /sys/devices/system/cpu/cpu1/online'
ExecStart=/usr/local/sbin/vbp-agent /dev/ttyS1
Environment=HOME=/root
[Install]
WantedBy=multi-user.target
"""


class Guest(VM):
    """Boots the kernel and the initramfs that its own disk has, and that disk."""

    def __init__(self, disk, release, name, append="", mem=GUEST):
        kernel = copy.copy(kernels.get("6.1"))
        self._boot = disk.parent / "boot"
        self._boot.mkdir(exist_ok=True)
        for file in (f"vmlinuz-{release}", f"initrd.img-{release}"):
            (self._boot / file).unlink(missing_ok=True)
            subprocess.run(["debugfs", "-R", f"dump /boot/{file} {self._boot / file}", str(disk)], check=True, capture_output=True)
        kernel.vmlinuz, self._initrd = self._boot / f"vmlinuz-{release}", self._boot / f"initrd.img-{release}"
        super().__init__(kernel, mem=mem, balloon=BALLOON, disks=(disk,), append=f"root=/dev/vda rw {append}", name=name,
                         boot_timeout=300)

    def _with_files(self, image):
        return self._initrd

    def holder(self):
        """Who has the device, once all that starts at boot has started."""
        self.run("systemctl is-system-running --wait", timeout=300, check=False)
        self.run("udevadm settle", timeout=120)
        return self.driver()

    def leave(self, how):
        """Shuts down as an admin would; -no-reboot makes an end of either."""
        self.spawn(f"systemctl {how}")
        try:
            self._process.wait(200)
        except subprocess.TimeoutExpired as error:
            raise GuestDied(f"no end of {how} after 200 s: {self.console.tail()}") from error


def prepare(chroot):
    """What it takes to talk to the guest."""
    shutil.copy(initramfs._compile("agent"), chroot.path / "usr/local/sbin/vbp-agent")
    (chroot.path / "etc/systemd/system/vbp-agent.service").write_text(AGENT)
    chroot.run("systemctl enable vbp-agent.service; systemd-machine-id-setup")
    # The guest has to make its initramfs anew, under emulation.
    chroot.run("sed -i '$ a COMPRESSLEVEL=1' /etc/initramfs-tools/initramfs.conf")


def disk_of(chroot):
    disk = chroot.path.with_suffix(".raw")
    disk.unlink(missing_ok=True)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(chroot.path), str(disk), f"{DISK_MIB}M"], check=True,
                   stdout=subprocess.DEVNULL)
    return disk


def check_inflates(vm):
    vm.balloon(SMALL * MIB)
    vm.wait_actual(SMALL * MIB, timeout=120)
    vm.balloon(GUEST * MIB)
    vm.wait_actual(GUEST * MIB, timeout=120)


def check_console(vm):
    bad, kills = vm.console.check()
    assert not bad and not kills, f"{bad[:3]}, {kills} OOM kills; see {vm.dir}"


def set_options(chroot, **values):
    """Where the guide says that they go."""
    words = " ".join(f"{name}={value}" for name, value in values.items())
    (chroot.path / "etc/modprobe.d/virtio-balloon.conf").write_text(f"options {MODULE} {words}\n")


def options(vm, *names):
    return [int(vm.read(f"/sys/module/{MODULE}/parameters/{name}")) for name in names]


def log(vm, pattern):
    return [line for line in vm.run("dmesg").out.splitlines() if re.search(pattern, line)]


def test_package(t):
    """Without the package, with it, without it again."""
    with Chroot(t.original) as chroot:
        t.use(chroot)
        prepare(chroot)
        with t.step("a guest as it comes: the in-tree driver has the device"):
            with Guest(disk_of(chroot), t.now, "boot-before") as vm:
                assert vm.holder() == IN_TREE, vm.holder()
                vm.leave("poweroff")
        chroot.run(f"dpkg --install /srv/{BINARY}_{t.version}_all.deb")
        set_options(chroot, reserve_pct=15, holdoff_ms=60000)
        disk = disk_of(chroot)
    with Guest(disk, t.now, "boot-installed", f"{MODULE}.holdoff_ms=61000") as vm:
        with t.step("with the package this driver has it, from the start, and it works"):
            assert vm.holder() == MODULE, vm.holder()
            # First in line, not second: nothing was taken from anybody.
            assert not log(vm, "taken over|held by"), log(vm, "taken over|held by")
            assert IN_TREE in vm.run("lsmod").out.split(), "the in-tree driver was not loaded: that it was not first says nothing"
            check_inflates(vm)
        with t.step("its options are those of modprobe.d, and those of the kernel's command line go before"):
            assert options(vm, "reserve_pct", "holdoff_ms", "relief_step_pct") == [15, 61000, 5]
        with t.step("the package's test for a machine of its own"):
            result = vm.run("cd /srv/source && debian/tests/holds-the-device", check=False)
            assert result.rc == 0, result
            check_console(vm)
        with t.step("removed and purged in the guest, nothing is left but what is loaded"):
            said = vm.run(f"dpkg --purge {BINARY}", timeout=1200).out
            assert len(told(said)) == 1, said
            left = vm.run("find / -xdev -name '*virtio*balloon*pressure*' ! -path '/srv/*' ! -path '/tmp/*' ! -path '/var/log/*'").out
            assert not left, left
            assert vm.driver() == MODULE
        vm.leave("reboot")
    with Guest(disk, t.now, "boot-after") as vm:
        with t.step("after the next boot the in-tree driver has it again, and works"):
            assert vm.holder() == IN_TREE, vm.holder()
            assert MODULE not in vm.run("lsmod").out
            check_inflates(vm)
            check_console(vm)
        vm.leave("poweroff")
    disk.unlink()


def test_initramfs(t):
    """An initramfs that asks for the in-tree driver, with the package: both are in it, and the options that it was made with."""
    with Chroot(t.original) as chroot:
        t.use(chroot)
        prepare(chroot)
        chroot.run(f"dpkg --install /srv/{BINARY}_{t.version}_all.deb")
        set_options(chroot, reserve_pct=15)
        chroot.run(f"echo {IN_TREE} >>/etc/initramfs-tools/modules; update-initramfs -u -k {t.now}")
        set_options(chroot, reserve_pct=20)
        disk = disk_of(chroot)
    with Guest(disk, t.now, "boot-initramfs") as vm:
        with t.step("this driver is first there, too"):
            assert vm.holder() == MODULE, vm.holder()
            assert not log(vm, "taken over|held by"), log(vm, "taken over|held by")
            check_inflates(vm)
        with t.step("with the options that were copied into it"):
            assert options(vm, "reserve_pct") == [15]
            check_console(vm)
        vm.leave("poweroff")
    disk.unlink()


def test_takeover_alone(t):
    """DKMS without the package's modprobe.d, and an initramfs that loads the in-tree driver long before ours can be read."""
    with Chroot(t.original) as chroot:
        t.use(chroot)
        prepare(chroot)
        chroot.run("make -C /srv/source dkms-install")
        chroot.run(f"echo virtio_balloon >>/etc/initramfs-tools/modules; update-initramfs -u -k {t.now}")
        disk = disk_of(chroot)
    with Guest(disk, t.now, "boot-takeover") as vm:
        with t.step("a device that the initramfs gave to the in-tree driver is taken over at boot"):
            assert vm.holder() == MODULE, vm.holder()
            assert len(log(vm, f"taken over from {IN_TREE}")) == 1, log(vm, "virtio_balloon")
            check_inflates(vm)
            check_console(vm)
        vm.leave("poweroff")
    disk.unlink()
