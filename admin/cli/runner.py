"""Running a command line once, for one daemon or for several at the same time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Sequence
from typing import Any

from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import CommandTable
from aiovirt.admin.cli.terminal import Terminal, as_json


def run(
    commands: Sequence[Invocation], table: CommandTable, terminal: Terminal, uris: Sequence[str]
) -> bool:
    """Run commands for the default URI or for each of these; whether all went well.

    Several daemons work at the same time; what they say comes in the order of `uris`, each headed.
    """
    if len(uris) < 2:
        return asyncio.run(_run_one(AdminSession(table, terminal, *uris), commands))
    return asyncio.run(_run_all(commands, table, terminal, uris))


async def _run_one(session: AdminSession, commands: Sequence[Invocation]) -> bool:
    try:
        # A daemon that was named must be there, whatever the commands need.
        if session.uri is not None:
            await session.reconnect()
        return await session.run(commands)
    except CommandFailed as failed:
        for line in failed.lines:
            session.terminal.error(line)
        return False
    except asyncio.CancelledError:
        session.abandon()
        raise
    finally:
        await session.close()


async def _run_all(
    commands: Sequence[Invocation], table: CommandTable, terminal: Terminal, uris: Sequence[str]
) -> bool:
    aside = [_Aside(terminal, uri) for uri in uris]
    tasks = [
        asyncio.create_task(_run_one(AdminSession(table, each.terminal, each.uri), commands))
        for each in aside
    ]
    answers = []
    for each, task in zip(aside, tasks, strict=True):
        each.succeeded = await task
        if terminal.json:
            answers.append(each.as_data())
        else:
            terminal.write(f"==> {each.uri} <==\n{each.out.getvalue()}")
        for line in each.errors:
            terminal.error(f"{each.uri}: {line}")
    if terminal.json:
        terminal.write(as_json(answers) + "\n")
    return all(each.succeeded for each in aside)


class _Aside:
    """What one daemon's session says, kept until it is its turn."""

    def __init__(self, terminal: Terminal, uri: str) -> None:
        self.uri = uri
        self.out = io.StringIO()
        self.answers: list[Any] = []
        self.errors: list[str] = []
        self.succeeded = False
        self.terminal = Terminal(terminal.progname, out=self.out)
        self.terminal.quiet = terminal.quiet
        self.terminal.json = terminal.json
        self.terminal.debug_level = terminal.debug_level
        self.terminal.on_answer = self.answers.append
        self.terminal.on_error = self.errors.append

    def as_data(self) -> dict[str, Any]:
        """What is to be known, for JSON."""
        return {
            "uri": self.uri,
            "succeeded": self.succeeded,
            "answers": self.answers,
            "errors": self.errors,
        }
