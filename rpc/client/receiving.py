"""Messages that arrive on the calling side: replies, packets of streams, events.

Rules of this file:

- `received` is the hot path: a reply of a plain call is handled there, everything else in
  `_other_message`.
- A message that the table or the protocol does not allow ends the connection.

Source: libvirt's src/rpc/virnetclient.c (virNetClientCallDispatch) and virnetclientprogram.c.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

from aiovirt.rpc.client.events import Subscribers
from aiovirt.rpc.client.streams import Stream
from aiovirt.rpc.transport import SocketLink
from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.transport.outgoing import WRITE_HIGH
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import RemoteError, RpcError
from aiovirt.rpc.wire.framing import Framer, descriptor_count
from aiovirt.rpc.wire.keepalive import PING, PONG_FRAME
from aiovirt.rpc.wire.message import MIN_FRAME, FramingError, Status, Type
from aiovirt.rpc.wire.program import Procedure

#: Compared with a plain `==`: the type of almost every message.
_REPLY: Final = Type.REPLY.value


class ConnectionLost(ConnectionError):
    """The connection is gone; whether a call that was in flight took effect is not known."""


class Receiving(SocketLink):
    """The reading part of a `Connection`."""

    __slots__ = ("_events", "_framer", "_heard", "_pinged", "_streams", "_waiting", "peer")

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket, peer: str) -> None:
        super().__init__(loop, sock)
        self.peer = peer
        self._framer = Framer()
        self._heard = True
        self._pinged = False  # the server wants to know whether we live
        self._waiting: dict[int, tuple[asyncio.Future[Any], Procedure[Any, Any]]] = {}
        self._streams: dict[int, Stream[Any]] = {}
        self._events: dict[bytes, Subscribers] = {}

    # What `Connection` says ----------------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        """Send a message."""
        raise NotImplementedError

    def _break_off(self, key: bytes, serial: int) -> None:
        """Abort a stream that nobody has seen yet."""
        raise NotImplementedError

    # What arrives --------------------------------------------------------------------------------

    @property
    def unconsumed(self) -> bytes:
        """The bytes of a message that is not complete yet."""
        return self._framer.tail

    def received(self, data: bytearray, size: int) -> None:
        """Take whole messages; the framer keeps the tail of what is incomplete."""
        self._heard = True
        calls = self._waiting
        try:
            for buffer, pos, after, key, kind, serial, status in self._framer.frames(data, size):
                if kind != _REPLY:
                    self._other_message(buffer, pos, after, key, kind, serial, status)
                elif (waiting := calls.get(serial)) is not None:
                    future, procedure = waiting
                    if procedure.key != key:
                        self._end(f"the reply to {procedure.name} names another procedure")
                    elif procedure.reply_fds and status == Status.OK:
                        self._end(f"the reply to {procedure.name} came without descriptors")
                    else:
                        del calls[serial]
                        if not future.done():
                            self._settle(future, procedure, status, buffer, pos + MIN_FRAME, after)
                        elif procedure.stream and status == Status.OK:
                            self._break_off(key, serial)
                # else it is the late reply to a call that was given up
                if self.closed:
                    return
        except FramingError as error:
            self._end(f"the peer broke the protocol: {error}")

    def _other_message(
        self,
        data: bytes | bytearray,
        pos: int,
        after: int,
        key: bytes,
        kind: int,
        serial: int,
        status: int,
    ) -> None:
        if kind == Type.REPLY_WITH_FDS:
            self._reply_with_descriptors(data, pos, after, key, serial, status)
        elif kind == Type.CALL_WITH_FDS:
            close_all(self._take_if_accepted(descriptor_count(data, pos, after)))
        elif kind in (Type.STREAM, Type.STREAM_HOLE):
            stream = self._streams.get(serial)
            if stream is not None and stream.key == key:
                stream.take(kind, status, bytes(data[pos + MIN_FRAME : after]))
        elif kind == Type.MESSAGE:
            if key == PING.key:
                self._pinged = True
                if self.unsent <= WRITE_HIGH:  # more PONGs would tell the peer nothing new
                    self._send(PONG_FRAME)
            elif key in self._events:
                subscribers = self._events[key]
                try:
                    args, _ = subscribers.event.decode_args(data, pos + MIN_FRAME, after)
                except xdr.XdrError as error:
                    self._end(f"event {subscribers.event.name} does not decode: {error}")
                    return
                self._loop.call_soon(subscribers.tell, args)

    def _reply_with_descriptors(
        self, data: bytes | bytearray, pos: int, after: int, key: bytes, serial: int, status: int
    ) -> None:
        future, procedure = self._waiting.get(serial, (None, None))
        if future is None or procedure is None or not procedure.reply_fds or procedure.key != key:
            self._end("the peer sent descriptors that nobody asked for")
            return
        descriptors = self.take_descriptors(descriptor_count(data, pos, after))
        try:
            if status != Status.OK:
                raise xdr.XdrError(f"descriptors came with status {status}")
            result, _ = procedure.decode_result(data, pos + MIN_FRAME + 4, after)
        except xdr.XdrError as error:
            close_all(descriptors)
            self._end(f"the reply to {procedure.name} does not decode: {error}")
            return
        del self._waiting[serial]
        if future.done():
            close_all(descriptors)  # nobody waits for them any more
        else:
            future.set_result((result, list(descriptors)))

    def _take_if_accepted(self, count: int) -> tuple[int, ...]:
        return self.take_descriptors(count) if self.accepts_descriptors else ()

    def _settle(
        self,
        future: asyncio.Future[Any],
        procedure: Procedure[Any, Any],
        status: int,
        data: bytes | bytearray,
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
