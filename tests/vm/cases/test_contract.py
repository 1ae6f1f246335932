# SPDX-License-Identifier: GPL-2.0-only
"""The contract with a host that offers it: our driver on the patched QEMU, and either of them with a partner that knows nothing."""

import re
import time

from vbpvm import MIB, PAGE, guestmodule
from vbpvm.qmp import QMPError
from vbpvm.runner import vm_test

from helpers.common import check_books, guest_mib, live, plug, refused, settle, unload, unplug, wait_for
from helpers.contract import (LEVELS, PRESSED, SWAP_MIB, Press, Storm, info_balloon, negotiated, report, set_host_level, set_limit,
                              sizes_for, swap_on, wait_pressed_at)
from helpers.trace import Trace

GUEST, SMALL, LIVED = 1024, 512, 800
# Needs what the balloon has taken, and gets by with less than all of it.
LOAD = 700
# More than a guest may have that is limited to less than GUEST.
TOO_MUCH = 850
# The issue says "within about 2 s": the driver waits a second for reclaim to stay away, and a machine with two CPUs for
# everything lets it wait a little longer.
CALM_S = 2.5


def inflated(vm, parameters="", small=SMALL):
    vm.balloon(small * MIB)
    vm.load_ours(parameters)
    vm.wait_actual(small * MIB)


def halves_agree(vm):
    now, guest = report(vm), vm.pressure("guest_pressure", "wanted_pages")
    # The guest looks every 20 ms, and tells what has changed by an eighth.
    wanted = guest["wanted_pages"] * PAGE
    return now["level"] == LEVELS[guest["guest_pressure"]] and abs(now["wanted"] - wanted) <= max(now["wanted"], wanted) / 4


def is_calm(vm):
    now = report(vm)
    return now["level"] == "none" and now["wanted"] == 0


def wait_calm(vm, timeout=CALM_S):
    """Waits until the guest reports that it lacks nothing; returns the seconds it took."""
    start = time.monotonic()
    wait_for(vm, lambda: is_calm(vm), "a calm guest says so", timeout)
    return time.monotonic() - start


@vm_test(patched=True, timeout=180, alone=True)
def test_experiment(t):
    """The experiment of test_experiment.py with the feature alone: nothing else allows the driver to deflate."""
    guest, small, load = 2048, 1024, 1500
    with t.boot(mem=guest, balloon="guest-pressure=on") as vm:
        live(vm, 1700)
        inflated(vm, small=small)
        with t.step("agreed, and calm"):
            assert negotiated(vm)
            now = report(vm)
            # What is done because the host is short: nothing.
            host = now.pop("host")
            assert host["automatic"] == 0 and "source" not in host, host
            assert now == {"negotiated": True, "level": "none", "wanted": 0, "actual": small * MIB, "target": small * MIB,
                           "size-max": guest * MIB, "host-level": "none", "inhibited": False}, now
        before, since = vm.vmstat(), len(vm.qmp.events)
        with t.step("the program gets its memory"):
            touched, counts = vm.touch(load, "--quiet"), vm.vmstat() - before
            t.note(f"{touched}, {counts['allocstall']} allocstalls")
            assert touched.outcome == "ok", touched
            assert counts["oom_kill"] == 0 and counts["allocstall"] < 100, counts["allocstall"]
            assert vm.pressure("relief_pages") > 400 * MIB // PAGE
        with t.step("calm again, and says so"):
            t.note(f"after {wait_calm(vm):.1f} s")
        with t.step("events told of it"):
            time.sleep(1.1)         # no more than one a second
            told = [event["data"] for _, event in vm.qmp.events[since:] if event["event"] == "BALLOON_PRESSURE"]
            t.note(told)
            assert told and told[-1]["level"] == "none" and told[-1]["wanted"] == 0, told
            assert any(data["level"] in PRESSED for data in told), told
        with t.step("the books balance"):
            settle(vm)
            check_books(vm)


