"""The hot path: bytes become calls of plain functions, and their results become one write.

Rules of this file:

- `received` is the hot path. What it does for a good call of a plain function is written out, without a
  helper call that is not needed; everything else leaves it through `slow_path`.
- It is written out twice: in `_consume` for what comes together, and in `_answered_alone` for clients
  that wait for each reply, as libvirt's own does, which is a fifth of the time of a small call less.
  tests/unit/test_server_one_by_one.py holds the two against each other.
- `aiovirt.rpc.wire.framing.Framer` is the one cutter of frames. The frames here are cut by hand, since
  that is the fastest way; tests/property/test_framing_paths.py holds the two against each other.
- Replies made while one read is parsed are joined and written once.
- Calls are counted by runs. Of the calls of one procedure that come one after the other only the first
  costs more than a test; what they were is taken from lengths when the run ends, and the clock is read
  when it begins and ends. What lets a call be answered here is looked at once in a run, too: nothing but
  the handler of that procedure can have changed it in between.
- Memory of one client is bounded: by the largest frame for what it sends, by the write
  high-water mark for what it does not read, by `READ_AHEAD` for what it sends beyond its limit.

Source: libvirt's src/rpc/virnetserverclient.c (virNetServerClientDispatchRead).
"""

from __future__ import annotations

import socket
from itertools import repeat
from typing import TYPE_CHECKING, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import replies
from aiovirt.rpc.server.counts import CALLS, FAST, Counts, error_code, now
from aiovirt.rpc.server.peer import PeerLink
from aiovirt.rpc.server.read_ahead import READ_AHEAD, take_pings
from aiovirt.rpc.server.slices import SLICE
from aiovirt.rpc.transport.outgoing import WRITE_HIGH
from aiovirt.rpc.transport.pauses import PAUSE_INPUT_ENDED, PAUSE_LIMIT, PAUSE_SLICE, PAUSE_WRITE
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.message import (
    KEYED_HEADER,
    LENGTH_SIZE,
    MAX_FRAME,
    MIN_FRAME,
)

if TYPE_CHECKING:
    from aiovirt.rpc.server.handlers import Binding
    from aiovirt.rpc.server.server import Server

_log = get_logger("rpc.server.client")

#: The longest frame of a client that has not said who it is: SASL takes 65536 words of four bytes.
ANONYMOUS_FRAME: Final = 320 * 1024

_unpack: Final = KEYED_HEADER.unpack_from
#: With this instead of the server's table every call takes the slow path.
_NOTHING: Final[dict[bytes, Binding]] = {}


