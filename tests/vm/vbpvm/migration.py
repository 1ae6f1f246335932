# SPDX-License-Identifier: GPL-2.0-only
"""Moves a running guest from one QEMU to another on this machine."""

import tempfile
import time

from .channel import GuestDied
from .paths import HarnessError

# No more than this machine can copy, and a guest that is busy may stand still for as long as that takes.
BANDWIDTH = 16 << 30
DOWNTIME_MS = 5000
POLL_S = 0.02


class MigrationRefused(Exception):
    """The QEMU that was to take the guest over would not; the message is what it said."""


def migrate(vm, timeout):
    """Starts a QEMU with the options that vm has now and moves the guest there: (process, control socket, QMP) of that one."""
    limit = time.monotonic() + timeout
    # Paths of sockets must be short.
    with tempfile.TemporaryDirectory(prefix="vbp-") as folder:
        address = f"unix:{folder}/migration"
        said = len(vm.stderr())
        there = process, control, qmp = vm.spawn_qemu("-incoming", address)
        try:
            qmp.negotiate()
            vm.qmp.command("migrate-set-parameters", **{"max-bandwidth": BANDWIDTH, "downtime-limit": DOWNTIME_MS})
            vm.qmp.command("migrate", uri=address)
            while not _arrived(vm.qmp, qmp, timeout):
                if time.monotonic() > limit:
                    raise HarnessError(f"the migration did not end within {timeout} s")
                time.sleep(POLL_S)
        except (GuestDied, HarnessError, ConnectionError) as error:
            process.kill()
            process.wait()
            control.close()
            qmp.close()
            # The destination has ended: then it was its decision.
            if isinstance(error, ConnectionError):
                raise MigrationRefused(vm.stderr()[said:].strip()) from error
            raise
    return there


def _arrived(here, there, timeout):
    """
    Whether the guest runs at the destination. The source may say "completed" though the destination then refuses. It answers nothing
    while it sends what is left with the guest stopped, which on a busy machine takes long.
    """
    state = here.command("query-migrate", timeout=timeout).get("status")
    return there.command("query-status", timeout=timeout)["status"] == "running" and state == "completed"
