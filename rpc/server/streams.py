"""Streams of one client, as the serving side has them.

A stream begins after the reply to its call and ends in one of these ways:

- `serve` returns: the client is told that there is no more, finishes, and is answered.
- `serve` raises: the client gets the error.
- The client finishes: a `serve` that receives gets None and returns; any other is cancelled. Then the
  client is answered.
- The client aborts: `serve` is cancelled and the client is answered.
- The connection or the daemon ends: `serve` is cancelled.
- The client has closed its side, or receives nothing more, before it has finished: `serve` is cancelled.

Neither side can fill the other's memory: `send` waits while the client does not read, and a client whose
packets nobody takes is not read. A `serve` that has to make what it sends makes it inside `room()`: one
stream of a client at a time, and none while the client does not read; or in a `turn()`, a few at once,
if it may take long.

Source: libvirt's src/remote/remote_daemon_stream.c.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.faults import Ending
from aiovirt.rpc.server.handlers import WithStream
from aiovirt.rpc.server.late_packets import LatePackets
from aiovirt.rpc.server.stream_turns import TURNS, Turn
from aiovirt.rpc.transport.pauses import PAUSE_STREAM
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.stream import Hole, data_packets, hole_packet, parse_hole
from aiovirt.rpc.wire.xdr import XdrError, encode

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.server.faults import Fault

_log = get_logger("rpc.server.streams")

#: Streams that one client may have open at once.
STREAMS_MAX: Final = 64
#: Bytes that wait in a stream above which its client is not read, and below which it is read again.
TAKE_HIGH: Final = 256 * 1024
TAKE_LOW: Final = 128 * 1024
#: What a packet costs beside its data, so that a flood of tiny ones is bounded, too.
_PACKET_COST: Final = 256

#: The queue of all streams that take nothing: a queue takes 760 bytes.
_NOTHING: Final[deque[bytes | Hole | None]] = deque()


class Streams:
    """The open streams of one client, by the key and serial of their calls."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.room = asyncio.Lock()
        self.turns = asyncio.Semaphore(TURNS)
        self._open: dict[tuple[bytes, int], Stream] = {}

    def __len__(self) -> int:
        return len(self._open)

    def begin(self, key: bytes, serial: int, wanted: WithStream[Any]) -> None:
        """Begin a stream, whose call has been answered; an open one with the same serial is dropped."""
        older = self._open.get((key, serial))
        if older is not None:
            older.drop()
        stream = Stream(self._client, self, key, serial, receives=wanted.receives)
        self._open[key, serial] = stream
        stream.start(wanted)

    def take(self, key: bytes, serial: int, kind: int, status: int, payload: bytes) -> bool:
        """Give a packet to its stream; False when the stream does not exist (any more)."""
        stream = self._open.get((key, serial))
        if stream is None:
            return False
        stream.take(kind, status, payload)
        return True

    def drained(self) -> None:
        """Go on sending: the client has read what was sent."""
        for stream in list(self._open.values()):
            stream.drained()

    def abort(self, error: RpcError) -> None:
        """End all with an error."""
        for stream in list(self._open.values()):
            stream.fail(error)

    def last_words(self, text: str) -> bytes:
        """The packets that end all with an error; nothing changes here."""
        error = RpcError(ErrorCode.OPERATION_ABORTED, text)
        return b"".join(stream.last_packet(error) for stream in self._open.values())

    def drop(self) -> None:
        """End all without a word: the connection is gone."""
        for stream in list(self._open.values()):
            stream.drop()

    def input_ended(self) -> None:
        """End those that the client cannot finish any more."""
        for stream in list(self._open.values()):
            if not stream.is_finished:
                stream.drop()

    def output_ended(self) -> None:
        """End those that only send."""
        for stream in list(self._open.values()):
            if not stream.receives:
                stream.drop()

    def ended(self, stream: Stream) -> None:
        """Forget a stream that is over."""
        self._open.pop((stream.key, stream.serial), None)
        self.update_pause()
        if not self._open:
            self._client.streams_ended()

    def update_pause(self) -> None:
        """Read the client, or pause it, by the fullest of its streams."""
        fullest = max((stream.waiting for stream in self._open.values()), default=0)
        if fullest > TAKE_HIGH:
            self._client.pause(PAUSE_STREAM)
        elif fullest <= TAKE_LOW:
            self._client.resume(PAUSE_STREAM)


