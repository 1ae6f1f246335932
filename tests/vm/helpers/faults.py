# SPDX-License-Identifier: GPL-2.0-only
"""Makes a balloon device go wrong from outside, for real: through QEMU's test protocol, next to a guest that runs."""

import os
import shutil
import socket
import struct
import tempfile

DEVICE = "/machine/peripheral/balloon0/virtio-backend"
INFLATE, DEFLATE, STATS = range(3)
# Where virtio-pci has its notification register for each queue, in BAR 4 (QEMU, page-per-vq=off).
NOTIFY, NOTIFY_STEP = 0x3000, 4
NONSENSE = 0x4000               # more than any queue is long
HEADER = 4                      # of either ring: flags and index
AVAIL_ENTRY, USED_ENTRY = 2, 8  # a descriptor's number; that and a length


class Faults:
    """
    `with Faults() as faults, t.boot(extra=faults.arguments) as vm: faults.silence(vm)`. Silent: the device takes no buffer
    any more and tells nobody, as a hung host would. Broken: the guest's kernel finds nonsense in a queue and gives it up.
    """

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="vbp-")
        path = os.path.join(self._folder, "qtest")
        self.arguments = ("-qtest", f"unix:{path},server=on,wait=off", "-qtest-log", "/dev/null")
        self._path, self._socket, self._lines = path, None, None
        return self

    def __exit__(self, *_):
        if self._socket:
            self._socket.close()
        shutil.rmtree(self._folder)

    def _command(self, text):
        if not self._socket:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.connect(self._path)
            self._lines = self._socket.makefile("r")
        self._socket.sendall(text.encode() + b"\n")
        answer = self._lines.readline().split()
        assert answer and answer[0] == "OK", f"{text}: {answer}"
        return answer[1:]

    def _write(self, address, data):
        self._command(f"write {address:#x} {len(data)} 0x{data.hex()}")

    @staticmethod
    def queue(vm, number):
        return vm.qmp.command("x-query-virtio-queue-status", path=DEVICE, queue=number)

    def waiting(self, vm, number):
        """Whether the guest has put something into a queue that the device has not taken."""
        state = self.queue(vm, number)
        return int(self._command(f"readw {state['vring-avail'] + 2:#x}")[0], 16) != state["last-avail-idx"]

    @staticmethod
    def _bar4(vm):
        for bus in vm.qmp.command("query-pci"):
            for device in bus["devices"]:
                if device["qdev_id"] == "balloon0":
                    return next(region["address"] for region in device["regions"] if region["bar"] == 4)
        raise AssertionError("the balloon device is not on the PCI bus")

    def silence(self, vm):
        """QEMU finds nonsense in the inflate queue and takes nothing from any queue until the device is reset."""
        vm.qmp.command("stop")          # the guest must not add a buffer between the two writes
        state = self.queue(vm, INFLATE)
        index = state["last-avail-idx"]
        self._write(state["vring-avail"] + HEADER + index % state["vring-num"] * AVAIL_ENTRY, struct.pack("<H", NONSENSE))
        self._write(state["vring-avail"] + 2, struct.pack("<H", (index + 1) & 0xffff))
        self._write(self._bar4(vm) + NOTIFY, struct.pack("<H", INFLATE))
        assert vm.qmp.command("x-query-virtio-status", path=DEVICE)["broken"], "QEMU does not mind"
        vm.qmp.command("cont")

    def garble(self, vm, number):
        """A silent device returns a buffer that was never there: the guest's kernel breaks off with that queue."""
        state = self.queue(vm, number)
        index = state["used-idx"]
        entry = state["vring-used"] + HEADER + index % state["vring-num"] * USED_ENTRY
        self._write(entry, struct.pack("<II", NONSENSE, 0))
        self._write(state["vring-used"] + 2, struct.pack("<H", (index + 1) & 0xffff))
