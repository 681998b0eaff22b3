"""Completion: of commands, of options, and of values, for which the daemon is asked if need be.

Source of what completes where: libvirt's tools/vsh.c (vshReadlineParse).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiovirt.admin.cli.failure import CALL_FAILURES, CommandFailed
from aiovirt.admin.cli.invocation import Invocation, Value
from aiovirt.admin.cli.parser import parse_partial
from aiovirt.admin.cli.table import Command, Completer, OptionKind

#: Seconds that a user who pressed Tab waits for a daemon.
PATIENCE: Final = 2.0

if TYPE_CHECKING:
    from aiovirt.admin.cli.session import AdminSession


async def complete_line(session: AdminSession, line: str, word: str) -> list[str]:
    """Return the completions of a line's last word, in the table's or the daemon's order.

    Args:
        session: the shell's session.
        line: the line up to the cursor.
        word: its last word as the shell sees it, possibly empty.
    """
    partial = parse_partial(line, session.table)
    # `help` alone may become another command; `help ` is followed by its options.
    if partial.command is None or partial.command.name == word:
        choices = await command_names(session, None)
    else:
        choices = await _inside(session, partial.command, partial.values)
    escaped = (choice.replace(" ", "\\ ") for choice in choices)
    return [choice for choice in escaped if choice.startswith(word)]


async def command_names(session: AdminSession, invocation: Invocation | None) -> list[str]:
    """All commands that help lists."""
    return [command.name for command in session.table.listed()]


async def server_names(session: AdminSession, invocation: Invocation) -> list[str]:
    """The daemon's servers."""
    return [server.name for server in await session.connection.list_servers()]


async def client_ids(session: AdminSession, invocation: Invocation) -> list[str]:
    """The ids of the clients of the server that the command names."""
    server = await session.connection.lookup_server(invocation.peek("server") or "")
    return [str(client.id) for client in await server.list_clients()]


async def _inside(session: AdminSession, command: Command, values: list[Value]) -> list[str]:
    here = next((value.option for value in values if value.here), None)
    if here is None or here.kind is OptionKind.FLAG:
        given = {value.option.name for value in values}
        return [
            f"--{option.name}"
            for option in command.options
            if option.kind is OptionKind.REST
            or (option.kind is not OptionKind.ALIAS and option.name not in given)
        ]
    if here.complete is None:
        return []
    try:
        async with asyncio.timeout(PATIENCE):
            return await _values(session, here.complete, Invocation(command, tuple(values)))
    except (CommandFailed, *CALL_FAILURES):  # TimeoutError is among them
        return []  # no errors are shown while a user types


async def _values(session: AdminSession, complete: Completer, invocation: Invocation) -> list[str]:
    """Ask for the values; the daemon is connected to only if they cannot be told without it."""
    if not session.connected:
        try:
            return await complete(session, invocation)
        except (CommandFailed, *CALL_FAILURES):
            await session.reconnect(silently=True)
    return await complete(session, invocation)
