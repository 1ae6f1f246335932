# SPDX-License-Identifier: GPL-2.0-only
"""What the host was told of, page by page and in order: QEMU's own trace of the two queues."""

import pathlib
import re
import shutil
import tempfile

from vbpvm import PAGE

INFLATED, DEFLATED = range(2)
EVENTS = ("virtio_queue_notify", "virtqueue_pop", "virtio_balloon_handle_output")
NOTIFY = re.compile(r"virtio_queue_notify vdev \S+ n (\d+) vq (\S+)")
POP = re.compile(r"virtqueue_pop vq (\S+)")
PAGE_TOLD = re.compile(r"virtio_balloon_handle_output .*gpa: 0x([0-9a-f]+)")


class Told:
    """`with Told() as told, t.boot(extra=told.arguments) as vm: told.trace(vm, "on")`."""

    def __enter__(self):
        self._folder = tempfile.mkdtemp(prefix="vbp-")
        self._log = pathlib.Path(self._folder, "log")
        self.arguments = ("-D", str(self._log))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._folder)

    @staticmethod
    def trace(vm, state):
        for event in EVENTS:
            vm.qmp.command("human-monitor-command", **{"command-line": f"trace-event {event} {state}"})

    def pages(self):
        """[(INFLATED or DEFLATED, page frame number), ...] since the tracing began."""
        numbers, queue, told = {}, None, []
        with open(self._log) as log:
            for line in log:
                if match := PAGE_TOLD.search(line):
                    told.append((numbers[queue], int(match[1], 16) // PAGE))
                elif match := POP.search(line):
                    queue = match[1]
                elif match := NOTIFY.search(line):
                    numbers[match[2]] = int(match[1])
        return told

    def check_turns(self):
        """
        Each page goes and comes in turn, as the host must see it; returns those that are gone. The balloon must have been empty when
        the tracing began.
        """
        gone = set()
        for number, (what, page) in enumerate(self.pages()):
            if what == INFLATED:
                assert page not in gone, f"page {page:#x} was inflated, as page {number}, and the host not told that it had come back"
                gone.add(page)
            else:
                assert page in gone, f"page {page:#x} was deflated, as page {number}, but it had not been inflated"
                gone.remove(page)
        return gone

    def deflated_before(self, inflated):
        """How many pages had been deflated when more than so many had been inflated."""
        deflated = 0
        for what, _ in self.pages():
            if what == DEFLATED:
                deflated += 1
            elif not inflated:
                break
            else:
                inflated -= 1
        return deflated

    def deflated_first(self, since):
        """How many pages the host was told were deflated, after the first so many that it was told of, before one was inflated."""
        told = self.pages()[since:]
        return next((number for number, (what, _) in enumerate(told) if what == INFLATED), len(told))
