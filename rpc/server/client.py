"""One connected client: what arrives from it, what may run for it, and what goes back.

Rules of this file:

- `received` is the hot path. What it does for a good call of a plain function is written out in one
  place, without a helper call that is not needed; everything else leaves it through `_slow_path`.
- Replies made while one read is parsed are joined and written once.
- A keepalive is answered here: it takes no worker, counts as no request, and is answered even while
  the client is at its request limit or has not authenticated.
- Memory of one client is bounded: by the largest frame for what it sends, by the write
  high-water mark for what it does not read, by `READ_AHEAD` for what it sends beyond its limit.

Source: libvirt's src/rpc/virnetserverclient.c and virnetserverprogram.c.
"""

from __future__ import annotations

import asyncio
import socket
import time
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.security import PeerIdentity
from aiovirt.rpc.server import refusals, replies
from aiovirt.rpc.server.access import OPEN, Access
from aiovirt.rpc.server.call import Call
from aiovirt.rpc.server.slices import SLICE
from aiovirt.rpc.server.state import NO_STATE
from aiovirt.rpc.server.streams import STREAMS_MAX, Streams
from aiovirt.rpc.transport.keepalive import Keepalive
from aiovirt.rpc.transport.link import (
    PAUSE_LIMIT,
    PAUSE_SHUTDOWN,
    PAUSE_SLICE,
    PAUSE_STREAM,
    PAUSE_WRITE,
    WRITE_HIGH,
    WRITE_LOW,
    FrameWithFds,
    SocketLink,
    discard,
)
from aiovirt.rpc.wire.keepalive import PING, PING_FRAME, PONG_FRAME
from aiovirt.rpc.wire.message import (
    HEADER,
    KEYED_HEADER,
    LENGTH_SIZE,
    MAX_FDS,
    MAX_FRAME,
    MAX_PAYLOAD,
    MIN_FRAME,
    Message,
    Type,
)
from aiovirt.rpc.wire.xdr import XdrError

if TYPE_CHECKING:
    from aiovirt.rpc.server.handlers import Binding, WithStream
    from aiovirt.rpc.server.server import Server
    from aiovirt.rpc.wire.errors import RpcError

_log = get_logger("rpc.server.client")

#: Bytes that a client at its request limit may send ahead; beyond them it is not read.
READ_AHEAD: Final = 64 * 1024

#: The longest frame of a client that has not said who it is: SASL takes 65536 words of four bytes.
ANONYMOUS_FRAME: Final = 320 * 1024

_unpack: Final = KEYED_HEADER.unpack_from
_pack: Final = KEYED_HEADER.pack
_KEEPALIVE_HEADER: Final = PING.key[:8]
_NO_CALLS: Final[frozenset[Call]] = frozenset()


