#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Faults that only whole hosts show: the simulation must find each within its first seeds, and by the verdict that is about it.

machine_mutants.py FOLDER	prints PASS/FAIL lines; compiles in FOLDER

Each verdict has one at least: a verdict that nothing breaks looks at nothing.
"""
import importlib.util
import pathlib
import re
import sys

sys.dont_write_bytecode = True
HOST = pathlib.Path(__file__).resolve().parent
spec = importlib.util.spec_from_file_location("host_mutants", HOST / "mutants.py")
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
mutants = cases.mutants

FLAGS = ["-std=gnu11", "-O2", "-w", f"-I{mutants.TOP / 'driver/policy'}", f"-I{mutants.UNIT}", f"-I{HOST}", f"-I{cases.POLICY.parent}"]
GUEST_POLICY = mutants.POLICY
SEEDS = "300"           # most need ten

# Of those in mutants.py, and what notices them.
SHARED = {
    "the automatic part comes on top of management's": "MINIMUM",
    "guests under pressure are shrunk": "PRESSED",
    "a stall with memory to spare counts": "LEVEL",
    "guests give at the reserve and below it only": "UNFAIR",
    "what guests get is the same for all": "NUMBER",
    "fixed bytes are given": "OSCILLATION",
    "all that is free is promised to each": "BURST",
    "the least is promised although little is left": "BURST",
    "memory never used is not looked at": "BURST",
}
# name, what the policy says, what the mutant says instead, what notices it
OWN = [
    ("guests give nothing unless critical", "#define GIVE 2\n", "#define GIVE 0\n", "SHORT"),
    ("nobody gets anything back", "    state->share += part_of(config->ram,", "    state->share += 0 * part_of(config->ram,", "KEPT"),
    ("a gain of sixty-four", "#define GIVE 2\n", "#define GIVE 64\n", "WAVES"),
    ("what came from nowhere is backed", "MAX(sample->resident + promised, config->size_min);", "MAX(sample->resident, config->size_min);",
     "KEPT"),
]
# Of the guest's policy, in mutants.py one folder up.
OF_GUESTS = {
    "floor for the moment ignored": "GUEST",
}


def verdicts():
    """Number by name, and how each is told, as machine.h has them."""
    text = (HOST / "machine.h").read_text()
    names = re.search(r"enum verdict \{(.*?)VERDICT_COUNT", text, re.DOTALL)[1]
    return ({name: str(number) for number, name in enumerate(re.findall(r"VERDICT_(\w+)", names))},
            dict(re.findall(r'\[VERDICT_(\w+)\] = "(.*)"', text)))


NUMBERS, TEXTS = verdicts()


def verdict_notices(name, program):
    """Whether that verdict is against a mutant; the others are not asked."""
    ran = mutants.run(program, timeout=120, VBP_SEEDS=SEEDS, VBP_VERDICT=NUMBERS[name], VBP_FIRST_SEED="", VBP_FAILURES="", VBP_GUESTS="",
                      VBP_WORLD="")
    said = ran.stdout.splitlines() if ran and ran.returncode == 1 else [""]
    return f"noticed by: {TEXTS[name]}" if TEXTS[name] in said[0] else ""


def chosen(shared, among):
    known = {name: (name, old, new) for name, old, new in among}
    return [(*known[name], verdict) for name, verdict in shared.items()]


def of_hosts():
    return [*chosen(SHARED, cases.MUTANTS), *OWN]


def of_guests():
    return chosen(OF_GUESTS, mutants.MUTANTS)


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    for name in NUMBERS:
        if name not in {mutant[3] for mutant in (*of_hosts(), *of_guests())}:
            print(f"FAIL mutants of whole hosts: none is for: {TEXTS[name]}")
    for what, found, rest, sources in (
            ("host", of_hosts(), GUEST_POLICY, (cases.POLICY,)),
            ("guest", of_guests(), (cases.POLICY,), GUEST_POLICY)):
        objects = []
        for source in rest:
            objects.append(str(folder / f"{source.stem}-of-hosts.o"))
            if mutants.compile_c([*FLAGS, "-c"], objects[-1], source):
                sys.exit(f"{source} does not compile")
        mutants.judge_all(f"mutant of the {what} policy, in whole hosts", found, HOST / "machine.c", [*FLAGS, *objects], verdict_notices,
                          folder, tuple(str(source) for source in sources))