class Stream:
    """One stream, as `serve` uses it.

    waiting: the cost of its queue, in bytes; receives: whether `serve` takes what the client sends.
    """

    def __init__(
        self, client: Client, streams: Streams, key: bytes, serial: int, *, receives: bool
    ) -> None:
        self.client = client
        self.key = key
        self.serial = serial
        self.waiting = 0
        self._streams = streams
        self.receives = receives
        self._queue: deque[bytes | Hole | None] = deque() if receives else _NOTHING
        self._finished = False  # the client has sent all that it wanted to
        self._over = False  # nothing more is sent
        self._begun = False  # `serve` was called
        self._served = False  # `serve` has returned
        # Made when something is waited for, as an event takes 800 bytes:
        self._arrived: asyncio.Event | None = None
        self._writable: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._late: LatePackets | None = None  # while a fault delays a packet from the client

    # For `serve` ---------------------------------------------------------------------------------

    async def send(self, data: bytes) -> None:
        """Send data, of any length. Waits while the client does not read."""
        for packet in data_packets(self.key, self.serial, data):
            await self._write(packet)

    @contextlib.asynccontextmanager
    async def room(self) -> AsyncIterator[None]:
        """Wait until something can be sent, and keep the client's other streams from it for a `with`."""
        async with self._streams.room:
            await self._until_writable()
            yield

    def turn(self) -> Turn:
        """Return a turn at having something ready: few of the client's streams have theirs at once."""
        return Turn(self._streams.turns, needed=len(self._streams) > TURNS)

    async def send_hole(self, length: int) -> None:
        """Send so many zeros without sending them; for clients that asked for holes.

        length: bytes. Raises ValueError unless there is one at least.
        """
        await self._write(hole_packet(self.key, self.serial, length))

    async def receive(self) -> bytes | Hole | None:
        """Return what the client sent next; None when it has finished. Only if `serve` receives."""
        while not self._queue:
            self._arrived = event = self._arrived or asyncio.Event()
            event.clear()
            await event.wait()
        item = self._queue[0]
        if item is not None:
            self._queue.popleft()
            self.waiting -= _cost(item)
            self._streams.update_pause()
        return item

    async def _until_writable(self) -> None:
        while self.client.is_congested:
            self._writable = event = self._writable or asyncio.Event()
            event.clear()
            await event.wait()

    async def _write(self, packet: bytes) -> None:
        fault = self._fault()
        if fault is not None and fault.wait is not None:
            await fault.wait()
        await self._until_writable()
        if fault is not None and not self._over:
            self._strike(fault, packet)
        if not self._over:
            self.client.write(packet)
        await asyncio.sleep(0)  # a client that reads fast must not keep the loop from the others

    @property
    def is_finished(self) -> bool:
        """Whether the client has sent everything that it wanted to send."""
        return self._finished

    # For the client's side -----------------------------------------------------------------------

    def start(self, wanted: WithStream[Any]) -> None:
        """Let `serve` run."""
        self._task = asyncio.get_running_loop().create_task(self._run(wanted))

    async def _run(self, wanted: WithStream[Any]) -> None:
        self._begun = True
        try:
            await wanted.serve(self)
        except asyncio.CancelledError:
            if not self._over:
                self.fail(RpcError(ErrorCode.OPERATION_ABORTED, "the stream was cancelled"))
        except RpcError as error:
            self.fail(error)
        except Exception as error:
            _log.error("a stream failed", **self._named(), exc_info=error)
            text = f"the stream failed inside the daemon: {type(error).__name__}"
            self.fail(RpcError(ErrorCode.INTERNAL_ERROR, text))
        else:
            self._serve_returned()

    def _serve_returned(self) -> None:
        self._served = True
        if self._over:
            return
        if self._finished:
            self._confirm()
        else:  # no more data: the client finishes then, or aborts
            self._queue.clear()
            self.waiting = 0
            self._streams.update_pause()
            self._packet(Status.CONTINUE)

    def take(self, kind: int, status: int, payload: bytes) -> None:
        """Take a packet that came from the client."""
        fault = self._fault() if status == Status.CONTINUE else None
        if self._late is not None or (fault is not None and fault.wait is not None):
            self.waiting += _PACKET_COST + len(payload)
            self._streams.update_pause()
            if self._late is None:
                self._late = LatePackets(self.take_late, self._late_ended)
            self._late.add(fault, (kind, status, payload))
        elif fault is None or not self._strike(fault):
            self._take(kind, status, payload)

    def take_late(self, fault: Fault | None, packet: tuple[int, int, bytes]) -> None:
        """Take a packet that was delayed, or that came after one.

        Args:
            fault: of the packet.
            packet: kind, status and payload.
        """
        self.waiting -= _PACKET_COST + len(packet[2])
        if not self._over and (fault is None or not self._strike(fault)):
            self._take(*packet)
            self._streams.update_pause()

    def _late_ended(self) -> None:
        self._late = None

    def _fault(self) -> Fault | None:
        """The fault of the next packet with data, in either direction."""
        faults = self.client.server.faults
        return None if faults is None else faults.of_packet(self.client, self.key, self.serial)

    def _strike(self, fault: Fault, packet: bytes = b"") -> bool:
        """Do what a fault does beside its delay; whether the stream is over.

        Args:
            fault: of a packet.
            packet: what was to be sent, if the packet is for the client.
        """
        if fault.error is not None:
            self.fail(fault.error)
        elif fault.ending is Ending.CUT and packet:
            self.client.write(packet[: fault.cut or len(packet) // 2])
            self._over = True
            self.client.leave(fault.rule)
        elif fault.ending is not Ending.ANSWERED:
            self.client.abort(fault.rule)
        return self._over or self.client.closed

    def _take(self, kind: int, status: int, payload: bytes) -> None:
        if status == Status.OK and kind == Type.STREAM:
            self._client_finished()
        elif status == Status.CONTINUE:
            self._client_sent(kind, payload)
        elif status == Status.ERROR:
            self._cancel()
            self._confirm()
        else:
            text = f"a stream's packet has status OK, ERROR or CONTINUE, not {status}"
            self.fail(RpcError(ErrorCode.RPC, text))

    def _client_finished(self) -> None:
        self._finished = True
        if self._served:
            self._confirm()
        elif self.receives:
            self._put(None)
        else:
            self._cancel()
            self._confirm()

    def _client_sent(self, kind: int, payload: bytes) -> None:
        if self._served or self._finished:
            return  # it was on its way when the end went the other
        if not self.receives:
            self.fail(RpcError(ErrorCode.OPERATION_INVALID, "this stream takes no data"))
            return
        try:
            item = parse_hole(payload) if kind == Type.STREAM_HOLE else payload
        except XdrError as error:
            self.fail(RpcError(ErrorCode.RPC, f"a hole that does not decode: {error}"))
            return
        if item:  # an empty packet says nothing in this direction
            self.waiting += _cost(item)
            self._put(item)
            self._streams.update_pause()

    def _put(self, item: bytes | Hole | None) -> None:
        self._queue.append(item)
        if self._arrived is not None:
            self._arrived.set()

    def drained(self) -> None:
        """Go on sending: the client has read what was sent."""
        if self._writable is not None:
            self._writable.set()

    # Ends ----------------------------------------------------------------------------------------

    def fail(self, error: RpcError) -> None:
        """End with an error, which the client is told."""
        if self._over:
            return
        if _log.info_on:
            _log.info("stream ended", **self._named(), reason=error.message[:200])
        self.client.write(self.last_packet(error))
        self.drop()

    def last_packet(self, error: RpcError) -> bytes:
        """The packet that ends it with an error."""
        if error.domain == ErrorDomain.NONE:
            error = RpcError(error.code, error.message, domain=ErrorDomain.STREAMS)
        payload = encode(error.to_wire())
        return frame(self.key, Type.STREAM, self.serial, Status.ERROR, payload)

    def drop(self) -> None:
        """End without a word."""
        self._cancel()
        self._streams.ended(self)

    def _confirm(self) -> None:
        self._packet(Status.OK)
        self._over = True
        self._streams.ended(self)

    def _cancel(self) -> None:
        self._over = True
        if self._late is not None:
            self._late.cancel()
        if self._task is not None and not self._begun:
            # `serve` has to begin, or it would not give back what the handler has taken for it.
            asyncio.get_running_loop().call_soon(self._task.cancel)
        elif self._task is not None:
            self._task.cancel()  # even if it is what runs now: its own packet may find the client gone

    def _named(self) -> dict[str, object]:
        """Return the fields of a log line about this stream."""
        client = self.client
        return {"server": client.server.name, "client": client.id, "serial": self.serial}

    def _packet(self, status: int) -> None:
        self.client.write(frame(self.key, Type.STREAM, self.serial, status, b""))


def _cost(item: bytes | Hole) -> int:
    return _PACKET_COST + (len(item) if isinstance(item, bytes) else 0)
