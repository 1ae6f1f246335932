# SPDX-License-Identifier: GPL-2.0-only
"""
The guest's work, by instructions: one CPU, single-threaded, and a clock that counts what is executed. Faults that the host takes,
and how fast it is, are not in it. It holds all that the guest does from the load's start until AFTER_S seconds after its end, the
kernel's reclaim and the driver included, without the time during which it was idle.
"""

import dataclasses
import re

import compare
import drive
import rows
import settings
from settings import say
from vbpvm import GuestDied

# 2^SHIFT ns an instruction: 500 million a second, not far from what emulation runs at, so that what waits for the guest's clock
# does not wait for ever.
SHIFT = 1
AFTER_S = 3
ROWS = ("patched", "patched-best") if settings.BRIEF else ("stock", "stock-best", "patched", "patched-best")
# /proc/stat says the same in hundredths of a second, of which a load takes one or two hundred.
READING = "grep -e '^now at' -e _sleeptime /proc/timer_list"


def run_all(place, load):
    """Records: {place, load, row, work_s, busy_s}."""
    records = []
    for key in ROWS:
        row = rows.BY_KEY[key]
        if not load.has(row):
            continue
        # Each in a guest of its own: no run is the second in its guest, with memory in another state.
        with compare.boot(place, row, load, smp=1, accel="tcg,thread=single",
                          extra=("-icount", f"shift={SHIFT},sleep=on"), boot_timeout=240) as vm:
            vm.channel.patience *= 4
            compare.set_up(vm, place, load)
            work, outcome = _measure(vm, row, load)
            bad, _ = vm.console.check()
            if bad:
                raise GuestDied(f"the guest's kernel said: {bad[0]}")
        say(f"    {row.title.strip()}, by instructions: {outcome}, {work:.2f} s of work")
        records.append({**dataclasses.asdict(place), "load": load.key, "row": key, "work_s": work, "outcome": outcome})
    return records


def _measure(vm, row, load):
    prepared = drive.Prepared(vm, row, load)
    prepared.prepare()
    # In one command: what the agent and its port do is in neither reading, or in both.
    command = load.text(prepared.full // drive.MIB)
    result = vm.spawn(f"{READING}; ({command}); rc=$?; sleep {AFTER_S}; {READING}; exit $rc").wait(load.timeout)
    drive.clean_up(vm, load)
    return _work(result.out), drive.outcome_of(result)[0]


def _work(text):
    """Seconds between two readings during which the CPU was not idle."""
    def seconds(pattern):
        values = [int(value) for value in re.findall(pattern, text, re.M)]
        if len(values) != 2:
            raise GuestDied(f"not two readings of the guest's clock: {text[-400:]!r}")
        return (values[1] - values[0]) / 1e9
    return (seconds(r"^now at (\d+) nsecs") - seconds(r"^ *\.idle_sleeptime *: (\d+) nsecs")
            - seconds(r"^ *\.iowait_sleeptime *: (\d+) nsecs"))
