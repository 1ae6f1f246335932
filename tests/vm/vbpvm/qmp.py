# SPDX-License-Identifier: GPL-2.0-only
"""A small QMP client: commands, and events as they come with the host's time."""

import json
import socket
import threading
import time

from .paths import HarnessError


class QMPError(Exception):
    """QEMU refused a command."""


class QMP:
    """Speaks over a connected socket. Commands may come from several threads."""

    def __init__(self, sock):
        self.events = []            # (host's monotonic time, event), appended only
        self._sock = sock
        self._changed = threading.Condition()
        self._replies = {}
        self._next_id = 0
        self._greeted = False
        self._closed = False
        threading.Thread(target=self._read, daemon=True).start()

    def negotiate(self, timeout=30):
        with self._changed:
            if not self._changed.wait_for(lambda: self._greeted or self._closed, timeout) or self._closed:
                raise HarnessError("QEMU's monitor did not answer")
        self.command("qmp_capabilities")

    def command(self, name, timeout=30, fds=(), **arguments):
        """fds: open files that go with it."""
        with self._changed:
            self._next_id += 1
            this = self._next_id
            message = {"execute": name, "id": this}
            if arguments:
                message["arguments"] = arguments
            try:
                data = json.dumps(message).encode() + b"\n"
                if fds:
                    data = data[socket.send_fds(self._sock, [data], fds):]
                self._sock.sendall(data)
            except OSError as error:
                raise ConnectionError(f"QEMU has gone ({error})") from error
            if not self._changed.wait_for(lambda: this in self._replies or self._closed, timeout):
                raise HarnessError(f"QEMU did not answer {name} within {timeout} s")
            if this not in self._replies:
                raise ConnectionError("QEMU has gone")
            reply = self._replies.pop(this)
        if "error" in reply:
            raise QMPError(f"{name}: {reply['error'].get('desc')}")
        return reply["return"]

    def wait_event(self, name, timeout, since=0):
        """The first event of that name from index `since` of self.events on, as (time, event)."""
        def found():
            return next((entry for entry in self.events[since:] if entry[1]["event"] == name), None)
        with self._changed:
            if not self._changed.wait_for(lambda: found() or self._closed, timeout) or not found():
                raise AssertionError(f"no {name} event within {timeout:.0f} s")
            return found()

    def close(self):
        self._sock.close()

    def _read(self):
        data = b""
        while True:
            try:
                chunk = self._sock.recv(65536)
            except OSError:
                chunk = b""
            now = time.monotonic()
            if not chunk:
                break
            *lines, data = (data + chunk).split(b"\n")
            with self._changed:
                for line in filter(bytes.strip, lines):
                    message = json.loads(line)
                    if "QMP" in message:
                        self._greeted = True
                    elif "event" in message:
                        self.events.append((now, message))
                    elif "id" in message:
                        self._replies[message["id"]] = message
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()
