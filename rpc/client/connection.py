"""A client's connection to any server of this protocol.

    async with await Connection.open_unix("/run/aiovirt/virtd-admin-sock") as connection:
        await connection.call(CONNECT_OPEN, FlagsArgs(0))
        version = await connection.call(CONNECT_GET_LIB_VERSION, None)

Calls are matched to replies by serial, so any number can be in flight at once; those made in one turn
of the loop leave in one write. A connection belongs to the loop it was made in.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from aiovirt.rpc.client.descriptors import Descriptors, Due
from aiovirt.rpc.client.streams import Stream
from aiovirt.rpc.transport import Keepalive, SocketLink
from aiovirt.rpc.transport.link import PAUSE_STREAM, WRITE_HIGH
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import RemoteError, RpcError
from aiovirt.rpc.wire.keepalive import PING, PING_FRAME, PONG_FRAME
from aiovirt.rpc.wire.message import (
    KEYED_HEADER,
    MAX_FDS,
    MAX_FRAME,
    MIN_FRAME,
    Status,
    Type,
    frame,
)
from aiovirt.rpc.wire.program import Procedure

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")

_unpack: Final = KEYED_HEADER.unpack_from
_SERIAL_MAX: Final = 0xFFFFFFFF
#: Seconds between two tries when a UNIX socket's backlog is full: the kernel gives no event for it.
_BACKLOG_RETRY: Final = 0.02


class ConnectionLost(ConnectionError):
    """The connection is gone; whether a call that was in flight took effect is not known."""


async def connect_tcp(host: str, port: int, timeout: float | None = None) -> socket.socket:
    """A socket that is connected to the first address of `host` that answers.

    timeout: seconds, None for ever. Raises OSError and TimeoutError.
    """
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host}:{port}: the host has no address")
    async with asyncio.timeout(timeout):
        for info in await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            sock = socket.socket(*info[:3])
            try:
                sock.setblocking(False)
                await loop.sock_connect(sock, info[4])
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                failure = error
            except BaseException:
                sock.close()
                raise
            else:
                return sock
    raise failure


class Connection(SocketLink):
    """One connection, from its making to `close`."""

    __slots__ = (
        "_closing",
        "_descriptors",
        "_ended",
        "_events",
        "_flushing",
        "_heard",
        "_keepalive",
        "_outgoing",
        "_reason",
        "_serial",
        "_streams",
        "_tail",
        "_waiting",
        "peer",
    )

    def __init__(self, sock: socket.socket, peer: str) -> None:
        """Take over a connected, non-blocking socket; `peer` names it in errors."""
        super().__init__(asyncio.get_running_loop(), sock)
        self.peer = peer
        self._serial = 0
        self._waiting: dict[int, tuple[asyncio.Future[Any], Procedure[Any, Any]]] = {}
        self._events: dict[bytes, tuple[Callable[[Any], None], Procedure[Any, Any]]] = {}
        self._outgoing: list[bytes] = []
        self._flushing = False
        self._tail: bytearray | None = None
        self._heard = True
        self._keepalive: Keepalive | None = None
        self._reason = ""
        self._closing = False
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._streams: dict[int, Stream[Any]] = {}
        self._descriptors = Descriptors()
        self.start()

    # Making one ----------------------------------------------------------------------------------

    @classmethod
    async def open_unix(cls, path: str, *, timeout: float | None = None) -> Self:
        """Connect to a UNIX socket, waiting while its backlog is full.

        timeout: seconds, None for ever. Raises OSError (its `filename` is `path`) and TimeoutError.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            async with asyncio.timeout(timeout):
                while True:
                    try:
                        sock.connect(path)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(_BACKLOG_RETRY)
        except BaseException as error:
            sock.close()
            if isinstance(error, OSError) and not isinstance(error, TimeoutError):
                # Python itself refuses a path that is too long, without a number.
                code = error.errno or errno.ENAMETOOLONG
                raise OSError(code, error.strerror or str(error), path) from None
            raise
        return cls(sock, path)

    @classmethod
    async def open_tcp(cls, host: str, port: int, *, timeout: float | None = None) -> Self:
        """Connect over TCP to the first address of `host` that answers.

        timeout: seconds, None for ever. Raises OSError and TimeoutError.
        """
        return cls(await connect_tcp(host, port, timeout), f"{host}:{port}")

    # Calling -------------------------------------------------------------------------------------

    async def call(
        self,
        procedure: Procedure[ArgsT, ResultT],
        args: ArgsT,
        *,
        timeout: float | None = None,
    ) -> ResultT:
        """Call a procedure and wait for its result.

        timeout: seconds, None for ever. Raises RpcError for an error reply, ConnectionLost when the
        connection goes first, TimeoutError, and XdrError for arguments that do not fit their type. A
        call that is given up (timeout, cancellation) goes on at the server; its reply is dropped.
        """
        if procedure.reply_fds or procedure.stream:
            raise TypeError(f"{procedure!r} is called with call_for_descriptors or open_stream")
        serial, future = self._begin(procedure, args)
        try:
            if timeout is None:
                return await future
            async with asyncio.timeout(timeout):
                return await future
        finally:
            self._waiting.pop(serial, None)

    def _begin(
        self, procedure: Procedure[ArgsT, ResultT], args: ArgsT
    ) -> tuple[int, asyncio.Future[ResultT]]:
        """Send a call: its serial, and what becomes its result."""
        if self.closed or self._closing:
            raise self._lost()
        payload = procedure.encode_args(args)
        serial = self._next_serial()
        future: asyncio.Future[ResultT] = self._loop.create_future()
        self._waiting[serial] = (future, procedure)
        self._send(frame(procedure.key, Type.CALL, serial, Status.OK, payload))
        return serial, future

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
        _, future = self._begin(procedure, args)
        self._descriptors.calls += 1
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
        """Read on or not, as the fullest stream wants it."""
        if any(stream.is_full for stream in self._streams.values()):
            super().pause(PAUSE_STREAM)
        else:
            self.resume(PAUSE_STREAM)

    def on_event(
        self, procedure: Procedure[ResultT, Any], callback: Callable[[ResultT], None]
    ) -> None:
        """Call `callback(args)` for every event of this procedure; a second one replaces the first."""
        self._events[procedure.key] = (callback, procedure)

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

    # Receiving -----------------------------------------------------------------------------------

    def pause(self, why: int) -> None:
        """Read on, whatever it is: a server that waits for us to read its replies reads no calls.

        Only the calls that the program itself makes can fill our memory. (Streams can: see
        `streams_taken`.)
        """

    def _readable(self) -> None:
        if not self._descriptors.calls:
            super()._readable()
            return
        try:
            data = self._descriptors.read(self.sock)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._end(f"read failed: {error.strerror}")
        except xdr.XdrError as error:
            self._end(f"the peer sent {error}")
        else:
            if not data:
                self._end("the peer closed the connection")
                return
            self.received(data, len(data))
            if self._descriptors.unannounced and not self.closed:
                self._end("the peer sent descriptors that it had not announced")

    def received(self, data: bytearray, size: int) -> None:
        """Take whole frames, keep the tail of what is incomplete."""
        self._heard = True
        tail = self._tail
        if tail is not None:
            tail += memoryview(data)[:size]
            data, size = tail, len(tail)
        pos = 0
        descriptors = self._descriptors
        while size - pos >= 4 or descriptors.due is not None:
            if descriptors.due is not None:
                try:
                    pos = descriptors.take(descriptors.due, pos, size)
                except xdr.XdrError as error:
                    self._end(f"the peer broke the protocol: {error}")
                    return
                if descriptors.due is not None:
                    break
                continue
            length = int.from_bytes(data[pos : pos + 4], "big")
            if not MIN_FRAME <= length <= MAX_FRAME:
                self._end(f"the peer sent a frame of {length} bytes, which is impossible")
                return
            after = pos + length
            if after > size:
                break
            self._received_frame(data, pos, after)
            if self.closed:
                return
            pos = after
        if pos == size:
            self._tail = None
        elif data is tail:
            del tail[:pos]
        else:
            self._tail = data[pos:size]

    def _received_frame(self, data: bytearray, pos: int, after: int) -> None:
        _, key, kind, serial, status = _unpack(data, pos)
        if kind == Type.REPLY:
            waiting = self._waiting.get(serial)
            if waiting is None:
                return  # the late reply to a call that was given up
            future, procedure = waiting
            if procedure.key != key:
                self._end(f"the reply to {procedure.name} names another procedure")
                return
            if procedure.reply_fds:
                if status == Status.OK:
                    self._end(f"the reply to {procedure.name} came without descriptors")
                    return
                self._descriptors.calls -= 1
            del self._waiting[serial]
            if not future.done():
                self._settle(future, procedure, status, data, pos + MIN_FRAME, after)
            elif procedure.stream and status == Status.OK:
                self._break_off(key, serial)
        elif kind == Type.REPLY_WITH_FDS:
            self._reply_with_descriptors(data, pos, after)
        elif kind in (Type.STREAM, Type.STREAM_HOLE):
            stream = self._streams.get(serial)
            if stream is not None and stream.key == key:
                stream.take(kind, status, bytes(data[pos + MIN_FRAME : after]))
        elif kind == Type.MESSAGE:
            if key == PING.key:
                if self.unsent <= WRITE_HIGH:  # more PONGs would tell the peer nothing new
                    self._send(PONG_FRAME)
            elif key in self._events:
                callback, procedure = self._events[key]
                try:
                    args, _ = procedure.decode_args(data, pos + MIN_FRAME, after)
                except xdr.XdrError as error:
                    self._end(f"event {procedure.name} does not decode: {error}")
                    return
                self._loop.call_soon(callback, args)

    def _reply_with_descriptors(self, data: bytearray, pos: int, after: int) -> None:
        _, key, _, serial, status = _unpack(data, pos)
        future, procedure = self._waiting.get(serial, (None, None))
        if future is None or procedure is None or not procedure.reply_fds or procedure.key != key:
            self._end("the peer sent descriptors that nobody asked for")
            return
        pos += MIN_FRAME
        count = int.from_bytes(data[pos : pos + 4], "big")
        try:
            if after - pos < 4 or count > MAX_FDS or status != Status.OK:
                raise xdr.XdrError(f"{count} descriptors with status {status}")
            result, _ = procedure.decode_result(data, pos + 4, after)
        except xdr.XdrError as error:
            self._end(f"the reply to {procedure.name} does not decode: {error}")
            return
        del self._waiting[serial]
        self._descriptors.due = Due(future, result, count)

    def _settle(
        self,
        future: asyncio.Future[Any],
        procedure: Procedure[Any, Any],
        status: int,
        data: bytearray,
        pos: int,
        after: int,
    ) -> None:
        """Give a call its result or its error; what does not decode ends the connection."""
        try:
            if status == Status.OK:
                future.set_result(procedure.decode_result(data, pos, after)[0])
            elif status == Status.ERROR:
                payload, _ = xdr.decoder_of(RemoteError)(data, pos, after)
                future.set_exception(RpcError.from_wire(payload))
            else:
                raise xdr.XdrError(f"a reply has status OK or ERROR, not {status}")
        except xdr.XdrError as error:
            problem = f"the reply to {procedure.name} does not decode: {error}"
            future.set_exception(ConnectionLost(f"{self.peer}: {problem}"))
            self._end(problem)

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
        return heard

    def ping(self) -> None:
        """Send a PING, unless earlier bytes still wait to be sent."""
        if not self.unsent:
            self.write(PING_FRAME)

    # Ending --------------------------------------------------------------------------------------

    def abort(self, reason: str = "closed here") -> None:
        """Close at once; calls in flight raise ConnectionLost."""
        self._end(reason)

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
        waiting, self._waiting = self._waiting, {}
        futures = [future for future, _ in waiting.values()]
        incomplete = self._descriptors.drop()
        if incomplete is not None:
            futures.append(incomplete)
        for future in futures:
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
