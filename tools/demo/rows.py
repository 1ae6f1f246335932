# SPDX-License-Identifier: GPL-2.0-only
"""What the demo compares: the experiment's sizes, and one Row for each line of its table and panel of its picture."""

import dataclasses

# The guest has GUEST_MIB, and its programs use IN_USE_MIB; the host then asks for TARGET_MIB. Another program needs LOAD_MIB: with the rest
# more than TARGET, less than GUEST.
GUEST_MIB = 2048
IN_USE_MIB = 400
TARGET_MIB = 1024
LOAD_MIB = 800
# Touched and freed before each run, as in a guest that has lived: the host then has the memory, and giving it back has its
# price. Without this the first run would pay for the host's own page faults and the others would not.
LIVED_MIB = 1700

# Ours may take this much longer than the best case. Timing under TCG is noisy: medians of PAIRS alternating runs.
RATIO_LIMIT = 1.3
PAIRS = 9
# No more pairs are begun after this many seconds (but at least MIN_PAIRS), so that the demo stays under three minutes. The whole cycle,
# hold-off and all, takes the rest.
PAIRS_UNTIL_S = 100
MIN_PAIRS = 3

IN_TREE, OURS = "virtio_balloon", "virtio_balloon_pressure"


@dataclasses.dataclass(frozen=True)
class Row:
    key: str
    title: str
    driver: str
    balloon: str                            # options of the balloon device
    best: str                               # key of the row that is this one's best case
    host_deflates: bool = False             # the host gives the memory back just before the program starts
    judged: bool = False                    # has to survive, within RATIO_LIMIT of the best case
    timed: bool = False                     # repeated, in turn with the others that are
    patched: bool = False                   # QEMU with our series (make qemu), not the distribution's
    whole: bool = False                     # run until the balloon has grown again
    events: tuple = ()                      # names of QMP events to show

    @property
    def guest(self):
        """Rows share a guest where its device is the same."""
        return self.balloon, self.patched


DEFLATE_ON_OOM = "deflate-on-oom=on"
PRESSURE = "guest-pressure=on"

# A best case is the same guest on the same QEMU: one that discards in ranges leaves the host other page faults than one that does not.
ROWS = (
    Row("in-tree", "in-tree driver", IN_TREE, "", "best"),
    Row("in-tree-oom", "in-tree driver, deflate-on-oom", IN_TREE, DEFLATE_ON_OOM, "best"),
    Row("ours", "ours, deflate-on-oom", OURS, DEFLATE_ON_OOM, "best", judged=True, timed=True),
    Row("best", "best case: the host empties the balloon first", OURS, DEFLATE_ON_OOM, "best", host_deflates=True, timed=True),
    Row("pressure", "ours, patched QEMU", OURS, PRESSURE, "pressure-best", judged=True, timed=True, patched=True,
        events=("BALLOON_PRESSURE",)),
    Row("pressure-best", "best case on the patched QEMU", OURS, PRESSURE, "pressure-best", host_deflates=True, timed=True,
        patched=True),
    Row("cycle", "ours, deflate-on-oom, until the balloon has grown again", OURS, DEFLATE_ON_OOM, "best", whole=True, judged=True),
)
