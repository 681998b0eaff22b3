"""A stream, as the calling side has it.

    async with await connection.open_stream(LOG_FOLLOW, args) as stream:
        async for data in stream:
            ...

Data that came and is not taken waits here, up to a bound; then the connection is not read any more, and
the server stops sending. While a call waits for its reply, or a stream waits to send, the connection is
read all the same: a server whose data is not taken does not read either. The data that comes meanwhile
is kept, up to a second bound; beyond it the stream ends with an error. (libvirt's client has no bound
here.)

Source: libvirt's src/rpc/virnetclientstream.c.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Generic, Self, TypeVar

from aiovirt.rpc.transport.outgoing import WRITE_HIGH
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RemoteError, RpcError
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.stream import Hole, data_packets, hole_packet, parse_hole

if TYPE_CHECKING:
    from aiovirt.rpc.client.connection import Connection

ResultT = TypeVar("ResultT")

#: Bytes that wait in one stream above which its connection is not read, unless something waits for it.
TAKE_HIGH: Final = 1024 * 1024
#: Bytes that wait in one stream above which it ends with an error, although something waits.
SPILL_MAX: Final = 64 * 1024 * 1024
#: Seconds that the server has to confirm the end of a stream that is left.
GOOD_BYE: Final = 2.0
#: What a packet costs beside its data.
_PACKET_COST: Final = 256


class Stream(Generic[ResultT]):
    """One stream. Made by `Connection.open_stream`.

    Errors, from every method: RpcError when the server ended the stream with an error, ConnectionLost.
    As an async context manager it aborts what is not over at the end of the block.
    """

    def __init__(self, connection: Connection, key: bytes, serial: int) -> None:
        self.key = key
        self.serial = serial
        self._connection = connection
        self._result: ResultT | None = None
        self._queue: deque[bytes | Hole] = deque()
        self._waiting = 0
        self._at_end = False  # the server has no more data
        self._ending = False  # the server was told of the end, and has to confirm it
        self._over = False  # finished, aborted, failed or lost
        self._senders = 0  # those who wait until the server reads
        self._error: Exception | None = None
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._confirmed = asyncio.Event()

    def __repr__(self) -> str:
        state = "over" if self._over else f"{self._waiting} bytes waiting"
        return f"<Stream {self.serial} of {self._connection.peer}: {state}>"

    @property
    def result(self) -> ResultT:
        """The result of the call that opened it."""
        return self._result  # type: ignore[return-value]  # set before anybody has the stream

    @property
    def waits_for_server(self) -> bool:
        """Whether the server has to read, or to confirm the end, before this goes on."""
        return (self._ending or self._senders > 0) and not self._over

    @property
    def is_full(self) -> bool:
        """Whether so much waits here that the connection should not be read."""
        return self._waiting > TAKE_HIGH

    # Receiving -----------------------------------------------------------------------------------

    async def receive(self) -> bytes | Hole | None:
        """The next item: data, or a hole where the procedure has them; None at the end."""
        while not self._queue:
            if self._error is not None:
                raise self._error
            if self._at_end or self._over:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        item = self._queue.popleft()
        self._waiting -= _cost(item)
        self._connection.streams_taken()
        return item

    async def __aiter__(self) -> AsyncIterator[bytes | Hole]:
        while (item := await self.receive()) is not None:
            yield item

    # Sending -------------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send data, of any length. Waits while the server does not read."""
        for packet in data_packets(self.key, self.serial, data):
            await self._write(packet)

    async def send_hole(self, length: int) -> None:
        """Send so many zero bytes without sending them. Raises ValueError unless there is one."""
        await self._write(hole_packet(self.key, self.serial, length))

    async def _write(self, packet: bytes) -> None:
        while self._connection.unsent > WRITE_HIGH and not self._over:
            self._writable.clear()
            self._senders += 1
            self._connection.streams_taken()
            try:
                await self._writable.wait()
            finally:
                self._senders -= 1
                self._connection.streams_taken()
        self._check()
        self._connection.write(packet)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        if self._over:
            raise RpcError(ErrorCode.OPERATION_INVALID, "the stream is over")

    # Ending --------------------------------------------------------------------------------------

    async def finish(self, *, timeout: float | None = None) -> None:
        """Say that this is all, and wait for the server's word that it was. Data that waits is dropped.

        Args:
            timeout: seconds, None for ever: a server may have much to write.

        Raises:
            TimeoutError: the time is over. The stream is given up then.
        """
        self._check()
        await self._end(Status.OK, timeout)
        if self._error is not None:
            raise self._error

    async def abort(self) -> None:
        """Break it off, and give the server a moment to confirm that. Does nothing when it is over."""
        if not self._over:
            with contextlib.suppress(TimeoutError):
                await self._end(Status.ERROR, GOOD_BYE)

    async def _end(self, status: Status, timeout: float | None) -> None:
        self._ending = True
        self._drop_waiting()
        self._packet(status)
        try:
            async with asyncio.timeout(timeout):
                await self._confirmed.wait()
        except TimeoutError:
            self._close(None)
            raise

    def _packet(self, status: Status) -> None:
        self._connection.write(frame(self.key, Type.STREAM, self.serial, status, b""))

    def _drop_waiting(self) -> None:
        self._queue.clear()
        self._waiting = 0
        self._at_end = True
        self._connection.streams_taken()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._over:
            return
        if kind is None and self._at_end:
            await self.finish(timeout=GOOD_BYE)
        else:
            await self.abort()

    # For the connection --------------------------------------------------------------------------

    def opened(self, result: ResultT) -> None:
        """The call has been answered."""
        self._result = result

    def take(self, kind: int, status: int, payload: bytes) -> None:
        """A packet came from the server."""
        if status == Status.CONTINUE:
            self._server_sent(kind, payload)
        elif status == Status.OK:
            self._close(None)
        else:
            try:
                failure, _ = xdr.decoder_of(RemoteError)(bytearray(payload), 0, len(payload))
                self._close(RpcError.from_wire(failure))
            except xdr.XdrError as error:
                self._close(
                    RpcError(ErrorCode.RPC, f"a stream's error that does not decode: {error}")
                )

    def _server_sent(self, kind: int, payload: bytes) -> None:
        if self._at_end:
            return
        if kind == Type.STREAM and not payload:
            self._at_end = True
        else:
            try:
                item = parse_hole(payload) if kind == Type.STREAM_HOLE else payload
            except xdr.XdrError as error:
                self._packet(Status.ERROR)
                self._close(RpcError(ErrorCode.RPC, f"a hole that does not decode: {error}"))
                return
            self._queue.append(item)
            self._waiting += _cost(item)
            if self._waiting > SPILL_MAX:
                self._overflow()
            elif self.is_full:
                self._connection.streams_taken()
        self._arrived.set()

    def _overflow(self) -> None:
        """End a stream whose data nobody takes while others wait; what came can still be taken."""
        self._packet(Status.ERROR)
        text = f"{self._waiting} bytes of a stream were not taken while the server was waited for"
        self._close(RpcError(ErrorCode.OPERATION_FAILED, text, domain=ErrorDomain.STREAMS))

    def drained(self) -> None:
        """The server has read what was sent."""
        self._writable.set()

    def lost(self, error: Exception) -> None:
        """The connection is gone."""
        self._close(error)

    def _close(self, error: Exception | None) -> None:
        if not self._over:
            self._over = True
            self._error = error
        for event in (self._arrived, self._writable, self._confirmed):
            event.set()
        self._connection.stream_over(self.serial)


def _cost(item: bytes | Hole) -> int:
    return _PACKET_COST + (len(item) if isinstance(item, bytes) else 0)
