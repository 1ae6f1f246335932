# SPDX-License-Identifier: GPL-2.0-only
"""A guest whose balloon devices are made by modules/hostile: what they did, and what the driver made of it."""

import collections
import random
import re
import time
import typing

from vbpvm import MIB, PAGE, guestmodule

from . import watchers
from .common import free_pages, offline, wait_for

GUEST = 1024                        # MiB
PARAMETERS = "/sys/module/hostile/parameters"
OURS = "virtio_balloon_pressure"
BEGIN = re.compile(r"life \d+ of seed \d+: .*")
END = re.compile(r"hostile: end of life (\d+): (\d+) ms, then (\d+) to leave; (\d+) config reads, (\d+) writes, "
                 r"buffers (\d+) (\d+) (\d+) (\d+) (\d+), returned (\d+), interrupts (\d+)")
FAULT = re.compile(r"hostile: (?:fault in .*|no device.*)")
JOBS = 2                            # loads at a time
# As helpers/torture.py says.
NOISE = 2 * MIB // PAGE
# Lines of a kind: what a host can bring about again and again, in a minute, and of each device twice what is said once.
OFTEN, ONCE = 5, 2
# One episode of relief in five seconds; each says what it came to.
EPISODES = 12

# What a device does unless it is said otherwise; see struct hostile_temper.
FRIENDLY = {"size": 128, "target": 0, "late_ms": 0, "drags_ms": 0, "keeps": 0, "lies": 0, "storm": 0, "moves": 0, "quiet": 0,
            "stats_ms": 10000, "life_ms": 3000, "shuffles": 0, "restless": 0, "wild": 0, "slow": 0, "refuses": 0, "breaks": 0,
            "needs_reset": 0, "silent": 0}
# Features, by their bits.
MUST_TELL, STATS, ON_OOM, HINT, POISON, REPORTING, PRESSURE, MODERN = (1 << bit for bit in (0, 1, 2, 3, 4, 5, 17, 32))


class Life(typing.NamedTuple):
    """What a device was, and what the driver made of it: how long it took to leave, and what it did and wrote to the log."""
    what: str
    ms: int
    leave_ms: int
    reads: int
    writes: int
    buffers: list           # inflate, deflate, statistics, hint, reporting
    returned: int
    interrupts: int
    lines: int

    def each_second(self, number):
        return number * 1000 / self.ms


def boot(t, **options):
    """A guest without another balloon device; the module is in it."""
    options.setdefault("files", {"/hostile.ko": guestmodule.build(t.kernel, "hostile")})
    if t.series == "debug":
        options.setdefault("append", watchers.APPEND)
    return t.boot(mem=GUEST, balloon=None, **options)


class Hostile:
    """Devices of one seed, from insmod to rmmod."""

    def __init__(self, vm, driver=OURS):
        self.vm, self.driver = vm, driver

    def begin(self, **options):
        self.vm.run("insmod /hostile.ko " + " ".join(f"{name}={value}" for name, value in options.items()), timeout=60)

    def parameter(self, name):
        return int(self.vm.read(f"{PARAMETERS}/{name}").strip().replace("Y", "1").replace("N", "0"))

    def one(self, meanwhile=None, timeout=120, **temper):
        """One device, friendly but for what is said, from its coming to its going, and something beside it; returns its Life."""
        before = len(self.lives())
        self.begin(lives=1, **{**FRIENDLY, **temper})
        if meanwhile:
            meanwhile()
        wait_for(self.vm, lambda: self.parameter("over"), "the device has gone", timeout)
        self.end()
        self.check()
        return self.lives()[before]

    def end(self):
        """The last device leaves, and the module."""
        self.vm.run("rmmod hostile", timeout=120)

    def log(self):
        return self.vm.console.text().replace("\r", "")

    def check(self):
        """What the devices, and the guest's kernel, have seen so far."""
        faults = [fault[0] for fault in FAULT.finditer(self.log())]
        assert not faults, f"{faults[0]} (and {len(faults) - 1} more)"
        bad, _ = self.vm.console.check()
        assert not bad, f"the guest's kernel said: {bad[0]} (and {len(bad) - 1} more lines); see {self.vm.dir}"

    def lives(self):
        """Those that are over."""
        what, lines, lives = "", 0, []
        for line in self.log().splitlines():
            begin, end = BEGIN.search(line), END.search(line)
            if begin:
                what, lines = begin[0], 0
            elif end:
                life, ms, leave_ms, reads, writes, *buffers, returned, interrupts = map(int, end.groups())
                lives.append(Life(what, ms, leave_ms, reads, writes, buffers, returned, interrupts, lines))
            elif f"{self.driver} " in line:
                lines += 1
        return lives


