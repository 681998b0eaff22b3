"""The command that follows daemons' logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiovirt.admin.cli.failure import CALL_FAILURES, CommandFailed, text_of
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.program_options import CONNECT_OPTION, OUTPUT_OPTION
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.settings import level_names
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.terminal import Terminal

if TYPE_CHECKING:
    from aiovirt.admin.cli.merging import Merger
    from aiovirt.admin.logs import LogGap, LogRecord

#: Seconds that a daemon has for an answer, unless the command line gives it less.
_PATIENCE: Final = 10.0
#: Seconds between signs of life that a daemon is asked for, and how many it may miss.
_ALIVE: Final = (5.0, 2)
#: Batches that wait for being printed; further ones wait in the daemon, which drops what is too much.
_WAITING: Final = 16
_LEVELS: Final = ("debug", "info", "warning", "error")

_Batch = list["LogRecord | LogGap"]


async def _daemon_log_follow(session: AdminSession, command: Invocation) -> None:
    from aiovirt.admin.cli.duration import seconds_of

    length = command.text("for")
    limit = None if length is None else seconds_of(length)
    wanted = _Wanted(
        _level(command.text("level")),
        command.text("filters") or "",
        command.number("last") or 0,
        only_last=limit == 0,
    )
    uris: list[str | None] = [session.uri] if session.uri or not session.uris else [*session.uris]
    reader = _Reader(session, _labels(uris), wanted)
    try:
        async with asyncio.timeout(limit or None) as deadline:
            await reader.read()
    except TimeoutError:
        if not deadline.expired():
            raise
    finally:
        await reader.leave()
    reader.finish()


def _level(text: str | None) -> str | None:
    if text is None or text in _LEVELS or text in ("1", "2", "3", "4"):
        return text
    raise CommandFailed(f"'{text}' is not a log level: it is 1 to 4, or {', '.join(_LEVELS)}")


def _labels(uris: Sequence[str | None]) -> dict[str, str | None]:
    """The names that lines begin with: the daemon's, or the whole URI where two have one name."""
    short = [(uri or "default").partition(":")[0] for uri in uris]
    return {
        name if short.count(name) == 1 else uri or name: uri
        for name, uri in zip(short, uris, strict=True)
    }


class _Wanted:
    """The arguments of `DaemonLogs.follow`."""

    def __init__(self, level: str | None, filters: str, last: int, *, only_last: bool) -> None:
        self.level = level
        self.filters = filters
        self.last = last
        self.only_last = only_last


class _Reader:
    """Follows several daemons, and prints what they send in the order of its time.

    labels: the URIs by the names that their lines begin with.
    """

    def __init__(
        self, session: AdminSession, labels: dict[str, str | None], wanted: _Wanted
    ) -> None:
        from aiovirt.admin.cli.merging import Merger

        self._terminal: Terminal = session.terminal
        self._timeout = min(session.timeout or _PATIENCE, _PATIENCE)
        self._labels = labels
        self._wanted = wanted
        self._several = len(labels) > 1
        self._failures: list[str] = []
        self._queue: asyncio.Queue[tuple[str, _Batch | None]] = asyncio.Queue(_WAITING)
        self._tasks: list[asyncio.Task[None]] = []
        self._merger: Merger[LogRecord | LogGap] = Merger(list(labels))

    async def read(self) -> None:
        """Follow all of the daemons until the last of them has ended."""
        self._tasks = [
            asyncio.create_task(self._follow(label, uri)) for label, uri in self._labels.items()
        ]
        clock = asyncio.get_running_loop().time
        live = len(self._tasks)
        while live:
            try:
                async with asyncio.timeout(0.1 if len(self._merger) else None):
                    label, batch = await self._queue.get()
            except TimeoutError:
                pass
            else:
                if batch is None:
                    live -= 1
                    self._merger.ended(label)
                for one in batch or ():
                    self._merger.add(label, getattr(one, "time", None), one, clock())
            self._print(self._merger.due(clock()))

    async def _follow(self, label: str, uri: str | None) -> None:
        """Follow one daemon; says why when that ends."""
        from aiovirt.admin.client import connect

        wanted = self._wanted
        try:
            alone = len(self._labels) == 1
            async with connect(uri, timeout=self._timeout, prompts=alone) as connection:
                connection.rpc.start_keepalive(*_ALIVE)
                followed = connection.logs.follow(
                    level=wanted.level,
                    filters=wanted.filters,
                    last=wanted.last,
                    only_last=wanted.only_last,
                )
                async with followed:
                    async for batch in followed.batches():
                        await self._queue.put((label, batch))
            reason = "" if wanted.only_last else "the daemon has ended the log"
        except CALL_FAILURES as error:
            reason = text_of(error)
        if reason:
            self._failures.append(reason)
            if self._several:
                self._terminal.error(reason if uri and uri in reason else f"{label}: {reason}")
        await self._queue.put((label, None))

    def _print(self, found: list[tuple[str, LogRecord | LogGap]]) -> None:
        from aiovirt.admin.cli.log_lines import as_data, as_line

        if not found:
            return
        terminal = self._terminal
        if terminal.json:
            for label, one in found:
                terminal.answer(as_data(one, label), "")
        else:
            terminal.write("".join(as_line(one, label * self._several) for label, one in found))
        terminal.flush()

    async def leave(self) -> None:
        """Leave the daemons."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def finish(self) -> None:
        """Print what is left. Raises CommandFailed if a daemon could not be followed to the end."""
        while not self._queue.empty():
            label, batch = self._queue.get_nowait()
            for one in batch or ():
                self._merger.add(label, getattr(one, "time", None), one, 0.0)
        self._print(self._merger.rest())
        if self._failures:
            what = f"{len(self._failures)} of {len(self._labels)} daemons are not followed any more"
            raise CommandFailed(what if self._several else self._failures[0])


GROUP: Final = Group(
    "Log commands",
    "logs",
    (
        Command(
            "daemon-log-follow",
            _daemon_log_follow,
            "show what daemons log, as they log it",
            "Show the log of a daemon as it is written, with a level and filters of your own: what the"
            " daemon writes elsewhere stays as it is. Several daemons (-c, repeated) are shown together,"
            " in the order of time.",
            (
                Option(
                    "level",
                    OptionKind.STRING,
                    "lowest level: 1 to 4 or debug, info, warning, error; default: the daemon's own",
                    named_only=True,
                    complete=level_names,
                ),
                Option(
                    "filters",
                    OptionKind.STRING,
                    "levels of parts of the daemon, like '1:rpc 4:admin'; the first match wins",
                    named_only=True,
                ),
                Option(
                    "last",
                    OptionKind.NUMBER,
                    "begin with this many of the latest records",
                    named_only=True,
                ),
                Option(
                    "for",
                    OptionKind.STRING,
                    "end after so many seconds (also 30s, 5m, 1h); 0 shows what --last asks for only",
                    named_only=True,
                ),
                CONNECT_OPTION,
                OUTPUT_OPTION,
            ),
            connected=False,
            together=True,
        ),
    ),
)
