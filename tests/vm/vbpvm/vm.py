# SPDX-License-Identifier: GPL-2.0-only
"""One guest: its QEMU, its control channel, and what tests want to ask of either."""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from . import accel as accelerator
from . import initramfs, paths, unpacked
from .channel import Channel, CommandFailed, CommandTimeout, GuestDied
from .console import Console
from .paths import HarnessError, MIB
from .qmp import QMP

BALLOON = "virtio-balloon-pci"
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def _die_with_parent():
    """In the child: no guest outlives the test run, not even one that was killed."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class VM:
    """
    A guest without network, disk or display, with a balloon device, started by `with VM(kernel) as vm:`.

    kernel    a kernels.Kernel
    mem, smp  MiB and CPUs
    balloon   options of the balloon device ("deflate-on-oom=on,free-page-reporting=on"); None for no device
    module    our module's .ko, or None
    disks     sizes in MiB of empty sparse disks: /dev/vda, /dev/vdb, …; or a path to an image
    append    more kernel parameters
    extra     more arguments of QEMU
    files     {"/path/in/guest": bytes or pathlib.Path}
    qemu      the QEMU program; VBP_QEMU, then the distribution's
    sleeps    it suspends to RAM: QEMU then must not have the bare kernel, which it would load once more on waking, over the old one
    """

    def __init__(self, kernel, mem=2048, smp=2, balloon="", module=None, disks=(), append="", extra=(), files=None,
                 qemu=None, accel=None, name="vm", boot_timeout=90, sleeps=False):
        self.kernel, self.mem_bytes, self.smp = kernel, mem * MIB, kernel.cpus or smp
        self.name = name
        self.qmp = self.channel = self.console = None
        self.machine = kernel.machine
        self.qemu = qemu or not self.machine.foreign and os.environ.get("VBP_QEMU") or self.machine.qemu
        self.accel = "tcg" if self.machine.foreign else accel or accelerator.choose()
        self._boot_timeout, self._sleeps = boot_timeout, sleeps
        self._balloon, self._module, self._disks = balloon, module, disks
        self._append, self._extra, self._files = f"{kernel.append} {append}", list(extra), files or {}
        self._process = self._control = self._archive = None
        self.dir = None

    # --- life -------------------------------------------------------------------------------------------------------

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, kind, value, trace):
        self.stop(keep=kind is not None)

    def start(self):
        """Starts QEMU and waits until the agent answers."""
        if not shutil.which(self.qemu):
            raise HarnessError(f"{self.qemu} is not there: run 'make setup', or set VBP_QEMU to a QEMU program")
        archive = initramfs.build(self.kernel, self._module)
        runs = paths.BUILD / "vm/runs"
        runs.mkdir(parents=True, exist_ok=True)
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.name}-", dir=runs))
        self.console = Console(self.dir / "console.log")
        try:
            self._launch(archive)
            self.qmp.negotiate()
            if not self.channel.wait(lambda: self.channel.ready, self._boot_timeout):
                raise GuestDied(f"the guest did not boot within {self._boot_timeout} s")
        except (GuestDied, HarnessError, ConnectionError) as error:
            detail = self.stderr() or self.console.tail()
            self.stop(keep=True)
            raise GuestDied(f"{error}; see {self.dir}; last words:\n{detail}") from error

    def _launch(self, archive):
        self._archive = self._with_files(archive)
        self._process, self._control, self.qmp = self.spawn_qemu()
        self.channel = Channel(self._control)
        self.channel.patience = self.kernel.slowness

    def spawn_qemu(self, *arguments):
        """Starts a QEMU for this guest, also for migration.py; returns its process, our end of the control port, and its QMP."""
        ours_ctl, its_ctl = socket.socketpair()
        ours_qmp, its_qmp = socket.socketpair()
        kernel = self.kernel.vmlinuz if self._sleeps else unpacked.bootable(self.kernel)
        command = [
            self.qemu, "-name", self.name, *self.machine.options, "-accel", self.accel, "-m", f"{self.mem_bytes // MIB}M",
            "-smp", str(self.smp), "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-kernel", str(kernel), "-initrd", str(self._archive),
            # Under TCG each line of the boot's chatter costs time, so does moving the kernel to a place of chance, and so do the
            # tests that it makes of its ciphers. (init shows later what was quiet.)
            # A kernel that boots patches code which its other CPU may be running, and once in some hundred boots QEMU 7.2's
            # emulation shows that CPU one half of it: "Oops: int3", or worse, long before init. So it boots with one CPU, as if
            # there were more, and init switches on the others; lpj: without measuring anew for each how long they take to wait.
            # Nor whether timer interrupts come in time: on a busy machine they do not ("IO-APIC + timer doesn't work").
            "-append", f"{self.machine.append} quiet nokaslr cryptomgr.notests maxcpus=1 noreplace-smp lpj=4000000 no_timer_check "
            f"panic=-1 oops=panic watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=90 {self._append}",
            "-chardev", f"file,id=console,path={self.console.path},append=on", "-serial", "chardev:console",
            # Connected sockets handed over: nothing to name, nothing to race for, closed whenever either side dies.
            "-chardev", f"socket,id=control,fd={its_ctl.fileno()}", *self.machine.port("control"),
            "-chardev", f"socket,id=qmp,fd={its_qmp.fileno()}", "-mon", "chardev=qmp,mode=control",
        ]
        if self._balloon is not None:
            command += ["-device", ",".join(filter(None, [BALLOON, "id=balloon0", self._balloon]))]
        for number, disk in enumerate(self._disks):
            command += self._disk(number, disk)
        command += [*self._extra, *arguments]
        with open(self.dir / "command", "a") as file:
            file.write(" \\\n\t".join(command) + "\n")
        with open(self.dir / "qemu.log", "ab") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=self.in_child,
                pass_fds=(its_ctl.fileno(), its_qmp.fileno()))
        its_ctl.close()
        its_qmp.close()
        return process, ours_ctl, QMP(ours_qmp)

    def in_child(self):
        """In the process that is about to become QEMU."""
        _die_with_parent()

    def migrate(self, qemu=None, balloon=None, timeout=60):
        """
        Moves the running guest to another QEMU, of this program and with this balloon device; commands go on running.
        MigrationRefused if that QEMU does not take it; the guest then stays, stopped.
        """
        from . import migration         # it needs us
        before = self.qemu, self._balloon
        self.qemu, self._balloon = qemu or self.qemu, self._balloon if balloon is None else balloon
        try:
            process, control, qmp = migration.migrate(self, timeout)
        except BaseException:
            self.qemu, self._balloon = before
            raise
        self._process.kill()
        self._process.wait()
        self.channel = Channel(control, previous=self.channel)
        self._control.close()
        self.qmp.close()
        self._process, self._control, self.qmp = process, control, qmp

    def reset(self, meanwhile=None):
        """As the reset button does; the guest boots again, and what ran in it is gone. meanwhile() is called while it is paused."""
        self.qmp.command("set-action", reboot="reset")
        self.qmp.command("stop")
        self.qmp.command("system_reset")
        if meanwhile:
            meanwhile()
        self.channel.ready = False
        self.qmp.command("cont")
        if not self.channel.wait(lambda: self.channel.ready, self._boot_timeout):
            raise GuestDied(f"the guest did not boot again within {self._boot_timeout} s")

    def _disk(self, number, disk):
        if isinstance(disk, int):
            path = self.dir / f"disk{number}.raw"
            with open(path, "ab") as image:         # after a migration it is in use
                image.truncate(disk * MIB)
        else:
            path = disk
        return ["-drive", f"if=none,id=disk{number},file={path},format=raw,cache=unsafe,discard=unmap",
                "-device", f"virtio-blk-pci,drive=disk{number}"]

    def _with_files(self, image):
        if not self._files:
            return image
        archive = initramfs.Cpio()
        for place, content in self._files.items():
            data = content.read_bytes() if isinstance(content, pathlib.Path) else content
            archive.file(place.lstrip("/"), data, 0o755)
        # The kernel unpacks one archive after the other.
        path = self.dir / "initramfs.cpio"
        path.write_bytes(image.read_bytes() + archive.finish())
        return path

    def stop(self, keep=False):
        """Ends QEMU; its folder (console log, command line) stays only if something went wrong or VBP_KEEP is set."""
        if self._process:
            self._process.kill()
            self._process.wait()
            self.channel.close("the guest has been stopped")
            self._control.close()
            self.qmp.close()
            self._process = None
            for disk in self.dir.glob("*.raw"):
                disk.unlink()
            if not keep and not os.environ.get("VBP_KEEP"):
                shutil.rmtree(self.dir)

    def kill(self, why):
        """From any thread: whoever waits for this guest gets GuestDied(why)."""
        self.channel.close(why)
        self._process.kill()

    def alive(self):
        return self._process is not None and self._process.poll() is None and not self.channel.dead

    @property
    def pid(self):
        """QEMU's."""
        return self._process.pid

    def host_bytes(self):
        """Memory of this machine that the guest's memory takes: what has been touched and not given back."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+) kB", status)[1]) * 1024

    def stderr(self):
        """What QEMU itself had to say."""
        return (self.dir / "qemu.log").read_text(errors="replace").strip()

    # --- the guest --------------------------------------------------------------------------------------------------

    def spawn(self, command):
        """Starts a shell command in the guest and returns its channel.Job."""
        return self.channel.start(command)

    def run(self, command, timeout=60, check=True):
        """Runs a shell command in the guest; returns its Result. CommandFailed if it fails and check is set."""
        result = self.spawn(command).wait(timeout)
        if check and result.rc:
            raise CommandFailed(f"{command!r} ended with {result.rc}: {result.out.strip()[-400:]}")
        return result

    def read(self, path, timeout=30):
        """A file of the guest, without starting a process there (works while it is starved)."""
        job = self.channel.start(path, b"get")
        if not self.channel.wait(lambda: job.rc is not None, timeout):
            raise CommandTimeout(f"reading {path} took longer than {timeout} s")
        if job.rc:
            raise CommandFailed(f"cannot read {path} in the guest: {os.strerror(job.rc)}")
        return job.out

    def write(self, path, text, timeout=30):
        """Writes a file of the guest in one write(), without starting a process there."""
        job = self.channel.start(path, b"put", path.encode() + b"\0" + text.encode())
        if not self.channel.wait(lambda: job.rc is not None, timeout):
            raise CommandTimeout(f"writing {path} took longer than {timeout} s")
        if job.rc:
            raise CommandFailed(f"cannot write {text!r} to {path} in the guest: {os.strerror(job.rc)}")

    def vmstat(self):
        """/proc/vmstat as a dictionary, with allocstall and refault summed up."""
        return Counters((name, int(value)) for name, value in
                        (line.split() for line in self.read("/proc/vmstat").splitlines()))

    def meminfo(self):
        """/proc/meminfo in bytes."""
        table = {}
        for line in self.read("/proc/meminfo").splitlines():
            name, value = line.split(":")
            number, *unit = value.split()
            table[name] = int(number) * (1024 if unit else 1)
        return table

    def uptime_ms(self):
        return int(float(self.read("/proc/uptime").split()[0]) * 1000)

    def use_lru(self, mode):
        """Switches to the "classic" or the "mglru" page reclaim."""
        self.write("/sys/kernel/mm/lru_gen/enabled", {"classic": "n", "mglru": "y"}[mode])

    def touch(self, mib, *options, timeout=120):
        """Runs the load (tests/vm/programs/touch.c); returns Touched."""
        return Touched(self.run(f"vbp-touch {mib} {' '.join(options)}", timeout, check=False))

    @staticmethod
    def touched_of(result):
        """The same for a load that was spawned, from its Result: vm.touched_of(job.wait())."""
        return Touched(result)

    # --- balloon ----------------------------------------------------------------------------------------------------

    def balloon(self, size_bytes):
        """Asks for the guest to have this much memory (QMP "balloon": the guest's size, not the balloon's)."""
        self.qmp.command("balloon", value=size_bytes)

    def actual(self):
        """What the guest has, in bytes, as the host sees it (QMP "query-balloon")."""
        return self.qmp.command("query-balloon")["actual"]

    def wait_actual(self, size_bytes, tolerance=0, timeout=60):
        """Waits until the guest's size is as asked; returns the seconds it took."""
        start = time.monotonic()
        limit = min(start + timeout * self.channel.patience, self.channel.deadline or float("inf"))
        while abs(self.actual() - size_bytes) > tolerance:
            if self.channel.dead:
                raise GuestDied(self.channel.dead)
            if time.monotonic() > limit:
                raise AssertionError(f"the guest has {self.actual() / MIB:.1f} MiB after {timeout} s, "
                                     f"not {size_bytes / MIB:.1f} ± {tolerance / MIB:.1f}")
            time.sleep(0.02)
        return time.monotonic() - start

    def virtio_device(self, wanted=5):
        """The sysfs folder of the first virtio device of that type (5: balloon)."""
        out = self.run(f"grep -il '0x{wanted:04x}' /sys/bus/virtio/devices/*/device", check=False).out.split()
        if not out:
            raise AssertionError(f"the guest has no virtio device of type {wanted}")
        return out[0].removesuffix("/device")

    def driver(self):
        """The name of the driver that holds the balloon device, or None."""
        return self.run(f"basename $(readlink {self.virtio_device()}/driver) 2>/dev/null", check=False).out.strip() or None


    def load_ours(self, parameters=""):
        """Loads our module and waits until it has the balloon device."""
        self._load("virtio_balloon_pressure", parameters)

    def load_in_tree(self):
        """Loads the kernel's own driver and waits until it has the balloon device."""
        self._load("virtio_balloon", "")

    def _load(self, module, parameters):
        self.run(f"modprobe {module} {parameters}")
        holder = self.driver()
        if holder != module:
            raise AssertionError(f"{module} is loaded, but the balloon device's driver is {holder}: "
                                 + self.run("dmesg | tail -5").out)

    def pressure(self, *names):
        """Values of our driver's sysfs files: one if one name is given, a dictionary of those given (or of all) otherwise."""
        folder = self.virtio_device() + "/pressure"
        wanted = names or self.run(f"ls {folder}").out.split()
        values = {}
        for name in wanted:
            text = self.read(f"{folder}/{name}").strip()
            values[name] = int(text) if re.fullmatch(r"-?\d+", text) else text
        return values[names[0]] if len(names) == 1 else values


class Counters(dict):
    """Kernel counters; `after - before` gives the differences."""

    def __init__(self, items):
        super().__init__(items)
        self["allocstall"] = sum(value for name, value in self.items() if name.startswith("allocstall_"))
        self["refault"] = sum(value for name, value in self.items() if name.startswith("workingset_refault_"))

    def __sub__(self, before):
        return {name: value - before.get(name, 0) for name, value in self.items()}


class Touched:
    """How a run of vbp-touch ended: outcome "ok", "refused", "killed", "corrupt" or "failed", and its figures."""

    def __init__(self, result):
        self.result = result
        match = re.search(r"^result (\w+)(.*)$", result.out, re.M)
        # A reason has spaces in it.
        self.values = dict(re.findall(r" (\w+)=(.*?)(?= \w+=|$)", match[2])) if match else {}
        if match and (result.rc == 0) == (match[1] == "ok"):
            self.outcome = match[1]
        else:
            self.outcome = "killed" if result.rc == 128 + signal.SIGKILL else "failed"

    def number(self, name):
        return float(self.values[name]) if name in self.values else None

    def __repr__(self):
        return f"{self.outcome} {self.values}"
