# SPDX-License-Identifier: GPL-2.0-only
"""
Everything at once, in an order that dice choose: what a host, a kernel and an administrator can do to the driver, with
allocations failing, on a kernel that watches itself. Torture.act() does one thing; finish() leaves, and looks at the books.
"""

import collections
import random
import re
import time

from vbpvm import CommandFailed, CommandTimeout, MIB, PAGE
from vbpvm.qmp import QMPError

from . import failures, watchers
from .common import add_device, check_books, free_pages, offline, settle, unload, unplug, vmstat_folded, wait_for
from .contract import set_host_level, set_limit
from .faults import DEFLATE, DEVICE, INFLATE, Faults

GUEST, SMALLEST = 1024, 420         # MiB; a debug kernel itself takes some 250
BLOCKS = "/sys/devices/system/memory"
DEBUGFS = "/sys/kernel/debug"
PARAMETERS = "/sys/module/virtio_balloon_pressure/parameters"
BOUND = "/sys/bus/virtio/drivers/virtio_balloon_pressure/virtio*/pressure/balloon_pages"
IOTHREAD = ("-object", "iothread,id=io0")
# Caches that were merged cannot be told apart.
APPEND = f"{watchers.APPEND} slab_nomerge movable_node suspend.pm_test_delay=1 no_console_suspend"
JOBS = 3                            # at a time, besides what acts by itself
SHOWN = 12                          # last actions that a failure names
# Free memory after a life, compared with before it: what stacks that were seen for the first time, for page_owner, KASAN and
# kmemleak, and the guest's own commands leave behind: 77 pages after two minutes. Less than a block; single pages that the driver
# loses are found by watchers.check_owners().
NOISE = 2 * MIB // PAGE


class Log:
    """What has been done, for whoever has to find out why; also in the guest's console, between what its kernel says."""

    def __init__(self, seed):
        self.seed, self.count = seed, 0
        self._last = collections.deque(maxlen=SHOWN)
        self._start = time.monotonic()

    def add(self, vm, text):
        self.count += 1
        line = f"{self.count}: {text}"
        self._last.append(line)
        with open(vm.dir / "actions.log", "a") as file:
            file.write(f"{time.monotonic() - self._start:8.2f} {line}\n")
        vm.write("/dev/kmsg", f"torture: {line}")

    def __str__(self):
        return f"VBP_SEED={self.seed}, {self.count} actions, the last of them {'; '.join(self._last)}"