@vm_test(patched=True, timeout=240)
def test_floor(t):
    """To the page, however hard the guest is pressed; and what it lacks is known."""
    # Not whole blocks, and not a whole number of MiB.
    limit = 768 * MIB + PAGE
    floor = (GUEST * MIB - limit) // PAGE
    with t.boot(mem=GUEST, balloon=f"guest-pressure=on,size-max={limit}", disks=(SWAP_MIB,)) as vm:
        swap_on(vm)
        inflated(vm)
        with t.step("the guest knows it"):
            assert vm.pressure("balloon_floor_pages") == floor
        since = len(vm.qmp.events)
        with Press(vm, TOO_MUCH) as press:
            with t.step("grows to the floor and no further"):
                wait_pressed_at(vm, limit)
                seen = sizes_for(vm, 4)
                assert set(seen) == {limit}, (min(seen), max(seen), limit)
                assert vm.pressure("balloon_pages") == floor
                assert press.running()
            with t.step("says how much it lacks"):
                now = wait_pressed_at(vm, limit)
                t.note(now)
                assert now["negotiated"] and now["size-max"] == limit and now["target"] == SMALL * MIB, now
                wait_for(vm, lambda: halves_agree(vm), "both halves say the same", 10)      # it changes while one looks
            with t.step("info balloon shows it"):
                text = info_balloon(vm)
                assert re.search(r"pressure: guest=(low|medium|critical) wanted=[1-9]\d* target=512 max=768 host=none$", text), text
            with t.step("an event told of it"):
                time.sleep(1.1)
                told = [event["data"] for _, event in vm.qmp.events[since:] if event["event"] == "BALLOON_PRESSURE"]
                t.note(told)
                assert any(data["level"] in PRESSED and data["wanted"] and data["actual"] == limit for data in told), told
        with t.step("calm when the program has gone"):
            t.note(f"after {wait_calm(vm):.1f} s")
        with t.step("the books balance"):
            settle(vm)
            check_books(vm)


@vm_test(either=True, patched=True, timeout=240, alone=True)
def test_grant(t):
    """More memory for a guest that lacks it, while it does: there within 100 ms of management's word."""
    grants, step = 5, 64
    first = 576
    with t.boot(mem=GUEST, balloon=f"guest-pressure=on,size-max={first}M", disks=(SWAP_MIB,)) as vm:
        swap_on(vm)
        inflated(vm)
        took = []
        with Press(vm, first + grants * step + 100), t.step("within 100 ms"):
            for size in range(first, first + grants * step, step):
                # "low" stays for a second after the last need.
                wanted = wait_pressed_at(vm, size * MIB, levels=PRESSED[1:])["wanted"]
                start = time.monotonic()
                set_limit(vm, (size + step) * MIB)
                # It may want less than it is granted, and then takes the rest when it wants that, too.
                while vm.actual() < size * MIB + min(wanted, step * MIB):
                    assert time.monotonic() - start < 10, f"{vm.actual() / MIB:.1f} MiB, {wanted / MIB:.1f} more wanted"
                    time.sleep(0.002)
                took.append(time.monotonic() - start)
                wait_for(vm, lambda: vm.actual() == (size + step) * MIB, "the guest takes all it may have", 20)
            t.note(f"{[round(seconds * 1000) for seconds in took]} ms")
            # The guest runs under TCG, beside the load that presses it, on as few CPUs as this machine has: the best of a few.
            assert min(took) < 0.1, took
        with t.step("the books balance"):
            settle(vm)
            check_books(vm)


