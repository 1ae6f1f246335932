# SPDX-License-Identifier: GPL-2.0-only
"""
What others test of a balloon and no other case here does: the table in tests/README.rst says whose it is. With our driver and with the
kernel's own, so that a difference is seen.
"""

import time

from vbpvm import MIB, PAGE
from vbpvm.qmp import QMPError
from vbpvm.runner import Skip, vm_test

from helpers.common import check_books, free_pages, guest_mib, guest_ram, live, load, plug, refused, wait_for
from helpers.statistics import AVAIL, MEMFREE, MINFLT, QEMU_NAMES, Snapshot, poll_every, stats

GUEST, SMALL, SMALLER = 512, 320, 280
DIMM = 256
UNSET = (1 << 64) - 1               # of a statistic
SCRIBBLE = b"Z"                     # what a page is full of that somebody wrote
# What a program leaves alone, so that it is not short of memory. The host then need not provide it, but the balloon may take it.
SPARED = 25 * MIB
NOISE = SPARED + 15 * MIB           # and memory of QEMU's own, which comes and goes
DRIVERS = {"ours": "virtio_balloon_pressure", "in-tree": "virtio_balloon"}


def books(vm, name):
    """The driver's own, where it has any."""
    if name == "ours":
        check_books(vm)


@vm_test(either=True, full=True, timeout=240)
def test_reset(t):
    """QEMU's functional test of statistics; tp-qemu's of a reboot and of a balloon that is asked for while the guest is paused."""
    for name in DRIVERS:
        with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
            poll_every(vm, 1)
            with t.step(f"{name}: no statistic is set before there is a driver"):
                first = stats(vm)
                assert first["last-update"] == 0 and set(first["stats"].values()) == {UNSET}, first
            load(vm, name)
            with t.step(f"{name}: all that QEMU and the guest know of are set"):
                wait_for(vm, lambda: stats(vm)["last-update"], "statistics come", 10)
                unset = {key for key, value in stats(vm)["stats"].items() if value == UNSET}
                assert not unset & QEMU_NAMES.keys(), unset
            guest_mib(vm, SMALL)
            with t.step(f"{name}: reset, and paused while another size is asked for"):
                before = stats(vm)["last-update"]
                vm.reset(meanwhile=lambda: vm.balloon(SMALLER * MIB))
                assert vm.meminfo()["MemFree"] > (GUEST - 200) * MIB, "the guest did not begin anew"
                load(vm, name)
                vm.wait_actual(SMALLER * MIB)
                books(vm, name)
            with t.step(f"{name}: statistics come again"):
                wait_for(vm, lambda: stats(vm)["last-update"] > before + 1, "statistics are new", 20)
                poll_every(vm, 0)
                now = Snapshot(vm)
                now.check(now.values)
            guest_mib(vm, GUEST)


