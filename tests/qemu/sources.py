#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-only
"""Sources of pressure that the series' own tests can't have: a PSI file handed in while QEMU runs, and what an ordinary user may not open.

sources.py QEMU		prints PASS/FAIL/SKIP lines
"""
import contextlib
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "vm"))
from vbpvm import HarnessError          # noqa: E402  (found by the line above)
from vbpvm.qmp import QMP, QMPError     # noqa: E402

PSI = "/proc/pressure/memory"
V1 = pathlib.Path("/sys/fs/cgroup/memory")
DEVICE = "/machine/peripheral/balloon0"
NOBODY = 65534
TWO_LOOKS_S = 6


class Qemu:
    """A QEMU whose guest does not run: the host is looked at all the same."""

    def __init__(self, program, memory="128", **how):
        ours, theirs = socket.socketpair()
        self._process = subprocess.Popen(
            [program, "-nodefaults", "-display", "none", "-S", "-m", memory, "-device", "virtio-balloon-pci,id=balloon0,guest-pressure=on",
             "-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control"],
            pass_fds=[theirs.fileno()], stderr=subprocess.PIPE, text=True, **how)
        theirs.close()
        self.qmp = QMP(ours)
        try:
            self.qmp.negotiate()
        except HarnessError as error:
            self._process.kill()
            raise AssertionError(f"{error}: {self._process.communicate()[1].strip()}") from error

    def set_source(self, value):
        """What was wrong with it, or None."""
        try:
            self.qmp.command("qom-set", path=DEVICE, property="host-pressure", value=value)
        except QMPError as error:
            return str(error).removeprefix("qom-set: ")
        return None

    def source(self):
        return self.qmp.command("qom-get", path=DEVICE, property="host-pressure")

    def host(self):
        return self.qmp.command("query-balloon-pressure")["host"]

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self._process.kill()
        self._process.communicate()
        self.qmp.close()


def handed_in(program):
    """The set is closed again at once, as a monitor that leaves would have it."""
    try:
        fd = os.open(PSI, os.O_RDWR)
    except OSError as error:
        return f"SKIP a PSI file handed in while it runs: {error}"
    with Qemu(program) as qemu:
        qemu.qmp.command("add-fd", fds=[fd], **{"fdset-id": 1})
        os.close(fd)
        wrong = qemu.set_source("/dev/fdset/1")
        assert wrong is None, wrong
        qemu.qmp.command("remove-fd", **{"fdset-id": 1})
        end = time.monotonic() + TWO_LOOKS_S
        while qemu.host()["looks"] < 2 and time.monotonic() < end:
            time.sleep(0.1)
        now = qemu.host()
        assert now["looks"] >= 2 and "failed" not in now and now["total"] > now["free"] > 0, now
        assert qemu.source() == "/dev/fdset/1"
    return "PASS a PSI file handed in while it runs"


def check_refused(qemu, path, says):
    before, wrong = qemu.source(), qemu.set_source(str(path))
    assert wrong and says in wrong and "\n" not in wrong, f"{path}: {wrong}"
    assert qemu.source() == before, (qemu.source(), before)


def refused(program):
    """One clear line each, and what was there stays."""
    if os.geteuid():
        return "SKIP what an ordinary user may not open: the series' own tests have it, they are run by one"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        os.chmod(folder, 0o755)
        # Where the build is only root may look.
        copy = pathlib.Path(folder) / "qemu"
        shutil.copy(program, copy)
        closed = pathlib.Path(folder) / "pressure"
        closed.write_text("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n")
        closed.chmod(0)
        qemu = stack.enter_context(Qemu(str(copy), user=NOBODY, group=NOBODY, extra_groups=[]))
        good = qemu.set_source(PSI)
        assert good is None or "\n" not in good, good
        assert qemu.source() == ("" if good else PSI), good
        check_refused(qemu, closed, "Permission denied")
        if (V1 / "cgroup.event_control").exists():
            check_refused(qemu, V1 / "memory.pressure_level", "Permission denied")
    return f"PASS what an ordinary user may not open ({PSI}: {good or 'allowed'})"


if __name__ == "__main__":
    for test in (handed_in, refused):
        try:
            print(test(sys.argv[1]), flush=True)
        except AssertionError as error:
            print(f"FAIL {test.__name__}: {error}", flush=True)
