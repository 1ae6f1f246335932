# SPDX-License-Identifier: GPL-2.0-only
"""How a tier written in Python says what it found; the twin of results.sh, which describes the lines."""

import os
import pathlib
import threading

TOP = pathlib.Path(__file__).resolve().parents[2]


class Results:
    def __init__(self, tier, echo=True):
        folder = pathlib.Path(os.environ.get("VBP_BUILD") or TOP / "build") / "results"
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{tier}.txt"
        self.path.write_text("")
        self.counts = {"PASS": 0, "FAIL": 0, "SKIP": 0}
        self._echo = echo
        self._lock = threading.Lock()

    def add(self, verdict, name, why=""):
        """verdict: PASS, FAIL or SKIP; the latter two need a reason."""
        line = f"{verdict} {name}" + (f": {why}" if why else "")
        line = " ".join(line.split())           # one line per result, whatever was in the reason
        with self._lock:
            self.counts[verdict] += 1
            with open(self.path, "a") as file:
                file.write(line + "\n")
            if self._echo:
                print(line, flush=True)

    def exit_status(self):
        """0 only if something passed and nothing failed."""
        return 0 if self.counts["PASS"] and not self.counts["FAIL"] else 1
