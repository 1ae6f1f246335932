# SPDX-License-Identifier: GPL-2.0-only
"""The host that the guests share: a memory cgroup of this machine, and swap, which it gets if it has none."""

import contextlib
import os
import pathlib
import re
import subprocess
import time

from vbpvm import HarnessError, MIB

ROOT = pathlib.Path("/sys/fs/cgroup/memory")
SWAP_MIB = 4096


class Group:
    """A memory cgroup (v1), whose members are whoever enter() is called by."""

    def __init__(self):
        self.folder = ROOT / f"vbp-host-{os.getpid()}"
        try:
            self.folder.mkdir()
        except OSError as error:
            raise HarnessError(f"no memory cgroup (v1) can be made here, in {ROOT}: {error}") from error

    def enter(self):
        """In a child that is about to become a member."""
        (self.folder / "cgroup.procs").write_text("0")

    def limit(self, mib):
        (self.folder / "memory.limit_in_bytes").write_text(str(mib * MIB if mib else -1))

    def stat(self):
        return {name: int(value) for name, value in
                (line.split() for line in (self.folder / "memory.stat").read_text().splitlines())}

    def usage(self):
        """MiB that cannot be had without swap, and MiB in swap."""
        stat = self.stat()
        used = int((self.folder / "memory.usage_in_bytes").read_text())
        return (used - stat["total_inactive_file"]) / MIB, stat.get("total_swap", 0) / MIB

    def kills(self):
        return int(re.search(r"^oom_kill (\d+)", (self.folder / "memory.oom_control").read_text(), re.M)[1])

    def remove(self):
        """What has just ended leaves a moment later."""
        for _ in range(100):
            with contextlib.suppress(OSError):
                self.folder.rmdir()
                return
            time.sleep(0.1)
        raise HarnessError(f"{self.folder} is still in use and stays")


@contextlib.contextmanager
def swap(folder):
    """Swap on this machine; a file that goes again, if there is none."""
    if len(pathlib.Path("/proc/swaps").read_text().splitlines()) > 1:
        yield
        return
    path = folder / "swap"
    if path.exists():           # of a run that was killed
        subprocess.run(["swapoff", str(path)], stderr=subprocess.DEVNULL)
        path.unlink()
    try:
        with open(path, "wb") as file:
            os.fchmod(file.fileno(), 0o600)
            os.posix_fallocate(file.fileno(), 0, SWAP_MIB * MIB)
        for command in ("mkswap", "swapon"):
            done = subprocess.run([command, str(path)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode:
                raise HarnessError(f"this machine has no swap, and a swap file is refused: {done.stdout.strip()}")
        yield
    finally:
        subprocess.run(["swapoff", str(path)], stderr=subprocess.DEVNULL)
        path.unlink(missing_ok=True)
