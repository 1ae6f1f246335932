# SPDX-License-Identifier: GPL-2.0-only
"""The torture, on the debug kernel: VBP_MINUTES of it, from VBP_SEED. `make torture MINUTES=n SEED=s` is longer.
SEED=s/l is the one life l of seed s."""

from vbpvm.runner import vm_test

from helpers import given, torture

# A guest lives no longer than this, so that many kinds of them are met and a leak has few suspects.
LIFE_S = 180


MINUTES = given.minutes()
SEED, ONLY = given.seed_and_life()


@vm_test(kernels=(), debug=True, patched=True, timeout=180 + MINUTES * 60)
def test_torture(t):
    t.allow_oom_kills(1 << 20)          # floors leave less than loads want
    t.note(f"VBP_SEED={SEED}, {MINUTES:g} minutes")
    lives = 1 if ONLY else max(1, round(MINUTES * 60 / LIFE_S))
    for life in range(1, lives + 1):
        torture.life(t, SEED, ONLY or life, MINUTES * 60 / lives)
