"""The command table: everything virtadm can do.

A module with more commands for every daemon declares a `GROUP` and is added here; a daemon declares its
own commands in its module `commands`, a package of somebody else by an entry point (see `plugins`).
"""

from __future__ import annotations

from collections.abc import Iterator

from aiovirt.admin import plugins
from aiovirt.admin.cli import itself, manage, monitor
from aiovirt.admin.cli.table import CommandTable, Group


def command_table() -> CommandTable:
    """The table of this program, with what daemons and other packages add to it."""
    return CommandTable((itself.GROUP, monitor.GROUP, manage.GROUP), _more_groups())


def _more_groups() -> Iterator[Group | plugins.PluginError]:
    # Asked last for a command that is not above, so that those above need not wait for the import.
    from aiovirt.admin.cli import pki

    yield pki.GROUP
    yield from plugins.own_commands()
    for entry in plugins.entry_points(plugins.COMMANDS):
        try:
            group = plugins.load(entry)
        except plugins.PluginError as error:
            yield error
            continue
        if isinstance(group, Group):
            yield group
        else:
            yield plugins.PluginError(
                f"entry point '{entry.name} = {entry.value}' of group {entry.group} has to name a "
                f"Group of commands, not a {type(group).__name__}"
            )
