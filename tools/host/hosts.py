# SPDX-License-Identifier: GPL-2.0-only
"""One run: a host with its guests, each at its shifts, recorded from both sides."""

import concurrent.futures
import contextlib
import dataclasses
import re
import threading
import time
import typing

from helpers.contract import DEVICE, swap_on
from vbpvm import GuestDied, MIB, VM

import rows
from group import Group
from pollers import Poller

SAMPLE_S = 0.5
RAM = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) rw-p ", re.M)


@dataclasses.dataclass
class Run:
    """Sizes are MiB, times are seconds since the shifts began."""
    row: str
    seconds: float = 0.0                # measured
    memory: int = 0                     # MiB worked on in that time, all guests together
    file: int = 0
    kills: int = 0                      # in guests
    host_kills: int = 0                 # in the cgroup
    limit: typing.Optional[int] = None
    own: float = 0.0                    # the QEMUs' own memory
    most_swap: float = 0.0
    smallest: float = 0.0               # size of a guest
    host: list = dataclasses.field(default_factory=list)        # [time, used, swap, level, free]
    sizes: list = dataclasses.field(default_factory=list)       # for each guest: [time, actual, asked, automatic]
    shifts: list = dataclasses.field(default_factory=list)      # for each guest: [time, phase]

    @property
    def work(self):
        return self.memory + self.file


class Guest(VM):
    """A guest whose QEMU is in the host's cgroup."""

    def __init__(self, group, **options):
        super().__init__(**options)
        self._group = group

    def in_child(self):
        super().in_child()
        self._group.enter()


def _own_mib(guest):
    """What its QEMU uses for itself: all but the guest's memory, which is one mapping of just that size."""
    total = ram = 0
    here = False
    for line in open(f"/proc/{guest.pid}/smaps"):
        match = RAM.match(line)
        if match:
            here = int(match[2], 16) - int(match[1], 16) == guest.mem_bytes
        elif line.startswith("Anonymous:"):
            kib = int(line.split()[1])
            total += kib
            ram += kib if here else 0
    return (total - ram) / 1024


def run(row, kernel, module, qemu, start_s, end_s, say):
    """Boots the guests of that row, lets them work, and measures from start_s to end_s of their shifts."""
    result = Run(row.key)
    with contextlib.ExitStack() as stack:
        group = Group()
        stack.callback(group.remove)
        # QEMU dies with the thread that started it.
        pool = stack.enter_context(concurrent.futures.ThreadPoolExecutor())
        guests = list(_guests(row, group, kernel, module, qemu))
        for guest in guests:
            stack.callback(guest.stop)
        list(pool.map(Guest.start, guests))
        result.own = sum(_own_mib(guest) for guest in guests)
        if row.limited:
            result.limit = round(rows.SHARED_MIB + result.own)
            group.limit(result.limit)
        _ask(row, guests, group)
        say(f"    {len(guests)} guests run; QEMU itself uses {result.own:.0f} MiB" +
            (f", the host has {result.limit}" if result.limit else ""))

        def free():
            return result.limit - group.usage()[0]
        if row.poller:
            stack.enter_context(Poller(row.poller, guests, free))
        begun = time.monotonic()
        jobs = [guest.spawn(f"vbp-shifts {rows.PAUSE_S} {rows.MEMORY_S} {rows.FILE_S} {rows.MEMORY_MIB} {rows.FILE_MIB} /dev/vdb "
                            f"{number * rows.DAY_S // rows.GUESTS}") for number, guest in enumerate(guests)]
        _watch(result, row, group, guests, begun, end_s)
        _add_up(result, guests, jobs, begun + start_s, begun + end_s)
        result.shifts = [[[when - begun, line.split()[2]] for when, line in job.lines if line.startswith("shift ")] for job in jobs]
        result.host_kills = group.kills()
        for guest in guests:
            bad, _ = guest.console.check()
            if bad:
                raise GuestDied(f"{row.title}: a guest's kernel said: {bad[0]}")
    return result


