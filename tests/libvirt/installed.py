# SPDX-License-Identifier: GPL-2.0-only
"""The emulator's packages (make qemu-deb), and a Debian of our own to install them into as the guide says."""

import contextlib
import pathlib
import re
import subprocess

from chroot import Chroot, base
from vbpvm.paths import TOP, HarnessError

DEBIANS, OURS = "/usr/bin/qemu-system-x86_64", "/usr/bin/qemu-system-x86_64-pressure"


def make(suite):
    """Builds the packages; returns their .changes file."""
    done = subprocess.run(["make", "--no-print-directory", "-C", str(TOP), "qemu-deb", f"SUITE={suite}"], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise HarnessError("the emulator's packages do not build (deb.sh's message is above)")
    return pathlib.Path(done.stdout.strip())


def typed(*words):
    """The guide's line with these words, for packages that are in /srv."""
    lines = re.findall(r"^\t(apt-get .*)$", (TOP / "Documentation/host-guide.rst").read_text(), re.M)
    line, = [line for line in lines if all(word in line for word in words)]
    return line.replace("./build/qemu-deb/", "/srv/")


@contextlib.contextmanager
def debian(suite):
    """A Debian with libvirt, AppArmor's parser and Debian's emulator."""
    folder, = base("libvirt", "host", suite)
    with Chroot(folder, f"libvirt-{suite}") as chroot:
        # As somebody would answer.
        (chroot.path / "etc/apt/apt.conf.d/yes").write_text('APT::Get::Assume-Yes "true";\n')
        yield chroot


@contextlib.contextmanager
def with_ours(suite):
    """The same, with our emulator beside Debian's."""
    packages = sorted(make(suite).parent.glob("*.deb"))
    with debian(suite) as chroot:
        chroot.put(*packages)
        chroot.run(typed("install", "/*.deb"))
        yield chroot
