# SPDX-License-Identifier: GPL-2.0-only
"""The patched QEMU shrinks a calm guest while its host is short: here a memory cgroup of the host, with a program in it that takes all."""

import contextlib
import os
import pathlib
import subprocess
import sys
import time

from vbpvm import MIB
from vbpvm.runner import Skip, vm_test

from helpers.common import check_books, guest_ram, live, wait_for
from helpers.contract import DEVICE, PRESSED, SWAP_MIB, Press, report, set_host_level, swap_on

GUEST, LIVED, SIZE_MIN, LIMIT, RESERVE = 768, 590, 256, 1024, 64
# Two looks at the host, the second half a period late; and how soon one follows on another if nothing happens.
TWO_PERIODS_S, SOONEST_S = 5, 1.5
# Takes memory, or writes a file that is thrown away, as it is told. Ends when nobody is left to tell it anything.
PROGRAM = """
import mmap, sys, tempfile
kept = []
for line in sys.stdin:
    what, mib = line.split()
    if what == "memory":
        kept.append(mmap.mmap(-1, int(mib) << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        for at in range(0, len(kept[-1]), 4096):
            kept[-1][at] = 1
    else:
        with tempfile.TemporaryFile(dir=sys.argv[1]) as file:
            for _ in range(int(mib)):
                file.write(bytes(1 << 20))
    print(flush=True)
"""


class Cgroup:
    """A memory cgroup (v1) of the host, and a program in it."""

    def __init__(self, limit_mib, scratch):
        self.folder = pathlib.Path(f"/sys/fs/cgroup/memory/vbp-test-{os.getpid()}-{pathlib.Path(scratch).name}")
        try:
            self.folder.mkdir()
        except OSError as error:
            raise Skip(f"no memory cgroup (v1) can be made on this host: {error}") from error
        (self.folder / "memory.limit_in_bytes").write_text(str(limit_mib * MIB))

        def enter():
            (self.folder / "cgroup.procs").write_text("0")
        self._program = subprocess.Popen([sys.executable, "-c", PROGRAM, scratch], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         preexec_fn=enter)

    def tell(self, what, mib):
        """Begins it; wait() for the end."""
        self._program.stdin.write(f"{what} {mib}\n".encode())
        self._program.stdin.flush()

    def wait(self):
        assert self._program.stdout.readline() == b"\n", "the host's program did not get its memory"

    def use(self, what, mib):
        self.tell(what, mib)
        self.wait()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.remove()

    def remove(self):
        self._program.kill()
        self._program.wait()
        with contextlib.suppress(FileNotFoundError):
            self.folder.rmdir()


def host(vm):
    return report(vm)["host"]


def look_at(vm, group):
    vm.qmp.command("qom-set", path=DEVICE, property="host-pressure", value=f"{group.folder}/memory.pressure_level")


def leave_free(vm, group, mib):
    """The host's program takes all but so much of what its cgroup has."""
    time.sleep(TWO_PERIODS_S)       # what was given back since is known then
    free = host(vm)["free"] // MIB
    assert free > mib, host(vm)
    group.use("memory", free - mib)


