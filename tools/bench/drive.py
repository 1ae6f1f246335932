# SPDX-License-Identifier: GPL-2.0-only
"""One run of a load in a guest: brings the guest to the starting point, whatever ran before, runs it, and says what it saw."""

import re
import time

from vbpvm import MIB, GuestDied
from vbpvm.host import BalloonPoll, warm_host

import loads
import rows
import settings

SETTLE_S = 0.5              # between the inflated balloon and the load, and after it
NOISE_MIB = 2
PATH_POINTS = 200           # of the balloon's path that are kept of a run
BUSY_S, IDLE_S = 5, 20
POLL_S = 0.01
COUNTERS = ("allocstall", "pswpout", "pswpin", "refault", "oom_kill", "pgscan", "pgsteal", "drop_pagecache", "balloon_inflate",
            "balloon_deflate")


class Prepared:
    """A guest at the starting point of a load, and the run's measurements while `with` lasts."""

    def __init__(self, vm, row, load):
        self.vm, self.row, self.load = vm, row, load
        self.full = vm.mem_bytes
        self.left = int(vm.mem_bytes * loads.LEFT) // (2 * MIB) * 2 * MIB

    def resize(self, size, timeout=120):
        self.vm.balloon(size)
        return self.vm.wait_actual(size, tolerance=NOISE_MIB * MIB, timeout=timeout)

    def prepare(self, ballooned=True):
        vm, row = self.vm, self.row
        if self.load.swap:
            swap = SWAP_DEVICE[self.load.swap]
            vm.run(f"! grep -q '^{swap} ' /proc/swaps || swapoff {swap}", timeout=120)
        vm.write("/proc/sys/vm/drop_caches", "3")
        vm.balloon(self.full)
        # Loaded anew, a driver knows nothing of earlier runs: no hold-off, no caution learnt.
        loaded = vm.driver()
        if loaded:
            vm.run(f"rmmod {loaded}")
        lived = vm.touch(int(self.full * loads.LIVED) // MIB, "--quiet", timeout=300)
        if lived.outcome != "ok":
            raise GuestDied(f"the guest could not touch its memory before the load: {lived}")
        if row.driver:
            vm.load_in_tree() if row.driver == rows.IN_TREE else vm.load_ours()
        if self.load.swap:
            vm.run(f"swapon {swap}")
        if row.driver and ballooned:
            self.resize(self.left)
        if self.load.before:
            vm.run(self.load.text(self.full // MIB, self.load.before), timeout=120)
        time.sleep(SETTLE_S)
        if row.host_deflates:
            self.resize(self.full)
        warm_host(self.full - self.left)

    def __enter__(self):
        self._poll = BalloonPoll(self.vm).__enter__()
        self.before = counters(self.vm)
        self.start = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        self._poll.__exit__(None)

    def path(self):
        points = [[round(when - self.start, 3), round(size, 1)] for when, size in self._poll.points]
        return points[::max(1, len(points) // PATH_POINTS)]


SWAP_DEVICE = {"disk": "/dev/vdb", "zram": "/dev/zram0"}


def make_swap(vm, load):
    """Once for a guest."""
    size = int(vm.mem_bytes * loads.SWAP)
    if load.swap == "zram":
        vm.run(f"modprobe zram num_devices=1 && echo {size} >/sys/block/zram0/disksize")
    if load.swap:
        vm.run(f"mkswap {SWAP_DEVICE[load.swap]}")


def counters(vm):
    now = vm.vmstat()
    for name in ("pgscan", "pgsteal"):
        now[name] = now[f"{name}_kswapd"] + now[f"{name}_direct"]
    return {name: now[name] for name in COUNTERS if name in now}


def outcome_of(result):
    """(outcome, the values of all its result lines) of a command that may have run several programs."""
    lines = re.findall(r"^result (\w+)(.*)$", result.out, re.M)
    values = [dict(re.findall(r" (\w+)=(\S+)", rest)) for _, rest in lines]
    bad = [word for word, _ in lines if word != "ok"]
    if bad:
        return bad[0], values
    if "Killed" in result.out or result.rc == 137:
        return "killed", values
    return ("ok" if result.rc == 0 else "failed"), values


def run(vm, row, load):
    """Returns a dictionary that JSON can hold."""
    record = DRIVES[load.drive](Prepared(vm, row, load))
    clean_up(vm, load)
    return record


def clean_up(vm, load):
    if load.after:
        vm.run(load.after, timeout=120)


def _record(prepared, result, seconds, **more):
    """What every run says. Has to be called when the load's effects are to be counted."""
    outcome, values = outcome_of(result)
    after = counters(prepared.vm)
    moved = {name: after[name] - prepared.before[name] for name in prepared.before}
    # A program's own figure leaves out how long it took to start.
    if len(values) == 1 and "seconds" in values[0]:
        seconds = float(values[0]["seconds"])
    worst = [float(each["worst_ms"]) for each in values if "worst_ms" in each]
    latency = prepared.load.worst and re.search(prepared.load.worst, result.out, re.M)
    if latency:
        worst.append(float(latency[1]))
    slowest = re.search(r"^slowest(.*)$", result.out, re.M)
    record = {"row": prepared.row.key, "outcome": outcome, "seconds": seconds if outcome == "ok" else None,
              "worst_ms": max(worst) if worst else None, "counters": moved, "balloon": prepared.path(), **more}
    if slowest:
        record["slowest_us"] = [int(value) for value in slowest[1].split()]
        record["touched_mib"] = sum(int(each["mib"]) for each in values)
    short = [f"{name} moved by {moved[name]}, not {least}" for name, least in prepared.load.counted if moved[name] < least]
    if short and prepared.row.driver:
        raise AssertionError(f"{prepared.load.title}: it did not do what it is for: {'; '.join(short)}")
    return record


def _command(prepared):
    prepared.prepare()
    with prepared:
        result = prepared.vm.spawn(prepared.load.text(prepared.full // MIB)).wait(prepared.load.timeout)
        seconds = time.monotonic() - prepared.start
        time.sleep(SETTLE_S)
    return _record(prepared, result, seconds)


def _inflating(prepared):
    """The host inflates once the guest's cache is full of what is being read; what it takes is the figure."""
    vm = prepared.vm
    prepared.prepare(ballooned=False)
    full_cache = prepared.full * 0.6
    with prepared:
        reader = vm.spawn(prepared.load.text(prepared.full // MIB))
        while vm.meminfo()["Buffers"] < full_cache:
            if not reader.running():
                raise AssertionError(f"the guest's cache was not full when all had been read: {vm.meminfo()['Buffers'] // MIB} MiB")
            time.sleep(POLL_S)
        inflate = prepared.resize(prepared.left, timeout=300)
        result = reader.wait(prepared.load.timeout)
        seconds = time.monotonic() - prepared.start
        time.sleep(SETTLE_S)
    return _record(prepared, result, seconds, inflate_seconds=inflate)


def _rounds(prepared):
    """Busy and idle in turn. The best case's host knows when: it deflates just before each burst, and inflates after it."""
    vm, row = prepared.vm, prepared.row
    prepared.prepare()
    rounds = []
    with prepared:
        for number in range(settings.ROUNDS):
            if number and row.host_deflates:
                prepared.resize(prepared.full)
            warm_host(prepared.full - prepared.left)
            before, begin = counters(vm), time.monotonic()
            result = vm.spawn(f"{prepared.load.text(prepared.full // MIB)} --hold {BUSY_S - 2}").wait(prepared.load.timeout)
            outcome, values = outcome_of(result)
            time.sleep(max(0, BUSY_S - (time.monotonic() - begin)))
            if row.host_deflates:
                prepared.resize(prepared.left)
            time.sleep(max(0, IDLE_S + BUSY_S - (time.monotonic() - begin)))
            moved = {name: value - before[name] for name, value in counters(vm).items()}
            rounds.append({"outcome": outcome, "seconds": float(values[0]["seconds"]) if outcome == "ok" else None,
                           "worst_ms": float(values[0]["worst_ms"]) if outcome == "ok" else None,
                           "inflated": moved["balloon_inflate"], "allocstall": moved["allocstall"], "pswpout": moved["pswpout"]})
            if outcome != "ok":
                break
    record = _record(prepared, result, None, rounds=rounds)
    done = [each["seconds"] for each in rounds if each["seconds"]]
    record["seconds"] = sum(done) if record["outcome"] == "ok" else None
    record["worst_ms"] = max((each["worst_ms"] for each in rounds if each["worst_ms"]), default=None)
    return record


DRIVES = {"command": _command, "inflating": _inflating, "rounds": _rounds}
