# SPDX-License-Identifier: GPL-2.0-only
"""Real guests for tests: see vm.py for one guest, runner.py for a test."""

from .channel import CommandFailed, CommandTimeout, GuestDied
from .migration import MigrationRefused
from .paths import HarnessError, MIB, PAGE
from .vm import VM

__all__ = ["CommandFailed", "CommandTimeout", "GuestDied", "HarnessError", "MIB", "MigrationRefused", "PAGE", "VM"]