@vm_test(either=True, patched=True, timeout=180)
def test_host_pressure(t):
    """A host that is short of memory gets it back sooner, and in larger steps; but not without the hold-off."""
    holdoff_s = 16
    with t.boot(mem=GUEST, balloon="guest-pressure=on") as vm:
        live(vm, LIVED)
        inflated(vm, f"holdoff_ms={holdoff_s * 1000}")
        step = vm.meminfo()["MemTotal"] // 40
        assert vm.touch(LOAD, "--quiet").outcome == "ok"
        # Relief at exit is over when the guest's own clock says so; the hold-off began no later.
        relieved = time.monotonic()
        size = vm.actual()
        with t.step("the host is calm: nothing within the hold-off"):
            seen = sizes_for(vm, holdoff_s / 4)
            assert size > (SMALL + 100) * MIB and min(seen) == size, (size, min(seen))
        with t.step("the host is short: at once, an eighth of the hold-off has passed"):
            set_host_level(vm, 3)
            start = time.monotonic()
            wait_for(vm, lambda: vm.actual() < size, "the balloon grows", 5)
            assert time.monotonic() < relieved + holdoff_s / 2, "it would have grown without that"
        with t.step("in larger steps"):
            vm.wait_actual(SMALL * MIB, timeout=20)
            took = time.monotonic() - start
            t.note(f"{(size - SMALL * MIB) / MIB:.0f} MiB in {took:.1f} s; steps of a calm host: {step / MIB:.0f} MiB a second")
            assert took < (size - SMALL * MIB) / step / 2, took
        with t.step("the hold-off is short, not nought"):
            # From a critical host the guest would not get it.
            set_host_level(vm, 0)
            with Trace(vm) as trace:
                assert vm.touch(LOAD, "--quiet").outcome == "ok"
                set_host_level(vm, 3)
                size = vm.actual()
                assert size > (SMALL + 100) * MIB, size
                wait_for(vm, lambda: vm.actual() < size, "the balloon grows", 8)
            relieved = trace.of("vbp_relief")[-1]["at"]
            waited = next(one["at"] for one in trace.of("vbp_inflate") if one["at"] > relieved) - relieved
            # Pressure that returns doubles it only for who is busy. It counts from the decision, a little before the pages are there.
            assert waited > holdoff_s / 8 - 1, waited
            vm.wait_actual(SMALL * MIB, timeout=20)
            check_books(vm)


