#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the policy that only a history shows: the simulation must find each within its first seeds.

simulation_mutants.py FOLDER	prints PASS/FAIL lines; compiles in FOLDER
"""
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mutants          # noqa: E402  (found by the line above)

FLAGS = ["-std=gnu11", "-O2", "-w", f"-I{mutants.TOP / 'driver/policy'}", f"-I{mutants.UNIT}"]
SEEDS = "1000"          # most need ten, and all of these take three seconds

# Of those in mutants.py and trial_mutants.py.
SHARED = [
    "no reserve", "what comes in in a cgroup's own frames counts",
    "missed page cache gets nothing", "a failed trial goes on", "a trial never fails", "a trial that nothing is left for never fails",
    "a trial the other way never begins",
    "refaults beside a stream are a sign", "refaults are compared with the scans of their own window",
    "refaults are remembered for ever", "what failed once is never tried again",
    "a quiet guest is watched", "a clock that jumps back is not noticed", "reclaim never forgotten",
    "hold-off ignored", "hold-off unbounded", "a target that dips ends the hold-off", "host pressure ends the hold-off",
    "backoff not applied", "backoff never grows", "backoff unbounded", "growing back is calm",
    "what the host asks for waits for the hold-off", "what nobody asked for is handed over",
    "what was asked once is handed over for ever", "what is free is handed over at once",
    "what was needed again is handed over as soon", "re-inflation in one go", "steps without distance", "unreached is not said",
    "a place is never short", "a place is given more than is held of it", "a place is given what the guest would need",
    "a small place keeps as much as the guest", "what a place lacks comes from anywhere", "what is bound is taken",
    "what is bound makes up for the reserve",
]
# name, what the policy says, what the mutant says instead
OWN = [
    ("a watch that never ends",
     "(state->reclaiming || state->refault.thrash ||\n\t\t\t   vbp_policy_suspects(state, sample));",
     "(state->reclaiming || state->refault.thrash || vbp_policy_suspects(state, sample) || state->relieved_ms);"),
    ("a hold-off after the first relief only",
     "\tstate->relieved = true;\n\tstate->relieved_ms = now;",
     "\tif (!state->relieved)\n\t\tstate->relieved_ms = now;\n\tstate->relieved = true;"),
    ("nothing grows after a failed trial",
     "if (sample->elastic && vbp_refault_wants(&state->refault)) {", "if (sample->elastic && state->refault.thrash) {"),
    ("a place is given steps of the guest's size",
     "u64 total = min(sample->place.total_pages, sample->total_pages);", "u64 total = sample->total_pages;"),
    ("a place keeps half of its part of the reserve",
     "vbp_place_part(sample, place), 16);", "vbp_place_part(sample, place), 17);"),
]


def properties_notice(program):
    """The first property that a mutant breaks, or ""."""
    ran = mutants.run(program, timeout=60, VBP_SEEDS=SEEDS, VBP_FIRST_SEED="", VBP_FAILURES="")
    said = ran.stdout.splitlines() if ran and ran.returncode == 1 else []
    return said[0].split(":")[1].strip() if said else ""


if __name__ == "__main__":
    known = {name: (name, old, new) for name, old, new in mutants.MUTANTS}
    mutants.judge_all("mutant in the simulation", [*(known[name] for name in SHARED), *OWN], mutants.UNIT / "simulation.c", FLAGS,
                      properties_notice, pathlib.Path(sys.argv[1]))
