# SPDX-License-Identifier: GPL-2.0-only
"""Managers that ask each guest for its statistics and resize its balloon, as people write them by hand."""

import time

from helpers.background import Background
from helpers.statistics import poll_every, stats
from vbpvm import MIB

from rows import GUEST_MIB, SIZE_MIN_MIB


def _available(vm):
    """What the guest last said is available, in MiB; None before it has said anything."""
    value = stats(vm)["stats"].get("stat-available-memory", -1)
    return None if value < 0 or value > GUEST_MIB * MIB else value // MIB


def steps(available, size, host_free):
    """
    Five seconds, 32 MiB: grows a guest with less than a tenth of its memory available while the host has that, and shrinks one
    with more than two tenths while the host has less than a tenth.
    """
    if available < GUEST_MIB // 10 and host_free >= 32:
        return size + 32
    if available > GUEST_MIB // 5 and host_free < SIZE_MIN_MIB:
        return size - 32
    return size


def sixteenth(available, size, host_free):
    """
    The policy of a published benchmark (HyperAlloc's), which looks at the guest alone: two steps up with less than half a step
    available, one up with less than one, one down with more than two. How often it looks is not part of that: here each second.
    """
    step = GUEST_MIB // 16
    if available < step // 2:
        return size + 2 * step
    if available < step:
        return size + step
    return size - step if available > 2 * step else size


KNOWN = {"steps": (steps, 5), "sixteenth": (sixteenth, 1)}


class Poller(Background):
    """host_free() is what the cgroup has left, in MiB."""

    def __init__(self, name, guests, host_free):
        super().__init__()
        self._rule, self._period = KNOWN[name]
        self._guests, self._host_free = guests, host_free

    def __enter__(self):
        for vm in self._guests:
            poll_every(vm, 1)
        return super().__enter__()

    def _work(self):
        sizes = [GUEST_MIB] * len(self._guests)
        while not self._over.wait(self._period - time.monotonic() % self._period):
            for number, vm in enumerate(self._guests):
                available = _available(vm)
                if available is None:
                    continue
                size = self._rule(available, sizes[number], self._host_free())
                size = min(max(size, SIZE_MIN_MIB), GUEST_MIB)
                if size != sizes[number]:
                    sizes[number] = size
                    vm.balloon(size * MIB)
