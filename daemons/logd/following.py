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
    is read; grown: whether more was written since it was last asked; growth: set then, made at the end
    of the log, as it takes 800 bytes.
    """

    path: str
    log: OpenLog | None
    tail: Tail
    outside: Outside
    grown: bool = False
    growth: asyncio.Event | None = None

    async def serve(self, stream: Stream) -> None:
        """Send what there is and what comes, until the log is closed."""
        noted = self._note_growth
        if self.log is not None:
            self.log.watchers.append(noted)
        try:
            while True:
                self.grown = False
                at_end = self.log is None or self.log.closed  # asked before reading
                if await self._send_some(stream):
                    continue
                if at_end:
                    return
                await self._until_grown()
        finally:
            if self.log is not None:
                self.log.watchers.remove(noted)
            # After a read that hangs, so that nobody waits for it.
            closing = asyncio.ensure_future(self.outside.whole(self._close()))
            closing.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _note_growth(self) -> None:
        self.grown = True
        if self.growth is not None:
            self.growth.set()

    async def _until_grown(self) -> None:
        self.growth = growth = self.growth or asyncio.Event()
        growth.clear()
        if not self.grown:
            await growth.wait()

    async def _close(self) -> None:
        await self.outside.run(self.path, self.tail.close)

    async def _send_some(self, stream: Stream) -> bool:
        """Send the next record; whether there was one.

        It is read before there is room for it, and nobody waits meanwhile: a disk that hangs must
        not keep the client's other streams waiting. Few of them are so far at once.
        """
        async with stream.turn() as turn:
            async with stream.room():
                pass
            piece = await turn.wait_for(self._read())
            if not piece.data:
                return False
            async with stream.room():
                record = FollowRecord(piece.position, not piece.found, piece.data)
                await stream.send(xdr.encode(record))
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
