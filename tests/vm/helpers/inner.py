# SPDX-License-Identifier: GPL-2.0-only
"""The patched QEMU as a program of a test's guest, which so becomes a host: with the cgroups and the rules of that guest's kernel."""

import itertools
import json
import pathlib
import re
import subprocess

from vbpvm import CommandFailed, HarnessError

from .contract import DEVICE

PROGRAM, LIBRARIES, FIRMWARE, INPUT = "/bin/qemu", "/lib", "/lib/firmware.bin", "/tmp/qmp"
# From the reset vector on: cli; hlt. Its clock goes on, and its CPU sleeps.
HALT = b"\xfa\xf4".rjust(0xfff2, b"\0").ljust(1 << 16, b"\0")
# Somebody without any privilege.
NOBODY = 65534


def files(program):
    """What a guest needs to run this QEMU, for VM(files=…)."""
    said = subprocess.run(["ldd", program], stdout=subprocess.PIPE, text=True, check=True).stdout
    libraries = [pathlib.Path(path) for path in re.findall(r"(/\S+) \(0x", said)]
    if not any(path.name.startswith("ld-linux") for path in libraries):
        raise HarnessError(f"{program} needs no program loader? ldd says: {said}")
    return {PROGRAM: pathlib.Path(program), **{f"{LIBRARIES}/{path.name}": path for path in libraries},
            FIRMWARE: HALT, "/etc/passwd": f"root:x:0:0::/:/bin/sh\nnobody:x:{NOBODY}:{NOBODY}::/:/bin/sh\n".encode()}


class Refused(CommandFailed):
    """QEMU did not start, or did not do as it was told; the text is what it said."""


class Inner:
    """
    `with Inner(vm, "host-pressure=…") as qemu:` - its device has these options. Its own guest does nothing.

    user    whom it belongs to: "root" or "nobody"
    before  shell that runs first, as root; file descriptors that it opens are there for QEMU
    more    more arguments of QEMU
    """
    _numbers = itertools.count(1)

    def __init__(self, vm, options, user="root", before=":", more=""):
        self._vm = vm
        device = f"virtio-balloon-pci,id=balloon0,guest-pressure=on,{options}"
        run = (f"exec {LIBRARIES}/ld-linux-x86-64.so.2 --library-path {LIBRARIES} {PROGRAM} -accel tcg,tb-size=1 -m 64 -nodefaults -display none "
               f"-bios {FIRMWARE} -global apic-common.vapic=off -qmp stdio {more} -device {device}")
        self._vm.run(f"rm -f {INPUT}; mkfifo -m 666 {INPUT}")
        # A reader of its own, so that its input does not end with the first command.
        self._job = vm.spawn(f"{before}; exec su nobody -s /bin/sh -c '{run} <>{INPUT}'" if user == "nobody" else f"{before}; {run} <>{INPUT}")

    def __enter__(self):
        # It greets before it makes its device.
        try:
            self.command("qmp_capabilities")
        except AssertionError as error:
            if self._job.running():
                raise
            raise Refused("".join(f"{line}\n" for _, line in self._job.lines if not line.startswith("{"))) from error
        return self

    def __exit__(self, kind, value, trace):
        if self._job.running():
            self._job.kill()
            self._job.wait()

    def command(self, name, **arguments):
        """Returns what it returned; Refused if that was an error."""
        number = next(self._numbers)
        text = json.dumps({"execute": name, "id": number, **({"arguments": arguments} if arguments else {})})
        self._vm.run(f"echo '{text}' >{INPUT}")
        _, match = self._job.wait_line(rf'^\{{.*"id": {number}\b.*\}}$', 30)
        answer = json.loads(match[0])
        if "error" in answer:
            raise Refused(answer["error"]["desc"])
        return answer["return"]

    def set(self, name, value):
        self.command("qom-set", path=DEVICE, property=name, value=value)

    def get(self, name):
        return self.command("qom-get", path=DEVICE, property=name)

    def report(self):
        return self.command("query-balloon-pressure")

    def host(self):
        return self.report()["host"]

    def events(self, name):
        """The data of all events of this name until now."""
        said = [json.loads(line) for _, line in self._job.lines if '"event": "' in line]
        return [event["data"] for event in said if event["event"] == name]
