# SPDX-License-Identifier: GPL-2.0-only
"""
A device that does anything the wire allows: modules/hostile makes it, in the guest. `make fuzz-driver MINUTES=n SEED=s` has the debug
kernel meet more of them; SEED=s/l is the one device l of seed s.
"""

import random

from vbpvm import MIB, PAGE
from vbpvm.runner import vm_test

from helpers import given
from helpers.hostile import HINT, MODERN, MUST_TELL, ON_OOM, OURS, PRESSURE, REPORTING, STATS, Hostile, boot, check_whole, free_after, live

MINUTES = given.minutes()
SEED, ONLY = given.seed_and_life()
GUEST_MINUTES, GUEST_LIVES = 5, 1000    # at most, of a guest: a leak then has few suspects
MANY_LIVES = 40                         # so many use every queue
DEVICE_PAGE = 4096
TARGET = 400 * MIB // DEVICE_PAGE
LOOKS = 60                      # a second: one in VBP_ASKED_GAP, and some


@vm_test(either=True)
def test_costs(t):
    """What a host can make the guest do for nothing ends somewhere."""
    with boot(t) as vm:
        hostile = Hostile(vm)
        vm.run(f"modprobe {OURS}")
        with t.step("interrupts without a cause"):
            life = hostile.one(features=MODERN | PRESSURE | HINT, storm=3)
            reads = life.each_second(life.reads)
            t.note(f"{life.each_second(life.interrupts):.0f} interrupts and {reads:.0f} config reads a second")
            # Two works read, one of them four fields.
            assert life.each_second(life.interrupts) > 1000 and reads < LOOKS * 5, life
        with t.step("statistics are asked for at once"):
            life = hostile.one(features=MODERN | ON_OOM | STATS, stats_ms=0)
            answers = life.each_second(life.buffers[2])
            t.note(f"{answers:.0f} answers a second")
            assert 5 < answers < LOOKS, life
        with t.step("values that are never twice the same"):
            holder = vm.spawn("vbp-touch 700 --quiet --hold 1000")
            holder.wait_line("^result ok")
            life = hostile.one(features=MODERN | ON_OOM | HINT | STATS, restless=1, moves=500, life_ms=15000)
            holder.kill()
            holder.wait()
            t.note(f"{life.lines} lines")
            assert 5 < life.lines <= 15, life
        with t.step("it lets the driver wait as it leaves, for each buffer anew"):
            life = hostile.one(features=MODERN | ON_OOM | MUST_TELL | REPORTING, target=150 * MIB // DEVICE_PAGE, drags_ms=3000,
                               timeout=300)
            t.note(f"it left after {life.leave_ms / 1000:.1f} s")
            assert life.leave_ms < 20000, life


@vm_test(either=True, oom_kills=1 << 20)
def test_pages(t):
    """What a host may still discard nobody uses, and none of it is lost. The device looks whether its pages are used."""
    with boot(t) as vm:
        hostile = Hostile(vm)
        vm.run(f"modprobe {OURS}")
        free = free_after(vm)

        def all_of_it(but_mib=60):
            """Programs want all there is, again and again."""
            for _ in range(3):
                vm.touch(free * PAGE // MIB - but_mib, "--quiet", "--verify")
        with t.step("it is late with what the balloon takes"):
            life = hostile.one(all_of_it, features=MODERN | ON_OOM, target=TARGET, late_ms=1000, shuffles=1, life_ms=8000)
            assert life.buffers[0] > 5, life
        with t.step("it is late with free pages"):
            # Nobody has what a report holds meanwhile, 32 pieces of 4 MiB, and nothing gives it back before a kill.
            life = hostile.one(lambda: all_of_it(60 + 128), features=MODERN | ON_OOM | REPORTING, late_ms=1500, life_ms=10000)
            assert life.buffers[4] > 1, life
        with t.step("it must be told before"):
            # They come back only once it has heard of them. If the only program is killed before that, the kernel gives up.
            life = hostile.one(lambda: all_of_it(60 + 64), features=MODERN | ON_OOM | MUST_TELL, target=TARGET, late_ms=100, life_ms=8000)
            assert life.buffers[1] > 1, life
        with t.step("it returns some of them never"):
            life = hostile.one(features=MODERN | ON_OOM, target=TARGET, keeps=100, life_ms=2000)
            assert life.returned < sum(life.buffers) and life.leave_ms > 4000, life
            check_whole(vm, free)


@vm_test(full=True, debug=True, timeout=180 + MINUTES * 90)
def test_fuzz(t):
    """Devices drawn by dice, one after another. What a failure names, "life 7 of seed 3", is SEED=3/7."""
    t.allow_oom_kills(1 << 20)          # a floor may leave less than loads want
    t.note(f"VBP_SEED={SEED}, {MINUTES:g} minutes")
    guests = 1 if ONLY else max(1, round(MINUTES / GUEST_MINUTES))
    for guest in range(guests):
        first = ONLY or guest * GUEST_LIVES + 1
        # Two CPUs see more, but take a debug kernel minutes to boot.
        smp = {"smp": random.Random(f"{SEED}/{first}").choice((1, 2))} if MINUTES >= GUEST_MINUTES else {}
        with boot(t, **smp) as vm, t.step(f"VBP_SEED={SEED}/{first}"):
            lives = live(t, vm, SEED, MINUTES * 60 / guests, first, lives=1 if ONLY else None)
            buffers = [sum(kinds) for kinds in zip(*(life.buffers for life in lives))]
            t.note(f"{len(lives)} devices; buffers {buffers}, {sum(life.returned for life in lives)} returned; "
                   f"{sum(life.interrupts for life in lives)} interrupts; {max(life.leave_ms for life in lives)} ms to leave at most")
            assert ONLY or buffers[0], "nothing was inflated"
            # A few devices may have no hints asked of them, by chance.
            assert len(lives) < MANY_LIVES or all(buffers), "not every queue was used"
