# SPDX-License-Identifier: GPL-2.0-only
"""The torture, on the debug kernel: VBP_MINUTES of it, from VBP_SEED. `make torture MINUTES=n SEED=s` is longer.
SEED=s/l is the one life l of seed s."""

import os
import time

from vbpvm import HarnessError
from vbpvm.runner import vm_test

from helpers import torture

# A guest lives no longer than this, so that many kinds of them are met and a leak has few suspects.
LIFE_S = 180


def number(name, default):
    text = os.environ.get(name) or default
    try:
        value = float(text)
    except ValueError:
        value = 0
    if value <= 0:
        raise HarnessError(f"{name}={text}: must be a number above 0")
    return value


MINUTES = number("VBP_MINUTES", "1")


def seed_and_life():
    """Which life of which seed is to be lived; 0: as many as there is time for."""
    text = os.environ.get("VBP_SEED") or str(time.time_ns() % 1000000)
    seed, _, life = text.partition("/")
    if not seed.isdigit() or not (life or "1").isdigit():
        raise HarnessError(f"VBP_SEED={text}: must be a number, or two as in 5/1, the first life of seed 5")
    return int(seed), int(life or 0)


SEED, ONLY = seed_and_life()


@vm_test(kernels=(), debug=True, patched=True, timeout=180 + MINUTES * 60)
def test_torture(t):
    t.allow_oom_kills(1 << 20)          # floors leave less than loads want
    t.note(f"VBP_SEED={SEED}, {MINUTES:g} minutes")
    lives = 1 if ONLY else max(1, round(MINUTES * 60 / LIFE_S))
    for life in range(1, lives + 1):
        torture.life(t, SEED, ONLY or life, MINUTES * 60 / lives)
