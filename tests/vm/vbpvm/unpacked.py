# SPDX-License-Identifier: GPL-2.0-only
"""
What QEMU is given as the kernel. A distribution's file holds the kernel compressed; emulated, that takes the guest a second to
unpack, at each boot. So it is unpacked once, here: QEMU starts a bare kernel by the PVH entry point, if that has one.
"""

import hashlib
import os
import shutil
import struct
import subprocess
import threading

from . import paths

# First bytes of a payload -> who unpacks it. The size behind it, which is the kernel's own addition, may irritate the tool.
PACKERS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x02\x21\x4c\x18": "lz4", b"\xfd7zXZ": "xz", b"\x1f\x8b\x08": "gzip"}
KEEP = 6
_lock = threading.Lock()


def bootable(kernel):
    """The path to give to QEMU."""
    with _lock:
        return _unpacked(kernel) or kernel.vmlinuz


def _unpacked(kernel):
    """None if it cannot be had or could not be started; nothing is lost then but time."""
    if kernel.machine.foreign:
        return None
    data = kernel.vmlinuz.read_bytes()
    target = paths.BUILD / "vm/kernels" / hashlib.sha256(data).hexdigest()[:16]
    if not target.exists():
        payload = _payload(data)
        packer = next((tool for magic, tool in PACKERS.items() if payload.startswith(magic)), None)
        if not packer or not shutil.which(packer):
            return None
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(subprocess.run([packer, "-dc"], input=payload, capture_output=True).stdout)
        temporary.rename(target)
        paths.keep_newest(target.parent.iterdir(), KEEP)
    os.utime(target)
    return target if _has_pvh(target) else None


def _payload(data):
    """Of a bzImage, by the x86 boot protocol (since 2.08): where it is counts from the end of the real-mode code."""
    sectors, offset, length = data[0x1f1] or 4, *struct.unpack_from("<II", data, 0x248)
    start = (sectors + 1) * 512 + offset
    return data[start:start + length]


def _has_pvh(path):
    """The ELF note that says where: Xen's number 18. A file that is no kernel, or half of one, has none."""
    return "0x00000012" in subprocess.run(["readelf", "-nW", str(path)], capture_output=True, text=True).stdout
