# SPDX-License-Identifier: GPL-2.0-only
"""What the driver's tracepoints say."""

import re

TRACING = "/sys/kernel/tracing"
SYSTEM = f"{TRACING}/events/virtio_balloon_pressure"
LINE = re.compile(r" (\d+\.\d+): (vbp_\w+): (.*)$", re.M)


class Trace:
    """`with Trace(vm) as trace:` - afterwards trace.of("vbp_relief") is a list of that event's fields, in order. Our driver is loaded.

    "at" is when, in seconds of the guest's clock.
    """

    def __init__(self, vm):
        self.vm, self._events = vm, []

    def __enter__(self):
        self.vm.run(f"mount -t tracefs none {TRACING}", check=False)
        # Nothing may be lost, or a sum would be too small.
        self.vm.write(f"{TRACING}/buffer_size_kb", "4096")
        self.vm.write(f"{TRACING}/trace", "")
        self.vm.write(f"{SYSTEM}/enable", "1")
        return self

    def __exit__(self, kind, value, traceback):
        if self.vm.channel.dead:
            return
        self.vm.write(f"{SYSTEM}/enable", "0")
        text = self.vm.run(f"grep vbp_ {TRACING}/trace", check=False).out
        for at, event, said in LINE.findall(text):
            fields = {name: int(what) if re.fullmatch(r"-?\d+", what) else what for name, what in re.findall(r"(\w+)=(\S+)", said)}
            self._events.append((event, fields | {"at": float(at)}))

    def of(self, event):
        return [fields for name, fields in self._events if name == event]

    def sum(self, event, field):
        return sum(fields[field] for fields in self.of(event))
