# SPDX-License-Identifier: GPL-2.0-only
"""The QEMUs with our patches."""

import functools
import os
import subprocess

from . import paths

# The exit status that qemu/build.sh says so with.
UNOBTAINABLE = 3


@functools.lru_cache(maxsize=None)
def patched():
    """Its program, built if it is not up to date: minutes the first time."""
    done = subprocess.run([str(paths.TOP / "qemu/build.sh")], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise paths.HarnessError("the patched QEMU does not build (the reason is above)")
    return done.stdout.strip()


class NotHere(paths.HarnessError):
    """The mirrors do not have the source of one of them, so that it cannot be built."""


@functools.lru_cache(maxsize=None)
def ages():
    """Each QEMU that the series is for, oldest first, as (version, program). Several times as many minutes the first time."""
    lines = (paths.TOP / "qemu/base").read_text().splitlines()
    versions = [line.split()[0] for line in lines if not line.startswith("#")]
    return [(versions[0], patched()), *((version, _younger(version)) for version in versions[1:])]


def _younger(version):
    done = subprocess.run([str(paths.TOP / "qemu/build.sh")], stdout=subprocess.PIPE, text=True, env={**os.environ, "QEMU": version})
    if done.returncode == UNOBTAINABLE:
        raise NotHere(f"the source of QEMU {version} cannot be had here (the reason is above)")
    if done.returncode:
        raise paths.HarnessError(f"the patched QEMU {version} does not build (the reason is above)")
    return done.stdout.strip()
