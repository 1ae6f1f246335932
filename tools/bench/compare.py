# SPDX-License-Identifier: GPL-2.0-only
"""All rows of one load: those with a best case in pairs, back to back, in alternating order; one guest after the other."""

import dataclasses
import functools
import itertools
import pathlib
import subprocess

from vbpvm import GuestDied, HarnessError, VM, kernels, qemus

import drive
import loads
import rows
from settings import say


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a load runs."""
    series: str
    lru: str
    mem: int                # MiB

    def __str__(self):
        return f"Linux {self.series} {self.lru}, {self.mem} MiB"


def boot(place, row, load, extra=(), **more):
    """A guest for this row; the caller ends it."""
    if load.image:
        # Found by its serial number: its letter depends on the other disks.
        extra = (*extra, "-drive", f"if=none,id=programs,file={programs_image()},format=raw,readonly=on",
                 "-device", "virtio-blk-pci,drive=programs,serial=programs")
    disks = [int(place.mem * loads.DISK)]
    if load.swap == "disk":
        disks.append(int(place.mem * loads.SWAP))
    return VM(kernels.get(place.series), mem=place.mem, balloon=row.balloon, module=kernels.our_module(place.series),
              qemu=qemus.patched() if row.patched else None, disks=disks, name=f"bench-{load.key}-{row.key}", extra=extra,
              **more)


@functools.lru_cache(maxsize=None)
def programs_image():
    done = subprocess.run([str(pathlib.Path(__file__).with_name("rootfs.sh"))], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise HarnessError("there is no image with real programs (the reason is above)")
    return done.stdout.strip()


def set_up(vm, place, load):
    vm.use_lru(place.lru)
    # A block device's cache goes with its last user.
    vm.spawn("sleep 100000 </dev/vda")
    drive.make_swap(vm, load)
    if load.image:
        vm.run(loads.MOUNT)


def run_all(place, load):
    """The records of all runs, in the order in which they were made."""
    wanted = [row for row in rows.ROWS if load.has(row)]
    records = []
    # Rows that share a guest stand beside each other.
    for _, group in itertools.groupby(wanted, key=lambda row: row.guest):
        records += _run_group(place, load, list(group))
    return records


def _run_group(place, load, group):
    records = []
    with boot(place, group[0], load) as vm:
        set_up(vm, place, load)
        for pair in range(load.pairs if load.drive == "inflating" or any(row.best for row in group) else 1):
            for row in group if pair % 2 == 0 else reversed(group):
                record = drive.run(vm, row, load)
                bad, _ = vm.console.check()
                if bad:
                    raise GuestDied(f"the guest's kernel said: {bad[0]}")
                records.append({**dataclasses.asdict(place), "load": load.key, "pair": pair, **record})
                seconds = "" if record["seconds"] is None else f" in {record['seconds']:.2f} s"
                say(f"    {row.title.strip()}: {record['outcome']}{seconds}")
    return records
