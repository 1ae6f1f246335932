# SPDX-License-Identifier: GPL-2.0-only
"""The emulator's packages (make qemu-deb) beside Debian's own, on a Debian with libvirt and AppArmor's parser."""

import json
import pathlib
import re
import subprocess

from chroot import ENTER, ENVIRONMENT
from host import Host
from installed import DEBIANS, OURS, debian, make, typed, with_ours
from vbpvm.paths import TOP

NAME = "qemu-pressure"
NAMES = [NAME, f"{NAME}-block-extra", f"{NAME}-gui"]
MODULES = f"/usr/lib/x86_64-linux-gnu/{NAME}/qemu"
# What each prints is what it can do.
LISTS = ("-accel help", "-audio help", "-chardev help", "-cpu help", "-device help", "-display help", "-drive format=help", "-machine help",
         "-netdev help", "-object help", "-tpmdev help", "-vga help", "-help")
# What has modules that no list loads: those of displays are loaded whether or not there is one.
WITH_MODULES = ("-accel tcg",
                *(f"-audiodev {driver},id=sound" for driver in ("alsa", "dbus", "jack", "oss", "pa", "pipewire", "sdl", "sndio", "spice")),
                *(f"-display {kind}" for kind in ("curses", "dbus", "egl-headless", "gtk", "sdl", "spice-app")),
                *(f"-drive if=none,driver={driver}" for driver in ("dmg,file.filename=/srv/questions", "gluster", "https", "io_uring", "iscsi",
                                                                   "nfs", "rbd", "ssh")))
# It starts, answers, and ends.
EMPTY = "-M none -nodefaults -qmp stdio </srv/questions"
QUESTIONS = '{"execute": "qmp_capabilities"}\n{"execute": "query-qmp-schema"}\n{"execute": "quit"}\n'
# One that runs while its packages are removed, and is then asked for a disk whose driver is a module.
RUNS_ON = f"""rm -f /tmp/questions; mkfifo /tmp/questions && exec 3<>/tmp/questions
{OURS} -M none -nodefaults -display none -qmp stdio </tmp/questions 3<&- &
echo '{{"execute": "qmp_capabilities"}}' >&3
sleep 1
apt-get remove -q '{NAME}*' >&2
echo '{{"execute": "blockdev-add", "arguments": {{"driver": "https", "node-name": "disk", "url": "https://localhost:1/"}}}}' >&3
echo '{{"execute": "quit"}}' >&3
wait"""
# Libvirt's rules for AppArmor, what the administrator adds to them, and a profile for one guest as libvirt makes it.
LIBVIRTS, ADMINS = "etc/apparmor.d/abstractions/libvirt-qemu", "etc/apparmor.d/local/abstractions/libvirt-qemu"
RULE = "/usr/bin/qemu-system-x86_64-pressure rmix,"
PROFILE = "#include <tunables/global>\nprofile libvirt-guest flags=(attach_disconnected) {\n  #include <abstractions/libvirt-qemu>\n}\n"
# A guest as virt-install makes it, but for KVM and a disk.
GUEST = """<domain type='qemu'>
  <name>guest</name>
  <memory unit='MiB'>512</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><boot dev='hd'/></os>
  <features><acpi/><apic/></features>
  <devices>
    <emulator>{}</emulator>
    <controller type='usb' model='qemu-xhci' ports='15'/>
    <console type='pty'/>
    <channel type='unix'><source mode='bind'/><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <channel type='spicevmc'><target type='virtio' name='com.redhat.spice.0'/></channel>
    <input type='tablet' bus='usb'/>
    <graphics type='spice' autoport='yes'/>
    <graphics type='vnc' autoport='yes'/>
    <sound model='ich9'/>
    <video><model type='qxl'/></video>
    <redirdev bus='usb' type='spicevmc'/>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio' autodeflate='on'/>
  </devices>
</domain>
"""


