"""A client's connection to any server of this protocol.

    async with connect_unix("/run/aiovirt/virtd-admin-sock") as connection:
        await connection.call(CONNECT_OPEN, FlagsArgs(0))
        version = await connection.call(CONNECT_GET_LIB_VERSION, None)

Calls are matched to replies by serial, so any number can be in flight at once; those made in one
iteration of the loop leave in one write. A connection belongs to the loop it was made in.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiovirt.rpc.client.events import Subscribers
from aiovirt.rpc.client.receiving import ConnectionLost, Receiving
from aiovirt.rpc.client.streams import Stream
from aiovirt.rpc.transport import Keepalive
from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.transport.outgoing import FrameWithFds
from aiovirt.rpc.transport.pauses import PAUSE_STREAM
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG_FRAME
from aiovirt.rpc.wire.message import MAX_FDS, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")

_SERIAL_MAX: Final = 0xFFFFFFFF
#: Seconds between two signs of life while the connection is not read.
_LIFE_INTERVAL: Final = 1.0


class Connection(Receiving):
    """One connection, from its making to `close`. peer: whom it reaches, a path or host:port."""

    __slots__ = (
        "_closing",
        "_ended",
        "_flushing",
        "_keepalive",
        "_life",
        "_outgoing",
        "_reason",
        "_serial",
    )

    def __init__(self, sock: socket.socket, peer: str) -> None:
        """Take over a connected, non-blocking socket; `peer` names it in errors."""
        super().__init__(asyncio.get_running_loop(), sock, peer)
        self._serial = 0
        self._outgoing: list[bytes] = []
        self._flushing = False
        self._keepalive: Keepalive | None = None
        self._life: asyncio.TimerHandle | None = None
        self._reason = ""
        self._closing = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self.start()

    def __repr__(self) -> str:
        kind = "unix" if self.sock.family == socket.AF_UNIX else "tls" if self.filter else "tcp"
        count = len(self._waiting)
        calls = f"{count} call{'' if count == 1 else 's'} in flight"
        return (
            f"<Connection {kind}:{self.peer} {f'ended: {self._reason}' if self.closed else calls}>"
        )

    # Calling -------------------------------------------------------------------------------------

    async def call(
        self,
        procedure: Procedure[ArgsT, ResultT],
        args: ArgsT,
        *,
        descriptors: Iterable[int] = (),
        timeout: float | None = None,
    ) -> ResultT:
        """Call a procedure and wait for its result.

        A call that is given up (timeout, cancellation) goes on at the server; its reply is dropped.

        Args:
            procedure: from a program's table.
            args: what the table says.
            descriptors: up to 32 that go with the call, over a UNIX socket. They stay the caller's: they
                are duplicated when the call begins, and may be closed when it has ended.
            timeout: seconds, None for ever.

        Raises:
            RpcError: the server's error reply.
            ConnectionLost: the connection went first.
            TimeoutError: the time is over.
            XdrError: the arguments do not fit their type; nothing was sent.
            TypeError, ValueError: the procedure, or the connection, takes no such descriptors.
        """
        if procedure.reply_fds or procedure.stream:
            raise TypeError(f"{procedure!r} is called with call_for_descriptors or open_stream")
        serial, future = self._begin(procedure, args, tuple(descriptors))
        try:
            if timeout is None:
                return await future
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._waiting.pop(serial, None)
            if self._streams:
                self.streams_taken()

    def _begin(
        self,
        procedure: Procedure[ArgsT, ResultT],
        args: ArgsT,
        descriptors: tuple[int, ...] = (),
    ) -> tuple[int, asyncio.Future[ResultT]]:
        """Send a call: its serial, and what becomes its result."""
        if self.closed or self._closing:
            raise self._lost()
        payload = procedure.encode_args(args)
        serial = self._next_serial()
        if descriptors:
            self._send_with_descriptors(procedure, serial, payload, descriptors)
        else:
            self._send(frame(procedure.key, Type.CALL, serial, Status.OK, payload))
        future: asyncio.Future[ResultT] = self._loop.create_future()
        if self.closed:  # it went with this call
            raise self._lost()
        self._waiting[serial] = (future, procedure)
        if self._streams:
            self.streams_taken()
        return serial, future

    def _send_with_descriptors(
        self,
        procedure: Procedure[Any, Any],
        serial: int,
        payload: bytes,
        descriptors: tuple[int, ...],
    ) -> None:
        if not procedure.call_fds:
            raise TypeError(f"{procedure!r} takes no descriptors")
        if len(descriptors) > MAX_FDS:
            raise ValueError(f"a call takes {MAX_FDS} descriptors at most, not {len(descriptors)}")
        if self.sock.family != socket.AF_UNIX or self.filter is not None:
            raise ValueError(f"descriptors travel over UNIX sockets only, not to {self.peer}")
        body = len(descriptors).to_bytes(4, "big") + payload
        data = frame(procedure.key, Type.CALL_WITH_FDS, serial, Status.OK, body)
        self._flush()  # calls keep their order
        duplicates: list[int] = []
        try:
            for descriptor in descriptors:
                duplicates.append(os.dup(descriptor))
        except OSError:
            close_all(duplicates)
            raise
        self.write_with_fds(FrameWithFds.of(data, duplicates))

    async def call_for_descriptors(
        self,
        procedure: Procedure[ArgsT, ResultT],
        args: ArgsT,
        *,
        timeout: float | None = None,
    ) -> tuple[ResultT, list[int]]:
        """Call a procedure whose reply carries descriptors: its result, and they.

        They are the caller's to close, and not inherited by processes that it starts. Otherwise as
        `call`.
        """
        self.accept_descriptors()
        _, future = self._begin(procedure, args)
        # It stays known until its reply comes, wanted or not: the descriptors have to be closed.
        async with asyncio.timeout(timeout):
            answer: Any = await future
        result, descriptors = answer
        return result, descriptors

    async def open_stream(
        self,
        procedure: Procedure[ArgsT, ResultT],
        args: ArgsT,
        *,
        timeout: float | None = None,
    ) -> Stream[ResultT]:
        """Call a procedure that opens a stream; the stream has its result. Otherwise as `call`."""
        serial, future = self._begin(procedure, args)
        stream: Stream[ResultT] = Stream(self, procedure.key, serial)
        self._streams[serial] = stream
        # The call stays known until its reply comes: a stream that nobody wants any more is broken off.
        try:
            async with asyncio.timeout(timeout):
                stream.opened(await future)
        except BaseException:
            self._streams.pop(serial, None)
            if future.done() and not future.cancelled() and future.exception() is None:
                self._break_off(procedure.key, serial)
            raise
        return stream

    def _break_off(self, key: bytes, serial: int) -> None:
        """Abort a stream that nobody has seen yet."""
        if not self.closed:
            self._send(frame(key, Type.STREAM, serial, Status.ERROR, b""))

    def stream_over(self, serial: int) -> None:
        """A stream has ended (it says so itself)."""
        self._streams.pop(serial, None)
        self.streams_taken()

    def streams_taken(self) -> None:
        """Read on, unless a stream is full and nothing else is waited for."""
        streams = self._streams.values()
        if any(stream.is_full for stream in streams) and not (
            any(not future.done() for future, _ in self._waiting.values())
            or any(stream.waits_for_server for stream in streams)
        ):
            super().pause(PAUSE_STREAM)
            self._show_life()
        else:
            self.resume(PAUSE_STREAM)

    def _show_life(self) -> None:
        """While we do not read, say unasked that we live: a PING would not be seen."""
        if self._life is None and self._pinged and not self.closed:
            self._life = self._loop.call_later(_LIFE_INTERVAL, self._life_due)

    def _life_due(self) -> None:
        self._life = None
        if self._paused & PAUSE_STREAM and not self.closed:
            if not self.unsent:
                self.write(PONG_FRAME)
            self._show_life()

    def on_event(
        self, procedure: Procedure[ResultT, Any], callback: Callable[[ResultT], None]
    ) -> Callable[[], None]:
        """Call `callback(args)` for every event of this procedure.

        An event may have several callbacks, called in the order in which they were given here. One that
        raises is logged. Returns a function that takes the callback back.
        """
        subscribers = self._events.setdefault(procedure.key, Subscribers(procedure))
        subscribers.callbacks.append(callback)

        def take_back() -> None:
            if callback in subscribers.callbacks:
                subscribers.callbacks.remove(callback)

        return take_back

    def _next_serial(self) -> int:
        serial = self._serial
        while True:
            serial = 1 if serial == _SERIAL_MAX else serial + 1
            if serial not in self._waiting:
                self._serial = serial
                return serial

    def _send(self, data: bytes) -> None:
        self._outgoing.append(data)
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flushing = False
        outgoing, self._outgoing = self._outgoing, []
        if outgoing and not self.closed:
            self.write(b"".join(outgoing))

    # Reading -------------------------------------------------------------------------------------

    def pause(self, why: int) -> None:
        """Read on, whatever it is: a server that waits for us to read its replies reads no calls.

        Only the calls that the program itself makes can fill our memory. (Streams can: see
        `streams_taken`.)
        """

    # Keepalive -----------------------------------------------------------------------------------

    def start_keepalive(self, interval: float, count: int) -> None:
        """PING the server; `interval` x (`count` + 1) seconds of silence end the connection.

        interval: seconds between two PINGs, 0 or less for none.
        """
        if self._keepalive is not None:
            self._keepalive.stop()
            self._keepalive = None
        if interval > 0 and not self.closed:
            self._keepalive = Keepalive(self, interval, count)

    def heard(self) -> bool:
        """Whether anything came since this was last asked."""
        heard, self._heard = self._heard, False
        return heard or bool(self._paused & PAUSE_STREAM)  # that silence is ours

    def ping(self) -> None:
        """Send a PING, unless earlier bytes still wait to be sent."""
        if not self.unsent:
            self.write(PING_FRAME)

    # Ending --------------------------------------------------------------------------------------

    async def close(self) -> None:
        """Send what was written, then close; calls in flight raise ConnectionLost."""
        self._closing = True
        if not self.closed:
            self._flush()
            self.end_when_sent("closed here")
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection is gone, whoever ended it."""
        await asyncio.shield(self._ended)

    @property
    def end_reason(self) -> str:
        """Why the connection ended, or empty while it lives."""
        return self._reason

    def ended(self, reason: str) -> None:
        """The socket is closed: tell everybody who waits."""
        self._reason = reason
        if self._keepalive is not None:
            self._keepalive.stop()
            self._keepalive = None
        if self._life is not None:
            self._life.cancel()
            self._life = None
        waiting, self._waiting = self._waiting, {}
        self._framer.clear()
        for future, _ in waiting.values():
            if not future.done():
                future.set_exception(self._lost())
        for stream in list(self._streams.values()):
            stream.lost(self._lost())
        if not self._ended.done():
            self._ended.set_result(None)

    def drained(self) -> None:
        """The peer has taken what was sent: streams may send more."""
        for stream in self._streams.values():
            stream.drained()

    @property
    def peer_certificate(self) -> dict[str, Any]:
        """The server's certificate over TLS, as `ssl.SSLSocket.getpeercert` gives it; else empty."""
        return self.filter.peer_certificate if self.filter is not None else {}

    def _lost(self) -> ConnectionLost:
        return ConnectionLost(f"{self.peer}: {self._reason or 'closed here'}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()
