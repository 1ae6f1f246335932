# SPDX-License-Identifier: GPL-2.0-only
"""What the balloon's mechanism costs: one guest after the other, each figure several times, against what it is compared with."""

import dataclasses
import pathlib
import re
import statistics
import time

from vbpvm import MIB, PAGE, VM, guestmodule

BLOCK = 512                     # pages
POLL_S = 0.002
# Of the guest's memory: what the balloon takes, and what is touched first so that the host has it populated.
BALLOON, LIVED = 0.5, 0.83
# The functions of the driver that one inflation is made of; the two that contain others come last.
STAGES = ("vbp_pages_alloc", "vbp_pages_hold", "virtqueue_kick", "virtqueue_notify", "vbp_pages_inflate", "vbp_pages_inflated")
IDLE_PINGS = 400
GAP_LOAD = 0.7                  # of the guest, half of which the balloon has


@dataclasses.dataclass(frozen=True)
class Host:
    """A balloon device and the driver that serves it."""
    key: str
    title: str
    balloon: str
    ours: bool = True
    patched: bool = False
    inflate_limit: float = None         # times the bare allocation
    faster_limit: float = None          # times the in-tree driver's speed, memory not zeroed


IN_TREE = Host("in-tree", "in-tree driver, stock QEMU", "deflate-on-oom=on", ours=False)
HOSTS = (
    IN_TREE,
    Host("reporting", "ours, stock QEMU, free-page-reporting", "deflate-on-oom=on,free-page-reporting=on",
         inflate_limit=1.5, faster_limit=5),
    Host("patched", "ours, patched QEMU", "guest-pressure=on", patched=True, inflate_limit=1.3, faster_limit=10),
    # Blocks go by reports here, too.
    Host("patched-reporting", "ours, patched QEMU, free-page-reporting", "guest-pressure=on,free-page-reporting=on", patched=True,
         inflate_limit=1.5, faster_limit=5),
)
DEFLATE_LIMIT = 10              # times the in-tree driver's speed
HUGE_LIMIT, ORDER9_LIMIT = 0.90, 0.95
PING_LIMIT_MS = 10


class Guest:
    """A guest with its driver loaded, and how its balloon is moved and timed."""

    def __init__(self, vm, host):
        self.vm, self.host = vm, host
        self.full = vm.mem_bytes
        self.small = int(vm.mem_bytes * (1 - BALLOON)) // (2 * MIB) * 2 * MIB
        self.blocks = (self.full - self.small) // (BLOCK * PAGE)

    def live(self):
        touched = self.vm.touch(int(self.full * LIVED) // MIB, "--quiet")
        assert touched.outcome == "ok", touched

    def bare(self):
        """Milliseconds for the blocks alone, and how many there were to be had."""
        self.vm.run(f"insmod /alloc_blocks.ko nr_blocks={self.blocks}", check=False)
        line = self.vm.run("dmesg | grep alloc_blocks: | tail -1").out
        got, taken = re.search(r"(\d+) blocks, allocated in (\d+) us", line).groups()
        return int(taken) / 1000, int(got)

    def move(self, size):
        """Milliseconds until the host sees the guest at this size."""
        start = time.monotonic()
        self.vm.balloon(size)
        while self.vm.actual() != size:
            assert time.monotonic() < start + 120, f"the guest has {self.vm.actual() // MIB} MiB after 120 s"
            time.sleep(POLL_S)
        return (time.monotonic() - start) * 1000

    def inflate(self):
        return self.move(self.small)

    def deflate(self):
        return self.move(self.full)


def measure(kernel, module, qemu, host, mem, init_on_alloc, rounds):
    """All figures of one guest, as a dictionary of lists."""
    probes = {f"/{name}.ko": guestmodule.build(kernel, name) for name in ("alloc_blocks", "relief_gap")}
    figures = {"bare_ms": [], "inflate_ms": [], "deflate_ms": []}
    with VM(kernel, mem=mem, balloon=host.balloon, module=module, qemu=qemu if host.patched else None, files=probes,
            append=f"init_on_alloc={int(init_on_alloc)}", name=f"bench-{host.key}") as vm:
        guest = Guest(vm, host)
        guest.live()
        before = guest.bare()[1]
        huge = _huge(vm)
        vm.load_ours() if host.ours else vm.load_in_tree()
        for _ in range(rounds):
            figures["bare_ms"].append(guest.bare()[0])
            figures["inflate_ms"].append(guest.inflate())
            figures["deflate_ms"].append(guest.deflate())
            guest.live()
        figures["order9"] = guest.bare()[1] / before
        figures["huge"] = _huge(vm) / huge if huge else None
        if host.ours and init_on_alloc:
            figures["stages_ms"] = _stages(guest)
            figures["gap_pages"], figures["gap_limit"] = _gap(guest)
        if host.patched:
            figures["ping_idle_ms"], figures["ping_inflating_ms"] = _pings(guest)
        bad, _ = vm.console.check()
        assert not bad, f"the guest's kernel said: {bad[0]}"
    return figures


def _huge(vm):
    """
    What part of the guest's memory the host has in huge pages; 0 where it has none to give. A part, because a guest that reports
    its free pages has given some of them away again.
    """
    text = pathlib.Path(f"/proc/{vm.pid}/smaps_rollup").read_text()
    huge, anonymous = (int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) for name in ("AnonHugePages", "Anonymous"))
    return huge / anonymous