def lintian(changes, suite):
    """What that of the suite that the packages are for says."""
    root = subprocess.run([str(TOP / "qemu/root.sh"), suite], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    done = subprocess.run([ENTER, "--bind", str(changes.parent), root, "lintian", "--allow-root", "--display-info", "--pedantic",
                           f"/mnt/{changes.name}"], env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode in (0, 2), done.stdout + done.stderr
    return re.findall(r"^[EWIPX]: .*", done.stdout, re.M)


def status(chroot):
    """What dpkg knows of them."""
    said = chroot.run(f"dpkg-query -W -f '${{Package}} ${{db:Status-Status}}\\n' '{NAME}*' 2>/dev/null", check=False).stdout
    return dict(line.split() for line in said.splitlines() if not line.endswith("not-installed"))


def says(chroot, program, arguments):
    """All that it prints; what it leaves in its home is not the package's."""
    return chroot.run(f"HOME=/tmp timeout 30 {program} {arguments}", check=False).stdout


def features(chroot, program):
    """All that it says that it can do. Hints at packages name other packages, also for modules that nobody has."""
    found = set()
    for arguments in LISTS:
        said = says(chroot, program, arguments).replace(program, "QEMU").replace(pathlib.Path(program).name, "QEMU")
        found.update(f"{arguments}: {line}" for line in said.splitlines()
                     if not line.startswith(("QEMU emulator version", "qemu: module ")))
    for line in says(chroot, program, f"-display none {EMPTY}").splitlines():
        known = json.loads(line).get("return") if line.startswith("{") else None
        found.update(f"QMP: {entry['meta-type']} {entry['name']}" for entry in known or () if entry["meta-type"] in ("command", "event"))
    return found


def loaded(chroot):
    """The modules that it loads, in all, and what it says besides."""
    said = ""
    for arguments in ("-device help", *WITH_MODULES):
        display = "" if "-display" in arguments else "-display none"
        said += says(chroot, OURS, f"-trace module_load_module {display} {arguments} {EMPTY}")
    return {str(pathlib.Path(name.replace("/bin/..", ""))) for name in re.findall(r"module_load_module file (\S+)", said)}, said


def _packages(t, suite):
    """Installed beside Debian's own, and removed."""
    changes = make(suite)
    with t.step("make qemu-deb leaves three packages, and lintian has nothing to say"):
        packages = sorted(changes.parent.glob("*.deb"))
        assert sorted(package.name.split("_")[0] for package in packages) == NAMES, packages
        assert not lintian(changes, suite), lintian(changes, suite)
    # Debian 12's libvirt reads nothing but the administrator's file.
    needed = suite == "bookworm"
    with debian(suite) as chroot:
        (chroot.path / ADMINS).parent.mkdir(parents=True, exist_ok=True)
        (chroot.path / ADMINS).write_text("# mine\n")
        (chroot.path / "srv/questions").write_text(QUESTIONS)
        before, verified = chroot.files(), chroot.out("dpkg --verify")
        chroot.put(*packages)
        with t.step("the first package installs beside Debian's, and does without the others"):
            chroot.run(typed("install", f"{NAME}_*.deb"))
            assert status(chroot) == {NAME: "installed"}, status(chroot)
            # Debian 13's QEMU no longer says where it is to be had.
            hint = "qemu-pressure-gui package" if needed else "Display 'gtk' is not available"
            assert hint in says(chroot, OURS, "-display gtk"), says(chroot, OURS, "-display gtk")
        with t.step("so do all three"):
            chroot.run(typed("install", "/*.deb"))
            assert status(chroot) == dict.fromkeys(NAMES, "installed"), status(chroot)
        with t.step("it has the property, and Debian's has not"):
            has = {program: "guest-pressure=" in says(chroot, program, "-device virtio-balloon-pci,help") for program in (OURS, DEBIANS)}
            assert has == {OURS: True, DEBIANS: False}, has
        with t.step("it can do what Debian's can, and what the series adds"):
            debians, ours = features(chroot, DEBIANS), features(chroot, OURS)
            assert len(debians) > 1000, len(debians)
            lost, new = debians - ours, ours - debians
            assert not lost, f"{len(lost)}: {sorted(lost)[:8]}"
            assert new and all("balloon" in line.lower() for line in new), sorted(new)[:8]
        with t.step("it loads each of its modules, and no other"):
            names, said = loaded(chroot)
            there = {f"{MODULES}/{path.name}" for path in (chroot.path / MODULES[1:]).iterdir()}
            # For a machine of another architecture, which Debian has in the same place.
            assert names == there - {f"{MODULES}/hw-s390x-virtio-gpu-ccw.so"}, f"{sorted(names ^ there)}: {said[-600:]}"
        with t.step("AppArmor's rules for libvirt's guests allow it, once"):
            (chroot.path / "srv/profile").write_text(PROFILE)
            chroot.run("apparmor_parser -Q -K /srv/profile")
            rules = chroot.out("apparmor_parser -p /srv/profile")
            assert rules.count(RULE) == 1, rules.count(RULE)
        with t.step("installed again over itself, the same"):
            chroot.run(typed("install", "/*.deb").replace("install", "install --reinstall"))
            assert chroot.out("apparmor_parser -p /srv/profile").count(RULE) == 1
            assert (chroot.path / ADMINS).read_text().count(NAME) == needed, (chroot.path / ADMINS).read_text()
        with t.step("removed, AppArmor's rules are as they were, with what the administrator added"):
            chroot.run(f"apt-get remove {NAME}")
            assert (chroot.path / ADMINS).read_text() == "# mine\n", (chroot.path / ADMINS).read_text()
            chroot.run("apparmor_parser -Q -K /srv/profile")
        with t.step("purged, nothing is left behind, and Debian's is whole"):
            chroot.run(typed("purge"))
            assert not status(chroot), status(chroot)
            left = chroot.left(before)
            assert not left, left
            assert chroot.out("dpkg --verify") == verified, chroot.out("dpkg --verify")
            assert "-device" in says(chroot, DEBIANS, "-help"), "Debian's does not start"
        with t.step("where libvirt is not, the file that it has made goes with it"):
            (chroot.path / ADMINS).unlink()
            (chroot.path / LIBVIRTS).rename(chroot.path / "srv/libvirts")
            chroot.run(typed("install", f"{NAME}_*.deb"))
            assert (chroot.path / ADMINS).read_text().count(NAME) == 1, (chroot.path / ADMINS).read_text()
            chroot.run(typed("purge"))
            assert not (chroot.path / ADMINS).exists()
        with t.step("a guest that runs on when they are removed has its modules still"):
            # Without Debian's folder for them they are gone.
            for command, answer in ((":", "Unknown driver"), ("mkdir /run/qemu", "curl driver does not support writes")):
                chroot.run(typed("install", "/*.deb"))
                said = chroot.out(f"{command}; {RUNS_ON}")
                assert "installed" not in status(chroot).values(), status(chroot)
                assert answer in said, said[-600:]


def _libvirt(t, suite):
    """libvirtd, with both emulators."""
    with with_ours(suite) as chroot:
        with Host("emulator", chroot.path) as host:
            with t.step("libvirt finds the same in it as in Debian's"):
                said = {program: host.virsh("domcapabilities", f"--emulatorbin={program}").replace(f"{program}<", "<")
                        for program in (OURS, DEBIANS)}
                assert said[OURS] == said[DEBIANS], said
            for program in (DEBIANS, OURS):
                with t.step(f"a guest as virt-install makes it starts on {program}"):
                    (host.shared / "guest.xml").write_text(GUEST.format(program))
                    host.virsh("create", "/srv/guest.xml")
                    assert host.virsh("domstate", "guest") == "running", host.virsh("domstate", "guest")
                    assert f"{program}\0" in host.shell("cat /proc/$(cat /run/libvirt/qemu/guest.pid)/cmdline")
                    shown = host.virsh("domdisplay", "guest", "--all")
                    assert "spice://" in shown and "vnc://" in shown, shown
                    host.virsh("destroy", "guest")


def test_packages_12(t):
    _packages(t, "bookworm")


def test_packages_13(t):
    _packages(t, "trixie")


def test_libvirt_12(t):
    _libvirt(t, "bookworm")


def test_libvirt_13(t):
    _libvirt(t, "trixie")
