# SPDX-License-Identifier: GPL-2.0-only
"""The statistics queue, against what the guest says of itself: all 16 tags, or those that the kernel's own driver sends, or fewer."""

import re
import struct

from vbpvm import MIB, PAGE
from vbpvm.runner import vm_test

from helpers.cgroup import LIMITED, limit_cgroup
from helpers.common import guest_mib, settle, unload
from helpers.statistics import AVAIL, EVENTS, MEMTOT, NOISE, QEMU_NAMES, Snapshot

GUEST = 256
RECORD = struct.Struct("<HQ")           # tag, value; packed
TAGS = 16
COMMON = 10                             # that every host knows, and Linux had until 6.12


def records(vm, now):
    """What the driver sent, tag -> value, as it lies in the guest's memory: ten tags or all, which QEMU's figures agree with."""
    dump = vm.dir / "memory"
    try:
        vm.qmp.command("pmemsave", val=0, size=vm.mem_bytes, filename=str(dump))
        memory = dump.read_bytes()
    finally:
        dump.unlink(missing_ok=True)
    found = []
    for match in re.finditer(re.escape(RECORD.pack(MEMTOT, now.meminfo["MemTotal"])), memory):
        # The order of the records is the driver's business.
        for place in range(TAGS):
            start = match.start() - place * RECORD.size
            if start < 0:
                break
            array = list(RECORD.iter_unpack(memory[start:start + TAGS * RECORD.size]))
            for tags in (TAGS, COMMON):
                values = dict(array[:tags])
                # What is left from before, by this driver or the last, is of another moment.
                if set(values) == set(range(tags)) and all(values[tag] == value for tag, value in now.values.items()):
                    found.append(values)
                    break
    assert len(found) <= 1, found
    return found[0] if found else None


def sent_now(vm):
    """A snapshot, and the records it came in."""
    for _ in range(3):
        now = Snapshot(vm)
        values = records(vm, now)
        if values:
            return now, values
        # On a busy machine QEMU asks once more before it hears that it is not to, and the guest's memory is ahead of what we were told.
    raise AssertionError(f"no records of {now.values} in the guest's memory")


@vm_test(either=True, oom_kills=1, matrix=True)
def test_statistics(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(256, 512)) as vm:
        # Something of everything, or a counter that is forgotten would look right.
        vm.run("mkswap /dev/vda && swapon /dev/vda")
        # In a cgroup, so that the guest has free pages meanwhile: without any, newer kernels get none for swap's own tables, and say so.
        limit_cgroup(vm)
        assert vm.touched_of(vm.run(f"{LIMITED} vbp-touch 100 --loops 2 --quiet")).outcome == "ok"
        vm.run("swapoff /dev/vda")
        vm.run("vbp-readfile /dev/vdb")
        vm.run("echo 2 >/proc/sys/vm/nr_hugepages; echo 1000 >/proc/sys/vm/nr_hugepages; echo 0 >/proc/sys/vm/nr_hugepages")
        # Less than there is, so that it is not refused, and more than is free.
        assert vm.touch(vm.meminfo()["MemTotal"] // MIB - 5, "--quiet").outcome == "killed"
        with t.step("as many as the in-tree driver sends"):
            vm.load_in_tree()
            own = len(sent_now(vm)[1])
            vm.run("rmmod virtio_balloon")
            vm.load_ours()
            assert len(sent_now(vm)[1]) == own
            t.note(f"{own} tags")
        with t.step("those that every host knows"):
            unload(vm)
            vm.load_ours("stats_tags=10")
            now, sent = sent_now(vm)
            assert len(sent) == COMMON, sent
            now.check(sent)
            unload(vm)
        vm.load_ours("stats_tags=16")

        with t.step("as QEMU shows them"):
            now = Snapshot(vm)
            assert len(now.values) == len(QEMU_NAMES), now.stats
            now.check(now.values)
        with t.step("all 16 tags, in the buffer itself"):
            now, sent = sent_now(vm)
            assert len(sent) == TAGS, sent
            now.check(sent)
            zero = [tag for tag in EVENTS if not sent[tag]]
            t.note(sent)
            assert not zero, f"nothing happened that tags {zero} could count: this test proves nothing of them"
        with t.step("available memory leaves the balloon's share out"):
            before = Snapshot(vm).values[AVAIL]
            taken = 128
            guest_mib(vm, GUEST - taken)
            now = Snapshot(vm)
            own = vm.pressure("available_pages") * PAGE
            assert abs(before - now.values[AVAIL] - taken * MIB) < NOISE, (before, now.values[AVAIL])
            assert abs(now.values[AVAIL] - own) < NOISE, (now.values[AVAIL], own)
            # The guest itself may count on a good part of it.
            assert now.meminfo["MemAvailable"] > now.values[AVAIL] + taken * MIB // 2, (now.meminfo, now.values)
        with t.step("they go on after the driver is loaded again"):
            unload(vm)
            vm.load_ours()
            # While it still inflates, free memory is another one a moment later.
            settle(vm)
            now = Snapshot(vm)
            now.check(now.values)