class Torture:
    """One guest's life. It has a balloon device "balloon0", Faults' arguments and IOTHREAD; nothing is loaded."""

    def __init__(self, vm, dice, faults, log):
        self.vm, self.dice, self.faults, self.log = vm, dice, faults, log
        self.plugged, self.loaded = True, False
        self.limp = False               # a restore may have failed for want of memory: it is not expected to work
        self.failing = False
        self.jobs = []                  # (what, Job, function that judges its Result or None)
        self.blocks = re.findall(r"memory(\d+)", vm.run(f"ls {BLOCKS}").out)
        self.counts = collections.Counter()
        self._actions = [
            # weight, what
            (10, self.target), (6, self.floor), (3, self.host_level), (8, self.load), (3, self.reader), (4, self.drop_caches),
            (4, self.compact), (4, self.memory_block), (3, self.plug), (4, self.sleep), (7, self.module), (3, self.silence),
            (3, self.garble), (5, self.failures), (4, self.parameter), (2, self.statistics), (2, self.shrinker), (1, self.hint),
            (5, self.wait),
        ]

    # --- what can be done -----------------------------------------------------------------------------------------------

    def act(self):
        """One action, and a look at what the kernel said to it."""
        weights, actions = zip(*self._actions)
        action, back = self.dice.choices(actions, weights)[0], self.dice.random()
        # Most of the time there has to be something to torture.
        if back < 0.4 and not (self.loaded and self.plugged):
            action = self.module if self.plugged else self.plug
        # A fixed number of throws each, so that a seed means the same whatever an action finds.
        inner = random.Random(self.dice.random())
        self._throw = inner
        self.counts[action.__name__] += bool(action())
        self.look()

    def look(self):
        for what, job, judge in [entry for entry in self.jobs if not entry[1].running()]:
            self.jobs.remove((what, job, judge))
            if judge:
                judge(what, job.wait())
        bad, _ = self.vm.console.check()
        assert not bad, f"the guest's kernel said: {bad[0]} (and {len(bad) - 1} more lines); see {self.vm.dir}"

    def bound(self):
        return self.loaded and self.vm.run(f"test -e {BOUND}", check=False).rc == 0

    def broken(self):
        return self.plugged and self.vm.qmp.command("x-query-virtio-status", path=DEVICE)["broken"]

    def _say(self, text):
        self.log.add(self.vm, text)
        return True

    def _spawn(self, what, command, judge=None):
        if len(self.jobs) >= JOBS:
            return False
        self._say(what)
        self.jobs.append((what, self.vm.spawn(command), judge))
        return True

    def target(self):
        size = self._throw.choice((GUEST * MIB, self._throw.randrange(SMALLEST * MIB, GUEST * MIB)))
        if not self.plugged:
            return False
        self._say(f"target {size}")
        self.vm.balloon(size)
        return True

    def floor(self):
        limit = self._throw.choice((0, GUEST * MIB, self._throw.randrange(SMALLEST * MIB, GUEST * MIB)))
        if not self.plugged:
            return False
        self._say(f"size-max {limit}")
        set_limit(self.vm, limit)
        return True

    def host_level(self):
        level = self._throw.randrange(4)
        if not self.plugged:
            return False
        self._say(f"host level {level}")
        set_host_level(self.vm, level)
        return True

    def load(self):
        mib, small = self._throw.choice((100, 300, self._throw.randrange(100, 600))), self._throw.choice(("", "--small"))
        hold = self._throw.choice(("", "--hold 1"))

        def judge(what, result):
            outcome = self.vm.touched_of(result).outcome
            # A floor may leave too little. What must never be: other data than was written.
            assert outcome in ("ok", "refused", "killed"), f"{what}: {outcome}: {result}"
            self.counts[f"load {outcome}"] += 1
        return self._spawn(f"load of {mib} MiB {small} {hold}", f"vbp-touch {mib} --quiet --verify {small} {hold}", judge)

    def reader(self):
        return self._spawn("read a disk", "vbp-readfile /dev/vda")

    def drop_caches(self):
        what = self._throw.randrange(1, 4)
        return self._spawn(f"drop_caches {what}", f"echo {what} >/proc/sys/vm/drop_caches")

    def compact(self):
        return self._spawn("compact", "echo 1 >/proc/sys/vm/compact_memory")

    def memory_block(self):
        number, back = self._throw.choice(self.blocks), self._throw.random()

        def judge(what, result):
            self.counts["memory offline"] += "went" in result.out
        state = f"{BLOCKS}/memory{number}/state"
        # Pages that cannot move are tried for ever.
        return self._spawn(f"offline memory{number}", f"timeout 10 sh -c 'echo offline >{state}' 2>/dev/null && echo went; "
                           f"sleep {back:.1f}; echo online >{state} 2>/dev/null", judge)

    def plug(self):
        options = "guest-pressure=on,deflate-on-oom=on,iothread=io0"
        for option in ("free-page-reporting=on", "free-page-hint=on"):
            options += self._throw.choice(("", f",{option}"))
        if self.plugged:
            self._say("unplug")
            unplug(self.vm)
            self.plugged = self.limp = False
            return True
        self._say(f"plug {options}")
        add_device(self.vm, options)
        self.plugged = True
        return True

    def sleep(self):
        test = self._throw.choice(("freezer", "devices", "devices", "devices", "core"))
        # Hibernation first makes room by reclaim, which takes half a minute.
        state = self._throw.choices(("mem", "freeze", "disk"), (10, 10, 1))[0]
        self._say(f"sleep {state} up to {test}")
        # Failing to sleep is a kernel's right; coming back is not optional.
        done = self.vm.run(f"echo {test} >/sys/power/pm_test; echo {state} >/sys/power/state", timeout=100, check=False)
        self.limp = self.limp or self.failing
        return done.rc == 0

    def module(self):
        values = {"holdoff_ms": self._throw.choice((2000, 2000, 3000)), "reserve_pct": self._throw.randrange(2, 30),
                  "vmpressure_hook": self._throw.choice(("auto", "kprobe", "tracepoint", "none")), "kswapd": self._throw.randrange(2),
                  "direct": self._throw.randrange(2),
                  "shrinker": self._throw.randrange(2), "sampler": self._throw.randrange(2)}
        if self.loaded:
            self._say("unload")
            unload(self.vm)
            self.loaded = self.limp = False
            left = vmstat_folded(self.vm)
            assert left["nr_kernel_misc_reclaimable"] == 0, "pages are still counted as reclaimable"
            assert left["balloon_inflate"] == left["balloon_deflate"], (left["balloon_inflate"], left["balloon_deflate"])
            return True
        options = " ".join(f"{name}={value}" for name, value in values.items())
        self._say(f"load the module, {options}")
        self.loaded = self.vm.run(f"modprobe virtio_balloon_pressure {options}", check=not self.failing).rc == 0
        return self.loaded

    def silence(self):
        # Without a driver it takes nothing from a queue, so nothing can be wrong with one.
        if not self.plugged or not self.bound() or self.limp or self.broken():
            return False
        self._say("the device falls silent")
        self.faults.silence(self.vm)
        return True

    def garble(self):
        queue = self._throw.choice((INFLATE, DEFLATE))
        if not self.broken() or not self.bound() or self.limp:
            return False
        self._say(f"the device writes nonsense into queue {queue}")
        self.faults.garble(self.vm, queue)
        return True

    def failures(self):
        slab, page = self._throw.choice((1, 5, 20, 50)), self._throw.choice((1, 5, 20, 50))
        self.failing = not self.failing
        self._say(f"allocations fail: {slab} % in slabs, {page} % of pages" if self.failing else "allocations do not fail")
        if self.failing:
            failures.begin(self.vm, slab, page)
        else:
            failures.end(self.vm)
        return True

    def parameter(self):
        name, values = self._throw.choice((("reserve_pct", (1, 5, 20, 50)), ("relief_step_pct", (1, 5, 50)),
                                           ("holdoff_ms", (2000, 2500, 3000))))
        value = self._throw.choice(values)
        if not self.loaded:
            return False
        self._say(f"{name}={value}")
        self.vm.write(f"{PARAMETERS}/{name}", str(value))
        return True

    def statistics(self):
        seconds = self._throw.randrange(2)
        if not self.plugged:
            return False
        self._say(f"statistics every {seconds} s")
        self.vm.qmp.command("qom-set", path="/machine/peripheral/balloon0", property="guest-stats-polling-interval", value=seconds)
        return True

    def shrinker(self):
        number = self._throw.randrange(1, 5000)
        if not self.loaded:
            return False
        self._say(f"ask the shrinker for {number}")
        self.vm.run(f"for s in {DEBUGFS}/shrinker/virtio-balloon-pressure-*; do "
                    f"cat $s/count; echo 0 0 {number} >$s/scan; done >/dev/null 2>&1", check=False)
        return True

    def hint(self):
        seconds = self._throw.random() * 2
        self._say(f"a migration for {seconds:.1f} s")
        self.vm.qmp.command("migrate-set-parameters", **{"max-bandwidth": 20 * MIB})
        self.vm.qmp.command("migrate", uri="exec:cat >/dev/null")
        time.sleep(seconds)
        self.vm.qmp.command("migrate_cancel")
        wait_for(self.vm, lambda: self.vm.qmp.command("query-migrate")["status"] in ("cancelled", "completed", "failed"),
                 "the migration ends", 30)
        self.vm.qmp.command("cont")
        return True

    def wait(self):
        time.sleep(self._throw.random())
        return True

    # --- the books ------------------------------------------------------------------------------------------------------

    def prepare(self):
        """Makes allocations fail only below functions of our module, and has no old leak reported as ours."""
        run = self.vm.run
        failures.prepare(self.vm)
        # What the first of everything leaves in caches is nobody's leak. And lockdep has then seen what the driver does within
        # reclaim: no lock of that path may ever be held while memory is allocated.
        run("modprobe virtio_balloon_pressure vmpressure_hook=none kswapd=0 direct=0")
        size = SMALLEST * MIB + 300 * PAGE          # blocks, and single pages
        self.vm.balloon(size)
        self.vm.wait_actual(size)
        touched = self.vm.touch(250, "--quiet", "--small")
        assert touched.outcome == "ok" and self.vm.pressure("relief_shrinker_pages"), "reclaim did not call the shrinker"
        self.vm.balloon(GUEST * MIB)
        unload(self.vm)
        watchers.forget_leaks(self.vm)
        self.free = self._free()

    def _free(self):
        self.vm.write("/proc/sys/vm/drop_caches", "3")
        # Takes out of KASAN's quarantine what was freed.
        self.vm.run("for c in /sys/kernel/slab/*/shrink; do echo 1 >$c; done", timeout=60, check=False)
        return free_pages(self.vm)

    def calm(self):
        """Everything else ends; then who counts the balloon's pages must agree, if there is anything to agree on."""
        self._say("calm")
        if self.failing:
            self.failures()
        for what, job, judge in self.jobs:
            result = job.wait(60)
            if judge:
                judge(what, result)
        self.jobs.clear()
        self.look()
        if not self.plugged or not self.bound() or self.limp or self.broken():
            return
        settle(self.vm, 90)
        check_books(self.vm)
        self.counts["balanced"] += 1

    def finish(self):
        """Leaves, and accounts for every page and every object."""
        self.calm()
        if self.loaded:
            self.module()
        self._say("the end")
        self.vm.run(f"for m in {BLOCKS}/memory*; do grep -q offline $m/state && echo online >$m/state; done", check=False)
        assert not offline(self.vm), f"{offline(self.vm)} pages are marked as nobody's"
        if self.plugged:
            assert self.vm.actual() == self.vm.mem_bytes, "the host still counts on ballooned memory"
        watchers.check_owners(self.vm)
        watchers.check_leaks(self.vm)
        watchers.check_alive(self.vm)
        missing = self.free - self._free()
        assert missing < NOISE, f"{missing} pages are missing"
        self.look()
        return missing


