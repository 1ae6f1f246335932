# SPDX-License-Identifier: GPL-2.0-only
"""The QEMU with our patches."""

import functools
import subprocess

from . import paths


@functools.lru_cache(maxsize=None)
def patched():
    """Its program, built if it is not up to date: minutes the first time."""
    done = subprocess.run([str(paths.TOP / "qemu/build.sh")], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise paths.HarnessError("the patched QEMU does not build (the reason is above)")
    return done.stdout.strip()
