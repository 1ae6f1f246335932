# SPDX-License-Identifier: GPL-2.0-only
"""The host's side of the contract, as management sees it, and loads that press a guest."""

import time

from vbpvm import MIB

from .background import Background
from .common import wait_for

DEVICE = "/machine/peripheral/balloon0"
LEVELS = ("none", "low", "medium", "critical")
PRESSED = LEVELS[1:]
SWAP_MIB = 512


def set_limit(vm, size_bytes):
    """size-max: the size up to which the guest may grow by itself."""
    vm.qmp.command("qom-set", path=DEVICE, property="size-max", value=size_bytes)


def set_host_level(vm, level):
    vm.qmp.command("qom-set", path=DEVICE, property="host-pressure-level", value=level)


def report(vm):
    return vm.qmp.command("query-balloon-pressure")


def info_balloon(vm):
    return vm.qmp.command("human-monitor-command", **{"command-line": "info balloon"}).strip()


def negotiated(vm):
    """Whether guest and host agreed on VIRTIO_BALLOON_F_PRESSURE, as the guest sees it."""
    return vm.read(vm.virtio_device() + "/features")[17] == "1"


def swap_on(vm):
    """Swap on /dev/vda: a guest that lacks memory then goes on working, and goes on lacking it."""
    vm.run("mkswap /dev/vda && swapon /dev/vda")


class Press:
    """A program that works on more memory than the guest has, over and over; needs swap_on()."""

    def __init__(self, vm, mib):
        self._vm = vm
        self._job = vm.spawn(f"vbp-touch {mib} --loops 1000000 --quiet")

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is None:
            self.end()

    def running(self):
        return self._job.running()

    def end(self):
        if self._job.running():
            self._job.kill()
            self._job.wait(timeout=60)


def wait_pressed_at(vm, size_bytes, timeout=60, levels=PRESSED):
    """Waits until the guest has this size, lacks more, and says so; returns the report."""
    def pressed():
        now = report(vm)
        return now if now["actual"] == size_bytes and now["level"] in levels and now["wanted"] else None
    return wait_for(vm, pressed, f"a guest of {size_bytes / MIB:.1f} MiB lacks more", timeout)


def sizes_for(vm, seconds):
    """The guest's sizes during that time, as the host sees them."""
    end, seen = time.monotonic() + seconds, []
    while time.monotonic() < end:
        seen.append(vm.actual())
        time.sleep(0.02)
    return seen


class Storm(Background):
    """Changes what the host says, again and again, each time with a config interrupt."""

    def __init__(self, vm, *changes):
        super().__init__()
        self.count = 0
        self._vm, self._changes = vm, changes

    def _work(self):
        while not self._over.is_set():
            self._changes[self.count % len(self._changes)](self._vm)
            self.count += 1
            self._over.wait(0.005)