class Client(SocketLink):
    """A connection to a server.

    id: growing from 1, never used again on this server; timestamp: when it connected, seconds since
    the epoch; access: what its service asked of it; authenticated: whether procedures that need it
    may be called; sasl_name: the name that it then has; readonly: whether it came through a read-only
    service, or asked to be taken so: it may call what only reads; in_flight: calls that have no
    reply yet; state: what programs know of it, see `ClientState`.
    """

    #: Whether nobody between can read or change what it says.
    is_encrypted = False
    #: The name in its certificate, empty without one.
    x509_name: str = ""

    __slots__ = (
        "_ahead",
        "_calls",
        "_deadline",
        "_heard",
        "_keepalive",
        "_need",
        "_skip",
        "_stopped",
        "_streams",
        "_tail",
        "_waits",
        "access",
        "authenticated",
        "id",
        "in_flight",
        "readonly",
        "sasl_name",
        "server",
        "state",
        "timestamp",
    )

    def __init__(
        self,
        server: Server,
        sock: socket.socket,
        client_id: int,
        access: Access = OPEN,
        *,
        authenticated: bool | None = None,
    ) -> None:
        super().__init__(server.loop, sock)
        self.server = server
        self.id = client_id
        self.timestamp = int(time.time())
        self.access = access
        self.authenticated = access.is_open if authenticated is None else authenticated
        self.readonly = access.readonly
        self.sasl_name = ""
        self.in_flight = 0
        self.state = NO_STATE
        self._calls: set[Call] | frozenset[Call] = _NO_CALLS
        self._tail: bytearray | None = None  # bytes that are not consumed yet
        self._ahead = 0  # how many of them were searched for PINGs
        self._need = 0  # how many of them make the next frame whole
        self._skip = 0  # bytes to discard: one for each descriptor that nobody wanted
        self._stopped = False  # nothing more is taken: it is closed, or closes after its last reply
        self._waits = False  # for its turn: it has sent more than is handled at once
        self._heard = True
        self._keepalive: Keepalive | None = None
        self._streams: Streams | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # Reading -------------------------------------------------------------------------------------

    def received(self, data: bytearray, size: int) -> None:
        """Consume what came: answer what can be answered, keep the tail of what is incomplete."""
        self._heard = True
        tail = self._tail
        if tail is not None:
            tail += memoryview(data)[:size]
            if self.in_flight >= self.server.request_limit:
                self._read_ahead(tail)
                return
            if len(tail) < self._need:
                return
            data, size = tail, len(tail)
        try:
            self._consume(data, size)
        except Exception as error:  # a mistake of ours must not leave the peer waiting for ever
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        _log.error("a message could not be handled", client=self.id, exc_info=error)
        self._end(f"internal failure: {type(error).__name__}")

    def _consume(self, data: bytearray, size: int) -> None:
        """Take whole frames from the front of `data`; what is left becomes, or stays, the tail."""
        server = self.server
        table = server.table
        pool = server.workers
        out: list[bytes] = []
        made = 0  # bytes of results in `out`
        pos = 0
        if self._skip:
            pos = min(self._skip, size)
            self._skip -= pos
        for _ in repeat(None, SLICE):
            if size - pos < MIN_FRAME:
                break
            length, key, kind, serial, status = _unpack(data, pos)
            after = pos + length
            if after > size or length < MIN_FRAME:
                break
            binding = table.get(key)
            if (
                binding is None
                or kind
                or status
                or not (pool.ready and binding.direct and self.authenticated)
                or (self.readonly and not binding.reads)
                or self.in_flight >= server.request_limit
            ):
                if not self._slow_path(data, pos, after, binding, out):
                    break  # at its request limit: this frame waits
                pos = after
                if self._skip:
                    pos = min(after + self._skip, size)
                    self._skip -= pos - after
            else:
                pos += MIN_FRAME
                try:
                    args, pos = binding.decode(data, pos, after)
                    body = binding.encode(binding.handler(self, args))
                    out.append(_pack(MIN_FRAME + len(body), key, 1, serial, 0) + body)
                    made += len(body)
                except replies.FAILURES as error:  # whatever it is, it becomes this call's reply
                    start = after - length + MIN_FRAME
                    out.append(replies.inline_failure(binding, serial, error, data, start, after))
                pos = after
                server.calls_served += 1
            if made > WRITE_HIGH:
                if len(body) > MAX_PAYLOAD and binding is not None:
                    out[-1] = replies.too_large(binding, serial, len(body))
                # A read of small calls can ask for gigabytes of large replies.
                self.write(b"".join(out))
                out.clear()
                made = 0
                # What is left waits until the peer has read these, or for the next turn.
                self._waits = pos < size and not self._paused & PAUSE_WRITE
                break
            if self._stopped:
                break
        else:
            self._waits = pos < size
        if out and not self.closed:
            self.write(out[0] if len(out) == 1 else b"".join(out))
        if not self._stopped:
            if pos == size:
                self._tail = None
                self._ahead = 0
            else:
                self._keep(data, pos, size)
                if self._waits:
                    # Not even its end is looked for: what it sent before has its turn first.
                    self.pause(PAUSE_SLICE)
                    server.daemon.slices.wait(self)
        elif not self.closed:
            self._tail = None
            self.end_when_sent("the client said good-bye")

    def _keep(self, data: bytearray, pos: int, size: int) -> None:
        """Remember what is left, and end the connection when it cannot become a frame."""
        left = size - pos
        self._ahead = 0
        self._need = MIN_FRAME
        if left >= LENGTH_SIZE:
            length = int.from_bytes(data[pos : pos + LENGTH_SIZE], "big")
            if not MIN_FRAME <= length <= (MAX_FRAME if self.authenticated else ANONYMOUS_FRAME):
                self._end(f"a frame of {length} bytes is impossible")
                return
            self._need = length
        if data is self._tail:
            del data[:pos]
        else:
            self._tail = data[pos:size]
        if self.in_flight >= self.server.request_limit and self._tail is not None:
            self._read_ahead(self._tail)

    def _read_ahead(self, tail: bytearray) -> None:
        """At the request limit: answer PINGs wherever they stand among the calls that wait."""
        pos = self._ahead
        pings = 0
        while len(tail) - pos >= MIN_FRAME:
            length, key, kind, *_ = _unpack(tail, pos)
            if not MIN_FRAME <= length <= MAX_FRAME:
                break  # it ends the connection when its turn comes
            after = pos + length
            if after > len(tail):
                break
            if key == PING.key and kind == Type.MESSAGE:
                pings += 1
                del tail[pos:after]
                self._need = MIN_FRAME  # it may have been this PING that had to become whole
            elif kind == Type.CALL_WITH_FDS:
                # Its descriptors' bytes follow it; a bad count ends the connection in its turn.
                pos = after + int.from_bytes(tail[pos + MIN_FRAME : pos + MIN_FRAME + 4], "big")
            else:
                pos = after
        self._ahead = min(pos, len(tail))
        if pings:
            self.write(PONG_FRAME * pings)
        if len(tail) >= READ_AHEAD and not self.closed:
            self.pause(PAUSE_LIMIT)

    def _slow_path(
        self, data: bytearray, pos: int, after: int, binding: Binding | None, out: list[bytes]
    ) -> bool:
        """Handle a frame that is not a good call of a plain function with a free worker.

        Returns False when the client is at its request limit and the frame has to wait.
        """
        _, key, kind, serial, status = _unpack(data, pos)
        if key[:8] == _KEEPALIVE_HEADER and kind == Type.MESSAGE:
            if key == PING.key:
                out.append(PONG_FRAME)
            return True
        if kind not in (Type.CALL, Type.CALL_WITH_FDS):
            self._stream_packet(data, pos, after, out)
            return True
        if self.in_flight >= self.server.request_limit:
            return False
        pos += MIN_FRAME
        if kind == Type.CALL_WITH_FDS:
            count = int.from_bytes(data[pos : pos + 4], "big")
            if after - pos < 4 or count > MAX_FDS:
                self._end(f"a message announces {count} descriptors, {MAX_FDS} is the most")
                return True
            self._skip = count
            pos += 4
        refusal = refusals.refusal(self, key, status, binding)
        if binding is not None and binding.procedure.stream and self.streams >= STREAMS_MAX:
            refusal = refusal or refusals.too_many_streams(STREAMS_MAX)
        if refusal is not None or binding is None:
            if refusal is not None:
                out.append(replies.error_reply(key, serial, refusal))
            return True
        try:
            args, _ = binding.decode(data, pos, after)
        except XdrError as error:
            out.append(replies.undecodable(binding, serial, error))
            return True
        call = Call(self, binding, serial, args)
        self.in_flight += 1
        if self._calls:
            self._calls.add(call)  # type: ignore[union-attr]  # not empty: it is our own set
        else:
            self._calls = {call}
        self.server.calls_served += 1
        # What this read has produced so far goes out first: the call may end at once and write.
        if out:
            self.write(b"".join(out))
            out.clear()
        if not self.closed:
            self.server.workers.submit(call)
        return True

    def _stream_packet(self, data: bytearray, pos: int, after: int, out: list[bytes]) -> None:
        """Give a packet to its stream; anything else, and what comes too late, is dropped."""
        _, key, kind, serial, status = _unpack(data, pos)
        if self._streams is not None and kind in (Type.STREAM, Type.STREAM_HOLE):
            if out:  # replies that were made before come before what the stream answers
                self.write(b"".join(out))
                out.clear()
            if self.closed or self._streams.take(
                key, serial, kind, status, bytes(data[pos + MIN_FRAME : after])
            ):
                return
        self._drop(data, pos)

    def _drop(self, data: bytearray, pos: int) -> None:
        if _log.info_on:
            _, *header = HEADER.unpack_from(data, pos)
            _log.info("dropped a message that no client should send", message=str(Message(*header)))

    # Replying ------------------------------------------------------------------------------------

    def call_done(self, call: Call, reply: bytes) -> None:
        """A call that took a worker has ended: send its reply and read on."""
        if self.closed:
            discard(reply)
            return
        self._calls.discard(call)  # type: ignore[union-attr]  # not empty: it is our own set
        self.in_flight -= 1
        if isinstance(reply, FrameWithFds):
            self.write_with_fds(reply)
        else:
            self.write(reply)
            if isinstance(reply, replies.FrameWithStream) and not self.closed:
                self._begin_stream(call, reply.stream)
        if self._stopped:
            # A good-bye that had to wait for a worker; or calls in flight behind one, which go too.
            self._tail = None
            self.end_when_sent("the client said good-bye")
        if self.server.draining:
            self.server.call_drained()
        elif self._tail is not None and not self.closed:
            # Not from here: a chain of waiting calls would be a chain of stack frames.
            self._loop.call_soon(self._read_on)

    def _begin_stream(self, call: Call, wanted: WithStream[Any]) -> None:
        if self._streams is None:
            self._streams = Streams(self)
        self._streams.begin(call.binding.procedure.key, call.serial, wanted)

    @property
    def streams(self) -> int:
        """How many streams are open."""
        return len(self._streams) if self._streams is not None else 0

    def abort_streams(self, error: RpcError) -> None:
        """End all streams with an error."""
        if self._streams is not None:
            self._streams.abort(error)

    @property
    def is_congested(self) -> bool:
        """Whether so much is unsent that nothing should be sent that can wait.

        That is less than what stops its calls from being read: a stream alone never does that, or its
        client could not abort it.
        """
        return self.unsent > WRITE_LOW

    def _read_on(self) -> None:
        """Room below the request limit: take up the frames that waited."""
        tail = self._tail
        if tail is None or self.closed or self._waits:
            return
        if self._paused & PAUSE_WRITE or self.server.draining:
            return
        if len(tail) >= self._need:
            try:
                self._consume(tail, len(tail))
            except Exception as error:  # as in received()
                self._failed(error)
        tail = self._tail
        if tail is None or len(tail) < READ_AHEAD or self.in_flight < self.server.request_limit:
            self.resume(PAUSE_LIMIT)

    def take_slice(self) -> None:
        """Go on with what waited for the others to have their turns."""
        self._waits = False
        self._read_on()
        if not self._waits:
            self.resume(PAUSE_SLICE)

    def unsendable(self, reason: str) -> None:
        """The peer takes no replies any more; what it sent before has its turn all the same."""
        if not self._waits:
            self._end(reason)

    def drained(self) -> None:
        """The peer has read its replies: take up what waited for that."""
        if self._tail is not None:
            self._loop.call_soon(self._read_on)
        if self._streams is not None:
            self._streams.drained()

    def limit_changed(self) -> None:
        """The request limit was changed: frames that waited for the old one may go on."""
        self.drained()

    # Keepalive -----------------------------------------------------------------------------------

    def start_keepalive(self) -> None:
        """Begin to send PINGs, because the client said that it answers them."""
        server = self.server
        if self._keepalive is None and server.keepalive_interval > 0:
            self._keepalive = Keepalive(self, server.keepalive_interval, server.keepalive_count)

    def heard(self) -> bool:
        """Whether anything came since this was last asked."""
        heard, self._heard = self._heard, False
        # What it sends while we do not read is not heard; that silence is ours.
        ours = PAUSE_LIMIT | PAUSE_SHUTDOWN | PAUSE_STREAM | PAUSE_SLICE
        return heard or bool(self._paused & ours)

    def ping(self) -> None:
        """Send a PING, unless earlier bytes still wait to be sent: it would only join them."""
        if not self.unsent:
            self.write(PING_FRAME)

    # Restart -------------------------------------------------------------------------------------

    @property
    def unconsumed(self) -> bytes:
        """What was read and not consumed."""
        return bytes(self._tail or b"")

    @property
    def skip(self) -> int:
        """How many bytes to come stand for descriptors that nobody wanted."""
        return self._skip

    @property
    def keeps_alive(self) -> bool:
        """Whether it is sent PINGs."""
        return self._keepalive is not None

    def restore(self, received: bytes, skip: int, *, leaving: bool, keepalive: bool) -> None:
        """Consume what an earlier process had read, once the loop turns."""
        self._skip = skip
        if keepalive:
            self.start_keepalive()
        if leaving:
            self._stopped = True
            self.end_when_sent("the client said good-bye")
        elif received:
            self._tail = bytearray(received)
            self._need = MIN_FRAME
            self._loop.call_soon(self._read_on)

    # Who it is -----------------------------------------------------------------------------------

    @property
    def is_local(self) -> bool:
        """Whether it came through a UNIX socket."""
        return self.sock.family == socket.AF_UNIX

    def identity(self) -> PeerIdentity:
        """Who connected, by the kernel's word. Raises OSError unless `is_local`."""
        return PeerIdentity.of(self.sock)

    def address(self) -> str:
        """The peer's address, `host:port` or `[host]:port`. Raises OSError when it is gone."""
        host, port = self.sock.getpeername()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    # Ending --------------------------------------------------------------------------------------

    def expect_authentication(self, seconds: float) -> None:
        """End it unless it says who it is within so many seconds."""
        self._deadline = self._loop.call_later(seconds, self._end_if_anonymous)

    def _end_if_anonymous(self) -> None:
        if not self.authenticated:
            self._end("it did not say in time who it is")

    def abort(self, reason: str = "closed by the daemon") -> None:
        """Disconnect now. Calls in flight are cancelled and their workers freed at once."""
        self._end(reason)

    def close_after_reply(self) -> None:
        """Disconnect once the reply being made now is sent; nothing behind this call is read.

        For plain-function handlers: their reply belongs to the batch being made.
        """
        self._stopped = True

    def calls(self) -> list[Call]:
        """The calls in flight that took a worker or wait for one."""
        return list(self._calls)

    def ended(self, reason: str) -> None:
        """The socket is closed: give back everything that was held for this client."""
        self._stopped = True
        calls, self._calls = self._calls, _NO_CALLS
        self.in_flight = 0
        self._tail = None
        if self._keepalive is not None:
            self._keepalive.stop()
            self._keepalive = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self.server.registry.remove(self)
        if self._streams is not None:
            self._streams.drop()
        for call in calls:
            call.abandon()
        for tell in self.server.on_client_gone:
            try:
                tell(self)
            except Exception as error:  # one program's mistake must not keep others from knowing
                _log.error("a program failed at a client's end", client=self.id, exc_info=error)
        self.state = NO_STATE
        if _log.info_on:
            _log.info("client gone", server=self.server.name, client=self.id, reason=reason)
