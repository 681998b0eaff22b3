"""The log of a daemon, over the admin connection.

async for record in conn.logs.follow(level="debug", filters="3:rpc.wire", last=100):
    print(record)
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from aiovirt.admin.arguments import text, whole_number
from aiovirt.admin.extension.protocol import EXTENSION
from aiovirt.admin.extension.protocol import logs as protocol
from aiovirt.admin.extension.protocol.logs import FollowFlags, LogBatch
from aiovirt.rpc.client import Stream
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.admin.client import Connection

_LEVELS: Final = ("debug", "info", "warning", "error")
_LAST_MAX: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A record of a daemon's log.

    time: seconds since 1970; level: "debug", "info", "warning" or "error"; source: the part of the
    daemon; thread: the id of the thread; fields: values as JSON has them; exception: a traceback.
    """

    time: float
    level: str
    source: str
    thread: int
    message: str
    fields: dict[str, Any] = field(default_factory=dict)
    exception: str | None = None


@dataclass(frozen=True, slots=True)
class LogGap:
    """Records are missing here. lost: their number; None after a restart, if any."""

    lost: int | None


class DaemonLogs:
    """The log of a daemon of aiovirt; `Connection.logs`.

    Errors, from every call: those of `admin.client`; MissingProgram when the daemon is libvirt's.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def follow(
        self,
        *,
        level: str | int | None = None,
        filters: str = "",
        last: int = 0,
        only_last: bool = False,
    ) -> Followed:
        """Follow the log: `async for record in conn.logs.follow(...)`.

        Neither level nor filters change what the daemon's outputs get, or depend on it.

        Args:
            level: "debug" to "error", or 1 to 4, for sources that no filter matches; None for the
                daemon's own.
            filters: "LEVEL:MATCH", separated by blanks; the first match wins. Without a level and
                filters, those count that are the daemon's own when following begins.
            last: the number of the latest records to begin with, as far as level and filters want them.
            only_last: end after those.

        Raises:
            TypeError, ValueError: an argument is of a wrong type or out of range.

        The following raises RpcError: INVALID_ARG for wrong filters, RESOURCE_BUSY when too many follow.
        """
        flags = FollowFlags.ONLY_LAST if only_last else 0
        return Followed(self._connection, _arguments(level, filters, last, flags))

    async def read(
        self, *, level: str | int | None = None, filters: str = "", last: int = _LAST_MAX
    ) -> list[LogRecord]:
        """Return the latest records, which the daemon keeps in memory; the arguments are `follow`'s."""
        async with self.follow(level=level, filters=filters, last=last, only_last=True) as found:
            return [one async for one in found if isinstance(one, LogRecord)]


class Followed:
    """The records of a log, as they come: LogRecords, and LogGaps where some are missing.

    To end following at once, and not only when this object is collected, use `async with` around the
    `async for`. When the daemon is restarted, following goes on after a LogGap; records of that moment
    come from its ring of latest records.
    """

    def __init__(self, connection: Connection, args: protocol.FollowArgs) -> None:
        self._connection = connection
        self._args = args
        self._stream: Stream[protocol.FollowRet] | None = None
        self._latest = 0.0

    async def open(self) -> Self:
        """Begin to follow, unless that was done: what is logged from now on will come."""
        if self._stream is None:
            with self._connection.needing(EXTENSION, "a daemon of aiovirt"):
                self._stream = await self._connection.open_stream(protocol.LOG_FOLLOW, self._args)
        return self

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Stop following; does nothing if it has ended."""
        stream, self._stream = self._stream, None
        if stream is not None:
            await stream.abort()

    async def __aiter__(self) -> AsyncIterator[LogRecord | LogGap]:
        await self.open()
        try:
            while (found := await self._receive()) is not None:
                for one in found:
                    yield one
        finally:
            await self.close()

    async def batches(self) -> AsyncIterator[list[LogRecord | LogGap]]:
        """The same in the batches in which it comes."""
        await self.open()
        try:
            while (found := await self._receive()) is not None:
                yield found
        finally:
            await self.close()

    async def _receive(self) -> list[LogRecord | LogGap] | None:
        """Return what comes next; None at the end."""
        if self._stream is None:
            return None
        try:
            packet = await self._stream.receive()
        except RpcError as error:
            if error.code != ErrorCode.OPERATION_ABORTED or error.domain == ErrorDomain.ADMIN:
                raise
            try:
                await self._resume()
            except ConnectionError as lost:
                raise error from lost  # it was no restart, but the daemon's end
            return [LogGap(None)]
        if not isinstance(packet, bytes):
            return None
        found = _records_of(packet)
        for one in reversed(found):
            if isinstance(one, LogRecord):
                self._latest = one.time
                break
        return found

    async def _resume(self) -> None:
        """Follow on in the program that has taken the daemon over. Raises ConnectionError, RpcError."""
        args = self._args
        last = _LAST_MAX if self._latest else args.last
        self._stream = None
        self._args = protocol.FollowArgs(args.level, args.filters, last, self._latest, args.flags)
        await self.open()


def _arguments(level: str | int | None, filters: str, last: int, flags: int) -> protocol.FollowArgs:
    return protocol.FollowArgs(
        _level_number(level),
        text("log filters", filters),
        whole_number("the number of latest records", last, _LAST_MAX),
        0.0,
        flags,
    )


def _level_number(level: str | int | None) -> int:
    if level is None:
        return 0
    if not isinstance(level, str | int) or isinstance(level, bool):
        raise TypeError(f"a log level is a number or a word, not {level!r}")
    if level in _LEVELS:
        return _LEVELS.index(str(level)) + 1
    for number in range(1, len(_LEVELS) + 1):
        if level == number or level == str(number):
            return number
    raise ValueError(f"a log level is 1 to 4 or one of {', '.join(_LEVELS)}, not {level!r}")


def _records_of(packet: bytes) -> list[LogRecord | LogGap]:
    """Read a packet of the stream. Raises XdrError."""
    batch: LogBatch = xdr.decode(LogBatch, packet)
    found: list[LogRecord | LogGap] = []
    try:
        if batch.records:
            parts = json.loads(b"[" + batch.records.replace(b"\n", b",") + b"]")
            found += [_record_of(*part) for part in parts]
    except (ValueError, TypeError, IndexError) as error:
        raise xdr.XdrError(f"log records that do not decode: {error}") from error
    if batch.lost:
        found.append(LogGap(batch.lost))
    return found


def _record_of(
    time: float,
    level: int,
    source: str,
    thread: int,
    message: str,
    fields: dict[str, Any],
    exception: str | None = None,
    *_later: object,
) -> LogRecord:
    return LogRecord(time, _LEVELS[level - 1], source, thread, message, fields, exception)
