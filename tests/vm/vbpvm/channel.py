# SPDX-License-Identifier: GPL-2.0-only
"""The host's end of the control channel (the guest's is tests/vm/programs/agent.c, which also describes the protocol)."""

import re
import signal
import threading
import time

VERSION = b"hello 1"


class GuestDied(Exception):
    """The guest or its QEMU is gone, or broke the protocol."""


class CommandTimeout(Exception):
    """A command did not end in time."""


class CommandFailed(AssertionError):
    """A command that had to succeed did not."""


class Result:
    """What a command left: exit status and output."""

    def __init__(self, command, rc, out):
        self.command, self.rc, self.out = command, rc, out

    def __repr__(self):
        return f"{self.command!r} -> {self.rc}: {self.out.strip()[-400:]!r}"


class Job:
    """A command running in the guest. `lines` holds (host's monotonic time of arrival, text) and only grows."""

    def __init__(self, channel, number, command):
        self.command = command
        self.lines = []
        self.rc = None
        self._channel = channel
        self._number = number
        self._data = bytearray()
        self._partial = b""

    def _received(self, data, now):
        self._data += data
        *whole, self._partial = (self._partial + data).split(b"\n")
        self.lines.extend((now, line.decode(errors="replace").rstrip("\r")) for line in whole)

    def _ended(self, status, now):
        if self._partial:
            self.lines.append((now, self._partial.decode(errors="replace")))
        self.rc = status

    @property
    def out(self):
        return self._data.decode(errors="replace")

    @property
    def raw(self):
        return bytes(self._data)

    def running(self):
        return self.rc is None

    def wait(self, timeout=60):
        """Waits for its end; on time out kills it and raises CommandTimeout."""
        if not self._channel.wait(lambda: self.rc is not None, timeout):
            self.kill()
            raise CommandTimeout(f"{self.command!r} did not end within {timeout:.0f} s; output so far: {self.out[-400:]!r}")
        return Result(self.command, self.rc, self.out)

    def wait_line(self, pattern, timeout=60):
        """Waits for a line matching the pattern; returns (time, match). AssertionError if it ends without one."""
        def found():
            for when, line in self.lines:
                match = re.search(pattern, line)
                if match:
                    return when, match
            return None
        self._channel.wait(lambda: found() or self.rc is not None, timeout)
        if not found():
            raise AssertionError(f"{self.command!r} printed no line like {pattern!r} within {timeout:.0f} s: {self.out[-400:]!r}")
        return found()

    def kill(self, number=signal.SIGKILL):
        self._channel.send(b"kill %d %d\n" % (self._number, number))


class Channel:
    """Frames over a connected socket; one reader thread, any number of waiting ones."""

    def __init__(self, sock, previous=None):
        """previous: the channel to the QEMU that this guest has left; that QEMU has ended"""
        self.dead = None                # why nothing more will come
        self.deadline = None            # monotonic; no wait goes on past it
        self.ready = False
        self.patience = 1               # what all time limits are multiplied by: how slow the guest is
        self._sock = sock
        self._changed = threading.Condition()
        self._send_lock = threading.Lock()
        self._jobs = {}
        self._next = 0
        self._unparsed = b""
        if previous:
            self.take_over(previous)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def take_over(self, previous):
        """Commands go on running while their guest moves; a frame may have been cut in two."""
        previous._reader.join()
        self.deadline, self.ready, self._next = previous.deadline, previous.ready, previous._next
        self.patience = previous.patience
        self._jobs, self._unparsed = previous._jobs, previous._unparsed
        for job in self._jobs.values():
            job._channel = self

    def wait(self, condition, timeout):
        """Waits until condition() holds; False on time out. GuestDied if the guest went before it did."""
        limit = time.monotonic() + timeout * self.patience
        if self.deadline is not None:
            limit = min(limit, self.deadline)
        with self._changed:
            self._changed.wait_for(lambda: condition() or self.dead, max(0, limit - time.monotonic()))
            if condition():
                return True
            if self.dead:
                raise GuestDied(self.dead)
        return False

    def close(self, why):
        with self._changed:
            self.dead = self.dead or why
            self._changed.notify_all()

    def start(self, command, verb=b"run", payload=None):
        payload = command.encode() if payload is None else payload
        with self._changed:
            self._next += 1
            job = Job(self, self._next, command)
            self._jobs[self._next] = job
        self.send(b"%s %d %d\n" % (verb, job._number, len(payload)) + payload)
        return job

    def send(self, data):
        if self.dead:
            raise GuestDied(self.dead)
        with self._send_lock:
            try:
                self._sock.sendall(data)
            except OSError as error:
                self.close(f"the control port is closed ({error})")
                raise GuestDied(self.dead) from error

    def _read(self):
        while True:
            try:
                chunk = self._sock.recv(65536)
            except OSError:
                chunk = b""
            if not chunk:
                self.close("QEMU has ended")
                return
            now = time.monotonic()
            with self._changed:
                self._unparsed += chunk
                try:
                    self._unparsed = self._parse(self._unparsed, now)
                except (ValueError, KeyError) as error:
                    self.dead = f"the guest broke the protocol of the control port ({error}): {self._unparsed[:80]!r}"
                self._changed.notify_all()
            if self.dead:
                return

    def _parse(self, data, now):
        while True:
            header, newline, rest = data.partition(b"\n")
            if not newline:
                return data
            # The firmware and the kernel's probing of the port may leave a few bytes before the agent's first word.
            if not self.ready:
                if header.endswith(VERSION):
                    self.ready = True
                data = rest
                continue
            verb, number, value = header.split()
            job, value = self._jobs[int(number)], int(value)
            if verb == b"out":
                if len(rest) < value:
                    return data
                job._received(rest[:value], now)
                rest = rest[value:]
            elif verb == b"end":
                job._ended(value, now)
                del self._jobs[int(number)]
            else:
                raise ValueError(verb)
            data = rest
