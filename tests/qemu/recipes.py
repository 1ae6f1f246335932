#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""The recipes of the operator's guide: each command line starts a QEMU, and each QMP command on that page is taken by one.

recipes.py QEMU		prints PASS/FAIL lines
"""
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from sources import PSI, QMPError, Qemu  # noqa: E402  (found by the line above)

GUIDE = pathlib.Path(__file__).resolve().parents[2] / "Documentation/host-guide.rst"
PROGRAM, REST = "qemu-system-x86_64", "..."
# Its RAM is never touched, so this machine need not have it.
WITHOUT_GUEST = ["-nodefaults", "-display", "none", "-S"]


def blocks(text):
    """The pieces of code: what is indented after a line that ends in a double colon."""
    return [re.sub(r"^\t", "", block, flags=re.M) for block in re.findall(r"::\n\n((?:\t.*\n|\n)+)", text)]


def command_lines(text):
    """Those that start a guest, in one line each."""
    lines = [line for block in blocks(text) for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(PROGRAM) and "help" not in line]


def commands(text):
    """QMP commands, those for virsh included."""
    found = [command for block in blocks(text) for command in re.findall(r"^-> (\{(?:.|\n +)*\})$", block, re.M)]
    found += [command for block in blocks(text) for command in re.findall(r"qemu-monitor-command GUEST (?:--pass-fds \d )?'(\{[^']*\})'", block)]
    return [json.loads(command) for command in found]


def starts(program, words, folder, psi):
    """The recipe's words, with a socket of its own, and without what stands for the rest."""
    words = [word.replace("/run/", f"{folder}/") for word in words[1:] if word != REST]
    if not psi:
        words = [word.replace(f",host-pressure={PSI}", "") for word in words]
    words = [program, *words, *WITHOUT_GUEST]
    # Ends by itself, as soon as all devices are there.
    ask = '{ "execute": "qmp_capabilities" }\n{ "execute": "query-balloon-pressure" }\n{ "execute": "quit" }\n'
    done = subprocess.run([*words, "-qmp", "stdio"], input=ask, capture_output=True, text=True, timeout=60, check=False)
    assert not done.returncode, f"{shlex.join(words)}: {done.stderr.strip()}"
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert any("size-max" in answer.get("return", {}) for answer in answers), f"{shlex.join(words)}: {answers}"


def may_watch():
    """An open PSI file, or None where this machine has none or does not let us."""
    try:
        return os.open(PSI, os.O_RDWR)
    except OSError:
        return None


def each_starts(program):
    lines = command_lines(GUIDE.read_text())
    assert len(lines) >= 2, "the guide shows no command line any more"
    psi = may_watch()
    with tempfile.TemporaryDirectory() as folder:
        for words in lines:
            starts(program, words, folder, psi)
    return f"PASS each command line of the guide starts a guest ({len(lines)}{'' if psi else ', without PSI, which this machine has not'})"


def each_is_taken(program):
    sent, psi = commands(GUIDE.read_text()), may_watch()
    assert len(sent) >= 5, "the guide shows no commands any more"
    with_psi = [command for command in sent if command["execute"] == "add-fd" or "/dev/fdset/" in str(command)]
    assert len(with_psi) == 2, with_psi
    if not psi:
        sent = [command for command in sent if command not in with_psi]
    # As large as the guide's guest, or its sizes would be more than it has.
    with Qemu(program, memory="8G") as qemu:
        for command in sent:
            try:
                qemu.qmp.command(command["execute"], fds=[psi] if command["execute"] == "add-fd" else [],
                                 **command.get("arguments", {}))
            except QMPError as error:
                raise AssertionError(f"{command}: {error}") from error
        now = qemu.qmp.command("query-balloon-pressure")
    sizes = [command["arguments"]["value"] for command in sent if command.get("arguments", {}).get("property") == "size-max"]
    assert now["target"] == 4 << 30 and now["size-max"] == sizes[-1], now
    return f"PASS each command of the guide is taken ({len(sent)}{'' if psi else ', without PSI, which this machine has not'})"


if __name__ == "__main__":
    for test in (each_starts, each_is_taken):
        try:
            print(test(sys.argv[1]), flush=True)
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            print(f"FAIL {test.__name__}: {' '.join(str(error).split())}", flush=True)
