# SPDX-License-Identifier: GPL-2.0-only
"""Ways to share the memory of one host among guests that together want more: one Row for each line of the table."""

import dataclasses
import typing

GUESTS, GUEST_MIB, SIZE_MIN_MIB = 4, 768, 256
# Half of what the guests have.
SHARED_MIB = GUESTS * GUEST_MIB // 2
# Of the guest itself, for what it does not get from its host at once.
SWAP_MIB = 512
# A guest's day: a pause, a program on so much memory, a file read again and again. Each guest begins a quarter of a day later.
PAUSE_S, MEMORY_S, FILE_S = 20, 20, 20
DAY_S = PAUSE_S + MEMORY_S + FILE_S
MEMORY_MIB, FILE_MIB = 500, 300
# Of a disk. Without a limit the file would come from this machine's page cache, as fast as from the guest's.
DISK_BYTES_PER_S = 200 << 20

IN_TREE, OURS = "virtio_balloon", "virtio_balloon_pressure"
FIXED_MIB = SHARED_MIB // GUESTS


@dataclasses.dataclass(frozen=True)
class Row:
    key: str
    title: str
    limited: bool = True                        # all guests in one cgroup with half of their memory
    driver: typing.Optional[str] = None         # None: no balloon
    balloon: str = ""                           # options of the balloon device
    patched: bool = False                       # QEMU with our series, which looks at the cgroup
    size_mib: int = GUEST_MIB                   # what management asks each guest to have
    poller: typing.Optional[str] = None         # see pollers.py


OOM = "deflate-on-oom=on"
ROWS = (
    Row("all", "memory for all", limited=False),
    Row("ours", "ours, QEMU looks at the cgroup", driver=OURS, patched=True, balloon=f"guest-pressure=on,size-min={SIZE_MIN_MIB}M"),
    Row("swap", "no balloon, the host swaps"),
    Row("fixed", f"{FIXED_MIB} MiB each", driver=IN_TREE, size_mib=FIXED_MIB),
    Row("in-tree-oom", f"{FIXED_MIB} MiB each, in-tree driver with deflate-on-oom", driver=IN_TREE, balloon=OOM, size_mib=FIXED_MIB),
    Row("poller", "a poller, 32 MiB each five seconds", driver=IN_TREE, balloon=OOM, poller="steps"),
    Row("sixteenth", "a poller, steps of a sixteenth", driver=IN_TREE, balloon=OOM, poller="sixteenth"),
)
BY_KEY = {row.key: row for row in ROWS}
DEMO = ("swap", "ours", "all")
