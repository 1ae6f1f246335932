# SPDX-License-Identifier: GPL-2.0-only
"""The driver's files lie on floors: who is above includes, calls and points to who is on the same floor or below, never the other way
round. What has happened below is returned to whoever asked. Each function returns what runs up."""

import pathlib
import re
import subprocess

# From the top, by the beginning of the name in driver/. What the administrator has set is a face, but everybody reads it.
FLOORS = (
    ("life cycle and faces", ("main.", "takeover.", "sysfs.")),
    ("sensors", ("sensors/",)),
    ("engine", ("engine/",)),
    ("balloon", ("balloon/",)),
    ("host", ("host/",)),
    ("leaves", ("memory.", "cpus.", "works.", "params.", "trace.")),
    ("policy", ("policy/",)),
)
# All parts of the device in one: it includes each floor's header, and each source file includes it. No header does.
DEVICE = "device.h"
# The parts of the device; each is touched where it is declared, and what all share by all.
PARTS = {"sensors": "sensors/", "engine": "engine/", "balloon": "balloon/", "host": "host/", "works": "works."}
READS_ALL = "sysfs.c"
# Stands for the kernel where the policy is built without one; in tests/unit.
ELSEWHERE = {"policy_user.h"}


def floor(name):
    """Counted from the top, of a file in driver/; None if it is on none."""
    for number, (_, beginnings) in enumerate(FLOORS):
        if name.startswith(beginnings):
            return number
    return None


def _sources(tree):
    return [name.removeprefix("driver/") for name in tree.under("driver/")]


def _up(name, other):
    return f"{name} ({FLOORS[floor(name)][0]}) {{}} {other} ({FLOORS[floor(other)][0]})"


def includes(tree):
    """Headers of the driver's own that are above who includes them."""
    names = _sources(tree)
    broken = [f"driver/{name} is on no floor: say on which in tests/lint/arrow.py" for name in names if floor(name) is None and name != DEVICE]
    down = 0
    for name in names:
        folder = str(pathlib.PurePath(name).parent)
        for header in re.findall(r'^\s*#\s*include\s+"([^"]+)"', tree.text(f"driver/{name}"), re.M):
            other = next((path for path in (str(pathlib.PurePath(folder) / header), header) if path in names), None)
            if header in ELSEWHERE:
                continue
            if other is None:
                broken.append(f"driver/{name} includes {header}, which is not there")
            elif DEVICE in (name, other):
                if other == DEVICE and name.endswith(".h"):
                    broken.append(f"driver/{name}, a header, includes {DEVICE}, which includes the headers")
            elif floor(name) is not None and floor(other) is not None:
                down += floor(other) > floor(name)
                if floor(other) < floor(name):
                    broken.append(_up(name, other).format("includes"))
    return broken if down else [*broken, "nothing includes anything below it: the rule no longer sees the includes"]


def parts(tree):
    """Parts of the device that others touch than who has them."""
    broken, own = [], set()
    for name in _sources(tree):
        if name.endswith(".h") or name == READS_ALL:
            continue
        for number, line in enumerate(tree.lines(f"driver/{name}"), 1):
            for part in re.findall(r"\bvb->(\w+)\b(?=\.|;|\))", line):
                if part in PARTS and name.startswith(PARTS[part]):
                    own.add(part)
                elif part in PARTS:
                    broken.append(f"driver/{name}:{number} touches {part}: {line.strip()}")
    return broken + [f"nobody touches {part}: the rule no longer sees it" for part in sorted(set(PARTS) - own)]


def _symbols(path, *which):
    listing = subprocess.run(["nm", *which, str(path)], capture_output=True, text=True, check=True).stdout
    return {line.split()[-1] for line in listing.splitlines()}


def calls(build):
    """What an object calls, or takes the address of, that is defined above it."""
    objects = {str(path.relative_to(build.folder / "driver").with_suffix(".c")): path for path in build.objects()}
    home = {symbol: name for name, path in objects.items() for symbol in _symbols(path, "--defined-only", "--extern-only")}
    broken, reached = [], set()
    for name, path in objects.items():
        if floor(name) is None:
            continue        # includes() says so
        for symbol in sorted(_symbols(path, "--undefined-only")):
            other = home.get(symbol)
            if other is None or floor(other) is None:
                continue
            if floor(other) > floor(name):
                reached.add(floor(other))
            elif floor(other) < floor(name):
                broken.append(_up(name, other).format(f"uses {symbol} of"))
    unseen = [title for number, (title, _) in enumerate(FLOORS) if number and number not in reached]
    return broken + [f"nothing above uses anything of {title}: the rule no longer sees the calls" for title in unseen]
