"""Running a command line once, for one daemon or for several at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from itertools import takewhile
from types import FrameType
from typing import Any, Final, TypeAlias

from aiovirt.admin.cli.failure import CommandFailed, CommandSyntaxError, Leave
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.program_options import FORMS
from aiovirt.admin.cli.progress import progress
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.startup import Startup
from aiovirt.admin.cli.table import CommandTable
from aiovirt.admin.cli.terminal import OutputHeld, Terminal, as_json

#: The URI that means all daemons of this host.
ALL: Final = "all"

_Task: TypeAlias = asyncio.Task[bool]

#: Seconds for which an answer waits for those of earlier URIs.
_ORDER_PATIENCE: Final = 0.5


def run(
    commands: Sequence[Invocation], table: CommandTable, terminal: Terminal, asked: Startup
) -> bool:
    """Run commands for the default URI, or for each of those that were given.

    Several daemons work at the same time. The output of each is shown when its session has ended, headed
    by its URI and in the order of the URIs; but one that hangs does not keep the others' answers back.
    `all` as a URI means the daemons of this host.

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
        uris = [*asked.uris, *(uri for each in commands for uri in each.all("connect"))]
        for each in commands:
            terminal.json = _json_wanted(each, terminal.json)
        session.uris = [uri for uri, _ in _each_uri(uris)]
        if uris and not session.uris:
            return _no_daemon(terminal)
        return _run_to_end(_run_together(session, commands), terminal)
    uris = asked.uris
    if any(each.command.lazy for each in commands):
        uris = [uri for uri in uris if uri != ALL][:1]
    if len(uris) < 2 and uris != [ALL]:
        session = AdminSession(table, terminal, *uris, timeout=timeout)
        return _run_to_end(_run_one(session, commands), terminal)
    aside = [_Aside(terminal, uri, found) for uri, found in _each_uri(uris)]
    if not aside:
        return _no_daemon(terminal)
    # Questions about several hosts would be asked all at once.
    sessions = [
        AdminSession(table, each.terminal, each.uri, timeout=timeout, prompts=False)
        for each in aside
    ]
    work = _run_all(dict(zip(sessions, aside, strict=True)), commands, terminal)
    return _run_to_end(work, terminal)


def _json_wanted(command: Invocation, before: bool) -> bool:
    """Return whether the answer is to be JSON. Raises CommandSyntaxError for a wrong --output."""
    form = command.peek("output")
    if form not in (None, *FORMS):
        raise CommandSyntaxError(f"option --output takes text or json, not '{form}'")
    return before if form is None else form == "json"


def _run_to_end(work: Coroutine[Any, Any, bool], terminal: Terminal) -> bool:
    """Run the work. SIGTERM and SIGHUP interrupt it as SIGINT does: it may have to put things back.

    Each of the three also ends a write to a standard stream that nobody reads.

    Args:
        work: what to run.
        terminal: where its output goes.

    Raises:
        Leave: after SIGTERM or SIGHUP.
        KeyboardInterrupt: after SIGINT.
        OutputHeld: after any of them, during a write.
    """
    received: list[signal.Signals] = []

    async def interruptible() -> bool:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def interrupt(number: signal.Signals) -> None:
            received.append(number)
            if task is not None:
                loop.call_soon_threadsafe(task.cancel)

        with _signals(terminal, interrupt):
            return await work

    try:
        return asyncio.run(interruptible())
    except asyncio.CancelledError:
        if not received:
            raise
        raise Leave(128 + received[0]) from None


@contextlib.contextmanager
def _signals(terminal: Terminal, interrupt: Callable[[signal.Signals], None]) -> Iterator[None]:
    """Have signals end a write that is under way, or else `interrupt` the work in the block."""
    former: dict[signal.Signals, Any] = {}

    def handle(number: int, frame: FrameType | None) -> None:
        # asyncio's own way, a handler that the loop calls, would wait for the end of the write.
        received = signal.Signals(number)
        if terminal.is_held():
            raise OutputHeld(received)
        if callable(former[received]):
            former[received](number, frame)  # SIGINT: asyncio's
        else:
            interrupt(received)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        before = signal.getsignal(number)
        if callable(before) or before is signal.SIG_DFL:  # nohup ignores one of them
            former[number] = before
            with contextlib.suppress(ValueError):  # not the main thread
                signal.signal(number, handle)
    try:
        yield
    finally:
        for number, before in former.items():
            with contextlib.suppress(ValueError):
                signal.signal(number, before)


def _no_daemon(terminal: Terminal) -> bool:
    terminal.error("no daemon has an admin socket on this host")
    return False


def _each_uri(uris: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each URI, those of this host's daemons for `all`, and whether it was found so."""
    from aiovirt.admin.host import admin_sockets

    for uri in uris:
        if uri != ALL:
            yield uri, False
            continue
        for found in admin_sockets():
            if found.uri not in uris:
                yield found.uri, True


async def _run_one(
    session: AdminSession, commands: Sequence[Invocation], aside: _Aside | None = None
) -> bool:
    try:
        if aside is not None and aside.found:
            await _reach(session, aside)
        # A daemon that was named must be there, whatever the commands need.
        lazy = any(each.command.lazy for each in commands)
        if session.uri is not None and not session.connected and not lazy:
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


async def _reach(session: AdminSession, aside: _Aside) -> None:
    """Connect to a daemon that was found; one that cannot be reached is named and left out."""
    from aiovirt.admin.host import PATIENCE

    try:
        async with asyncio.timeout(PATIENCE):
            await session.reconnect()
    except TimeoutError:
        raise CommandFailed(f"no answer to the connection within {PATIENCE:g} s") from None
    except CommandFailed as failed:
        if not isinstance(failed.__cause__, TimeoutError):
            aside.left_out = True
            raise CommandFailed(f"left out: {failed.lines[-1]}") from failed
        raise


async def _run_all(
    sessions: dict[AdminSession, _Aside], commands: Sequence[Invocation], terminal: Terminal
) -> bool:
    waiting = {
        asyncio.create_task(_run_one(session, commands, each)): each
        for session, each in sessions.items()
    }
    try:
        async with progress(
            terminal, lambda: [each.uri for each in waiting.values()], through_output=True
        ):
            await _show_all(waiting, terminal)
    except asyncio.CancelledError:
        for task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait(waiting)  # they may put something back
        for each in waiting.values():
            each.errors.append("interrupted before it had answered")
            _show(terminal, each)
        raise
    finally:
        if terminal.json:
            _show_json(terminal, list(sessions.values()))
    return all(each.succeeded or each.left_out for each in sessions.values())


async def _show_all(waiting: dict[_Task, _Aside], terminal: Terminal) -> None:
    """Show each session when it has ended, and take it out."""
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


def _presentable(waiting: Iterable[_Task], overdue: bool) -> list[_Task]:
    """Return the sessions to show now: in the order of the URIs, unless an earlier one is overdue."""
    if overdue:
        return [task for task in waiting if task.done()]
    return list(takewhile(asyncio.Task.done, waiting))


def _show(terminal: Terminal, each: _Aside) -> None:
    """Show one daemon's output; JSON is one document, which waits for all of them."""
    if terminal.json:
        return
    if not each.left_out:
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
    """The output of one daemon's session, kept until the session ends.

    found: nobody has named the daemon, its socket was found. left_out: it cannot be reached, which is
    no failure then.
    """

    def __init__(self, terminal: Terminal, uri: str, found: bool) -> None:
        self.uri = uri
        self.found = found
        self.left_out = False
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
