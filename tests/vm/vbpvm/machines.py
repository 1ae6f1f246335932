# SPDX-License-Identifier: GPL-2.0-only
"""The machines that guests are: this one's, and arm64, emulated and built for by a cross compiler."""

import pathlib
import typing


class Machine(typing.NamedTuple):
    """
    cross      what the names of its compiler's tools begin with
    make       what kbuild must be told
    qemu       its QEMU program, and what makes that one of these machines
    append     tells its kernel where the console is, and init where the agent's port is, if not at ttyS1
    """
    name: str
    cross: str
    make: tuple
    qemu: str
    options: tuple
    append: str
    foreign: bool

    def busybox(self, vmlinuz):
        """A foreign one comes with the kernel."""
        return vmlinuz.parent / vmlinuz.name.replace("vmlinuz", "busybox", 1) if self.foreign else pathlib.Path("/bin/busybox")

    def port(self, chardev):
        """The agent's: a PCI device where the machine has no second port."""
        return ["-device", f"pci-serial,chardev={chardev}"] if self.foreign else ["-serial", f"chardev:{chardev}"]


# With RDRAND the kernel has its randomness before it starts a second CPU. Without, it rewrites its own code some seconds later, and on
# one of some thousand boots an emulated CPU ran the breakpoint that stood there for a moment ("Oops: int3", mix_interrupt_randomness).
AMD64 = Machine("amd64", "", (), "qemu-system-x86_64", ("-M", "pc", "-cpu", "qemu64,+rdrand"), "console=ttyS0", False)
# Of the CPUs that know pages of 16 KiB the one that costs the least to emulate: newer ones sign pointers.
ARM64 = Machine("arm64", "aarch64-linux-gnu-", ("ARCH=arm64", "CROSS_COMPILE=aarch64-linux-gnu-"), "qemu-system-aarch64",
                ("-M", "virt", "-cpu", "cortex-a76"), "console=ttyAMA0 vbp_control=ttyS0", True)


def of(release):
    """By Debian's name of a kernel: 6.1.0-56-cloud-amd64, 6.12.117+deb12-arm64-16k."""
    return ARM64 if "arm64" in release.split("-") else AMD64
