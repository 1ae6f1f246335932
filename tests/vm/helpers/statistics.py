# SPDX-License-Identifier: GPL-2.0-only
"""The statistics queue as QEMU shows it, beside what the guest says of itself."""

from vbpvm import MIB, PAGE

from .common import wait_for
from .contract import DEVICE

# Memory that the test's own commands take and give back, and pages on per-CPU lists.
NOISE = 12 * MIB

SWAP_IN, SWAP_OUT, MAJFLT, MINFLT, MEMFREE, MEMTOT, AVAIL, CACHES, HTLB_PGALLOC, HTLB_PGFAIL = range(10)
OOM_KILL, ALLOC_STALL, ASYNC_SCAN, DIRECT_SCAN, ASYNC_RECLAIM, DIRECT_RECLAIM = range(10, 16)
QEMU_NAMES = {"stat-swap-in": SWAP_IN, "stat-swap-out": SWAP_OUT, "stat-major-faults": MAJFLT, "stat-minor-faults": MINFLT,
              "stat-free-memory": MEMFREE, "stat-total-memory": MEMTOT, "stat-available-memory": AVAIL,
              "stat-disk-caches": CACHES, "stat-htlb-pgalloc": HTLB_PGALLOC, "stat-htlb-pgfail": HTLB_PGFAIL}
# What only ever grows: tag -> (name in /proc/vmstat, what one is worth)
EVENTS = {SWAP_IN: ("pswpin", PAGE), SWAP_OUT: ("pswpout", PAGE), MAJFLT: ("pgmajfault", 1), MINFLT: ("pgfault", 1),
          HTLB_PGALLOC: ("htlb_buddy_alloc_success", 1), HTLB_PGFAIL: ("htlb_buddy_alloc_fail", 1),
          OOM_KILL: ("oom_kill", 1), ALLOC_STALL: ("allocstall", 1),
          ASYNC_SCAN: ("pgscan_kswapd", PAGE), DIRECT_SCAN: ("pgscan_direct", PAGE),
          ASYNC_RECLAIM: ("pgsteal_kswapd", PAGE), DIRECT_RECLAIM: ("pgsteal_direct", PAGE)}


def poll_every(vm, seconds):
    vm.qmp.command("qom-set", path=DEVICE, property="guest-stats-polling-interval", value=seconds)


def stats(vm):
    return vm.qmp.command("qom-get", path=DEVICE, property="guest-stats")


class Snapshot:
    """Statistics as QEMU got them, and what the guest said right before and right after."""

    def __init__(self, vm):
        poll_every(vm, 0)
        self.before = vm.vmstat()
        last = stats(vm)["last-update"]
        poll_every(vm, 1)
        self.stats = wait_for(vm, lambda: self._newer(vm, last), "QEMU gets new statistics", 20)
        poll_every(vm, 0)
        self.after, self.meminfo = vm.vmstat(), vm.meminfo()
        self.values = {QEMU_NAMES[name]: value for name, value in self.stats.items() if name in QEMU_NAMES}

    @staticmethod
    def _newer(vm, last):
        now = stats(vm)
        # Whole seconds: the next one may hold what was sent in this one, before our first look.
        return now["stats"] if now["last-update"] > last + 1 else None

    def check(self, values):
        for tag, (name, unit) in EVENTS.items():
            if tag in values:
                low, high = self.before[name] * unit, self.after[name] * unit
                assert low <= values[tag] <= high, f"{name}: {low} <= {values[tag]} <= {high}"
        cached = self.meminfo["Cached"] + self.meminfo["Buffers"] + self.meminfo["SwapCached"]
        for tag, expected in ((MEMFREE, self.meminfo["MemFree"]), (CACHES, cached)):
            assert abs(values[tag] - expected) < NOISE, (tag, values[tag], expected)
        assert values[MEMTOT] == self.meminfo["MemTotal"], (values[MEMTOT], self.meminfo["MemTotal"])
