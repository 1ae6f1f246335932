# SPDX-License-Identifier: GPL-2.0-only
"""Reads a guest's console log for signs that its kernel is not well."""

import re

# Any of these fails the test during which it was printed.
BAD = re.compile(
    r"WARNING: |BUG: |BUG at |Oops|Call Trace|\bCall trace|possible circular|possible recursive|inconsistent lock state"
    r"|lockdep|KASAN|KCSAN|KFENCE|UBSAN|INFO: task .* blocked|detected stalls|self-detected stall|soft lockup"
    r"|Bad page state|Bad page map|Kernel panic|kernel panic|general protection|unable to handle|refcount_t"
    r"|page allocation failure|pagealloc: |unreferenced object|scheduling while atomic|init: FATAL|vbp-agent: fatal")
# What stock kernels print at boot under TCG although nothing is wrong.
HARMLESS = re.compile(r"Spectre V2 : WARNING|lockdep: |KASLR|spectre_v2|TAA CPU bug|MDS CPU bug")
# Linux 6.1 may need a random number for a new slab while it wakes up, and then reads a clock that does not run yet.
ASLEEP = re.compile(r"WARNING: [^\n]*ktime_get_seconds.*?(end trace[^\n]*\n|\Z)", re.DOTALL)
OOM_KILL = re.compile(r"Killed process \d+ \((.*?)\)")
# Each kill comes with a report, which has a call trace of its own, with functions of any name in it.
OOM_REPORT = re.compile(r"invoked oom-killer")
IN_OOM_REPORT = re.compile(r"Call [Tt]race|\+0x[0-9a-f]+/0x[0-9a-f]+")


class Console:
    """The growing log file of one guest; check() looks at what is new since the last call."""

    def __init__(self, path):
        self.path = path
        self._seen = 0
        self._in_report = False
        self._victim = None         # of the last kill
        self._excused = False       # the trace of what it could not get is still to come

    def text(self):
        try:
            return self.path.read_bytes().decode(errors="replace")
        except FileNotFoundError:
            return ""

    def tail(self, lines=15):
        return "\n".join(self.text().replace("\r", "").splitlines()[-lines:])

    def check(self):
        """Returns (list of bad lines, number of OOM kills) since the last check."""
        text = self.text()
        # What is still being written is looked at when it is all there.
        end = text.rfind("\n") + 1
        new = text[self._seen:end]
        trace = ASLEEP.search(new)
        if trace and not trace[1]:
            new = new[:trace.start()]
        self._seen += len(new)
        new = ASLEEP.sub(lambda trace: "" if "crng_make_state" in trace[0] and "syscore_resume" in trace[0] else trace[0], new)
        bad, kills = [], 0
        for line in new.replace("\r", "").splitlines():
            if OOM_REPORT.search(line):
                self._in_report = True
            killed = OOM_KILL.search(line)
            if killed:
                kills += 1
                self._in_report, self._victim = False, killed[1]
            # What a task that is being killed does not get any more is told of, too.
            if self._victim and f"{self._victim}: page allocation failure" in line:
                self._excused = True
                continue
            if self._excused and "call trace" in line.lower():
                self._excused = False
                continue
            if BAD.search(line) and not HARMLESS.search(line) and not (self._in_report and IN_OOM_REPORT.search(line)):
                bad.append(line.strip())
        return bad, kills
