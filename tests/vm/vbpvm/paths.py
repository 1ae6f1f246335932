# SPDX-License-Identifier: GPL-2.0-only
"""Where things are, and how the shell half of the harness is asked for kernels and modules."""

import os
import pathlib
import subprocess

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("VBP_BUILD") or TOP / "build")
CASES = TOP / "tests/vm/cases"
# What runs in a guest: C sources of programs, and a folder for each kernel module.
PROGRAMS = TOP / "tests/vm/programs"
MODULES = TOP / "tests/vm/modules"

MIB = 1 << 20
PAGE = 4096


class HarnessError(Exception):
    """Something outside the guest went wrong; the message is one line that says what to do."""


def keep_newest(files, number):
    """Removes the others: of files whose names are hashes nobody else will."""
    for old in sorted(files, key=lambda path: path.stat().st_mtime)[:-number]:
        old.unlink()


def script(name, *args):
    """Runs a script, named from the top of the tree, and returns what it printed; its messages go to our stderr as they come."""
    done = subprocess.run([str(TOP / name), *args], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise HarnessError(f"{name} {' '.join(args)} failed (its message is above)")
    return done.stdout
