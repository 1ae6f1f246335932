# SPDX-License-Identifier: GPL-2.0-only
"""The hosts and drivers that loads are run with: one Row for each line of a load's table."""

import dataclasses
import typing

IN_TREE, OURS = "virtio_balloon", "virtio_balloon_pressure"


@dataclasses.dataclass(frozen=True)
class Row:
    key: str
    title: str
    driver: typing.Optional[str]            # None: none is loaded, nothing is ballooned
    balloon: str = ""                       # options of the balloon device
    patched: bool = False                   # QEMU with our series, not the distribution's
    best: typing.Optional[str] = None       # key of its best case, the row that it is paired with
    host_deflates: bool = False             # the host gives the memory back just before the load

    @property
    def guest(self):
        """Rows that share a guest."""
        return self.balloon, self.patched

    @property
    def ours(self):
        return self.driver == OURS and not self.host_deflates


STOCK = "deflate-on-oom=on,free-page-reporting=on"
PRESSURE = "guest-pressure=on"

# A row and its best case are the same guest on the same QEMU: one that discards in ranges leaves the host other page faults than
# one that does not.
ROWS = (
    Row("never", "never ballooned", None),
    Row("in-tree", "in-tree driver", IN_TREE),
    Row("in-tree-oom", "in-tree driver, deflate-on-oom", IN_TREE, "deflate-on-oom=on"),
    Row("stock", "ours, stock QEMU", OURS, STOCK, best="stock-best"),
    Row("stock-best", "  best case: emptied by the host", OURS, STOCK, host_deflates=True),
    Row("patched", "ours, patched QEMU", OURS, PRESSURE, patched=True, best="patched-best"),
    Row("patched-best", "  best case: emptied by the host", OURS, PRESSURE, patched=True, host_deflates=True),
)
BY_KEY = {row.key: row for row in ROWS}
