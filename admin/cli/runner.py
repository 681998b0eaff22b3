"""Running a command line once, for one daemon or for several at the same time."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, Final, TypeAlias

from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.startup import Startup
from aiovirt.admin.cli.table import CommandTable
from aiovirt.admin.cli.terminal import Terminal, as_json

_Task: TypeAlias = asyncio.Task[bool]

#: Seconds for which an answer waits for those of earlier URIs.
_ORDER_PATIENCE: Final = 0.5


def run(
    commands: Sequence[Invocation], table: CommandTable, terminal: Terminal, asked: Startup
) -> bool:
    """Run commands for the default URI, or for each of those that were given.

    Several daemons work at the same time. The output of each is shown when its session has ended, headed
    by its URI and in the order of the URIs; but one that hangs does not keep the others' answers back.

    Args:
        commands: what to run, in order.
        table: all commands.
        terminal: where output goes.
        asked: URIs and timeout.

    Returns:
        Whether the last command succeeded, on all of the daemons.
    """
    limits = [asked.timeout, *(each.command.timeout for each in commands)]
    timeout = min((limit for limit in limits if limit is not None), default=None)
    if any(each.command.together for each in commands):
        session = AdminSession(table, terminal, timeout=timeout)
        session.uris = asked.uris
        return asyncio.run(_run_together(session, commands))
    if len(asked.uris) < 2:
        session = AdminSession(table, terminal, *asked.uris, timeout=timeout)
        return asyncio.run(_run_one(session, commands))
    aside = [_Aside(terminal, uri) for uri in asked.uris]
    sessions = [AdminSession(table, each.terminal, each.uri, timeout=timeout) for each in aside]
    return asyncio.run(_run_all(dict(zip(sessions, aside, strict=True)), commands, terminal))


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


async def _run_together(session: AdminSession, commands: Sequence[Invocation]) -> bool:
    """Run a command for all URIs at once; one that takes a daemon each cannot stand beside it."""
    if len(commands) > 1:
        name = next(each.command.name for each in commands if each.command.together)
        session.terminal.error(f"command '{name}' has to be the only one on its line")
        return False
    return await session.run(commands)


async def _run_all(
    sessions: dict[AdminSession, _Aside], commands: Sequence[Invocation], terminal: Terminal
) -> bool:
    waiting = {
        asyncio.create_task(_run_one(session, commands)): each for session, each in sessions.items()
    }
    try:
        overdue = False
        while waiting:
            for task in _presentable(waiting, overdue):
                each = waiting.pop(task)
                each.succeeded = task.result()
                _show(terminal, each)
            if pending := [task for task in waiting if not task.done()]:
                held_back = len(pending) < len(waiting)
                done, _ = await asyncio.wait(
                    pending,
                    timeout=_ORDER_PATIENCE if held_back else None,
                    return_when=asyncio.FIRST_COMPLETED,
                )
                overdue = not done
    except asyncio.CancelledError:
        for each in waiting.values():
            each.errors.append("interrupted before it had answered")
            _show(terminal, each)
        raise
    finally:
        if terminal.json:
            _show_json(terminal, list(sessions.values()))
    return all(each.succeeded for each in sessions.values())


def _presentable(waiting: Iterable[_Task], overdue: bool) -> list[_Task]:
    """Return the sessions to show now: in the order of the URIs, unless an earlier one is overdue."""
    if overdue:
        return [task for task in waiting if task.done()]
    return list(takewhile(asyncio.Task.done, waiting))


def _show(terminal: Terminal, each: _Aside) -> None:
    """Show one daemon's output; JSON is one document, which waits for all of them."""
    if terminal.json:
        return
    terminal.write(f"==> {each.uri} <==\n{each.out.getvalue()}")
    _show_errors(terminal, each)
    terminal.flush()


def _show_json(terminal: Terminal, all_of_them: Sequence[_Aside]) -> None:
    terminal.write(as_json([each.as_data() for each in all_of_them]) + "\n")
    for each in all_of_them:
        _show_errors(terminal, each)
    terminal.flush()


def _show_errors(terminal: Terminal, each: _Aside) -> None:
    for line in each.errors:
        terminal.error(line if line.startswith(f"{each.uri}: ") else f"{each.uri}: {line}")


class _Aside:
    """The output of one daemon's session, kept until the session ends."""

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
        """The session's output for JSON."""
        return {
            "uri": self.uri,
            "succeeded": self.succeeded,
            "answers": self.answers,
            "errors": self.errors,
        }