class HotPath(PeerLink):
    """The reading half of a `Client`."""

    __slots__ = (
        "_ahead",
        "_heard",
        "_need",
        "_one_by_one",
        "_stopped",
        "_tail",
        "_waits",
        "authenticated",
        "counted_calls",
        "counted_errors",
        "counted_in",
        "counted_out",
        "id",
        "in_flight",
        "readonly",
        "server",
    )

    def __init__(
        self,
        server: Server,
        sock: socket.socket,
        client_id: int,
        *,
        authenticated: bool,
        readonly: bool,
    ) -> None:
        super().__init__(server.loop, sock)
        self.server = server
        self.id = client_id
        self.authenticated = authenticated
        self.readonly = readonly
        self.in_flight = 0
        self.counted_calls = self.counted_errors = self.counted_in = self.counted_out = 0
        self._tail: bytearray | None = None  # bytes that are not consumed yet
        self._ahead = 0  # how many of them were searched for PINGs
        self._need = 0  # how many of them make the next frame whole
        self._stopped = (
            False  # nothing more is taken: it is closed, or will be after its last reply
        )
        self._waits = False  # for its slice: it has sent more than is handled at once
        self._heard = True
        self._one_by_one = False  # its last read was one call

    @property
    def counts(self) -> Counts:
        """The counts of its calls, as those of procedures."""
        return Counts(self.counted_calls, self.counted_errors, self.counted_in, self.counted_out)

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
            if tail is None and self._one_by_one:
                if self._answered_alone(data, size):
                    return
                self._one_by_one = False
            self._consume(data, size)
        except Exception as error:  # a mistake of ours must not leave the peer waiting for ever
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        _log.error(
            "a message could not be handled",
            server=self.server.name,
            client=self.id,
            exc_info=error,
        )
        self._end(f"internal failure: {type(error).__name__}")

    def _answered_alone(self, data: bytearray, size: int) -> bool:
        """Answer what came if it is one call that can be answered here; whether it was."""
        if size < MIN_FRAME:
            return False
        length, key, kind, serial, status = _unpack(data, 0)
        if length != size or kind or status:
            return False
        server = self.server
        binding = server.fast_table.get(key)
        if (
            binding is None
            or not (server.workers.ready and binding.direct and self.authenticated)
            or (self.readonly and not binding.reads)
            or self.in_flight >= server.request_limit
            or CALLS.debug_on
            or self._broken
        ):
            return False
        since = now()
        try:
            reply = binding.answer(self, serial, data, MIN_FRAME, size)
        except replies.FAILURES as error:  # whatever it is, it becomes this call's reply
            reply = self._failure(binding, serial, error, data, MIN_FRAME, size)
            binding.count_error(error_code(reply) or 0)
            self.counted_errors += 1
        made = len(reply)
        if made > MAX_FRAME:
            reply = replies.too_large(self, binding, serial, made - MIN_FRAME)
            made = len(reply)
            binding.count_error(ErrorCode.RPC)
            self.counted_errors += 1
        binding.calls += 1
        self.counted_calls += 1
        binding.bytes_in += size
        self.counted_in += size
        binding.bytes_out += made
        self.counted_out += made
        took = now() - since
        binding.seconds += took
        if took > FAST:
            binding.spread(1, took)
        if not self.closed:
            if server.outbox is None:
                self.write(reply)
            else:
                server.outbox.put(self, reply)
            if self._stopped and not self.closed:
                self.input_ended("closed by the client")
        return True

    def _consume(self, data: bytearray, size: int) -> None:
        """Take whole messages from the front of `data`; what is left becomes, or stays, the tail."""
        server = self.server
        table = _NOTHING if CALLS.debug_on or self._broken else server.fast_table
        pool = server.workers
        out: list[bytes] = []
        made = 0  # bytes in `out`
        pos = 0
        run: Binding | None = None  # whose calls these are, one after the other, since:
        run_key = b""
        run_out = run_pos = run_made = 0
        since = 0.0  # when the run began
        for _ in repeat(None, SLICE):
            if size - pos < MIN_FRAME:
                break
            length, key, kind, serial, status = _unpack(data, pos)
            after = pos + length
            if after > size or length < MIN_FRAME:
                break
            if key != run_key or kind or status:
                binding = table.get(key)
                if (
                    binding is None
                    or kind
                    or status
                    or not (pool.ready and binding.direct and self.authenticated)
                    or (self.readonly and not binding.reads)
                    or self.in_flight >= server.request_limit
                ):
                    if run is not None:
                        self._end_run(
                            run, len(out) - run_out, pos - run_pos, made - run_made, since
                        )
                        run = None
                        run_key = b""
                    answers = len(out)
                    behind = self._slow_path(data, pos, after, size, out)
                    if not behind:
                        break  # it waits: at its request limit, or for its descriptors
                    pos = behind
                    if len(out) > answers:
                        made += len(out[-1])
                    elif not out:
                        made = 0  # they were written, so that what followed them came after them
                else:
                    if run is None:
                        since = now()
                    else:
                        since = self._end_run(
                            run, len(out) - run_out, pos - run_pos, made - run_made, since
                        )
                    run = binding
                    run_key = key
                    run_out = len(out)
                    run_pos = pos
                    run_made = made
            if run is not None:
                try:
                    reply = run.answer(self, serial, data, pos + MIN_FRAME, after)
                except replies.FAILURES as error:  # whatever it is, it becomes this call's reply
                    reply = self._failure(run, serial, error, data, pos + MIN_FRAME, after)
                    run.count_error(error_code(reply) or 0)
                    self.counted_errors += 1
                out.append(reply)
                made += len(reply)
                pos = after
            if made > WRITE_HIGH:
                # A read of small calls can ask for gigabytes of large replies.
                if run is not None:
                    if len(out[-1]) > MAX_FRAME:
                        made -= len(out[-1])
                        out[-1] = replies.too_large(self, run, serial, len(out[-1]) - MIN_FRAME)
                        made += len(out[-1])
                        run.count_error(ErrorCode.RPC)
                        self.counted_errors += 1
                    self._end_run(run, len(out) - run_out, pos - run_pos, made - run_made, since)
                    run = None
                self.reply(b"".join(out))
                out.clear()
                made = 0
                # What is left waits until the peer has read these, or for the next slice.
                self._waits = pos < size and not self._paused & PAUSE_WRITE
                break
            if self._stopped:
                break
        else:
            self._waits = pos < size
        if run is not None:
            calls = len(out) - run_out
            run.calls += calls
            self.counted_calls += calls
            calls_in = pos - run_pos
            run.bytes_in += calls_in
            self.counted_in += calls_in
            calls_out = made - run_made
            run.bytes_out += calls_out
            self.counted_out += calls_out
            took = now() - since
            run.seconds += took
            if took > FAST:
                run.spread(calls, took)
        if out and not self.closed:
            self.reply(out[0] if len(out) == 1 else b"".join(out))
        if not self._stopped:
            if pos == size:
                self._tail = None
                self._ahead = 0
                self._one_by_one = len(out) == 1
            else:
                self._keep(data, pos, size)
                if self._waits:
                    # Its end is not looked for, either: what it sent before is handled first.
                    self.pause(PAUSE_SLICE)
                    server.daemon.slices.wait(self)
        elif not self.closed:
            self._tail = None
            self.input_ended("closed by the client")

    def reply(self, frames: bytes) -> None:
        """Send replies, at once or with those of other clients."""
        outbox = self.server.outbox
        if outbox is None:
            self.write(frames)
        else:
            outbox.put(self, frames)

    def _end_run(
        self, run: Binding, calls: int, bytes_in: int, bytes_out: int, since: float
    ) -> float:
        """Count a run that began at `since`; returns the time."""
        until = now()
        took = until - since
        run.calls += calls
        run.bytes_in += bytes_in
        run.bytes_out += bytes_out
        run.seconds += took
        if took > FAST:
            run.spread(calls, took)
        self.counted_calls += calls
        self.counted_in += bytes_in
        self.counted_out += bytes_out
        return until

    def _keep(self, data: bytearray, pos: int, size: int) -> None:
        """Remember what is left, and end the connection when it cannot become a message."""
        left = size - pos
        self._ahead = 0
        self._need = LENGTH_SIZE
        if left >= LENGTH_SIZE:
            length = int.from_bytes(data[pos : pos + LENGTH_SIZE], "big")
            if not MIN_FRAME <= length <= (MAX_FRAME if self.authenticated else ANONYMOUS_FRAME):
                self._tail = None
                self.input_ended(f"a frame of {length} bytes is impossible")
                return
            self._need = length
        if data is self._tail:
            del data[:pos]
        else:
            self._tail = data[pos:size]
        if self.in_flight >= self.server.request_limit and self._tail is not None:
            self._read_ahead(self._tail)

    def _read_ahead(self, tail: bytearray) -> None:
        """At the request limit: answer PINGs, and stop reading when enough waits."""
        self._ahead, pings = take_pings(tail, self._ahead)
        if pings:
            self._need = MIN_FRAME  # it may have been a PING that had to become whole
            self._answer_pings(pings)
        if len(tail) >= READ_AHEAD and not self.closed:
            self.pause(PAUSE_LIMIT)

    # What `Client` says -------------------------------------------------------------------------

    def _slow_path(self, data: bytearray, pos: int, after: int, size: int, out: list[bytes]) -> int:
        """See `slow_path.take`."""
        raise NotImplementedError

    def _answer_pings(self, pings: int) -> None:
        """Answer the PINGs that were among what waits."""
        raise NotImplementedError

    def _failure(
        self,
        binding: Binding,
        serial: int,
        error: BaseException,
        data: bytearray,
        pos: int,
        after: int,
    ) -> bytes:
        """See `replies.inline_failure`."""
        raise NotImplementedError

    def end_if_done(self) -> None:
        """See `Client.end_if_done`."""
        raise NotImplementedError

    # What waited ---------------------------------------------------------------------------------

    def _read_on(self) -> None:
        """Take up the frames that waited, if nothing makes them wait any longer."""
        if self.closed or self._waits or self._paused & PAUSE_WRITE or self.server.draining:
            return
        tail = self._tail
        if tail is not None and len(tail) >= self._need:
            try:
                self._consume(tail, len(tail))
            except Exception as error:  # as in received()
                self._failed(error)
        if self._paused & PAUSE_INPUT_ENDED:
            self.end_if_done()
            return
        tail = self._tail
        if tail is None or len(tail) < READ_AHEAD or self.in_flight < self.server.request_limit:
            self.resume(PAUSE_LIMIT)

    def take_slice(self) -> None:
        """Go on with what waited while other clients had their slices."""
        self._waits = False
        self._read_on()
        if not self._waits:
            self.resume(PAUSE_SLICE)
