# SPDX-License-Identifier: GPL-2.0-only
"""The recipes for libvirt, as the guides have them: the tests take them from there, and so type what a reader types."""

import re
import textwrap

from vbpvm.paths import TOP

# What a reader gives to libvirt, or types: on the host, and the way back in the guest.
OF_LIBVIRT = re.compile(r"\bvirsh |<memballoon|<qemu:override>|^modprobe -r \w+$", re.M)
_used = set()


def _blocks():
    """Literal blocks of all documents: what is indented below a line that ends in two colons."""
    blocks = []
    for path in sorted((TOP / "Documentation").glob("*.rst")):
        for block in re.findall(r"::\n\n((?:[\t ].*\n|\n(?=[\t ]))+)", path.read_text()):
            blocks.append(textwrap.dedent(block).strip())
    return blocks


def recipe(*words):
    """The block that has all these words; there is one."""
    found = [block for block in _blocks() if OF_LIBVIRT.search(block) and all(word in block for word in words)]
    assert len(found) == 1, f"{len(found)} recipes with {' and '.join(words)}"
    _used.add(found[0])
    return found[0]


def untried():
    """Recipes that nobody has asked for."""
    return [block.splitlines()[0] for block in _blocks() if OF_LIBVIRT.search(block) and block not in _used]
