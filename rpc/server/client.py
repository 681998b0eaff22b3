"""One connected client: its identity, its calls, its replies and events, and its end.

The modules `hot_path` and `slow_path` read what arrives from it; `restart` hands it over.

- Memory of one client is bounded: see `hot_path` for what it sends and what it is answered, and
  `events` for what it is told unasked.
- Every way in which it can end comes through `ended`, once.
- A client that sends nothing more (it has closed its side or all of its connection, said CLOSE, or sent
  nonsense) has everything executed and answered that it sent before; see `input_ended`. It is a client
  like others until then. `abort` is the end that cancels calls.

Source: libvirt's src/rpc/virnetserverclient.c.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import events, replies, slow_path
from aiovirt.rpc.server.access import OPEN, Access
from aiovirt.rpc.server.call import Call
from aiovirt.rpc.server.hot_path import HotPath
from aiovirt.rpc.server.state import NO_STATE
from aiovirt.rpc.server.streams import Streams
from aiovirt.rpc.transport.keepalive import Keepalive
from aiovirt.rpc.transport.outgoing import WRITE_LOW, FrameWithFds, discard
from aiovirt.rpc.transport.pauses import (
    PAUSE_DESCRIPTORS,
    PAUSE_INPUT_ENDED,
    PAUSE_LIMIT,
    PAUSE_SHUTDOWN,
    PAUSE_SLICE,
    PAUSE_STREAM,
)
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG_FRAME

if TYPE_CHECKING:
    from aiovirt.rpc.server.handlers import Binding, WithStream
    from aiovirt.rpc.server.server import Server
    from aiovirt.rpc.wire.program import Procedure

_log = get_logger("rpc.server.client")

ArgsT = TypeVar("ArgsT")

_NO_CALLS: Final[frozenset[Call]] = frozenset()


class Client(HotPath):
    """A connection to a server.

    id: growing from 1, never used again on this server; timestamp: when it connected, seconds since
    the epoch; access: what its service asked of it; authenticated: whether procedures that need it
    may be called; sasl_name: the name that it then has; readonly: whether it came through a read-only
    service, or asked to be taken so: it may call what only reads; in_flight: calls that have no
    reply yet; state: what programs know of it, see `ClientState`.
    """

    __slots__ = (
        "_calls",
        "_deadline",
        "_event_bytes",
        "_input_over",
        "_keepalive",
        "_streams",
        "access",
        "sasl_name",
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
        super().__init__(
            server,
            sock,
            client_id,
            authenticated=access.is_open if authenticated is None else authenticated,
            readonly=access.readonly,
        )
        self.timestamp = int(time.time())
        self.access = access
        self.sasl_name = ""
        self.state = NO_STATE
        self._calls: set[Call] | frozenset[Call] = _NO_CALLS
        self._input_over = ""  # the reason why nothing more comes from the peer, once that is so
        self._event_bytes = 0  # of events that have been written since the peer last kept up
        self._keepalive: Keepalive | None = None
        self._streams: Streams | None = None
        self._deadline: asyncio.TimerHandle | None = None

    # What arrives --------------------------------------------------------------------------------

    def _watch_socket(self) -> None:
        try:
            self.server.daemon.readiness.watch(self)
        except OSError as error:
            self._end(f"it cannot be watched: {error.strerror}")

    def _unwatch_socket(self) -> None:
        self.server.daemon.readiness.unwatch(self)

    def _slow_path(self, data: bytearray, pos: int, after: int, size: int, out: list[bytes]) -> int:
        return slow_path.take(self, data, pos, after, size, out)

    def _answer_pings(self, pings: int) -> None:
        answered = sum(slow_path.is_answered(self) for _ in range(pings))
        if answered:
            self.write(PONG_FRAME * answered)

    def _failure(
        self,
        binding: Binding,
        serial: int,
        error: BaseException,
        data: bytearray,
        pos: int,
        after: int,
    ) -> bytes:
        return replies.inline_failure(self, binding, serial, error, data, pos, after)

    def begin_call(self, call: Call) -> None:
        """Let a call have a worker, or wait for one."""
        self.in_flight += 1
        if self._calls:
            self._calls.add(call)  # type: ignore[union-attr]  # not empty: it is our own set
        else:
            self._calls = {call}
        self.server.workers.submit(call)

    def stream_packet(
        self, key: bytes, serial: int, kind: int, status: int, payload: bytes
    ) -> bool:
        """Give a packet to its stream; False when that stream does not exist."""
        return self._streams is not None and self._streams.take(key, serial, kind, status, payload)

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
            if reply:  # a fault may have dropped it
                self.reply(reply)
            if isinstance(reply, replies.FrameWithStream) and not self.closed:
                self._begin_stream(call, reply.stream)
        if self._stopped and not self._input_over and not self.closed:  # CLOSE waited for a worker
            self._tail = None
            self.input_ended("closed by the client")
        if self.server.draining:
            self.server.call_drained()
        elif self._input_over:
            # What waits in the queue of the pool must not start while this call still has its worker.
            self._loop.call_soon(self._read_on)
        elif self._tail is not None and not self.closed:
            # Not from here: a chain of waiting calls would be a chain of stack frames.
            self._loop.call_soon(self._read_on)

    def _begin_stream(self, call: Call, wanted: WithStream[Any]) -> None:
        if self._streams is None:
            self._streams = Streams(self)
        self._streams.begin(call.binding.procedure.key, call.serial, wanted)
        if self._input_over:
            self._streams.input_ended()

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
        """Whether so much is unsent that data which can wait should wait.

        The bound is lower than the one at which calls are not read any more: a stream alone never
        reaches that one, or its client could not abort it.
        """
        return self.unsent > WRITE_LOW

    def streams_ended(self) -> None:
        """The last open stream has ended."""
        if self._input_over:
            self._loop.call_soon(self._read_on)

    def drained(self) -> None:
        """The peer has read what was sent: take up what waited for that."""
        self._event_bytes = 0
        if self._tail is not None or self._input_over:
            self._loop.call_soon(self._read_on)
        if self._streams is not None:
            self._streams.drained()

    def limit_changed(self) -> None:
        """The request limit was changed: frames that waited for the old one may go on."""
        if self._tail is not None or self._input_over:
            self._loop.call_soon(self._read_on)

    # Events --------------------------------------------------------------------------------------

    def send_event(self, event: Procedure[ArgsT, None], args: ArgsT) -> bool:
        """Tell the client of an event, now; see `events`.

        Returns:
            Whether it was sent: not to a client that has not authenticated, or that is leaving.

        Raises:
            ValueError: the procedure is not an event.
            XdrError: the arguments do not fit.
        """
        return self.write_event(events.encoded(event, args))

    def write_event(self, data: bytes) -> bool:
        """The same with an event that is encoded already."""
        if self.closed or self._stopped or self._input_over or not self.authenticated:
            return False
        if not self.unsent:
            self._event_bytes = 0
        self._event_bytes += len(data)
        if self._event_bytes > events.UNREAD_MAX:
            _log.warning(
                "client disconnected",
                server=self.server.name,
                client=self.id,
                reason="it does not read its events",
                unread=self._event_bytes,
            )
            self._end("it does not read its events")
            return False
        self.write(data)
        return True

    # Keepalive -----------------------------------------------------------------------------------

    def start_keepalive(self, pings: int = 0, left: float | None = None) -> None:
        """Begin to send PINGs, because the client said that it answers them; see `Keepalive`."""
        server = self.server
        if self._keepalive is None and server.keepalive_interval > 0:
            self._keepalive = Keepalive(
                self, server.keepalive_interval, server.keepalive_count, pings=pings, left=left
            )

    def _stop_keepalive(self) -> None:
        if self._keepalive is not None:
            self._keepalive.stop()
            self._keepalive = None

    def heard(self) -> bool:
        """Whether anything came since this was last asked."""
        heard, self._heard = self._heard, False
        # What it sends while we do not read is not heard; that silence is ours.
        ours = PAUSE_LIMIT | PAUSE_SHUTDOWN | PAUSE_STREAM | PAUSE_SLICE | PAUSE_DESCRIPTORS
        return heard or bool(self._paused & ours)

    def ping(self) -> None:
        """Send a PING, unless earlier bytes still wait to be sent: it would only join them."""
        if not self.unsent:
            self.write(PING_FRAME)

    # Restart -------------------------------------------------------------------------------------

    @property
    def unconsumed(self) -> bytes:
        """The bytes that were read and not consumed; they begin with a frame."""
        return bytes(self._tail or b"")

    @property
    def keeps_alive(self) -> bool:
        """Whether it is sent PINGs."""
        return self._keepalive is not None

    @property
    def keepalive_progress(self) -> tuple[int, float] | None:
        """The PINGs that it has not answered, and the seconds until the next; None without keepalive."""
        if self._keepalive is None:
            return None
        pings, left = self._keepalive.progress
        return (0 if self._heard else pings), left

    @property
    def deadline(self) -> float | None:
        """The seconds that it has left to authenticate; None if it need not."""
        if self._deadline is None or self.authenticated:
            return None
        return max(0.0, self._deadline.when() - self._loop.time())

    def last_words(self, text: str) -> bytes:
        """The packets and replies that end its streams and its calls in flight with an error.

        The next program sends them. Nothing changes here: the restart may be given up.

        Args:
            text: the reason.
        """
        said = b"" if self._streams is None else self._streams.last_words(text)
        error = RpcError(ErrorCode.OPERATION_ABORTED, f"{text}: the call was cancelled")
        for call in self._calls:
            said += replies.error_reply(self, call.binding.procedure.key, call.serial, error)
        return said

    @property
    def unconsumed_buffer(self) -> bytearray | None:
        """The same bytes in place, for a restart."""
        return self._tail

    def read_later(self, received: bytearray) -> None:
        """Consume what an earlier process had read, in the loop's next iteration."""
        self._tail = received
        self._need = 0
        self._loop.call_soon(self._read_on)

    @property
    def input_over(self) -> str:
        """The reason why nothing more comes from it; empty while something may come."""
        return self._input_over

    def expect_no_input(self, reason: str) -> None:
        """Consume what an earlier process had read, and no more, in the loop's next iteration."""
        self._input_over = reason
        self.pause(PAUSE_INPUT_ENDED)
        self.expect_progress()
        self._loop.call_soon(self._read_on)

    def leave(self, reason: str = "closed by the client") -> None:
        """Take nothing more, and disconnect when everything is sent."""
        self._stopped = True
        self.end_when_sent(reason)

    # Ending --------------------------------------------------------------------------------------

    def input_ended(self, reason: str) -> None:
        """Nothing more comes from it: execute and answer what came whole, then disconnect.

        libvirt executes such calls, too (their jobs keep the client), but answers none of them. Streams
        that it has not finished end, since it cannot finish them any more. Events are not sent to it.
        """
        if self.closed or self._input_over:
            return
        self._input_over = reason
        self.pause(PAUSE_INPUT_ENDED)
        self._stop_keepalive()  # it cannot answer
        self._read_on()
        for call in self.calls():
            call.input_ended()
        self.expect_progress()

    def end_if_done(self) -> None:
        """Disconnect a client from which nothing more comes, if nothing of it is under way."""
        if self.closed or self.in_flight or self._waits:
            return
        if self._streams is not None:
            self._streams.input_ended()
            if len(self._streams):
                return
        self._tail = None
        self.end_when_sent(self._input_over)

    def unsendable(self) -> None:
        """Stop what is only sent; what it sent before is executed all the same."""
        if self._streams is not None:
            self._streams.output_ended()

    def expect_authentication(self, seconds: float) -> None:
        """End it unless it says who it is within so many seconds."""
        self._deadline = self._loop.call_later(seconds, self._end_if_anonymous)

    def _end_if_anonymous(self) -> None:
        if not self.authenticated:
            self._end("it did not authenticate in time")

    def abort(self, reason: str = "closed by the daemon") -> None:
        """Disconnect now. Calls in flight are cancelled and their workers freed at once."""
        self._end(reason)

    def close_after_reply(self) -> None:
        """Disconnect once the reply being made now is sent; nothing after this call is read.

        For plain-function handlers: their reply belongs to the batch being made.
        """
        self._stopped = True

    def calls(self) -> list[Call]:
        """The calls in flight that took a worker or wait for one."""
        return list(self._calls)

    def close_socket(self) -> None:
        """See `SocketLink`. While another process has the socket, too, closing it ends nothing."""
        if self.server.daemon.shares_descriptors:
            with contextlib.suppress(OSError):  # the peer has gone already
                self.sock.shutdown(socket.SHUT_RDWR)
        super().close_socket()

    def ended(self, reason: str) -> None:
        """The socket is closed: give back everything that was held for this client."""
        self._stopped = True
        calls, self._calls = self._calls, _NO_CALLS
        self.in_flight = 0
        self._tail = None
        self._stop_keepalive()
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
                _log.error(
                    "a program failed at a client's end",
                    server=self.server.name,
                    client=self.id,
                    exc_info=error,
                )
        self.state = NO_STATE
        if _log.info_on:
            _log.info("client gone", server=self.server.name, client=self.id, reason=reason)
