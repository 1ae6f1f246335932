# SPDX-License-Identifier: GPL-2.0-only
"""The loads, one entry each: what runs in the guest, what it needs, and which claims are judged by it."""

import dataclasses
import typing

import settings

# Parts of the guest's memory: what is touched first, so that the host has it populated; what the balloon leaves; what a load
# takes that fits only without the balloon; and the files of which the same is true.
LIVED, LEFT, BURST, FILES = 0.83, 0.5, 0.7324, 0.586
DISK = 1.5                  # of the guest's memory: the disk that is read
SWAP = 0.6
ONCE = 1.22                 # read once: more than the guest has
READ_FIRST = 0.3            # in the cache, for what empties it
CGROUP = "/sys/fs/cgroup/limited"
# Rows that do where the best case and a guest without a balloon have nothing to show.
COUNTED = ("in-tree-oom", "stock", "patched")
BEST_CASES = ("stock-best", "patched-best")
SLOWEST = 64                # of the times for 1 MiB, kept of each run


@dataclasses.dataclass(frozen=True)
class Load:
    """
    command     shell text, {a} to {c} replaced by the parts of memory that sizes names, in MiB
    before      run once the balloon is there, and not measured
    after       run when all has been counted
    worst       a regular expression that finds the longest wait, in milliseconds, in what a real program prints
    claims      time: pairs, the interval's upper end is judged, and the guest's work · work: the guest's work only
                swap: at most a few pages out · refaults: against in-tree's · tail: the time for 1 MiB · none: nothing given back
                inflate: how long the inflation takes · rounds: busy and idle in turn
    drive       how it runs: "command", or another function of drive.py
    counted     the least that a counter must move, or the load did not do what it is for
    """
    key: str
    title: str
    command: str
    sizes: tuple = ()
    before: str = ""
    after: str = ""
    worst: str = ""
    swap: typing.Optional[str] = None
    claims: tuple = ()
    rows: tuple = ()                    # keys; empty: all
    drive: str = "command"
    quick: bool = False                 # part of QUICK=1
    image: bool = False                 # needs the disk with Debian's programs
    counted: tuple = ()
    timeout: int = 400

    @property
    def counts_work(self):
        """Whether the guest's work is measured: with little time, of the first load only."""
        return ("time" in self.claims or "work" in self.claims) and not self.brief

    def text(self, mem, command=None):
        values = {name: int(mem * fraction) for name, fraction in zip("abc", self.sizes)}
        return (self.command if command is None else command).format(**values)

    @property
    def pairs(self):
        if "time" in self.claims and not self.brief:
            return settings.pairs()
        return 1 if settings.QUICK or self.drive == "rounds" else settings.FEW

    def has(self, row):
        if settings.BRIEF and row.key not in COUNTED and (self.brief or row.key not in BEST_CASES):
            return False
        return row.key in settings.rows() and (not self.rows or row.key in self.rows)

    @property
    def brief(self):
        """With little time best cases are for one load only; of the others the counts must do."""
        return settings.BRIEF and self.key != "burst"


TOUCH = f"vbp-touch {{a}} --quiet --slowest {SLOWEST}"
SCANNED = (("pgscan", 25000),)

FREE_KB = "sed -n 's/^MemFree: *\\([0-9]*\\) .*/\\1/p' /proc/meminfo"
# A real root file system, read-only but for what programs put into /tmp.
ROOT = "/programs"
MOUNT = (f"mkdir -p {ROOT}; disk=$(grep -l '^programs' /sys/block/vd*/serial | cut -d/ -f4); mount -t ext4 -o ro /dev/$disk {ROOT}"
         f" && mount -t proc none {ROOT}/proc && mount -t sysfs none {ROOT}/sys && mount -t devtmpfs none {ROOT}/dev"
         f" && mount -t tmpfs none {ROOT}/tmp")
REDIS = "/tmp/redis.sock"
VALUE = 255000              # bytes: with what redis adds, four to the MiB