def _stages(guest):
    """Milliseconds of one inflation spent in each of STAGES, by the guest's function tracer."""
    vm, trace = guest.vm, "/sys/kernel/tracing"
    vm.run(f"mount -t tracefs none {trace}", check=False)
    for name in STAGES:             # the kernel takes one a write
        vm.run(f"echo {name} >>{trace}/set_ftrace_filter")
    vm.write(f"{trace}/buffer_size_kb", "16384")
    vm.write(f"{trace}/current_tracer", "function_graph")
    guest.inflate()
    vm.write(f"{trace}/tracing_on", "0")
    text = vm.run(f"cat {trace}/trace").out
    vm.write(f"{trace}/current_tracer", "nop")
    guest.deflate()
    return _sum_up(text)


def _sum_up(text):
    """A line with a body ends in "{" and its time comes with a later "} /* name */" or, on old kernels, a bare "}"."""
    total = dict.fromkeys(STAGES, 0.0)
    open_calls = {}
    for line in text.splitlines():
        match = re.match(r"\s*(\d+)\)\s*(?:[^\d|]\s*)?(?:([\d.]+) us)?\s*\|\s*(\}|[\w.]+)", line)
        if not match:
            continue
        cpu, taken, what = match.groups()
        calls = open_calls.setdefault(cpu, [])
        if what == "}":
            name = calls.pop() if calls else None
        elif line.rstrip().endswith("{"):
            calls.append(what)
            continue
        else:
            name = what
        if name in total and taken:
            total[name] += float(taken) / 1000
    return total


def _gap(guest):
    """Pages allocated between the first sign of pressure and the first block free, and the watermarks' gap."""
    vm = guest.vm
    guest.inflate()
    vm.run("insmod /relief_gap.ko")
    touched = vm.touch(int(guest.full * GAP_LOAD) // MIB, "--quiet")
    assert touched.outcome == "ok", touched
    gap = int(vm.read("/sys/module/relief_gap/parameters/gap_pages"))
    vm.run("rmmod relief_gap")
    zones = vm.read("/proc/zoneinfo")

    def total(name):
        return sum(map(int, re.findall(rf"^ +{name} +(\d+)", zones, re.M)))
    return gap, total("low") - total("min")


def _pings(guest):
    """Round trips of a QMP command, in milliseconds: while nothing happens, and while the balloon goes up and down."""
    def ping():
        start = time.monotonic()
        guest.vm.qmp.command("query-status")
        return (time.monotonic() - start) * 1000

    # Loaded anew, it knows nothing of the relief before: no hold-off.
    guest.vm.run("rmmod virtio_balloon_pressure")
    guest.vm.load_ours()
    guest.move(guest.small)
    guest.move(guest.full)
    idle = []
    for _ in range(IDLE_PINGS):
        idle.append(ping())
        time.sleep(POLL_S)
    busy = []
    while len(busy) < IDLE_PINGS:
        guest.vm.balloon(guest.small)
        while guest.vm.actual() != guest.small:
            busy.append(ping())
            time.sleep(POLL_S)
        guest.deflate()
    return idle, busy


def p99(values):
    return statistics.quantiles(values, n=100)[98]
