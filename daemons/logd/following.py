"""Following a log: what is in it from a position on, and what comes, as a stream of records."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiovirt.daemons.logd.admin_protocol import RECORD_MAX, FollowRecord
from aiovirt.daemons.logd.protocol import Position
from aiovirt.daemons.logd.reading import Piece, read_log
from aiovirt.rpc.server import Stream, run_blocking
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.logd.openlog import OpenLog
    from aiovirt.daemons.logd.rotating import Rotation


@dataclass(slots=True)
class Follower:
    """Serves one stream.

    log: the open log, or None for one that nobody writes to, which is read to its end. fresh: `position`
    was nobody's, so that its file is not there does not mean that something was missed.
    """

    path: str
    rotation: Rotation
    log: OpenLog | None
    position: Position
    fresh: bool

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

    async def _send_some(self, stream: Stream) -> bool:
        """Send the next record; whether there was one."""
        async with stream.room():
            piece = await self._read()
            if not piece.data:
                return False
            gap = not piece.found and not self.fresh
            self.position, self.fresh = piece.position, False
            await stream.send(xdr.encode(FollowRecord(piece.position, gap, piece.data)))
            return True

    async def _read(self) -> Piece:
        """What stands at the position, as much as a record takes. Raises RpcError."""
        try:
            return await run_blocking(
                read_log, self.path, self.rotation.max_backups, self.position, RECORD_MAX
            )
        except OSError as error:
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"log {self.path} cannot be read: {error.strerror}",
                domain=ErrorDomain.LOGGING,
            ) from error
