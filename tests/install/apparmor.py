# SPDX-License-Identifier: GPL-2.0-only
"""AppArmor at work, which the machine that the tests run on need not have: in a booted Debian with libvirt and the emulator's packages."""

import json
import re

import boot
import guides
from guest import OVERRIDE
from installed import OURS, with_ours
from vbpvm import CommandFailed
from vbpvm.paths import TOP

RULES = "/etc/apparmor.d/abstractions/libvirt-qemu.d/qemu-pressure"
PSI = "/proc/pressure/memory"
# As the guide has them.
PROPERTIES = re.findall(r"^\s+(<qemu:property name='(?:guest-pressure|size-min|host-pressure)' .*/>)$",
                        (TOP / "Documentation/host-guide.rst").read_text(), re.M)
# MiB; a guest must not be larger.
HOST = 2560
# Started and paused, it has all its files open.
GUEST = f"""<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>guest</name>
  <memory unit='GiB'>2</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
  <features><acpi/></features>
  <devices>
    <emulator>{OURS}</emulator>
    <controller type='usb' model='none'/>
    <console type='pty'/>
    <graphics type='vnc' autoport='yes'/>
    <memballoon model='virtio'/>
  </devices>
  {OVERRIDE.format("".join(PROPERTIES))}
</domain>
"""


def _typed(vm, *words):
    """A recipe of the guide's."""
    return vm.run(guides.recipe(*words).replace("GUEST", "guest"), timeout=120).out


def _source(vm):
    """Where QEMU looks whether its host is short, as it says itself."""
    return json.loads(_typed(vm, "query-balloon-pressure"))["return"]["host"]


def _denied(vm):
    return [line for line in vm.run("dmesg").out.splitlines() if 'apparmor="DENIED"' in line]


def _apparmor(t, suite):
    with with_ours(suite) as chroot:
        boot.prepare(chroot)
        (chroot.path / "srv/guest.xml").write_text(GUEST)
        kernel, = (chroot.path / "boot").glob("vmlinuz-*")
        disk = boot.disk_of(chroot)
    with boot.Guest(disk, kernel.name.removeprefix("vmlinuz-"), f"apparmor-{suite}", mem=HOST) as vm:
        vm.run("systemctl is-system-running --wait", timeout=400, check=False)
        with t.step("libvirtd is there, and confined"):
            vm.run("virsh version", timeout=200)
            profiles = vm.read("/sys/kernel/security/apparmor/profiles")
            assert re.search(r"libvirtd \(enforce\)", profiles), profiles[:400]
        with t.step("a guest of our emulator is started, confined, and QEMU hears what its host's PSI file says"):
            vm.run("virsh create /srv/guest.xml --paused", timeout=300)
            profile = vm.run("cat /proc/$(cat /run/libvirt/qemu/guest.pid)/attr/current").out
            assert re.match(r"libvirt-\S+ \(enforce\)", profile), profile
            source = _source(vm)
            assert source["source"] == PSI and "failed" not in source, source
        with t.step("a PSI file that is handed over does, too"):
            _typed(vm, "--pass-fds", PSI)
            source = _source(vm)
            assert source["source"].startswith("/dev/fdset/") and "failed" not in source, source
        with t.step("AppArmor has denied nothing"):
            assert not _denied(vm), _denied(vm)[:4]
        with t.step("without the package's rules it denies all of that"):
            vm.run(f"virsh destroy guest && mv {RULES} /root", timeout=120)
            try:
                vm.run("virsh create /srv/guest.xml --paused", timeout=300)
            except CommandFailed as error:
                assert "ermission denied" in str(error), error
            else:
                raise AssertionError("it starts all the same")
            assert _denied(vm)
        boot.check_console(vm)
        vm.leave("poweroff")
    disk.unlink()


def test_apparmor_12(t):
    _apparmor(t, "bookworm")


def test_apparmor_13(t):
    _apparmor(t, "trixie")