LOADS = (
    Load("burst", "anonymous burst, no swap", TOUCH, (BURST,), claims=("time", "tail"), quick=True),
    Load("swap", "anonymous burst, swap on a disk", TOUCH, (BURST,), swap="disk", claims=("time", "swap"), quick=True),
    Load("slow", "anonymous memory at 50 MiB/s, swap on a disk", TOUCH + " --rate 50", (BURST,), swap="disk", claims=("swap",)),
    Load("zram", "anonymous burst, swap on zram", TOUCH, (BURST,), swap="zram", claims=("time", "swap")),
    Load("reread", "file set read 4 times", "vbp-readfile --loops 4 --mib {a} /dev/vda", (FILES,), claims=("time", "refaults")),
    Load("once", "device read once", "vbp-readfile --mib {a} /dev/vda", (ONCE,), claims=("none",), quick=True, counted=SCANNED),
    Load("inflating", "device read once while the host inflates", "vbp-readfile --mib {a} /dev/vda", (ONCE,),
         claims=("none", "inflate"), rows=("in-tree", "in-tree-oom", "stock", "patched"), drive="inflating"),
    Load("both", "file set and anonymous burst together",
         # The program lives as long as the files are read.
         "vbp-touch {a} --hold 3600 --quiet & touch=$!; vbp-readfile --loops 4 --mib {a} /dev/vda; rc=$?; kill $touch && exit $rc",
         (0.342,), claims=("swap",)),
    Load("rounds", "alternating: busy 5 s, idle 20 s", TOUCH, (BURST,), swap="disk", claims=("rounds", "swap"),
         rows=("in-tree-oom", "stock", "stock-best", "patched", "patched-best"), drive="rounds"),
    Load("memcg", "stream in a cgroup of 64 MiB",
         # The kernel's own counters leave reclaim for a cgroup out: the cgroup's must have moved.
         f"sh -c 'echo $$ >{CGROUP}/cgroup.procs; exec vbp-readfile --mib {{a}} /dev/vda'"
         f" && grep '^pgscan [1-9][0-9][0-9][0-9][0-9]' {CGROUP}/memory.stat", (0.5,),
         before=f"echo +memory >/sys/fs/cgroup/cgroup.subtree_control; rmdir {CGROUP} 2>/dev/null; mkdir {CGROUP};"
                f" echo 64M >{CGROUP}/memory.max",
         claims=("none",), rows=COUNTED),
    Load("drop", "drop_caches", "echo 3 >/proc/sys/vm/drop_caches", (READ_FIRST,), before="vbp-readfile --mib {a} /dev/vda",
         claims=("none",), rows=COUNTED, counted=(("drop_pagecache", 1),)),
    Load("proactive", "memory.reclaim of the whole guest",
         f"before=$({FREE_KB}); echo {{b}}M >/sys/fs/cgroup/memory.reclaim; test $(($({FREE_KB}) - before)) -gt 50000", (READ_FIRST, 0.1),
         before="vbp-readfile --mib {a} /dev/vda", claims=("none",), rows=COUNTED),
    Load("hugepages", "nr_hugepages, with a cache in their way",
         "echo {b} >/proc/sys/vm/nr_hugepages; n=$(cat /proc/sys/vm/nr_hugepages); echo 0 >/proc/sys/vm/nr_hugepages; test $n -gt 10",
         (READ_FIRST, 0.06), before="echo 1 >/proc/sys/vm/compact_memory; vbp-readfile --mib {a} /dev/vda", claims=("none",),
         rows=COUNTED),
    Load("redis", "redis, filled by redis-benchmark",
         f"chroot {ROOT} redis-benchmark -s {REDIS} -t set -d {VALUE} -n $(({{a}} * 4)) -r 1000000000 -c 4 --csv", (BURST,),
         before=f"chroot {ROOT} redis-server --port 0 --unixsocket {REDIS} --save '' --daemonize yes --dir /tmp --logfile redis.log"
                f" && until chroot {ROOT} redis-cli -s {REDIS} ping; do sleep 0.1; done",
         after="killall redis-server; while pidof redis-server; do sleep 0.1; done",
         worst=r'^"SET",(?:"[\d.]+",){6}"([\d.]+)"', claims=("work",), image=True),
    Load("stress", "stress-ng --vm",
         f"chroot {ROOT} stress-ng --vm 1 --vm-bytes {{a}}m --vm-method zero-one --vm-ops 1 --oomable --temp-path /tmp", (BURST,),
         claims=("work",), image=True),
)


BY_KEY = {load.key: load for load in LOADS}
KEYS = tuple(load.key for load in LOADS)
QUICK_KEYS = tuple(load.key for load in LOADS if load.quick)