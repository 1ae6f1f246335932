# SPDX-License-Identifier: GPL-2.0-only
"""What several of the tests here do to a guest, and the books that must balance in all of them."""

import contextlib
import pathlib
import re
import time

from vbpvm import GuestDied, MIB, PAGE

IN_TREE = "virtio_balloon"
POLL_S = 0.05                   # between two looks at something that is to change


def wait_for(vm, condition, what, timeout=60):
    """Waits until condition() is true and returns what it returned; AssertionError saying what did not come otherwise."""
    limit = min(time.monotonic() + timeout * vm.channel.patience, vm.channel.deadline or float("inf"))
    while True:
        value = condition()
        if value:
            return value
        if vm.channel.dead:
            raise GuestDied(vm.channel.dead)
        if time.monotonic() > limit:
            raise AssertionError(f"not within {timeout} s: {what}")
        time.sleep(POLL_S)


@contextlib.contextmanager
def refused(kind):
    """`with refused(QMPError) as said:` - what is done there has to raise that; said[0] is its text afterwards."""
    said = []
    try:
        yield said
    except kind as error:
        said.append(str(error).strip())
    else:
        raise AssertionError("nothing was refused")


def guest_ram(vm):
    """Where in QEMU's memory the guest's is, (start, end), and how many bytes of it the host has given, as its kernel counts."""
    smaps = pathlib.Path(f"/proc/{vm.pid}/smaps").read_text()
    found = re.search(rf"^(\w+)-(\w+) .*\nSize: +{vm.mem_bytes // 1024} kB\n(?:.*\n)*?Rss: +(\d+) kB", smaps, re.M)
    return (int(found[1], 16), int(found[2], 16)), int(found[3]) * 1024


def live(vm, mib):
    """Touches most of the memory once, so that the host has it populated, as in a guest that has lived."""
    touched = vm.touch(mib, "--quiet")
    assert touched.outcome == "ok", touched


def guest_mib(vm, mib, timeout=60):
    """Has the host ask for a guest of this size and waits until it has it."""
    vm.balloon(mib * MIB)
    return vm.wait_actual(mib * MIB, timeout=timeout)


def load(vm, name, parameters=""):
    """Loads one of the two drivers, "ours", which has these parameters, or "in-tree"."""
    vm.load_ours(parameters) if name == "ours" else vm.load_in_tree()


def unload(vm):
    vm.run("rmmod virtio_balloon_pressure")


def hand_back(vm, small, full):
    """Unloads our driver from a guest of that size, in MiB: the in-tree one gets the device, and works."""
    unload(vm)
    assert vm.driver() == IN_TREE, vm.driver()
    assert len(dmesg(vm, f"handed back to {IN_TREE}")) == 1
    vm.wait_actual(small * MIB)
    guest_mib(vm, full)
    guest_mib(vm, small)


def add_device(vm, options):
    """
    Plugs a balloon device into the running guest and waits until its kernel knows. ACPI tells a guest that has not come to look yet
    of plugging and unplugging in one go, and then of the latter again: that would take out the next device.
    """
    arguments = dict(pair.split("=") for pair in options.split(",") if pair)
    typed = {name: {"on": True, "off": False}.get(value, value) for name, value in arguments.items()}
    vm.qmp.command("device_add", driver="virtio-balloon-pci", id="balloon0", **typed)
    wait_for(vm, lambda: vm.run("grep -qE '0x1(002|045)' /sys/bus/pci/devices/*/device", check=False).rc == 0,
             "the guest finds the device", 30)


def plug(vm, options, driver="virtio_balloon_pressure"):
    """The same, and waits until the driver, which is loaded, has it."""
    add_device(vm, options)
    # Our sysfs files are there once the driver is; others have only the status, which says so with its last bits.
    ready = {"virtio_balloon_pressure": "test -e {}/pressure/balloon_pages"}.get(driver, "grep -q f$ {}/status")
    wait_for(vm, lambda: vm.run(ready.format(f"/sys/bus/virtio/drivers/{driver}/virtio*"), check=False).rc == 0,
             "the driver has the new device", 20)


