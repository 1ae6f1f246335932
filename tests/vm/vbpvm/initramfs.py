# SPDX-License-Identifier: GPL-2.0-only
"""Builds the guest's root: busybox, the agent, the guest programs, and the modules of its kernel that tests use."""

import hashlib
import lzma
import os
import pathlib
import shutil
import stat
import subprocess
import tempfile
import threading

from . import machines, paths

PROGRAMS = {"agent": "/bin/vbp-agent", "touch": "/bin/vbp-touch", "readfile": "/bin/vbp-readfile",
            "sampler": "/bin/vbp-sampler", "fragment": "/bin/vbp-fragment", "pageflags": "/bin/vbp-pageflags",
             "shifts": "/bin/vbp-shifts", "tables": "/bin/vbp-tables"}
# Loaded by init, where they are not built in: the transport and disks, so that a test can use both at once.
AT_BOOT = ("virtio_pci", "virtio_blk")
# There for `modprobe`. The compressor is what 6.1's zram asks the crypto API for by name.
ON_REQUEST = ("virtio_balloon", "virtio_console", "zram")
ON_REQUEST_IF_THERE = ("lzo_rle", "virtio_mem")
# Archives are small and their names are hashes: keep some, so that switching kernels rebuilds nothing.
KEEP = 12
_lock = threading.Lock()            # two guests that want the same one


def build(kernel, module=None):
    """Returns the path of an uncompressed cpio archive for this kernel, with our module in it if one is given."""
    with _lock:
        return _build(kernel, module)


def _build(kernel, module):
    programs = {target: _compile(name, kernel.machine) for name, target in PROGRAMS.items()}
    busybox = kernel.machine.busybox(kernel.vmlinuz)
    init = (paths.PROGRAMS / "init").read_bytes()
    digest = hashlib.sha256()
    for part in (kernel.key, AT_BOOT, ON_REQUEST, ON_REQUEST_IF_THERE):
        digest.update(repr(part).encode())
    for path in (busybox, *programs.values(), *([module] if module else []), pathlib.Path(__file__)):
        digest.update(path.read_bytes())
    digest.update(init)
    folder = paths.BUILD / "vm/initramfs"
    target = folder / f"{kernel.series}-{digest.hexdigest()[:16]}.cpio"
    if target.exists():
        os.utime(target)
        return target

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as staging:
        root = pathlib.Path(staging) / "root"
        _stage_modules(kernel, root, module)
        archive = Cpio()
        for name in ("bin", "dev", "etc", "etc/modprobe.d", "lib", "proc", "sys", "tmp"):
            archive.folder(name)
        archive.link("sbin", "bin")
        archive.link("bin/sh", "busybox")
        archive.file("bin/busybox", busybox.read_bytes(), 0o755)
        archive.device("dev/console", 5, 1)
        archive.file("init", init, 0o755)
        for place, path in programs.items():
            archive.file(place.lstrip("/"), path.read_bytes(), 0o755)
        builtin = kernel.builtin()
        # Guests here boot in two seconds and must not wait for another eight; test_lifecycle looks at the default.
        archive.file("etc/modprobe.d/virtio-balloon-pressure.conf", b"options virtio_balloon_pressure boot_ms=0\n")
        archive.file("etc/modules-at-boot", "".join(f"{name}\n" for name in AT_BOOT if name not in builtin).encode())
        archive.tree(root)
        temporary = target.with_suffix(f".{os.getpid()}")
        temporary.write_bytes(archive.finish())
        temporary.rename(target)
    paths.keep_newest(folder.glob("*.cpio"), KEEP)
    return target


def _compile(name, machine=machines.AMD64):
    """Compiles tests/vm/programs/NAME.c into a static program; kept by the hash of its source."""
    source = paths.PROGRAMS / f"{name}.c"
    folder = paths.BUILD / "vm/programs"
    target = folder / f"{name}-{machine.name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:16]}"
    if not target.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = target.with_suffix(f".{os.getpid()}")
        command = [f"{machine.cross}gcc", "-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-static", "-o", str(temporary), str(source)]
        if subprocess.run(command).returncode:
            raise paths.HarnessError(f"{source} does not compile (gcc's messages are above)")
        temporary.rename(target)
    return target


def _stage_modules(kernel, root, module):
    """Copies the wanted modules and all they need, decompressed, and lets depmod describe the result."""
    table, builtin = kernel.dependencies(), kernel.builtin()
    wanted = [name for name in AT_BOOT + ON_REQUEST if name not in builtin]
    wanted += [name for name in ON_REQUEST_IF_THERE if name in table]
    place = root / "lib/modules" / kernel.release
    place.mkdir(parents=True)
    for name in wanted:
        if name not in table:
            raise paths.HarnessError(f"{kernel} has no module {name}: it cannot run these tests")
        path, needs = table[name]
        for need in [path] + [table[need][0] for need in needs]:
            copy = place / need.removesuffix(".xz")
            copy.parent.mkdir(parents=True, exist_ok=True)
            data = (kernel.modules / need).read_bytes()
            copy.write_bytes(lzma.decompress(data) if need.endswith(".xz") else data)
    if module:
        (place / "extra").mkdir()
        shutil.copy(module, place / "extra/virtio_balloon_pressure.ko")
    for name in ("modules.builtin", "modules.builtin.modinfo", "modules.order"):
        shutil.copy(kernel.modules / name, place / name)
    if subprocess.run(["/sbin/depmod", "-b", str(root), kernel.release]).returncode:
        raise paths.HarnessError(f"depmod failed for {kernel} (its message is above)")


class Cpio:
    """Writes the "newc" format that the kernel unpacks; by hand, because no user may own what root's guest sees."""

    def __init__(self):
        self.parts = []
        self.count = 0

    def _entry(self, name, mode, data=b"", device=(0, 0)):
        self.count += 1
        encoded = name.encode() + b"\0"
        fields = (self.count, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(encoded), 0)
        self.parts.append(_pad(b"070701" + b"".join(b"%08X" % field for field in fields) + encoded))
        self.parts.append(_pad(data))

    def folder(self, name):
        self._entry(name, stat.S_IFDIR | 0o755)

    def file(self, name, data, mode=0o644):
        self._entry(name, stat.S_IFREG | mode, data)

    def link(self, name, target):
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def device(self, name, major, minor):
        self._entry(name, stat.S_IFCHR | 0o600, device=(major, minor))

    def tree(self, root):
        """Everything below root, folders before what is in them."""
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root))
            if path.is_dir():
                self.folder(name)
            else:
                self.file(name, path.read_bytes(), path.stat().st_mode & 0o777)

    def finish(self):
        self._entry("TRAILER!!!", 0)
        return b"".join(self.parts)


def _pad(data):
    return data + b"\0" * (-len(data) % 4)
