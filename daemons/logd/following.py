"""Following a log: what is in it from a position on, and what comes, as a stream of records."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from aiovirt.daemons.logd.admin_protocol import RECORD_MAX, FollowRecord
from aiovirt.daemons.logd.reading import Piece
from aiovirt.daemons.logd.tailing import Tail
from aiovirt.rpc.server import Stream
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.logd.openlog import OpenLog
    from aiovirt.daemons.logd.outside import Outside


class Follower(msgspec.Struct):
    """Serves one stream.

    log: the open log, or None for one that nobody writes to, which is read to its end; tail: what
    is read.
    """

    path: str
    log: OpenLog | None
    tail: Tail
    outside: Outside

    async def serve(self, stream: Stream) -> None:
        """Send what there is and what comes, until the log is closed."""
        grown = asyncio.Event()
        if self.log is not None:
            self.log.watchers.append(grown.set)
        try:
            while True:
                grown.clear()
                at_end = self.log is None or self.log.closed  # asked before reading
                if await self._send_some(stream):
                    continue
                if at_end:
                    return
                await grown.wait()
        finally:
            if self.log is not None:
                self.log.watchers.remove(grown.set)
            # After a read that hangs, so that nobody waits for it.
            closing = asyncio.ensure_future(self.outside.whole(self._close()))
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _close(self) -> None:
        await self.outside.run(self.path, self.tail.close)

    async def _send_some(self, stream: Stream) -> bool:
        """Send the next record; whether there was one.

        It is read before there is room for it, and nobody waits meanwhile: a disk that hangs must
        not keep the client's other streams waiting.
        """
        async with stream.room():
            pass
        piece = await self._read()
        if not piece.data:
            return False
        async with stream.room():
            await stream.send(xdr.encode(FollowRecord(piece.position, not piece.found, piece.data)))
        return True

    async def _read(self) -> Piece:
        """The next piece of the log, as much as a record takes. Raises RpcError."""
        try:
            return await self.outside.run(self.path, self.tail.read, RECORD_MAX)
        except OSError as error:
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"log {self.path} cannot be read: {error.strerror}",
                domain=ErrorDomain.LOGGING,
            ) from error
