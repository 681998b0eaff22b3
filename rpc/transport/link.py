"""A connection that owns its non-blocking socket: UNIX and TCP alike.

Built on `add_reader`, `recv_into` and `send` instead of asyncio's transports. That is as fast, costs a
third of the memory, writes at once, and leaves the socket ours: to pass descriptors, and to hand
it over whole at a restart.

Rules of this file:

- Nothing here knows what the bytes mean.
- Every way in which a connection can end comes through `_end`, once.
- The end of what comes in is not the end of the connection: see `input_ended`.
- What goes out is in `Outgoing`.
- A plain link pays nothing for what it does not use. A filter (TLS), taps and received descriptors
  are kept by its `Passage`, with which another reader is registered; without one, a write tests a slot.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Collection
from typing import Final

from aiovirt.rpc.transport.descriptors import WAITING_HIGH, close_all, read_with_descriptors
from aiovirt.rpc.transport.outgoing import Outgoing
from aiovirt.rpc.transport.passage import ACCEPTING, Filter, Passage, read_buffer
from aiovirt.rpc.transport.pauses import PAUSE_DESCRIPTORS, PAUSE_ENDING
from aiovirt.rpc.transport.tap import Tap, Watch
from aiovirt.rpc.wire.message import FramingError

#: Reads of one link before others have their turn, when it sends what needs no answer.
_READS_IN_A_ROW: Final = 16

#: Seconds without progress that a peer has to take the last bytes of a connection that is being closed.
LINGER: Final = 5.0


class SocketLink(Outgoing):
    """Bytes in and out of one connected stream socket.

    A subclass defines `received` and `ended`, and `drained` if it cares.
    """

    __slots__ = ("_linger", "buffer")

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        super().__init__(loop, sock)
        self.buffer = read_buffer(loop)  # what it reads into; shared with other links of the loop
        self._linger: asyncio.TimerHandle | None = None

    # What a subclass says ------------------------------------------------------------------------

    def received(self, data: bytearray, size: int) -> None:
        """`size` bytes came; `data` is shared and must not be kept."""
        raise NotImplementedError

    def input_ended(self, reason: str) -> None:
        """Nothing more comes from the peer. A subclass that does not end the link now does so later."""
        self._end(reason)

    def ended(self, reason: str) -> None:
        """The connection is gone; called once."""
        raise NotImplementedError

    @property
    def unconsumed(self) -> bytes:
        """The received bytes that are not consumed yet; they begin with a frame."""
        return b""

    # Reading -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to read."""
        self._watch_socket()

    @property
    def reader(self) -> Callable[[], None]:
        """The method that reads what has come: another one once there is something to pass."""
        return self._readable if self._passage is None else self._readable_through

    def _watch_socket(self) -> None:
        self._loop.add_reader(self.sock.fileno(), self.reader)

    def _unwatch_socket(self) -> None:
        self._loop.remove_reader(self.sock.fileno())

    def _readable(self) -> None:
        # When a peer is gone for good while bytes of its own are still to be read, uvloop calls once
        # and never again (libuv stops watching a socket with an error). So a read that was not
        # followed by a successful write, which a dead peer fails, is followed by another read.
        buffer = self.buffer
        for _ in range(_READS_IN_A_ROW):
            try:
                size = self.sock.recv_into(buffer)
            except (BlockingIOError, InterruptedError):
                if self._broken:
                    self.input_ended(self._broken)
                return
            except OSError as error:
                self.input_ended(f"read failed: {error.strerror}")
                return
            if not size:
                self.input_ended("the peer closed the connection")
                return
            self._alive = False
            self.received(buffer, size)
            if self._alive or self._paused or self.closed:
                return
        self._loop.call_soon(self._read_again)

    def _readable_through(self) -> None:
        """Read as `_readable` does, where the bytes have something to pass."""
        buffer = self.buffer
        for _ in range(_READS_IN_A_ROW):
            passage = self._passage
            if passage is None:
                break
            inbox = passage.inbox
            try:
                if inbox is None:
                    size = self.sock.recv_into(buffer)
                else:
                    size, came = read_with_descriptors(self.sock, buffer)
                    if came:
                        passage = self._make_passage()
                        passage.keep_descriptors(came)
            except (BlockingIOError, InterruptedError):
                if self._broken:
                    self.input_ended(self._broken)
                return
            except OSError as error:
                self.input_ended(f"read failed: {error.strerror}")
                return
            except FramingError as error:
                self._end(f"the peer broke the protocol: {error}")
                return
            if not size:
                self.input_ended("the peer closed the connection")
                return
            self._alive = False
            if passage.filter is not None:
                passage.filter.incoming(self, size)
            else:
                self.deliver(buffer, size)
            if inbox is not None and passage.has_many_waiting(self):
                self.pause(PAUSE_DESCRIPTORS)
            if self._alive or self._paused or self.closed:
                return
        self._loop.call_soon(self._read_again)

    def _read_again(self) -> None:
        if not self.closed and not self._paused:
            self.reader()

    def deliver(self, data: bytearray, size: int) -> None:
        """Give the owner what came, after the taps have seen it."""
        passage = self._passage
        if passage is not None and passage.taps is not None:
            passage.taps.received(data, size)
            if self.closed:
                return
        self.received(data, size)

    @property
    def is_paused(self) -> bool:
        """Whether it is not read now."""
        return self._paused != 0

    def pause(self, why: int) -> None:
        """Stop reading for one more reason; the kernel's buffers then hold the peer back."""
        if not self._paused and not self.closed:
            self._unwatch_socket()
        self._paused |= why

    def resume(self, why: int) -> None:
        """Take one reason back; reading goes on when it was the last."""
        if not self._paused & why:
            return
        self._paused &= ~why
        if not self._paused and not self.closed:
            self._watch_socket()
            if self._passage is not None and self._passage.filter is not None:
                self._passage.filter.resumed(self)
            if self._broken:
                self._loop.call_soon(self._read_again)

    # What bytes pass -----------------------------------------------------------------------------

    @property
    def filter(self) -> Filter | None:
        """The filter of its bytes; None for a plain link."""
        return self._passage.filter if self._passage is not None else None

    def set_filter(self, made: Filter) -> None:
        """Have a filter change all bytes from now on."""
        self._make_passage().filter = made

    def tap(self, watch: Watch) -> Tap:
        """Call `watch(direction, message, descriptors)` for every message from now on; see `Tap`."""
        made = Tap(watch, self._remove_tap)
        self._make_passage().add_tap(self, made)
        return made

    def _remove_tap(self, tap: Tap) -> None:
        if self._passage is not None:
            self._passage.remove_tap(tap)
            if self._passage.is_empty and not self.closed:
                self._passage = None
                self._reader_changed()

    def accept_descriptors(self, waiting: Collection[int] = ()) -> None:
        """Keep the descriptors that arrive from now on. Does nothing unless it is a UNIX socket.

        Args:
            waiting: those that an earlier owner of the socket has received and not taken.
        """
        if self.sock.family != socket.AF_UNIX or self.closed:
            return
        if self._passage is None and not waiting:
            self._passage = ACCEPTING
            self._reader_changed()
        else:
            self._make_passage().accept_descriptors(waiting)

    def take_descriptors(self, count: int) -> tuple[int, ...]:
        """Take the descriptors of the next `count` bytes; they are the taker's to close.

        They are closed on exec.

        Raises:
            FramingError: they have not come, or are not accepted.
        """
        inbox = self._passage.inbox if self._passage is not None else None
        if inbox is None:
            if count:
                raise FramingError(f"{count} descriptors were announced on a link that takes none")
            return ()
        taken = inbox.take(count)
        if self._paused & PAUSE_DESCRIPTORS and len(inbox.waiting) <= WAITING_HIGH:
            self.resume(PAUSE_DESCRIPTORS)
        return taken

    @property
    def accepts_descriptors(self) -> bool:
        """Whether descriptors that arrive are kept."""
        return self._passage is not None and self._passage.inbox is not None

    @property
    def waiting_descriptors(self) -> list[int]:
        """The descriptors that have come and are not taken, in their order."""
        inbox = self._passage.inbox if self._passage is not None else None
        return list(inbox.waiting) if inbox is not None else []

    def _write_through(self, data: bytes) -> None:
        """Write bytes that have something to pass."""
        if self._passage is not None:
            self._passage.outgoing(self, data)

    def _make_passage(self) -> Passage:
        """Return the passage of this link alone."""
        passage = self._passage
        if passage is None:
            passage = self._passage = Passage()
            self._reader_changed()
        elif passage is ACCEPTING:
            passage = self._passage = Passage.accepting()
        return passage

    def _reader_changed(self) -> None:
        """Read by the other reader from now on, also if this one is in the middle of its work."""
        if not self.closed and not self._paused:
            self._alive = True  # the loop of the reader ends here
            self._watch_socket()
            self._loop.call_soon(self._read_again)

    # Handing over --------------------------------------------------------------------------------

    @property
    def linger(self) -> float | None:
        """Seconds until the peer has to have taken something; None while that is not expected."""
        if self._linger is None:
            return None
        return max(0.0, self._linger.when() - self._loop.time())

    @property
    def leaving(self) -> bool:
        """Whether it is closed as soon as everything is sent."""
        return self._end_when_sent

    def take_over(self, unsent: bytearray, descriptors: list[tuple[int, int]]) -> None:
        """Begin to read and write where an earlier owner of the socket stopped."""
        self.start()
        if unsent:
            self._send_on(unsent, descriptors)

    # Ending --------------------------------------------------------------------------------------

    def end_when_sent(self, reason: str) -> None:
        """Close as soon as everything written so far is sent, or the peer takes none of it in time."""
        if self._out is None:
            self._end(reason)
        else:
            self._end_when_sent = True
            self.pause(PAUSE_ENDING)
            self.expect_progress()

    def expect_progress(self, seconds: float = LINGER) -> None:
        """End the connection if a peer of which nothing is read takes nothing of what is sent.

        Args:
            seconds: the time until the first look; LINGER passes between later ones.
        """
        if self._linger is None and not self.closed:
            self._alive = False
            self._linger = self._loop.call_later(seconds, self._look_for_progress)

    def _look_for_progress(self) -> None:
        self._linger = None
        if self.unsent and not self._alive:
            self._end("its last reply was not taken in time")
        else:
            self.expect_progress()

    def abort(self, reason: str = "closed here") -> None:
        """End the connection now."""
        self._end(reason)

    def close_socket(self) -> None:
        """Close the socket, so that the peer sees the end. It is closed even if close(2) fails."""
        with contextlib.suppress(OSError):
            self.sock.close()

    def _end(self, reason: str) -> None:
        if self.closed:
            return
        if self._passage is not None:
            if self._passage.filter is not None:
                self._passage.filter.ending(self, reason)
            if self._passage.inbox is not None:
                self._passage.inbox.close()
        self.closed = True
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if not self._paused:
            self._unwatch_socket()
        if self._out is not None:
            self._loop.remove_writer(self.sock.fileno())
            self._out = None
        if self._fds is not None:
            close_all(descriptor for _, descriptor in self._fds)
            self._fds = None
        self.close_socket()
        self.ended(reason)
