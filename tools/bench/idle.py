# SPDX-License-Identifier: GPL-2.0-only
"""What the driver costs a guest that does not need it: wake-ups while it is idle, and the hook's share of a run full of reclaim."""

import dataclasses
import re
import time

from vbpvm import guestmodule, kernels

import compare
import drive
import loads
import rows
import settings
from figures import Figure
from settings import say

IDLE_S = 10 if settings.QUICK else 60
CALM_S = 5              # after the inflation, before it counts as idle
TRIES = 5               # of the hook's cost: the least is what nothing disturbed
HOOK_LIMIT = 0.002
TRACE = "/sys/kernel/tracing"
EVENTS = ("workqueue/workqueue_execute_start", "timer/timer_expire_entry", "timer/hrtimer_expire_entry")
HOOKS = ("vmpressure_events", "kswapd_wakeups")
OURS = "[virtio_balloon_pressure]"


def run_all(place):
    """Records, one for each QEMU."""
    return [_run(place, rows.BY_KEY[key]) for key in ("stock", "patched")]


def _run(place, row):
    probe = guestmodule.build(kernels.get(place.series), "hook_cost")
    load = loads.BY_KEY["once"]
    with compare.boot(place, row, load, files={"/hook_cost.ko": probe}) as vm:
        compare.set_up(vm, place, load)
        bare = _call_ns(vm, "calls")
        vm.load_ours()
        hooked, wake = _call_ns(vm, "calls"), _call_ns(vm, "wakes")
        wakeups, seen = _wakeups(vm, row, load)

        prepared = drive.Prepared(vm, row, load)
        prepared.prepare()
        before = vm.pressure(*HOOKS)
        with prepared:
            result = vm.spawn(load.text(place.mem)).wait(load.timeout)
        calls, wakes = (value - before[name] for name, value in vm.pressure(*HOOKS).items())
        seconds = float(re.search(r"^result ok seconds=([\d.]+)", result.out, re.M)[1])
    record = {**dataclasses.asdict(place), "row": row.key, "idle_s": IDLE_S, "wakeups": wakeups, "wakeups_inflating": seen,
              "call_ns": bare, "hooked_call_ns": hooked, "hook_calls": calls, "wake_ns": wake, "wakes": wakes, "seconds": seconds,
              "part": (calls * max(0, hooked - bare) + wakes * wake) / 1e9 / seconds}
    say(f"    {row.title}: {wakeups} wake-ups in {IDLE_S} s ({seen} while inflating), {calls} calls of vmpressure's hook, "
        f"{hooked - bare:.0f} ns each, {wakes} of kswapd's, {wake:.0f} ns each")
    return record


def _call_ns(vm, what):
    """Nanoseconds for one of the calls, with whatever has hooked it."""
    times = []
    for _ in range(TRIES):
        vm.run("insmod /hook_cost.ko", check=False)
        calls, taken = re.search(rf"(\d+) {what}, (\d+) ns", vm.run("dmesg | grep hook_cost: | tail -2").out).groups()
        times.append(int(taken) / int(calls))
    return min(times)


def _wakeups(vm, row, load):
    """How often works and timers of the driver ran while the guest was idle, and, to show that they would be seen, before that."""
    prepared = drive.Prepared(vm, row, load)
    vm.run(f"mount -t tracefs none {TRACE}", check=False)
    for event in EVENTS:
        vm.write(f"{TRACE}/events/{event}/enable", "1")
    prepared.resize(prepared.left)
    seen = vm.read(f"{TRACE}/trace").count(OURS)
    if not seen:
        raise AssertionError("the guest's tracer saw nothing of the driver while it inflated")
    time.sleep(CALM_S)
    vm.write(f"{TRACE}/trace", "")
    time.sleep(IDLE_S)
    text = vm.read(f"{TRACE}/trace")
    for event in EVENTS:
        vm.write(f"{TRACE}/events/{event}/enable", "0")
    if re.search(r"LOST|overrun", text):
        raise AssertionError("the guest's tracer lost events")
    return text.count(OURS), seen


def judge(place, records):
    found = []
    for record in records:
        def add(what, value, wanted, reached, record=record):
            found.append(Figure(str(place), settings.IDLE, record["row"], what, value, wanted, reached))
        add(f"wake-ups by us in {record['idle_s']} s", str(record["wakeups"]), "none", record["wakeups"] == 0)
        add("calls of the hooks × their time, of a run full of reclaim",
            f"{record['part']:.3%} ({record['hook_calls']} calls of {record['hooked_call_ns'] - record['call_ns']:.0f} ns, "
            f"{record['wakes']} of {record['wake_ns']:.0f} ns)",
            f"at most {HOOK_LIMIT:.1%}", record["part"] <= HOOK_LIMIT)
    return found
