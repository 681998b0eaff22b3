"""The client side of logd's administration.

    async with admin.client.connect("logd:///system") as connection:
        logs = LogAdmin(connection)
        for log in await logs.list():
            print(log.path, log.domain.name, log.rate)

Errors, from every call: those of `admin.client`; MissingProgram when the daemon is no logd.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from aiovirt.admin.client import Connection
from aiovirt.daemons.logd import admin_protocol as protocol
from aiovirt.daemons.logd.admin_protocol import FollowFlags, OpenLogInfo
from aiovirt.daemons.logd.protocol import Position, PositionRet
from aiovirt.rpc.client import Stream
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

__all__ = ["Followed", "LogAdmin", "OpenLogInfo", "Position"]


class LogAdmin:
    """The logs of a logd, over an admin connection that was opened by `admin.client.connect`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> list[OpenLogInfo]:
        """All open logs, sorted by path."""
        found: list[OpenLogInfo] = []
        more = True
        while more:
            after = found[-1].path if found else None
            with self._connection.needing(protocol.LOG_ADMIN, "logd"):
                page = await self._connection.call(
                    protocol.LOG_LIST, protocol.ListArgs(after, flags=0)
                )
            found += page.logs
            more = page.more and bool(page.logs)  # a page without logs would come again and again
        return found

    async def rotate(self, path: str) -> Position:
        """Turn to a new file now; where the log goes on.

        Raises RpcError: INVALID_ARG for a log that is not open.
        """
        with self._connection.needing(protocol.LOG_ADMIN, "logd"):
            answer = await self._connection.call(
                protocol.LOG_ROTATE, protocol.RotateArgs(path, flags=0)
            )
        return answer.position

    @asynccontextmanager
    async def follow(
        self, path: str, position: Position | None = None, *, from_oldest: bool = False
    ) -> AsyncIterator[Followed]:
        """Follow a log: a context manager, whose value gives what comes, piece by piece.

        position: where to begin, None for what comes from now on. from_oldest: begin with all that
        there is. It ends when the guest lets go of the log; one that is not open is read to its end.
        Raises RpcError: INVALID_ARG for both, or for a log that is not open and no place to begin.
        """
        flags = FollowFlags.FROM_OLDEST if from_oldest else 0
        stream = await self._follow(protocol.FollowArgs(path, position, flags))
        followed = Followed(self, path, stream)
        try:
            yield followed
        finally:
            await followed.close()

    async def _follow(self, args: protocol.FollowArgs) -> Stream[PositionRet]:
        with self._connection.needing(protocol.LOG_ADMIN, "logd"):
            return await self._connection.open_stream(protocol.LOG_FOLLOW, args)


class Followed:
    """The content of a log that is followed, as it comes.

    position: the place after the last piece, from where it can be followed again later. gaps: how often
    something may have been missed before a piece: the log was cut short, removed, or rotated away before
    it could be read.

    A restart of the daemon is not noticed: it goes on where it was.
    """

    def __init__(self, logs: LogAdmin, path: str, stream: Stream[PositionRet]) -> None:
        self.position = stream.result.position
        self.gaps = 0
        self._logs = logs
        self._path = path
        self._stream = stream
        self._buffer = bytearray()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            try:
                packet = await self._stream.receive()
            except RpcError as error:
                if error.code != ErrorCode.OPERATION_ABORTED:
                    raise
                await self._resume()
                continue
            if packet is None:
                return
            if isinstance(packet, bytes):
                self._buffer += packet
            while (record := self._next_record()) is not None:
                self.position = record.position
                self.gaps += record.gap
                yield record.data

    async def _resume(self) -> None:
        self._buffer.clear()
        self._stream = await self._logs._follow(
            protocol.FollowArgs(self._path, self.position, flags=0)
        )

    def _next_record(self) -> protocol.FollowRecord | None:
        """Take a whole record out of what came, if there is one. Raises XdrError."""
        try:
            record: protocol.FollowRecord
            record, size = _decode(self._buffer, 0, len(self._buffer))
        except xdr.XdrError:
            if len(self._buffer) > _RECORD_SIZE:
                raise
            return None
        del self._buffer[:size]
        return record

    async def close(self) -> None:
        """Stop following. A daemon that does not answer is not waited for longer than GOODBYE."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GOODBYE):
                await self._stream.abort()


#: Seconds that a daemon has to confirm the end of following. Whatever comes later is dropped.
GOODBYE: Final = 2.0
_decode: Final = xdr.decoder_of(protocol.FollowRecord)
#: What a record can take up at most: what is longer and does not decode, never will.
_RECORD_SIZE: Final = protocol.RECORD_MAX + 64
