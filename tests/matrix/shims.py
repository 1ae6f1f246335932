# SPDX-License-Identifier: GPL-2.0-only
"""
Which parts of include/compat which kernel uses: each arm of each condition there is marked, and the preprocessor shows whose marks are
left. An arm that no kernel takes stands for a kernel that nobody supports any more, or for one that was never tried.
"""

import pathlib
import re
import shutil
import subprocess

from vbpvm.paths import TOP

COMPAT = pathlib.Path("include/compat")
GUARD = re.compile(r"#ifndef\s+VBP_COMPAT_\w+_H$")
DIRECTIVE = re.compile(r"^\s*#\s*(if|ifdef|ifndef|elif|else|endif)\b\s*([^/]*)")
MARK = re.compile(r'^"vbp-arm (.+)"$', re.MULTILINE)
# What Debian's configurations have in common is no kernel's doing.
CONFIGURATION = re.compile(r"\bCONFIG_")
# Arms for kernels that no Debian has, with the reason.
NOBODYS = {"linux/mmzone.h: LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)": "6.4 to 6.7 call it MAX_ORDER, without the - 1"}


def mark(name, text):
    """Returns the text with a mark in each arm, and what the marks say."""
    lines, arms, conditions = [], [], []

    def put(condition, holds):
        arms.append(f"{name}: {'' if holds else 'not '}{condition}")
        lines.append(f'"vbp-arm {arms[-1]}"')

    for line in text.splitlines():
        match = DIRECTIVE.match(line)
        word = match[1] if match else None
        if word == "elif":
            raise ValueError(f"{name}: #elif is not understood here")
        if word == "endif":
            condition, holds, has_else = conditions.pop()
            if condition and not has_else:
                lines.append("#else")
                put(condition, not holds)
        lines.append(line)
        if GUARD.match(line):
            conditions.append((None, True, False))
        elif word in ("if", "ifdef", "ifndef"):
            conditions.append((match[2].strip(), word != "ifndef", False))
            put(*conditions[-1][:2])
        elif word == "else":
            condition, holds, _ = conditions.pop()
            conditions.append((condition, holds, True))
            put(condition, not holds)
    return "\n".join(lines) + "\n", arms


class Shims:
    """all is every arm there is; taken(build) those of one kernel."""

    def __init__(self):
        self.headers = {path.relative_to(TOP / COMPAT): mark(path.relative_to(TOP / COMPAT), path.read_text())
                        for path in sorted((TOP / COMPAT).rglob("*.h"))}
        self.all = {arm for _, arms in self.headers.values() for arm in arms}

    def taken(self, build):
        """What is left of a file that includes all of them."""
        folder = build.folder / "shims"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(TOP / "include", folder / "include")
        shutil.copy(TOP / "Kbuild", folder)
        for name, (text, _) in self.headers.items():
            (folder / COMPAT / name).write_text(text)
        (folder / "driver").mkdir()
        (folder / "driver/main.c").write_text("".join(f"#include <{name}>\n" for name in self.headers))
        command = build.command(folder, "driver/main.i")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        result = folder / "driver/main.i"
        if done.returncode or not result.exists():
            raise OSError(f"the headers of Linux {build.kernel.release} cannot be preprocessed: {done.stdout.strip()[-300:]}")
        arms = set(MARK.findall(result.read_text()))
        if not arms:
            raise OSError(f"no mark is left in {result}")
        return arms

    def broken(self, taken):
        """taken: of each kernel."""
        seen = set().union(*taken)
        unused = {arm for arm in self.all - seen if not CONFIGURATION.search(arm)}
        broken = [f"include/compat/{name} has no condition: every kernel gets it" for name, (_, arms) in self.headers.items() if not arms]
        broken += [f"no kernel here needs include/compat/{arm}" for arm in sorted(unused - set(NOBODYS))]
        return broken + [f"not true any more of {arm}: {why}" for arm, why in NOBODYS.items() if arm not in unused]
