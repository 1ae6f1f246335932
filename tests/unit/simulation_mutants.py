#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Faults of the policy that only a history shows: the simulation must find each within its first seeds.

simulation_mutants.py FOLDER	prints PASS/FAIL lines; compiles in FOLDER
"""
import concurrent.futures
import os
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import mutants          # noqa: E402  (found by the line above)

FLAGS = ["-std=gnu11", "-O2", "-w", f"-I{mutants.TOP / 'driver'}", f"-I{mutants.UNIT}"]
SEEDS = "400"           # most need ten, and all of these take two seconds

# Of those in mutants.py.
SHARED = [
    "no reserve", "relief without reclaim", "any swap-out is pressure",
    "missed page cache gets nothing", "a failed trial goes on", "a trial never fails", "a trial that nothing is left for never fails",
    "refaults beside a stream are a sign", "refaults are compared with the scans of their own window",
    "a cgroup's refaults are the guest's", "refaults are remembered for ever", "what failed once is never tried again",
    "a quiet guest is watched", "a clock that jumps back is not noticed", "reclaim never forgotten",
    "hold-off ignored", "hold-off unbounded", "a target that dips ends the hold-off", "host pressure ends the hold-off",
    "backoff not applied", "backoff never grows", "backoff unbounded", "growing back is calm",
    "re-inflation in one go", "steps without distance", "a step outlives a relief", "unreached is not said",
]
# name, what the policy says, what the mutant says instead
OWN = [
    ("a watch that never ends",
     "(state->reclaiming || state->refault.thrash);", "(state->reclaiming || state->refault.thrash || state->ever_relieved);"),
    ("a hold-off after the first relief only",
     "\tstate->relieved = true;\n\tstate->relieved_ms = now;",
     "\tif (!state->relieved)\n\t\tstate->relieved_ms = now;\n\tstate->relieved = true;"),
    ("nothing grows after a failed trial",
     "if (sample->elastic && vbp_refault_wants(&state->refault)) {", "if (sample->elastic && state->refault.thrash) {"),
]


def judge(number, name, old, new, policy, folder):
    """PASS or FAIL line for one mutant."""
    label = f"mutant in the simulation: {name}"
    if policy.count(old) != 1:
        return f"FAIL {label}: its text is in the policy {policy.count(old)} times, not once; update the mutant"
    source, program = folder / f"simulation-mutant-{number}.c", folder / f"simulation-mutant-{number}"
    source.write_text(policy.replace(old, new))
    built = subprocess.run(["gcc", *FLAGS, "-o", program, source, folder / "simulation-main.o"], capture_output=True, text=True)
    if built.returncode:
        return f"FAIL {label}: it does not compile: {built.stderr.splitlines()[0] if built.stderr else ''}"
    try:
        ran = subprocess.run([program], capture_output=True, text=True, timeout=60,
                             env={**os.environ, "VBP_SEEDS": SEEDS, "VBP_SEED": "", "VBP_FIRST_SEED": "", "VBP_FAILURES": ""})
        said = ran.stdout.splitlines()
        noticed = said[0].split(":")[1].strip() if ran.returncode == 1 and said else ""
    except subprocess.TimeoutExpired:
        noticed = ""
    source.unlink()
    program.unlink()
    return f"PASS {label} ({noticed})" if noticed else f"FAIL {label}: no property noticed in {SEEDS} seeds"


def main():
    folder = pathlib.Path(sys.argv[1])
    policy = "".join((mutants.TOP / "driver" / name).read_text() for name in ("policy.c", "refault.c"))
    built = subprocess.run(["gcc", *FLAGS, "-c", "-o", folder / "simulation-main.o", mutants.UNIT / "simulation.c"],
                           capture_output=True, text=True)
    if built.returncode:
        print(f"FAIL mutants in the simulation: simulation.c does not compile: {built.stderr.splitlines()[0]}")
        return
    known = {name: (name, old, new) for name, old, new in mutants.MUTANTS}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        jobs = [pool.submit(judge, number, *mutant, policy, folder)
                for number, mutant in enumerate([*(known[name] for name in SHARED), *OWN])]
        for job in jobs:
            print(job.result(), flush=True)


if __name__ == "__main__":
    main()
