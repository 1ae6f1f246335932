# SPDX-License-Identifier: GPL-2.0-only
"""What a long test was given: how many minutes, and which seed. Nothing given: one minute, and another seed each time."""

import os
import time

from vbpvm import HarnessError

MOST_SEED = 0xffffffff              # tests/vm/modules/hostile has 32 bits for it


def minutes():
    text = os.environ.get("VBP_MINUTES") or "1"
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value < float("inf"):
        raise HarnessError(f"MINUTES={text}: must be a number above 0")
    return value


def seed_and_life():
    """Which life of which seed is to be lived; 0: as many as there is time for."""
    text = os.environ.get("VBP_SEED") or str(time.time_ns() % 1000000)
    seed, slash, life = text.partition("/")
    numbers = [int(part) if part.isdecimal() and part.isascii() else -1 for part in ([seed, life] if slash else [seed])]
    if min(numbers) < 0 or max(numbers) > MOST_SEED or slash and not numbers[1]:
        raise HarnessError(f"SEED={text}: must be a number, or two as in 5/1, the first life of seed 5")
    return numbers[0], numbers[1] if slash else 0
