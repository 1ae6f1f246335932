# SPDX-License-Identifier: GPL-2.0-only
"""A host with libvirtd, in namespaces of its own (host.sh), and what an administrator types on it."""

import pathlib
import shutil
import subprocess
import sys
import time

from vbpvm.paths import BUILD, TOP, HarnessError
from vbpvm.vm import _die_with_parent

HERE = TOP / "tests/libvirt"
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C"}
NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd")


class Virsh(Exception):
    """virsh ended with an error; the message is what it said."""


class Host:
    """
    `with Host(name, root) as host:`, in the Debian in root; its guests end with it. `pid`: process 1 of its namespace, by the number that
    it has out here.
    """

    def __init__(self, name, root, guest=None, beside=None):
        """guest: the folder of one to share. beside: another host, with which it shares all files, so that guests can move."""
        self.name, self._beside = name, beside
        self.shared = beside.shared if beside else BUILD / "libvirt" / name
        self.root, self.guest = root, guest or self.shared / "guest"
        self.log = BUILD / f"logs/libvirt-{name}.log"
        self._process = self.pid = None

    def __enter__(self):
        if not self._beside:
            shutil.rmtree(self.shared, ignore_errors=True)
            self.shared.mkdir(parents=True)
            for folder in ("images", "guest", "console"):
                (self.shared / folder).mkdir()
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "wb") as log:
            self._process = subprocess.Popen([str(HERE / "host.sh"), str(self.root), str(self.shared), str(self.guest), self.name],
                                             stdin=subprocess.PIPE, stdout=log, stderr=log, preexec_fn=_die_with_parent)
        try:
            self.pid = self._wait_for(self._first, "process")
            # Until then its root is still this machine's.
            self._wait_for(pathlib.Path(f"{self.outside}/run/libvirtd-started").exists, "libvirtd")
            self._wait_for(lambda: self.inside("virsh", "version").returncode == 0, "answer of libvirtd")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait(120)
        if not self._beside:
            shutil.rmtree(self.shared, ignore_errors=True)

    @property
    def outside(self):
        """Where its root is, seen from here."""
        return f"/proc/{self.pid}/root"

    def _first(self):
        return pathlib.Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().strip()

    def _wait_for(self, question, what, timeout=120):
        limit = time.monotonic() + timeout
        while not (answer := question()):
            if time.monotonic() > limit or self._process.poll() is not None:
                raise HarnessError(f"libvirtd does not start: no {what} (log: {self.log}): {self.log.read_text()[-300:]}")
            time.sleep(0.1)
        return answer

    def entry(self):
        """What a command there begins with, seen from here."""
        return ["nsenter", f"--target={self.pid}", *NAMESPACES, "--"]

    @property
    def uri(self):
        """What a host beside it calls its libvirtd."""
        return f"qemu+unix:///system?socket=/srv/run-{self.name}/libvirt-sock"

    def inside(self, *command, timeout=120, **options):
        """Runs a program there; returns what it ended with."""
        return subprocess.run([*self.entry(), *command], env=ENVIRONMENT, text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout, **options)

    def shell(self, command, **options):
        """A line of a shell's, as an administrator would type it; returns what it printed."""
        done = self.inside("sh", "-c", command, **options)
        if done.returncode:
            raise Virsh(f"{command!r} ended with {done.returncode}: {done.stdout.strip()[-600:]}")
        return done.stdout

    def virsh(self, *arguments, **options):
        done = self.inside("virsh", "--quiet", *arguments, **options)
        if done.returncode:
            raise Virsh(f"virsh {' '.join(arguments)}: {done.stdout.strip()[-600:]}")
        return done.stdout.strip()


def test_ends(t):
    """However the tests end, libvirtd ends with them, and nothing stays mounted."""
    code = (f"import sys; sys.path[:0] = {sys.path[:3]}\nfrom host import Host\n"
            f"with Host('killed', {str(t.host.root)!r}) as host:\n    print(host.pid, flush=True)\n    sys.stdin.read()")
    with t.step("killed, it leaves neither processes nor mounts"):
        with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            first = pathlib.Path(f"/proc/{other.stdout.readline().strip()}")
            namespace = (first / "ns/pid").readlink()
            assert len(_of(namespace)) >= 3, _of(namespace)         # bash, virtlogd, libvirtd
            other.kill()
        limit = time.monotonic() + 30
        while left := _of(namespace):
            assert time.monotonic() < limit, left
            time.sleep(0.1)
        mounted = [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if str(t.host.root) in line]
        assert not mounted, mounted
    shutil.rmtree(BUILD / "libvirt/killed", ignore_errors=True)


def _of(namespace):
    """The processes of a PID namespace."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if (process / "ns/pid").readlink() == namespace:
                found.append((process / "comm").read_text().strip())
        except OSError:         # it has just ended
            pass
    return found
