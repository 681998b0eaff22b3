"""The command table: everything virtadm can do.

A module with more commands for every daemon declares a `GROUP` and is added here; a package with
commands for its own daemon declares the entry point `aiovirt.virtadm` (see `table`).
"""

from __future__ import annotations

from aiovirt.admin.cli import itself, manage, monitor, pki
from aiovirt.admin.cli.table import CommandTable


def command_table() -> CommandTable:
    """The table of this program, with what other packages add to it."""
    return CommandTable.with_extensions((itself.GROUP, monitor.GROUP, manage.GROUP, pki.GROUP))