def unplug(vm):
    """Asks the guest to let go of the balloon device, and waits until QEMU has removed it."""
    since = len(vm.qmp.events)
    vm.qmp.command("device_del", id="balloon0")
    vm.qmp.wait_event("DEVICE_DELETED", 20 * vm.channel.patience, since)


def dmesg(vm, pattern):
    """The lines of the kernel's log that match."""
    return [line for line in vm.run("dmesg").out.splitlines() if re.search(pattern, line)]


def settle(vm, timeout=60, seconds=0.5):
    """Waits until the balloon has not moved for so long; returns its size in pages. After relief it grows by a step a second."""
    looks = int(seconds / POLL_S)
    history = []

    def still():
        history.append(vm.pressure("balloon_pages"))
        return len(history) > looks and len(set(history[-looks:])) == 1
    wait_for(vm, still, "the balloon comes to rest", timeout)
    return history[-1]


def vmstat_folded(vm):
    """/proc/vmstat with what each CPU still keeps to itself added up: exact while nothing runs."""
    vm.write("/proc/sys/vm/stat_refresh", "1")
    return vm.vmstat()


def zones(vm):
    """Free pages, those on the lists of single CPUs, which MemFree leaves out, and low watermarks; all in pages."""
    vm.write("/proc/sys/vm/stat_refresh", "1")
    text = vm.read("/proc/zoneinfo")        # all in one reading: pages wander between the lists all the time

    def total(pattern):
        return sum(map(int, re.findall(pattern, text, re.M)))
    return {"free": total(r"^ +pages free +(\d+)"), "per_cpu": total(r"^ +count: +(\d+)"), "low": total(r"^ +low +(\d+)")}


def free_pages(vm):
    """All free pages."""
    now = zones(vm)
    return now["free"] + now["per_cpu"]


def free_noise(vm):
    """Pages by which free memory may differ: slab and page tables come and go; a lost block would show within a few times."""
    # KASAN keeps what was freed, to see who uses it all the same: up to a 32nd of memory.
    return (4 * MIB + (vm.mem_bytes // 32 if vm.kernel.series == "debug" else 0)) // PAGE


def offline(vm, first=None, count=None):
    """Pages that are marked as nobody's: held, or in flight; of the whole guest or of a range of page frames."""
    where = "" if first is None else f"{first} {count}"
    return int(vm.run(f"vbp-pageflags {where}").out.split()[1])


def check_books(vm):
    """All who count the balloon's pages agree, to the page. The balloon must be at rest."""
    wait_for(vm, lambda: vm.mem_bytes - vm.actual() == vm.pressure("balloon_pages") * PAGE,
             "the host is told the size of the balloon", 20)
    sizes = vm.pressure("balloon_pages", "block_pages", "small_pages", "balloon_floor_pages", "balloon_floor_now_pages",
                        "host_pressure", "elastic")
    events = vm.vmstat()
    assert sizes["block_pages"] + sizes["small_pages"] == sizes["balloon_pages"], sizes
    assert sizes["block_pages"] % 512 == 0, sizes
    balance = events["balloon_inflate"] - events["balloon_deflate"]
    assert balance == sizes["balloon_pages"], (balance, sizes)
    if sizes["elastic"]:
        lent = vmstat_folded(vm)["nr_kernel_misc_reclaimable"]
        # And what si_mem_available() leaves out of it: of the watermarks as they were when the balloon last moved. Memory that went
        # offline since has made them lower.
        floor = max(sizes["balloon_floor_pages"], sizes["balloon_floor_now_pages"] if sizes["host_pressure"] >= 3 else 0)
        elastic = max(0, sizes["balloon_pages"] - floor)
        low = zones(vm)["low"]
        assert elastic <= lent <= elastic + min(elastic, low + low // 4), (lent, low, sizes)