def _guests(row, group, kernel, module, qemu):
    for number in range(rows.GUESTS):
        disk = (f"if=none,id=files,driver=null-co,size={rows.FILE_MIB << 20},read-zeroes=on,"
                f"throttling.bps-total={rows.DISK_BYTES_PER_S}")
        yield Guest(group, kernel=kernel, mem=rows.GUEST_MIB, smp=1, module=module if row.driver == rows.OURS else None,
                    balloon=row.balloon if row.driver else None, qemu=qemu if row.patched else None, accel="tcg,tb-size=32",
                    disks=(rows.SWAP_MIB,), name=f"host-{row.key}-{number}", extra=["-drive", disk, "-device", "virtio-blk-pci,drive=files"])


def _ask(row, guests, group):
    for guest in guests:
        swap_on(guest)
        if row.driver == rows.OURS:
            guest.load_ours()
        elif row.driver:
            guest.load_in_tree()
        if row.driver and row.size_mib != rows.GUEST_MIB:
            guest.balloon(row.size_mib * MIB)
    for guest in guests:
        if row.driver and row.size_mib != rows.GUEST_MIB:
            guest.wait_actual(row.size_mib * MIB)
        if row.patched:
            guest.qmp.command("qom-set", path=DEVICE, property="host-pressure", value=f"{group.folder}/memory.pressure_level")


def _watch(result, row, group, guests, begun, end_s):
    """Samples until the end, the guests one after the other: a QEMU whose memory is in swap may take a while to answer."""
    levels = {"none": 0, "low": 1, "medium": 2, "critical": 3}
    result.sizes = [[] for _ in guests]
    over = threading.Event()

    def follow(guest, into):
        while not over.wait(SAMPLE_S):
            try:
                if row.patched:
                    now = guest.qmp.command("query-balloon-pressure")
                    asked = now.get("target", guest.mem_bytes) - now["host"]["automatic"]
                    into.append([time.monotonic() - begun, now["actual"] / MIB, asked / MIB,
                                 now["host"]["automatic"] / MIB, levels[now["host-level"]], now["host"]["free"] / MIB])
                elif row.driver:
                    into.append([time.monotonic() - begun, guest.actual() / MIB])
            except ConnectionError:
                return          # killed: _add_up() says so
    threads = [threading.Thread(target=follow, args=pair, daemon=True) for pair in zip(guests, result.sizes)]
    for thread in threads:
        thread.start()
    while time.monotonic() < begun + end_s:
        used, swapped = group.usage()
        level = max((sizes[-1][4] for sizes in result.sizes if sizes and len(sizes[-1]) > 4), default=0)
        result.host.append([time.monotonic() - begun, used, swapped, level])
        result.most_swap = max(result.most_swap, swapped)
        time.sleep(SAMPLE_S)
    over.set()
    for thread in threads:
        thread.join()
    result.smallest = min((point[1] for sizes in result.sizes for point in sizes), default=rows.GUEST_MIB)


def _add_up(result, guests, jobs, start, end):
    result.seconds = end - start
    for guest, job in zip(guests, jobs):
        if not guest.alive():
            raise GuestDied(f"{guest.name} did not live to the end: {guest.channel.dead or 'its QEMU was killed'}")
        if not job.running():
            raise AssertionError(f"{guest.name}: the shifts ended: {job.out[-300:]}")
        points = [(when, line.split()) for when, line in job.lines if re.match(r"shift \d+ \w+ \d+ \d+ \d+$", line)]
        first = max((point for point in points if point[0] <= start), key=lambda point: point[0], default=points[0])
        last = max((point for point in points if point[0] <= end), key=lambda point: point[0])
        result.memory += int(last[1][3]) - int(first[1][3])
        result.file += int(last[1][4]) - int(first[1][4])
        result.kills += int(last[1][5])