@vm_test(either=True, patched=True, timeout=240)
def test_floor_moves(t):
    """The floor changes at every moment, to every value: it never makes the balloon larger."""
    with t.boot(mem=GUEST, balloon="guest-pressure=on", disks=(SWAP_MIB,)) as vm:
        swap_on(vm)
        live(vm, LIVED)
        inflated(vm, "holdoff_ms=15000")
        target = (GUEST - SMALL) * MIB // PAGE
        # What the host says and what the guest makes of it: no more than the target.
        for name, limit, floor in (("below the target", 768 * MIB, (GUEST - 768) * MIB // PAGE),
                                   ("above the target", 256 * MIB, target),
                                   ("all of memory", 0, target),
                                   ("none", 2 * GUEST * MIB, 0)):
            with t.step(f"calm, {name}"):
                set_limit(vm, limit)
                wait_for(vm, lambda: vm.pressure("balloon_floor_pages") == floor, f"the floor is {floor}", 5)
                assert set(sizes_for(vm, 0.5)) == {SMALL * MIB}
                check_books(vm)
        with t.step("a target below the floor is obeyed, both ways"):
            set_limit(vm, 0)
            guest_mib(vm, 800)
            check_books(vm)
            assert vm.pressure("balloon_floor_pages") == (GUEST - 800) * MIB // PAGE
            guest_mib(vm, SMALL)
            check_books(vm)
            assert vm.pressure("relief_pages") == 0

        set_limit(vm, 720 * MIB)
        with Press(vm, TOO_MUCH):
            wait_pressed_at(vm, 720 * MIB)
            with t.step("under pressure, above the balloon: neither grows nor shrinks"):
                set_limit(vm, 600 * MIB)
                wait_for(vm, lambda: vm.pressure("balloon_floor_pages") == (GUEST - 600) * MIB // PAGE, "the guest sees it", 5)
                assert set(sizes_for(vm, 3)) == {720 * MIB}
                assert report(vm)["level"] in PRESSED
            with t.step("under pressure, lower again: goes on"):
                set_limit(vm, 760 * MIB)
                wait_pressed_at(vm, 760 * MIB)
            with t.step("under pressure, a target below the floor is obeyed"):
                set_limit(vm, 400 * MIB)
                vm.balloon(784 * MIB)
                vm.wait_actual(784 * MIB, timeout=10)
                vm.balloon(SMALL * MIB)
                assert set(sizes_for(vm, 2)) == {784 * MIB}
        # The swapped-out rest of other programs comes back when it will: with the pressure gone nothing else moves.
        wait_calm(vm, 10)
        with t.step("what the host asked for meanwhile comes when it is plainly free, before the hold-off is over"):
            set_limit(vm, 600 * MIB)
            vm.wait_actual(SMALL * MIB, timeout=10)
            vm.balloon(900 * MIB)
            vm.wait_actual(900 * MIB, timeout=5)
            vm.balloon(SMALL * MIB)
            vm.wait_actual(SMALL * MIB, timeout=5)
            check_books(vm)

        # It has all that it asked for, and asks for nothing now.
        set_limit(vm, 720 * MIB)
        with Press(vm, TOO_MUCH):
            wait_pressed_at(vm, 720 * MIB)
        wait_calm(vm, 10)
        with t.step("in the hold-off, above the balloon: does not grow"):
            size = vm.actual()
            set_limit(vm, 600 * MIB)
            assert set(sizes_for(vm, 2)) == {size}
        with t.step("in the hold-off, the same target again: does not grow"):
            vm.balloon(SMALL * MIB)
            assert set(sizes_for(vm, 1)) == {size}
        with t.step("afterwards it goes to the target"):
            set_limit(vm, GUEST * MIB)
            set_host_level(vm, 3)           # or it would take half a minute
            vm.wait_actual(SMALL * MIB, timeout=60)
            check_books(vm)


@vm_test(either=True, patched=True, timeout=300)
def test_idle(t):
    """A guest that needed its memory again and again gives it to a critical host at once while it has nothing to do, and not before."""
    holdoff_s, times = 16, 5
    # That of a critical host is an eighth; doubled by each time but the first.
    once_s, doubled_s = holdoff_s / 8, holdoff_s / 8 * 2 ** (times - 1)
    with t.boot(mem=GUEST, balloon="guest-pressure=on,host-pressure-timeout=600") as vm:
        live(vm, LIVED)
        inflated(vm, f"holdoff_ms={holdoff_s * 1000}")

        def need():
            set_host_level(vm, 0)
            touched = vm.touch(LOAD, "--quiet")
            assert touched.outcome == "ok" and vm.actual() > SMALL * MIB, touched
            set_host_level(vm, 3)
        for number in range(times):
            need()
            with t.step(f"idle, time {number + 1}"):
                took = vm.wait_actual(SMALL * MIB, timeout=60)
                t.note(f"{took:.1f} s, a busy guest waits {once_s * 2 ** number:.0f} s first")
        assert took < doubled_s * 3 / 4, took
        need()
        with t.step("busy"):
            job, before = vm.spawn("while :; do :; done"), vm.actual()
            time.sleep(doubled_s / 2)
            assert vm.actual() == before, (before, vm.actual())
            job.kill()
            job.wait()
        with t.step("idle again"):
            vm.wait_actual(SMALL * MIB, timeout=60)
            check_books(vm)


@vm_test(patched=True, timeout=300, oom_kills=1)
def test_floor_now(t):
    """The floor for the moment: honoured while the host is critical, renewed while the guest grows, lifted with the shortage."""
    with t.boot(mem=GUEST, balloon="guest-pressure=on,host-pressure-timeout=600", disks=(SWAP_MIB,)) as vm:
        live(vm, LIVED)
        inflated(vm, "holdoff_ms=2000")
        total, before = vm.meminfo()["MemTotal"], vm.vmstat()
        balloon = (GUEST - SMALL) * MIB // PAGE
        with t.step("a critical host: the guest knows it, and says that less can be had, but not that it has shrunk"):
            assert vm.pressure("balloon_floor_now_pages") == 0
            set_host_level(vm, 3)
            wait_for(vm, lambda: vm.pressure("balloon_floor_now_pages") == balloon, "the guest sees the floor", 5)
            assert vm.pressure("balloon_floor_pages") == 0
            check_books(vm)
            assert vm.meminfo()["MemTotal"] == total
        with t.step("critical: nothing comes, and a program is killed that needs more"):
            touched = vm.touch(LOAD, "--quiet")
            t.note(touched)
            assert touched.outcome != "ok" and vm.actual() == SMALL * MIB, (touched, vm.actual())
            assert vm.pressure("relief_pages") == 0
            before = vm.vmstat()
        with t.step("medium: a little at a time, as often as it is asked for; nobody is killed"):
            set_host_level(vm, 2)
            touched, counts = vm.touch(LOAD, "--quiet"), vm.vmstat() - before
            t.note(f"{touched}, {counts['allocstall']} allocstalls")
            assert touched.outcome == "ok" and counts["oom_kill"] == 0, (touched, counts["oom_kill"])
            vm.wait_actual(SMALL * MIB, timeout=60)
        set_host_level(vm, 3)
        wait_for(vm, lambda: vm.pressure("balloon_floor_now_pages") == balloon, "the guest sees the floor", 5)
        swap_on(vm)
        with Press(vm, TOO_MUCH):
            with t.step("critical again: the guest says what it lacks, and gets nothing"):
                wait_pressed_at(vm, SMALL * MIB)
                assert set(sizes_for(vm, 3)) == {SMALL * MIB}
            with t.step("lifted: it has what it lacks"):
                set_host_level(vm, 0)
                wait_for(vm, lambda: vm.actual() > TOO_MUCH * MIB, "the guest grows", 10)
                assert vm.pressure("balloon_floor_now_pages") == 0
        with t.step("the books balance"):
            settle(vm)
            check_books(vm)


@vm_test(either=True, patched=True, timeout=120)
def test_one_range(t):
    """Target and floor are read as of one moment, though the host changes both between the two readings."""
    slow = "/sys/module/slow_config/parameters"
    with t.boot(mem=GUEST, balloon="guest-pressure=on", files={"/slow_config.ko": guestmodule.build(t.kernel, "slow_config")}) as vm:
        inflated(vm)
        set_limit(vm, 768 * MIB)
        before = (GUEST - SMALL) * MIB // PAGE, (GUEST - 768) * MIB // PAGE
        after = (GUEST - 900) * MIB // PAGE, (GUEST - 1000) * MIB // PAGE

        def seen():
            told = vm.pressure("balloon_target_pages", "balloon_floor_pages")
            return told["balloon_target_pages"], told["balloon_floor_pages"]

        def wait_stalled(times):
            wait_for(vm, lambda: vm.read(f"{slow}/stalled").strip() == str(times), f"reading is slow, {times} times", 15)
        wait_for(vm, lambda: seen() == before, "the guest sees the limit", 5)
        vm.run("insmod /slow_config.ko stalls=2 stall_ms=3000")
        with t.step("changed while the target is read"):
            set_host_level(vm, 1)       # makes it read
            wait_stalled(1)
            vm.balloon(900 * MIB)
            set_limit(vm, 1000 * MIB)
            # Whether it reads anew at once or with the next interrupt, what it has by then is of one moment.
            wait_stalled(2)
            assert seen() in (before, after), (seen(), before, after)
            wait_for(vm, lambda: seen() == after, "the guest sees both", 10)
            vm.wait_actual(900 * MIB)
            check_books(vm)
        vm.run("rmmod slow_config")


@vm_test(patched=True, timeout=180, debug=True)
def test_interrupts(t):
    """A host that changes its mind two hundred times a second: while inflating, deflating, and at rest."""
    with t.boot(mem=GUEST, balloon="guest-pressure=on") as vm:
        vm.load_ours()
        changes = [lambda vm, size=size: set_limit(vm, size * MIB) for size in (GUEST, 700, 0, 513)]
        changes += [lambda vm, level=level: set_host_level(vm, level) for level in (3, 0)]
        with Storm(vm, *changes) as storm:
            for size in (SMALL * MIB + PAGE, GUEST * MIB, SMALL * MIB - 777 * PAGE, 800 * MIB):
                with t.step(f"to {size / MIB:.2f} MiB"):
                    before = storm.count
                    vm.balloon(size)
                    took = vm.wait_actual(size, timeout=30)
                    t.note(f"{took:.1f} s, {storm.count - before} changes")
            with t.step("at rest"):
                before = storm.count
                assert set(sizes_for(vm, 2)) == {800 * MIB}
                assert storm.count - before > 50, storm.count - before
        with t.step("none of it was pressure, and the books balance"):
            assert vm.pressure("relief_pages") == 0 and report(vm)["level"] == "none"
            check_books(vm)


@vm_test(either=True, patched=True, timeout=240)
def test_offers(t):
    """The table of the contract: what the host offers decides on the range in which the guest decides."""
    hosts = {
        # options, agreed, elastic, floor in MiB
        "pressure": ("guest-pressure=on", True, 1, 0),
        "pressure with a limit": (f"guest-pressure=on,size-max={768 * MIB}", True, 1, GUEST - 768),
        "pressure and deflate-on-oom": (f"guest-pressure=on,deflate-on-oom=on,size-max={768 * MIB}", True, 1, GUEST - 768),
        "deflate-on-oom": (f"deflate-on-oom=on,size-max={768 * MIB}", False, 1, 0),
        "neither": (f"size-max={768 * MIB}", False, 0, GUEST - SMALL),
    }
    with t.boot(mem=GUEST, balloon=None) as vm:
        vm.run("modprobe virtio_balloon_pressure")
        for host, (options, agreed, elastic, floor) in hosts.items():
            with t.step(host):
                plug(vm, options)
                guest_mib(vm, SMALL)
                assert negotiated(vm) == agreed
                assert vm.pressure("elastic") == elastic
                assert vm.pressure("balloon_floor_pages") == floor * MIB // PAGE
                check_books(vm)
                if agreed:
                    assert report(vm)["negotiated"] and report(vm)["size-max"] == (GUEST - floor) * MIB
                else:
                    check_not_offered(vm)
                # More than the 512 MiB that the host asks for, less than a floor of 256 MiB leaves.
                touched = vm.touch(540, "--quiet")
                assert touched.outcome == ("ok" if elastic else "refused"), touched
                assert bool(vm.pressure("relief_pages")) == bool(elastic)
                assert vm.actual() <= (GUEST - floor) * MIB
            unplug(vm)
        unload(vm)


def check_not_offered(vm):
    with refused(QMPError) as said:
        report(vm)
    assert "guest-pressure=on" in said[0], said
    assert "pressure" not in info_balloon(vm)


def in_tree_story(vm, options):
    """What a guest with the kernel's own driver, which is loaded, goes through, in figures that do not depend on time."""
    total, before = vm.meminfo()["MemTotal"], vm.vmstat()
    plug(vm, options, "virtio_balloon")
    figures = {"features": vm.read(vm.virtio_device() + "/features").strip()}
    for size in (SMALL * MIB + 3 * PAGE, 700 * MIB, SMALL * MIB):
        vm.balloon(size)
        vm.wait_actual(size)
        figures[f"MemTotal at {size}"] = vm.meminfo()["MemTotal"] - total
    figures["a load"] = vm.touch(LOAD, "--quiet").outcome
    vm.balloon(GUEST * MIB)
    vm.wait_actual(GUEST * MIB)
    figures["MemTotal at the end"] = vm.meminfo()["MemTotal"] - total
    events = vm.vmstat() - before
    figures["balance"] = events["balloon_inflate"] - events["balloon_deflate"]
    return figures


@vm_test(either="6.1", patched=True, module=False)
def test_in_tree_driver(t):
    """A driver that knows nothing of the contract notices nothing of it."""
    hosts = ("deflate-on-oom=on", "")
    with t.boot(mem=GUEST, balloon=None, qemu=None) as vm:
        vm.run("modprobe virtio_balloon")
        usual = {}
        for options in hosts:
            usual[options] = in_tree_story(vm, options)
            unplug(vm)
        t.note(usual)
    with t.boot(mem=GUEST, balloon=None) as vm:
        vm.run("modprobe virtio_balloon")
        for options in hosts:
            with t.step(f"{options or 'plain'}, the patched QEMU"):
                story = in_tree_story(vm, options)
                check_not_offered(vm)
                assert story == usual[options], (story, usual[options])
            unplug(vm)
            with t.step(f"{options or 'plain'}, guest-pressure=on"):
                story = in_tree_story(vm, f"{options},guest-pressure=on,size-max={600 * MIB}")
                assert story == usual[options], (story, usual[options])
                now = report(vm)
                assert not now["negotiated"] and now["level"] == "none" and now["wanted"] == 0, now
                assert "(not negotiated)" in info_balloon(vm)
            unplug(vm)