def life(t, seed, number, seconds):
    """One guest, tortured for so long; the actions and what they came to are in its Log and its counts."""
    dice = random.Random(f"{seed}/{number}")
    log = Log(f"{seed}/{number}")
    smp, movable, lru = dice.choice((1, 2, 2)), dice.choice(("", " movablecore=300M")), dice.choice(("classic", "mglru"))
    try:
        with Faults() as faults, t.boot(mem=GUEST, smp=smp, balloon="guest-pressure=on,deflate-on-oom=on,free-page-reporting=on",
                                        append=APPEND + movable, disks=(60,), extra=(*IOTHREAD, *faults.arguments)) as vm:
            vm.use_lru(lru)
            with t.step(f"VBP_SEED={seed}/{number}, a life of {seconds:.0f} s"):
                try:
                    torture = Torture(vm, dice, faults, log)
                    torture.prepare()
                    end = time.monotonic() + seconds
                    while time.monotonic() < end:
                        torture.act()
                        if not dice.randrange(25):
                            torture.calm()
                    missing = torture.finish()
                except (AssertionError, CommandFailed, CommandTimeout, QMPError) as error:
                    raise AssertionError(f"{error}; {log}") from error
                t.note(f"{log.count} actions, {dict(torture.counts)}, {missing} pages missing")
    except Exception as error:
        t.note(f"{error}; {log}")
        raise
