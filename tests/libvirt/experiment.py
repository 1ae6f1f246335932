# SPDX-License-Identifier: GPL-2.0-only
"""
The experiment that started this project, as an administrator would do it: a Debian 12 of 2 GiB with 400 MB in use, `virsh setmem` to
1 GiB, and a program that takes 800 MB. With the kernel's own driver it is killed. What was typed and what came of it is kept in
Documentation/experiment.txt, which README.md quotes.
"""

import concurrent.futures
import contextlib
import re
import time

from vbpvm.paths import BUILD, TOP

from guest import Guest, override
from installed import OURS

KEPT = TOP / "Documentation/experiment.txt"
TARGET_KIB = 1 << 20
AUTODEFLATE = "<memballoon model='virtio' autodeflate='on'><stats period='1'/></memballoon>"
PLAIN = "<memballoon model='virtio'><stats period='1'/></memballoon>"
# What is in use before, beside what Debian itself uses; then the program. Both stay, to be looked at.
HOLD = "python3 -c 'import time; m = b\"x\" * (200 << 20); time.sleep(3600)'"
PROGRAM = "python3 -c 'import time; m = b\"x\" * (800 << 20); print(\"has its 800 MB\", flush=True); time.sleep(3600)'"
HAS_IT = "has its 800 MB"
LOAD_S = 240
# Statistics are asked for once a second.
STATISTICS_S = 3
# The line is printed when there has been no relief for five seconds.
RELIEF_LINE_S = 30

INTRO = """\
What `make check-libvirt` typed and what it was answered, with the libvirt and the QEMU of Debian 12 on the host and a Debian 12 in the
guest, without KVM. The guest has 2 GiB and uses 400 MB of it. The host asks for 1 GiB. Then a program takes 800 MB.
"""


class Run:
    """One guest's part: what was typed on the host and in the guest, and the answers."""

    def __init__(self, title, guest, ours):
        self.title, self.guest, self.ours = title, guest, ours
        self.lines = []
        self.killed = self.got = None
        self.before = self.after = {}

    def on_host(self, command):
        return self._add("host", command, self.guest.host.shell(command))

    def in_guest(self, command):
        return self._add("guest", command, self.guest.run(command, check=False).out)

    def _add(self, where, command, answer):
        self.lines += [f"{where}# {command}", *(line.rstrip() for line in answer.strip("\n").splitlines())]
        return answer

    def _sizes(self):
        """dominfo, dommemstat and free, as numbers: KiB, KiB and MiB."""
        time.sleep(STATISTICS_S)
        info = self.on_host(f"virsh dominfo {self.guest.name} | grep memory")
        stats = self.on_host(f"virsh dommemstat {self.guest.name}")
        free = self.in_guest("free -m")
        names, values = re.findall(r"^ +(total .*)$|^Mem: +(.*)$", free, re.M)
        return {"dominfo": int(re.search(r"Used memory: +(\d+) KiB", info)[1]),
                **{name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", stats, re.M)},
                **{f"free.{name}": int(value) for name, value in zip(names[0].split(), values[1].split())}}

    def run(self):
        guest = self.guest
        if self.ours:
            guest.load_ours()
        hold = guest.spawn(HOLD)
        self.on_host(f"virsh setmem {guest.name} 1G --live")
        guest.wait_size(TARGET_KIB)
        self.before = self._sizes()
        program = guest.spawn(PROGRAM)
        guest.channel.wait(lambda: HAS_IT in program.out or program.rc is not None, LOAD_S)
        self.killed, self.got = "Killed" in program.out, HAS_IT in program.out
        self._add("guest", PROGRAM, program.out)
        self.after = self._sizes()
        what = "gave back" if self.ours else "Killed process"
        guest.run(f"for i in $(seq {RELIEF_LINE_S}); do dmesg | grep -q '{what}' && break; sleep 1; done", check=False)
        self.in_guest(f"dmesg | grep '{what}'")
        self.holds = hold.running()
        program.kill()
        hold.kill()

    def text(self):
        return "\n".join([self.title, "-" * len(self.title), "", *self.lines]) + "\n"


def check_survived(run):
    guest = run.guest
    assert run.got and not run.killed, run.lines[-40:]
    assert run.holds, "what was in use before has gone"
    guest.check_console()
    assert abs(run.before["dominfo"] - TARGET_KIB) < 1024, run.before
    # 200 and 800 MB of programs, and what Debian uses.
    assert run.after["dominfo"] > 1100 * 1024 and run.after["actual"] == run.after["dominfo"], run.after
    assert run.after["free.used"] > 1100, run.after


def shape(text):
    """What of it is the same in each run."""
    text = re.sub(r"\(.*?\)", "()", re.sub(r"\d+", "N", text))
    return [" ".join(line.split()) for line in text.splitlines()]


def test_experiment(t):
    """Three guests, which boot at the same time and are then tried in turn."""
    host = t.host
    runs = [Run("The kernel's own driver, as libvirt sets it up", Guest(host, "in-tree", balloon=PLAIN), False),
            Run("This driver, and autodeflate='on'", Guest(host, "ours", balloon=AUTODEFLATE), True),
            Run("This driver, and QEMU with guest-pressure=on",
                Guest(host, "pressure", emulator=OURS, balloon=PLAIN, override=override(guest_pressure=True)), True)]
    with contextlib.ExitStack() as stack, concurrent.futures.ThreadPoolExecutor(len(runs)) as pool:
        for run in runs:
            stack.push(run.guest)
        list(pool.map(lambda run: run.guest.start(), runs))
        for run in runs:
            run.run()
        with t.step("the kernel's own driver, as libvirt sets it up: the program is killed"):
            run = runs[0]
            assert run.killed and not run.got, run.lines[-40:]
            run.guest.check_console(kills=1)
        with t.step("this driver on stock QEMU with autodeflate: the program gets its 800 MB, and nothing is killed"):
            check_survived(runs[1])
        with t.step("this driver on our QEMU with guest-pressure: the same"):
            check_survived(runs[2])
    text = "\n".join([INTRO, *(run.text() for run in runs)])
    made = BUILD / f"libvirt/experiment-{t.suite}.txt"
    made.write_text(text)
    if t.suite != "bookworm":
        return
    with t.step("what the README quotes is what this has printed, but for the numbers"):
        assert KEPT.exists() and shape(KEPT.read_text()) == shape(text), f"it differs from {made}: copy that to Documentation/"
