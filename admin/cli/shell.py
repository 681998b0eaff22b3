"""The interactive shell: lines are read here, in the main thread; commands run on a loop in another.

So a lost connection is told at once, and a daemon's keepalive is answered, while the prompt waits.

Source: libvirt's tools/virt-admin.c (main) and vsh.c (vshReadlineInit).
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.complete import complete_line
from aiovirt.admin.cli.failure import CommandFailed, CommandSyntaxError
from aiovirt.admin.cli.invocation import to_integer
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.startup import ENVIRONMENT
from aiovirt.admin.cli.terminal import Level, Terminal
from aiovirt.admin.uri import Directories

try:
    import readline
except ImportError:  # a Python built without it: lines can be typed, but not edited
    readline = None  # type: ignore[assignment]  # there is no type for a module that may be absent

ResultT = TypeVar("ResultT")

PROMPT: Final = "virtadm # "

_WELCOME: Final = """\
Welcome to {}, the administrating virtualization interactive terminal.

Type:  'help' for help with commands
       'quit' to quit

"""

#: What ends a word for completion; an equals sign, so that --option=VALUE completes.
_DELIMITERS: Final = " \t\n`@$><=;|&{("
_HISTORY_DEFAULT: Final = 500
_HISTORY_MAX: Final = 500_000


def interact(terminal: Terminal, uris: Sequence[str], timeout: float | None = None) -> int:
    """Read and run lines until `quit` or the end of the input.

    Args:
        terminal: where output goes.
        uris: the daemon that -c named, or none.
        timeout: seconds that a daemon has for each answer, None for ever.

    Returns:
        The exit status.
    """
    if len(uris) > 1 or "all" in uris:
        terminal.error("the interactive shell administers one daemon, give -c once")
        return 1
    with _LoopThread() as loop:
        session = AdminSession(command_table(), terminal, *uris, interactive=True, timeout=timeout)
        try:
            with _History(terminal), _Lines(loop, session) as lines:
                if session.uri is not None:
                    loop.run(session.reconnect())
                _welcome(terminal)
                _serve(loop, session, lines)
        except CommandFailed as failed:
            for line in failed.lines:
                terminal.error(line)
            return 1
        finally:
            loop.run(session.close())
    return 0


def _welcome(terminal: Terminal) -> None:
    if not terminal.quiet:
        terminal.write(_WELCOME.format(terminal.progname))


def _serve(loop: _LoopThread, session: AdminSession, lines: _Lines) -> None:
    terminal = session.terminal
    while session.interactive:
        try:
            line = lines.read()
            if line is None:
                break
            if line:
                commands = parse(
                    LineWords(line),
                    session.table,
                    lambda text: terminal.debug(Level.INFO, text),
                )
                loop.run(session.run(commands))
        except CommandSyntaxError as wrong:
            for text in wrong.lines:
                terminal.error(text)
        except KeyboardInterrupt:
            terminal.write("\n")  # the line, or the command, is given up
    terminal.write("\n")


def _at_terminal() -> bool:
    """Whether a person types the input; it is None when a caller has closed it."""
    return sys.stdin is not None and sys.stdin.isatty()


class _LoopThread:
    """An event loop in a thread of its own, for as long as the block lasts."""

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        return self

    def run(self, work: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Have the loop do this, and wait for it; Ctrl-C gives it up."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.run(_cancel_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _cancel_all() -> None:
    """Wait for the end of what was given up, for a moment: a loop that stops earlier complains of it."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if others:
        await asyncio.wait(others, timeout=1)


class _Lines:
    """Where lines come from: a person at a terminal, with editing and completion, or a pipe."""

    def __init__(self, loop: _LoopThread, session: AdminSession) -> None:
        self._loop = loop
        self._session = session
        self._matches: list[str] = []
        self._typed = _at_terminal()

    def __enter__(self) -> Self:
        if self._typed and readline is not None:
            readline.set_completer(self._complete)
            readline.set_completer_delims(_DELIMITERS)
            readline.parse_and_bind("tab: complete")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if readline is not None:
            readline.set_completer(None)

    def read(self) -> str | None:
        """The next line without its end, None at the end of the input."""
        terminal = self._session.terminal
        terminal.flush()
        if self._typed:
            try:
                return input(PROMPT)
            except EOFError:
                return None
        terminal.write(PROMPT)
        line = sys.stdin.readline() if sys.stdin is not None else ""
        if not line:
            return None
        line = line.removesuffix("\n").removesuffix("\r")  # scripts written elsewhere end lines so
        terminal.write(f"{line}\n")  # as if it had been typed: so a script's log can be read
        terminal.flush()  # before the command, which may take its time
        return line

    def _complete(self, word: str, state: int) -> str | None:
        """For readline: return the match number `state`, None after the last."""
        if state == 0:
            line = readline.get_line_buffer()[: readline.get_endidx()]
            self._matches = self._loop.run(self._find(line, word))
            if len(self._matches) == 1:
                self._matches[0] += " "  # Python has readline leave that to us
        return self._matches[state] if state < len(self._matches) else None

    async def _find(self, line: str, word: str) -> list[str]:
        return await complete_line(self._session, line, word)


class _History:
    """The lines of earlier sessions, in the user's cache directory."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._folder = f"{Directories.of_caller().cache}/aiovirt/virtadm"
        self._file = f"{self._folder}/history"

    def __enter__(self) -> Self:
        length = _history_length(self._terminal)
        if readline is not None and _at_terminal():
            readline.set_history_length(length)
            with suppress(OSError):  # the first session has none to read
                readline.read_history_file(self._file)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if readline is not None and _at_terminal():
            try:
                os.makedirs(self._folder, mode=0o755, exist_ok=True)
                readline.write_history_file(self._file)
            except OSError as problem:
                self._terminal.error(f"cannot keep the history: {problem}")


def _history_length(terminal: Terminal) -> int:
    """How many lines to keep, by the environment."""
    name = f"{ENVIRONMENT}_HISTSIZE"
    text = os.environ.get(name)
    if text is None:
        return _HISTORY_DEFAULT
    length = to_integer(text)
    if length is None:
        terminal.error(f"Bad ${name} value.")
        return _HISTORY_DEFAULT
    if not 0 <= length <= _HISTORY_MAX:
        terminal.error(f"${name} value should be between 0 and {_HISTORY_MAX}")
        return _HISTORY_DEFAULT
    return length
