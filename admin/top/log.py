"""The tail of a daemon's log, where the daemon can be followed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from aiovirt.admin.client import MissingProgram
from aiovirt.admin.logs import LogGap, LogRecord
from aiovirt.admin.watch.watched import Watched
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.xdr import XdrError

#: Records of the past with which a tail begins.
_LAST: Final = 100


class LogLine(NamedTuple):
    """A line. time: seconds since the epoch; level: a word, "" for a remark of this program."""

    time: float
    level: str
    source: str
    message: str


class LogTail:
    """Follows a log for as long as its connection lives; `follow` again after a loss.

    problem: why there is no tail, else "".
    """

    def __init__(self, watched: Watched, tell: Callable[[LogLine], None]) -> None:
        self.problem = ""
        self._watched = watched
        self._tell = tell
        self._task: asyncio.Task[None] | None = None
        self._latest = 0.0
        self._refused_by: object = None

    def follow(self) -> None:
        """See to it that the log is followed."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        try:
            connection = await self._watched.connected()
            if connection is self._refused_by:
                return
            try:
                async with connection.logs.follow(last=_LAST) as records:
                    self.problem = ""
                    async for record in records:
                        self._take(_line(record))
            except MissingProgram:
                self._refused_by, self.problem = connection, "missing"
            except (RpcError, ValueError, XdrError) as error:
                self._refused_by = connection
                self.problem = str(getattr(error, "message", None) or error)
        except OSError:
            pass  # the poll says so, and follows again

    def _take(self, line: LogLine) -> None:
        """Pass on a line, unless it came over an earlier connection already."""
        if line.level and line.time <= self._latest:
            return
        self._latest = max(self._latest, line.time)
        self._tell(line)


def _line(record: LogRecord | LogGap) -> LogLine:
    if isinstance(record, LogGap):
        lost = "the daemon was restarted" if record.lost is None else f"{record.lost} lines lost"
        return LogLine(0.0, "", "", f"({lost})")
    fields = " ".join(f"{name}={value}" for name, value in record.fields.items())
    message = f"{record.message} {fields}".rstrip()
    return LogLine(record.time, record.level, record.source, message)
