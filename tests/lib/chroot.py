# SPDX-License-Identifier: GPL-2.0-only
"""A Debian of our own to install into: a copy of a root.sh's, in which commands run as on a machine without a network."""

import os
import pathlib
import shutil
import subprocess

from vbpvm.paths import BUILD, TOP, HarnessError

# dkms makes itself a key for signing, once; apt, dpkg and depmod keep what they were told last.
COMES_AND_GOES = ("/proc/", "/sys/", "/dev/", "/run/", "/tmp/", "/srv/", "/var/log/", "/var/lib/dkms/mok.", "/var/lib/dpkg/",
                  "/var/lib/apt/", "/var/cache/", "/var/lib/initramfs-tools/", "/etc/ld.so.cache")
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}
ENTER = str(TOP / "tools/in-chroot.sh")


def base(tier, *which):
    """Returns the folder of the Debian to copy, and what else that tier's root.sh says, such as the release of its kernel."""
    done = subprocess.run([str(TOP / "tests" / tier / "root.sh"), *which], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise HarnessError("there is no Debian to install into (root.sh's message is above)")
    folder, *more = done.stdout.split()
    return pathlib.Path(folder), *more


class Chroot:
    """`with Chroot(folder) as chroot`; gone afterwards."""

    def __init__(self, original, name="chroot"):
        self._original = original
        self.path = BUILD / "chroots" / name

    def __enter__(self):
        self.remove()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cp", "-a", "--reflink=auto", str(self._original), str(self.path)], check=True)
        return self

    def __exit__(self, *_):
        self.remove()

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def run(self, command, check=True, timeout=400):
        """Runs a shell command inside; returns what it ended with. AssertionError if it fails and check is set."""
        done = subprocess.run([ENTER, str(self.path), "sh", "-c", command], env=ENVIRONMENT, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=timeout)
        assert not check or done.returncode == 0, f"{command!r} ended with {done.returncode}: {done.stdout.strip()[-600:]}"
        return done

    def out(self, command):
        return self.run(command).stdout.strip()

    def beside(self, *command):
        """Runs a command of this machine's, where /proc of the chroot is mounted."""
        return subprocess.run([ENTER, "--beside", str(self.path), *command], text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def put(self, *files):
        """Copies files of this machine to /srv."""
        for file in files:
            shutil.copy(file, self.path / "srv")

    def files(self):
        """Every file and folder there is, but for what comes and goes by itself."""
        names = set()
        for folder, folders, files in os.walk(self.path):
            inside = folder.removeprefix(str(self.path))
            names.update(f"{inside}/{name}" for name in folders + files)
        return {name for name in names if not f"{name}/".startswith(COMES_AND_GOES) and "__pycache__" not in name}

    def indexes(self, release):
        """What modprobe goes by."""
        folder = self.path / "lib/modules" / release
        return {name: (folder / name).read_bytes() for name in ("modules.dep", "modules.alias", "modules.softdep")}

    def left(self, before):
        """What is there now, and was not before, and the other way round."""
        return sorted(f"+{name}" for name in self.files() - before) + sorted(f"-{name}" for name in before - self.files())
