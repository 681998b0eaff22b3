"""The command table: everything virtadm can do.

A module with more commands for every daemon declares a `GROUP` and is added here; a daemon declares its
own commands in its module `commands`, a package of somebody else by an entry point (see `plugins`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from aiovirt.admin import plugins
from aiovirt.admin.cli import (
    daemons,
    introspect,
    itself,
    logs,
    manage,
    monitor,
    settings,
    statistics,
)
from aiovirt.admin.cli.table import CommandTable, Group

_CORE: Final = (
    itself.GROUP,
    monitor.GROUP,
    statistics.GROUP,
    introspect.GROUP,
    manage.GROUP,
    settings.GROUP,
    logs.GROUP,
    daemons.GROUP,
)


def command_table() -> CommandTable:
    """The table of this program, with what daemons and other packages add to it."""
    return CommandTable(_CORE, _more_groups())


def own_table() -> CommandTable:
    """The table without what other packages add to it: what the manual describes."""
    return CommandTable(_CORE, _own_groups())


def _own_groups() -> Iterator[Group]:
    # Imported when a command is not found in the core, so that the core's need not wait for it.
    from aiovirt.admin.cli import pki, views

    yield views.GROUP
    yield pki.GROUP
    yield from plugins.own_commands()


def _more_groups() -> Iterator[Group | plugins.PluginError]:
    yield from _own_groups()
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
