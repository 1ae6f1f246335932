# SPDX-License-Identifier: GPL-2.0-only
"""Slow disks: what waits to be written is not available, and a few reads that somebody waits for are missed, too."""

from vbpvm import MIB, PAGE
from vbpvm.runner import vm_test

from helpers.common import unload, wait_for

GUEST, SMALL = 1024, 512
FILES = 700                 # fit without the balloon, and do not with it
READS = 200                 # a second
COPY = 600                  # may all be dirty without the balloon, and may not with it
WRITES = 1                  # MiB a second: what has to be written first takes minutes


def slow_down(vm, disk, reads=0, writes=0):
    """Reads and MiB written a second that a disk does at most; 0: as it can."""
    vm.qmp.command("block_set_io_throttle", device=disk, bps=0, bps_rd=0, bps_wr=writes * MIB, iops=0, iops_rd=reads, iops_wr=0)


@vm_test(either=True, timeout=240)
def test_slow_disk(t):
    with t.boot(mem=GUEST, balloon="deflate-on-oom=on", disks=(FILES, COPY)) as vm:
        # A block device's cache goes with its last user.
        vm.spawn("sleep 10000 </dev/vda")
        vm.spawn("sleep 10000 </dev/vdb")
        vm.balloon(SMALL * MIB)
        vm.load_ours()
        vm.wait_actual(SMALL * MIB)
        with t.step("files of a slow disk that are read again are missed"):
            vm.run(f"vbp-readfile --mib {FILES} /dev/vda", timeout=120)
            assert vm.pressure("relief_pages") == 0
            slow_down(vm, "disk0", reads=READS)
            vm.write("/sys/block/vda/queue/read_ahead_kb", "0")
            before = vm.vmstat()
            reader = vm.spawn(f"vbp-readfile --mib {FILES} /dev/vda")
            wait_for(vm, lambda: vm.pressure("relief_refault_pages") > 0, "the pages are missed", 60)
            missed = (vm.vmstat() - before)["workingset_refault_file"]
            t.note(f"after {missed} pages")
            assert missed < 40 * READS, missed
            reader.kill()
            reader.wait()
        slow_down(vm, "disk0")
        vm.write("/sys/block/vda/queue/read_ahead_kb", "128")
        unload(vm)
        vm.write("/proc/sys/vm/drop_caches", "1")
        vm.load_ours()
        vm.wait_actual(SMALL * MIB)
        with t.step("what waits for a slow disk is not available"):
            vm.write("/proc/sys/vm/dirty_ratio", "90")
            vm.write("/proc/sys/vm/dirty_background_ratio", "80")
            slow_down(vm, "disk1", writes=WRITES)
            copy = vm.spawn(f"dd if=/dev/vda of=/dev/vdb bs=1M count={COPY} conv=notrunc")
            try:
                wait_for(vm, lambda: not copy.running(), "the copy need not wait for the disk", 60)
                assert copy.wait().rc == 0 and vm.pressure("relief_pages") > 100 * MIB // PAGE
            finally:
                waiting = vm.meminfo()
                t.note(f"{(waiting['Dirty'] + waiting['Writeback']) // MIB} MiB to be written, "
                       f"{vm.pressure('relief_pages') * PAGE // MIB} MiB given back")
                slow_down(vm, "disk1")
            copy.wait()
        unload(vm)
