# SPDX-License-Identifier: GPL-2.0-only
"""The host's side of an experiment: the balloon's size as it sees it over time, and its own memory made ready for a timed load."""

import mmap
import threading
import time

from .paths import MIB

POLL_S = 0.04               # the BALLOON_CHANGE event comes once a second at most


class BalloonPoll:
    """Asks QEMU for the balloon's size in the background."""

    def __init__(self, vm):
        self.points = []        # (host's time, MiB)
        self._vm = vm
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def _poll(self):
        while not self._stop.wait(POLL_S):
            try:
                size = self._vm.mem_bytes - self._vm.actual()
            except ConnectionError:
                return          # the guest died: the main thread says so
            self.points.append((time.monotonic(), size / MIB))

    def size(self):
        return (self._vm.mem_bytes - self._vm.actual()) / MIB


def warm_host(size):
    """
    Touches what the balloon gave the host, as small pages and as huge ones: QEMU's memory may be either. Where the host is itself
    a guest that reports its free pages, it loses them some seconds after the inflation, in some runs before the load and in some
    after it, and getting them back can take longer than the whole load. Without such a host it changes nothing.
    """
    areas = [mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(2)]
    areas[1].madvise(mmap.MADV_HUGEPAGE)
    for area in areas:
        area[::mmap.PAGESIZE] = bytes(size // mmap.PAGESIZE)
    for area in areas:
        area.close()