@vm_test(either=True, patched=True, timeout=300)
def test_shrinks(t):
    """Memory to spare, short, management that asks again and again, critical, and the source taken away."""
    with t.boot(mem=GUEST, balloon=f"guest-pressure=on,size-min={SIZE_MIN}M,host-reserve={RESERVE}M") as vm, Cgroup(LIMIT, vm.dir) as group:
        # What it has never touched would be asked for with memory to spare, too.
        live(vm, LIVED)
        vm.load_ours()
        # More than one and a half reserves is left.
        group.use("memory", LIMIT - 2 * RESERVE - 16)
        look_at(vm, group)
        with t.step("with memory to spare nothing is asked for, and nothing happens"):
            time.sleep(TWO_PERIODS_S)
            now = host(vm)
            assert now["looks"] >= 2 and now["wakeups"] == 0 and now["automatic"] == 0 and now["total"] == LIMIT * MIB, now
            assert vm.actual() == GUEST * MIB
        with t.step("short, and the cgroup says so: looked at when that happens, and not when time has passed"):
            start, before = time.monotonic(), host(vm)
            group.use("memory", RESERVE + RESERVE // 2)
            group.use("file", 4 * RESERVE)
            took, now = time.monotonic() - start, host(vm)
            t.note(f"{took:.2f} s, {now}")
            assert report(vm)["host-level"] != "none" and now["wakeups"] > 0, now
            assert now["looks"] - before["looks"] > took / SOONEST_S + 1, (took, before, now)
        with t.step("the balloon grows within two periods"):
            wait_for(vm, lambda: vm.actual() < GUEST * MIB, "the guest gives something", TWO_PERIODS_S)
        with t.step("management asks again and again, and nothing comes of it"):
            before = host(vm)["automatic"]
            for _ in range(20):
                vm.balloon(GUEST * MIB)
                time.sleep(0.1)
                assert host(vm)["automatic"] >= before, (host(vm), before)
            assert report(vm)["target"] == GUEST * MIB
        with t.step("critical: down to what it needs, and never below its minimum"):
            group.use("memory", host(vm)["free"] // MIB - RESERVE // 8)
            wait_for(vm, lambda: host(vm)["automatic"] == (GUEST - SIZE_MIN) * MIB, "all is asked for", 2 * TWO_PERIODS_S)
            half = (GUEST + SIZE_MIN) // 2 * MIB
            wait_for(vm, lambda: vm.actual() <= half, "the guest gives half of it", 60)
            assert vm.actual() >= SIZE_MIN * MIB
            assert vm.vmstat()["oom_kill"] == 0
        with t.step("the source is taken away: what was taken melts, and the guest has all again"):
            group.remove()
            wait_for(vm, lambda: "failed" in host(vm), "it is said that it has gone", TWO_PERIODS_S)
            wait_for(vm, lambda: host(vm)["automatic"] == 0, "nothing is asked for any more", 90)
            vm.wait_actual(GUEST * MIB, timeout=30)
            check_books(vm)


@vm_test(either=True, patched=True)
def test_resident(t):
    """QEMU looks at every other piece of a guest of 2 GiB, and is not far from what the kernel counts."""
    mib, many = 2048, 1024
    with t.boot(mem=mib, balloon=f"guest-pressure=on,size-min={SIZE_MIN}M") as vm:
        def compare(what):
            with t.step(what):
                # Only who is told that the host is short looks.
                set_host_level(vm, 1)
                resident, (_, counted) = host(vm)["resident"], guest_ram(vm)
                t.note(f"{resident // MIB} MiB, the kernel counts {counted // MIB} MiB")
                assert abs(resident - counted) < mib * MIB // 16, (resident, counted)
                return resident
        before = compare("as the guest has booted")
        live(vm, many)
        assert compare("as a program has had much of it") > before + many // 2 * MIB
        vm.migrate()
        compare("as it has moved")


@vm_test(either=True, patched=True, timeout=300, full=True)
def test_both_short(t):
    """A guest that lacks memory while its host does: it is left alone, it gets no more than the host has, and nobody is killed."""
    with t.boot(mem=GUEST, balloon=f"guest-pressure=on,size-min={SIZE_MIN}M,host-reserve={RESERVE}M", disks=(SWAP_MIB,)) as vm, \
         Cgroup(LIMIT, vm.dir) as group:
        live(vm, LIVED)
        swap_on(vm)
        vm.load_ours()
        look_at(vm, group)
        with Press(vm, GUEST):
            wait_for(vm, lambda: report(vm)["level"] in PRESSED, "the guest says that it lacks memory", 30)
            leave_free(vm, group, RESERVE // 8)
            with t.step("the guest is left alone, and since when is shown"):
                wait_for(vm, lambda: report(vm)["host-level"] == "critical", "QEMU has seen that the host is short", 3 * TWO_PERIODS_S)
                before = host(vm)
                time.sleep(TWO_PERIODS_S)
                now = host(vm)
                assert now["looks"] > before["looks"], (before, now)
                assert before["automatic"] == now["automatic"] == 0 and vm.actual() == GUEST * MIB, now
                assert now["pressed"] > before["pressed"] > 0, (before, now)
        with t.step("once it is calm it gives what it does not need"):
            wait_for(vm, lambda: vm.actual() < GUEST * MIB and host(vm)["pressed"] == 0, "the balloon grows", 30)
            wait_for(vm, lambda: vm.actual() <= (GUEST + SIZE_MIN) // 2 * MIB, "the guest gives half of it", 60)
        with t.step("short again, it gets nothing from a host that has nothing"):
            # What the host refuses, the guest has to find for itself: in its swap.
            with Press(vm, GUEST) as press:
                wait_for(vm, lambda: report(vm)["level"] in PRESSED and report(vm)["wanted"], "the guest lacks memory", 60)
                least = vm.actual()
                time.sleep(TWO_PERIODS_S)
                t.note(f"{least // MIB} MiB, {host(vm)}")
                assert host(vm)["free"] < RESERVE * MIB and vm.actual() < GUEST * MIB, (vm.actual(), host(vm))
                group.remove()
                with t.step("and all that it wants when the host has it again"):
                    vm.wait_actual(GUEST * MIB, timeout=90)
                assert press.running()
        with t.step("nobody was killed, and the books balance"):
            assert vm.vmstat()["oom_kill"] == 0
            check_books(vm)


@vm_test(either=True, patched=True, timeout=240, full=True)
def test_migrates(t):
    """In the middle of it the guest moves: what was automatic stays behind, and the new host decides for itself."""
    options = f"guest-pressure=on,size-min={SIZE_MIN}M,host-reserve={RESERVE}M"
    with t.boot(mem=GUEST, balloon=options) as vm, Cgroup(LIMIT, vm.dir) as group:
        live(vm, LIVED)
        vm.load_ours()
        look_at(vm, group)
        leave_free(vm, group, RESERVE // 2)
        wait_for(vm, lambda: vm.actual() < (GUEST - 16) * MIB, "the guest gives something", 30)
        with t.step("where nobody looks at the host, the guest has all of its memory again"):
            vm.migrate()
            now = report(vm)
            assert "target" not in now and now["host"]["automatic"] == 0 and "source" not in now["host"], now
            vm.wait_actual(GUEST * MIB, timeout=60)
        with t.step("a new host that is short asks for its own part"):
            look_at(vm, group)
            wait_for(vm, lambda: vm.actual() < (GUEST - 16) * MIB, "the guest gives something", 30)
        with t.step("the books balance"):
            group.remove()
            vm.wait_actual(GUEST * MIB, timeout=90)
            check_books(vm)