def load(vm, dice, loaded):
    """One thing that a guest does meanwhile; None where the host cannot know the difference."""
    what = dice.choice(("touch", "touch", "small", "compact", "drop", "module", "wait", "wait"))
    if what == "touch":
        return vm.spawn(f"vbp-touch {dice.randrange(50, 500)} --quiet --verify")
    if what == "small":
        return vm.spawn(f"vbp-touch {dice.randrange(50, 300)} --quiet --verify --small --hold 1")
    if what == "compact":
        return vm.spawn("echo 1 >/proc/sys/vm/compact_memory")
    if what == "drop":
        return vm.spawn(f"echo {dice.randrange(1, 4)} >/proc/sys/vm/drop_caches")
    if what == "module":
        return vm.spawn(f"rmmod {loaded}; sleep {dice.random():.1f}; modprobe {loaded}")
    time.sleep(dice.random())
    return None


def free_after(vm):
    """Free pages, once what is kept for no reason has been given back."""
    vm.write("/proc/sys/vm/drop_caches", "3")
    vm.run("for c in /sys/kernel/slab/*/shrink; do echo 1 >$c; done", timeout=60, check=False)
    return free_pages(vm)


def judge(job):
    """A load that got other data than it wrote."""
    result = job.wait(120)
    assert "corrupt" not in result.out, f"a program's memory has changed: {result.out}"


def check_lines(log, minutes):
    """Whatever hosts do, the driver's words are few. Each time it has a device it says one of two things."""
    said = [line.split(": ", 1)[1] for line in re.findall(rf"{OURS} virtio\d+: .*", log)]
    devices = sum("the balloon gives memory back" in line or "the host offers neither" in line for line in said)
    for kind, count in collections.Counter(re.sub(r"\d+", "N", re.sub(r"\(.*?\)|, its floor", "", line)) for line in said).items():
        often = EPISODES if kind.startswith("gave back") else OFTEN
        most = often * (minutes + 1) + ONCE * devices
        assert count <= most, f"{count} lines in {minutes:.1f} minutes, of {devices} devices: {kind}"


def check_whole(vm, free, noise=NOISE):
    """No device is there any more: nothing is missing."""
    vm.write("/proc/sys/vm/stat_refresh", "1")
    left = vm.vmstat()
    assert left["balloon_inflate"] == left["balloon_deflate"], (left["balloon_inflate"], left["balloon_deflate"])
    assert left["nr_kernel_misc_reclaimable"] == 0, "pages are still counted as reclaimable"
    wait_for(vm, lambda: not offline(vm), "no page is marked as nobody's", 10)
    missing = free - free_after(vm)
    assert missing < noise, f"{missing} pages are missing"


def live(t, vm, seed, seconds, first=1, lives=None):
    """Devices of that seed for so long, or so many of them, and loads beside them; returns what each came to."""
    dice, hostile, jobs = random.Random(f"{seed}/{first}"), Hostile(vm), []
    vm.run(f"modprobe {OURS}")
    if t.series == "debug":
        watchers.forget_leaks(vm)
    free = free_after(vm)
    hostile.begin(seed=seed, first=first, **({"lives": lives} if lives else {}))
    began = time.monotonic()
    end = began + seconds
    while time.monotonic() < end and not hostile.parameter("over"):
        if len(jobs) < JOBS:
            job = load(vm, dice, OURS)
            jobs += [job] if job else []
        else:
            time.sleep(0.2)
        for job in [job for job in jobs if not job.running()]:
            jobs.remove(job)
            judge(job)
        hostile.check()
    for job in jobs:
        job.kill()
        judge(job)
    hostile.end()
    hostile.check()
    check_lines(hostile.log(), (time.monotonic() - began) / 60)
    vm.run(f"modprobe {OURS}; rmmod {OURS}")
    if t.series == "debug":
        watchers.check_owners(vm)
        watchers.check_leaks(vm)
        watchers.check_alive(vm)
    check_whole(vm, free)
    return hostile.lives()