@vm_test(either=True, full=True, timeout=240)
def test_again(t):
    """Firecracker's: what the host has to provide goes down each time by the same, and statistics follow."""
    for name in DRIVERS:
        with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
            load(vm, name)
            rounds = []
            for number in range(2):
                before = Snapshot(vm).values
                lived = free_pages(vm) * PAGE - SPARED
                live(vm, lived // MIB)
                with t.step(f"{name}: statistics tell of what a program touched, time {number + 1}"):
                    touched = Snapshot(vm).values
                    assert touched[MINFLT] - before[MINFLT] > lived // PAGE // 512, (before, touched)
                high = vm.host_bytes()
                guest_mib(vm, SMALLER)
                low = vm.host_bytes()
                with t.step(f"{name}: the host has the memory, and statistics say so, time {number + 1}"):
                    small = Snapshot(vm).values
                    taken = (GUEST - SMALLER) * MIB
                    assert high - low > taken * 3 // 4, (high, low)
                    assert all(touched[tag] - small[tag] > taken // 2 for tag in (MEMFREE, AVAIL)), (touched, small)
                guest_mib(vm, GUEST)
                with t.step(f"{name}: the guest has it again, time {number + 1}"):
                    large = Snapshot(vm).values
                    assert all(large[tag] - small[tag] > taken // 2 for tag in (MEMFREE, AVAIL)), (small, large)
                rounds.append((high, low))
            with t.step(f"{name}: the second time as the first"):
                (high, low), (high_again, low_again) = rounds
                assert high_again - high < NOISE and abs(low_again - low) < NOISE, rounds


def scribbled(vm):
    """Pages of the guest's memory that hold SCRIBBLE and nothing else, as the host sees them."""
    (start, end), _ = guest_ram(vm)
    page, count = SCRIBBLE * PAGE, 0
    with open(f"/proc/{vm.pid}/mem", "rb", buffering=0) as memory:
        for at in range(start, end, MIB):
            memory.seek(at)
            piece = memory.read(MIB)
            count += sum(piece[offset:offset + PAGE] == page for offset in range(0, MIB, PAGE)) if SCRIBBLE in piece else 0
    return count


@vm_test(either=True, full=True, timeout=240)
def test_scrubbed(t):
    """Firecracker's: nothing of what was written before is in the memory that the balloon gives back."""
    wrote = SMALLER * MIB // PAGE
    for name in DRIVERS:
        # Otherwise the guest's kernel empties each page that it takes for the balloon.
        with t.boot(mem=GUEST, balloon="deflate-on-oom=on", append="init_on_alloc=0 init_on_free=0") as vm:
            load(vm, name)
            with t.step(f"{name}: a file that is gone is still in memory"):
                vm.run(f"tr '\\0' '{SCRIBBLE.decode()}' </dev/zero | dd of=/tmp/file bs=1M count={SMALLER} iflag=fullblock; rm /tmp/file")
                before = scribbled(vm)
                t.note(f"{before} pages of {wrote}")
                assert before > wrote * 3 // 4, before
            free = free_pages(vm)
            # All that is free but for some.
            small = GUEST - (free * PAGE - SPARED) // MIB
            guest_mib(vm, small)
            guest_mib(vm, GUEST)
            with t.step(f"{name}: where the balloon was it is no more"):
                after = scribbled(vm)
                t.note(f"{after} pages, the balloon had {(GUEST - small) * MIB // PAGE} of {free} free ones")
                assert after <= SPARED // PAGE + NOISE // PAGE, after


@vm_test(either=True, full=True)
def test_one_device(t):
    """tp-qemu's: without a device nothing can be asked; a second one is refused, and the first goes on."""
    for name in DRIVERS:
        with t.boot(mem=GUEST, balloon=None) as vm:
            with t.step(f"{name}: none"):
                for command, arguments in ("query-balloon", {}), ("balloon", {"value": SMALL * MIB}):
                    with refused(QMPError) as said:
                        vm.qmp.command(command, **arguments)
                    assert "No balloon" in said[0], said
            vm.run(f"modprobe {DRIVERS[name]}")
            plug(vm, "deflate-on-oom=on", DRIVERS[name])
            with t.step(f"{name}: a second"):
                with refused(QMPError) as said:
                    vm.qmp.command("device_add", driver="virtio-balloon-pci", id="balloon1")
                assert "Only one balloon device" in said[0], said
                guest_mib(vm, SMALL)
                books(vm, name)
                guest_mib(vm, GUEST)


@vm_test(either=True, full=True)
def test_illegal_sizes(t):
    """tp-qemu's: a size of nothing, or of less, is refused; one above all RAM is all RAM."""
    for name in DRIVERS:
        with t.boot(mem=GUEST, balloon="deflate-on-oom=on") as vm:
            load(vm, name)
            guest_mib(vm, SMALL)
            with t.step(f"{name}: refused, and nothing changes"):
                for size in (0, -1, -GUEST * MIB):
                    with refused(QMPError):
                        vm.balloon(size)
                time.sleep(1)
                assert vm.actual() == SMALL * MIB
            for size in (GUEST * MIB + PAGE, 2 * GUEST * MIB, (1 << 63) - 1):
                with t.step(f"{name}: {size} bytes"):
                    vm.balloon(size)
                    vm.wait_actual(GUEST * MIB)
                    books(vm, name)
                    guest_mib(vm, SMALL)
            guest_mib(vm, GUEST)


def memory_blocks(vm):
    return vm.run("ls -d /sys/devices/system/memory/memory* 2>/dev/null", check=False).out.split()


@vm_test(either=True, full=True, timeout=240)
def test_memory_plugged(t):
    """tp-qemu's: memory is plugged in beside the balloon, and the balloon then goes anywhere in what there is."""
    for name in DRIVERS:
        with t.boot(mem=GUEST, balloon="deflate-on-oom=on", extra=("-m", f"slots=2,maxmem={4 * GUEST}M")) as vm:
            blocks = memory_blocks(vm)
            if not blocks:
                raise Skip("this kernel has no memory hotplug")
            load(vm, name)
            guest_mib(vm, SMALL)
            with t.step(f"{name}: plugged in, the guest has it and the balloon is as large as before"):
                vm.qmp.command("object-add", **{"qom-type": "memory-backend-ram", "id": "more", "size": DIMM * MIB})
                vm.qmp.command("device_add", driver="pc-dimm", id="dimm0", memdev="more")
                wait_for(vm, lambda: len(memory_blocks(vm)) > len(blocks), "the guest finds the memory", 30)
                for block in set(memory_blocks(vm)) - set(blocks):
                    # Some kernels put it to use by themselves.
                    vm.run(f"grep -q online {block}/state || echo online >{block}/state")
                vm.mem_bytes += DIMM * MIB
                assert vm.actual() == (SMALL + DIMM) * MIB, vm.actual()
                books(vm, name)
            with t.step(f"{name}: smaller than that, larger than at first"):
                guest_mib(vm, SMALLER)
                books(vm, name)
                guest_mib(vm, GUEST + DIMM // 2)
                books(vm, name)
                guest_mib(vm, GUEST + DIMM)
                books(vm, name)
            with t.step(f"{name}: all of it can be used"):
                assert vm.touch(GUEST + DIMM - 200, "--quiet", "--verify").outcome == "ok"
