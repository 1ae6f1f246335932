# SPDX-License-Identifier: GPL-2.0-only
"""One run of the experiment in a running guest, recorded from both sides."""

import dataclasses
import re
import time
import typing

from vbpvm import MIB, GuestDied
from vbpvm.host import BalloonPoll, warm_host

import rows

SAMPLE_MS = 100             # the guest's view
SETTLE_S = 1.0              # between the inflated balloon and the load, and after the load
WHOLE_S = 180               # in which a balloon must have grown again: the hold-off is 30 s, and it grows by 51 MiB a second
NOISE_MIB = 2               # a smaller change of the balloon is no relief


@dataclasses.dataclass
class Run:
    """What one run measured. Times are seconds since the load's start; sizes are MiB."""
    row: str
    outcome: str
    seconds: typing.Optional[float]
    worst_ms: typing.Optional[float]
    oom_kills: int
    allocstalls: int
    balloon_before: float
    balloon_after: float
    inflate_seconds: float
    relief_at: typing.Optional[float]
    ended_at: float
    regrown: typing.Optional[list]  # when the balloon began to grow again, and when it had its size
    balloon: list               # [time, size]
    available: list
    touched: list
    events: list                # [time, name, data]


def run(vm, row):
    """Brings the guest to the starting point, whatever ran before, and runs the load once."""
    full, target = vm.mem_bytes, rows.TARGET_MIB * MIB
    vm.balloon(full)
    # Loaded anew, a driver knows nothing of earlier runs: no hold-off, no caution learnt.
    loaded = vm.driver()
    if loaded:
        vm.run(f"rmmod {loaded}")
    lived = vm.touch(rows.LIVED_MIB, "--quiet")
    if lived.outcome != "ok":
        raise GuestDied(f"the guest could not touch {rows.LIVED_MIB} MiB before the experiment: {lived}")
    in_use = vm.spawn(f"vbp-touch {rows.IN_USE_MIB} --quiet --hold 100000")
    in_use.wait_line("^result ok")
    vm.load_in_tree() if row.driver == rows.IN_TREE else vm.load_ours()

    first_event = len(vm.qmp.events)
    with BalloonPoll(vm) as poll:
        sampler = vm.spawn(f"vbp-sampler {SAMPLE_MS}")
        sampler.wait_line("^sample")
        vm.balloon(target)
        inflate_seconds = vm.wait_actual(target, tolerance=NOISE_MIB * MIB)
        time.sleep(SETTLE_S)
        before, counters = poll.size(), vm.vmstat()
        if row.host_deflates:
            vm.balloon(full)
            vm.wait_actual(full, tolerance=NOISE_MIB * MIB)

        warm_host((rows.GUEST_MIB - rows.TARGET_MIB) * MIB)
        start = time.monotonic()
        load = vm.spawn(f"vbp-touch {rows.LOAD_MIB}")
        result = load.wait(timeout=120)
        end = time.monotonic()
        counters = vm.vmstat() - counters
        time.sleep(SETTLE_S)
        after = poll.size()
        if row.whole:
            vm.wait_actual(target, tolerance=NOISE_MIB * MIB, timeout=WHOLE_S)
            time.sleep(SETTLE_S)
        sampler.kill()
        sampler.wait()
    if not in_use.running():
        raise GuestDied("the guest's kernel killed the program that was there before")
    in_use.kill()
    in_use.wait()

    touched = vm.touched_of(result)
    to_host = _clock_offset(sampler, load)
    run = Run(
        row=row.key, outcome=touched.outcome, seconds=touched.number("seconds"), worst_ms=touched.number("worst_ms"),
        oom_kills=counters["oom_kill"], allocstalls=counters["allocstall"], balloon_before=before, balloon_after=after,
        inflate_seconds=inflate_seconds, relief_at=None, ended_at=end - start, regrown=None,
        balloon=[[when - start, size] for when, size in poll.points],
        available=[[int(match[1]) / 1000 + to_host - start, int(match[2]) / 1024]
                   for match in _matches(sampler, r"^sample (\d+) available_kb=(\d+)")],
        touched=[[int(match[2]) / 1000 + to_host - start, int(match[1])]
                 for match in _matches(load, r"^progress (\d+) (\d+)")],
        events=[[when - start, event["event"], event.get("data", {})] for when, event in vm.qmp.events[first_event:]
                if event["event"] in row.events])
    run.relief_at = _relief(run, vm, row, to_host - start)
    if row.whole:
        run.regrown = _regrown(run)
    return run


def _matches(job, pattern):
    return filter(None, (re.match(pattern, line) for _, line in job.lines))


def _clock_offset(*jobs):
    """
    What to add to the guest's seconds to get the host's. A line can only arrive late (a starved guest is slow to send), so the
    quickest line tells.
    """
    return min(when - int(line.split()[index]) / 1000 for job in jobs for when, line in job.lines
               for prefix, index in (("sample ", 1), ("progress ", 2)) if line.startswith(prefix))


def _relief(run, vm, row, to_start):
    """When the balloon began to give memory back: seen by the host or, earlier and more exactly, told by our driver."""
    times = [when for when, size in run.balloon if when > -SETTLE_S and size < run.balloon_before - NOISE_MIB][:1]
    if row.driver == rows.OURS and not row.host_deflates:
        told = vm.pressure("last_relief_ms")
        if told and told / 1000 + to_start > -SETTLE_S:
            times.append(told / 1000 + to_start)
    return min(times) if times else None


def _regrown(run):
    """From the smallest balloon after the load on: when it began to grow, and when it had its size again."""
    later = [(when, size) for when, size in run.balloon if when > run.ended_at]
    smallest = min(size for _, size in later)
    began = next(when for when, size in later if size > smallest + NOISE_MIB)
    full = next(when for when, size in later if when > began and size > run.balloon_before - 2 * NOISE_MIB)
    return [began, full]
