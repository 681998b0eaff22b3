"""A connection that owns its non-blocking socket: UNIX and TCP alike.

Built on `add_reader`, `recv_into` and `send` instead of asyncio's transports. That is as fast, costs a
third of the memory, writes at once, and leaves the socket ours: to pass descriptors, and to hand
it over whole at a restart.

Rules of this file:

- Nothing here knows what the bytes mean.
- Every way in which a connection can end comes through `_end`, once.
- The end of what comes in is not the end of the connection: see `input_ended`. A write that fails
  ends only what goes out; everything that the peer has sent before is read all the same.
- A plain link pays nothing for what it does not use. A filter (TLS), taps and received descriptors
  are kept by its `Passage`, with which another reader is registered; without one, a write tests a slot.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Final

from aiovirt.rpc.transport.descriptors import WAITING_HIGH
from aiovirt.rpc.transport.descriptors import close_all as close_all
from aiovirt.rpc.transport.passage import SHARED_BUFFER, Filter, Passage
from aiovirt.rpc.transport.tap import Tap, Watch
from aiovirt.rpc.wire.message import FramingError

#: Reads of one link before others have their turn, when it sends what needs no answer.
_READS_IN_A_ROW: Final = 16

#: Unsent bytes above which a peer is not read any more, and below which it is read again.
WRITE_HIGH: Final = 64 * 1024
WRITE_LOW: Final = 16 * 1024

#: Seconds without progress that a peer has to take the last bytes of a connection that is being closed.
LINGER: Final = 5.0

#: Why reading is paused; more than one can hold at a time.
PAUSE_WRITE: Final = 1  # the peer does not read its replies
PAUSE_LIMIT: Final = 2  # its request limit is reached and its read-ahead is full
PAUSE_SHUTDOWN: Final = 4  # the daemon takes no more calls
PAUSE_ENDING: Final = 8  # the connection closes when its last bytes are sent
PAUSE_STREAM: Final = 16  # what came through its streams has not been taken
PAUSE_SLICE: Final = 32  # it sends more than its share, and others have their turn
PAUSE_DESCRIPTORS: Final = 64  # the descriptors that it sent have not been taken
PAUSE_INPUT_ENDED: Final = 128  # nothing more comes from it


class FrameWithFds(bytes):
    """A frame that descriptors follow. They belong to it: whoever drops it uses `discard`."""

    descriptors: tuple[int, ...] = ()

    @classmethod
    def of(cls, data: bytes, descriptors: Iterable[int]) -> FrameWithFds:
        """Bind descriptors to a frame."""
        made = cls(data)
        made.descriptors = tuple(descriptors)
        return made


def discard(data: bytes) -> None:
    """Drop a frame that will not be sent, and the descriptors that it may have."""
    if isinstance(data, FrameWithFds):
        close_all(data.descriptors)


class SocketLink:
    """Bytes in and out of one connected stream socket.

    A subclass defines `received` and `ended`, and `drained` if it cares.
    """

    __slots__ = (
        "_alive",
        "_broken",
        "_end_when_sent",
        "_fds",
        "_linger",
        "_loop",
        "_out",
        "_passage",
        "_paused",
        "closed",
        "sock",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        self._loop = loop
        self.sock = sock
        self.closed = False
        self._alive = True  # the last write since the last read went through
        self._out: bytearray | None = None
        self._fds: list[tuple[int, int]] | None = None  # where in `_out` a descriptor goes along
        self._passage: Passage | None = None
        self._paused = 0
        self._end_when_sent = False
        self._broken = ""  # the reason why nothing can be sent any more, once that is so
        self._linger: asyncio.TimerHandle | None = None

    # What a subclass says ------------------------------------------------------------------------

    def received(self, data: bytearray, size: int) -> None:
        """`size` bytes came; `data` is shared and must not be kept."""
        raise NotImplementedError

    def drained(self) -> None:
        """Little or nothing is left of what was unsent; if reading was paused for it, it goes on."""

    def unsendable(self) -> None:
        """Nothing more can be sent; `input_ended` follows when everything that came has been read."""

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

    def _watch_socket(self) -> None:
        reader = self._readable if self._passage is None else self._readable_through
        self._loop.add_reader(self.sock.fileno(), reader)

    def _readable(self) -> None:
        # When a peer is gone for good while bytes of its own are still to be read, uvloop calls once
        # and never again (libuv stops watching a socket with an error). So a read that was not
        # followed by a successful write, which a dead peer fails, is followed by another read.
        for _ in range(_READS_IN_A_ROW):
            try:
                size = self.sock.recv_into(SHARED_BUFFER)
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
            self.received(SHARED_BUFFER, size)
            if self._alive or self._paused or self.closed:
                return
        self._loop.call_soon(self._read_again)

    def _readable_through(self) -> None:
        """Read as `_readable` does, where the bytes have something to pass."""
        for _ in range(_READS_IN_A_ROW):
            passage = self._passage
            if passage is None:
                break
            inbox = passage.inbox
            try:
                if inbox is None:
                    size = self.sock.recv_into(SHARED_BUFFER)
                else:
                    size = inbox.read_into(self.sock, SHARED_BUFFER)
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
                self.deliver(SHARED_BUFFER, size)
            if inbox is not None and passage.has_many_waiting(self):
                self.pause(PAUSE_DESCRIPTORS)
            if self._alive or self._paused or self.closed:
                return
        self._loop.call_soon(self._read_again)

    def _read_again(self) -> None:
        if self.closed or self._paused:
            return
        if self._passage is None:
            self._readable()
        else:
            self._readable_through()

    def deliver(self, data: bytearray, size: int) -> None:
        """Give the owner what came, after the taps have seen it."""
        passage = self._passage
        if passage is not None and passage.taps is not None:
            passage.taps.received(data, size)
            if self.closed:
                return
        self.received(data, size)

    @property
    def is_deaf(self) -> bool:
        """Whether the peer receives nothing any more; what it sent before may still be read."""
        return bool(self._broken)

    @property
    def is_paused(self) -> bool:
        """Whether it is not read now."""
        return self._paused != 0

    def pause(self, why: int) -> None:
        """Stop reading for one more reason; the kernel's buffers then hold the peer back."""
        if not self._paused and not self.closed:
            self._loop.remove_reader(self.sock.fileno())
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

    # Writing -------------------------------------------------------------------------------------

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""
        return len(self._out) if self._out is not None else 0

    def write(self, data: bytes, *, raw: bool = False) -> None:
        """Send now what the kernel takes, the rest when it takes more.

        Args:
            data: whole messages.
            raw: `data` has passed what it had to pass (filters use this).
        """
        if self._passage is not None and not raw:
            self._passage.outgoing(self, data)
            return
        if self._out is not None:
            self._out += data
        elif self.closed:
            return
        else:
            try:
                sent = self.sock.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._write_failed(error)
                return
            if sent == len(data):
                self._alive = True
                return
            self._out = bytearray(memoryview(data)[sent:])
            self._loop.add_writer(self.sock.fileno(), self._writable)
        if len(self._out) > WRITE_HIGH:
            self.pause(PAUSE_WRITE)

    def hold(self, data: bytes) -> bool:
        """Keep whole messages back until `send_held`; whether that is to be called.

        What is written meanwhile follows them. Where something else waits already, they do, too.
        """
        if self._passage is not None or self._out is not None or self.closed:
            self.write(data)
            return False
        self._out = bytearray(data)
        self._alive = True  # until `send_held` fails, which sees to it that all is read
        return True

    def send_held(self) -> None:
        """Send what was held, now."""
        out = self._out
        if out is None:
            return  # it was sent with what followed it, or the link is gone
        if self._fds is None and len(out) <= WRITE_HIGH:
            try:
                sent = self.sock.send(out)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._write_failed(error)
                return
            if sent == len(out) and not self._end_when_sent:
                self._out = None
                return
            del out[:sent]
        self._loop.add_writer(self.sock.fileno(), self._writable)

    def write_with_fds(self, data: FrameWithFds) -> None:
        """Send a frame and its descriptors, each with one byte after the frame; then close them.

        They stay on their machine: through a filter such a message ends the connection.
        """
        if self.closed:
            discard(data)
            return
        if self._passage is not None:
            if self._passage.filter is not None:
                discard(data)
                self._end("a message has descriptors, which cannot travel over TLS")
                return
            if self._passage.taps is not None:
                self._passage.taps.sent(data + bytes(len(data.descriptors)))
        if self._out is None:
            self._out = bytearray()
            self._loop.add_writer(self.sock.fileno(), self._writable)
        out = self._out
        out += data
        fds = self._fds = self._fds or []
        for descriptor in data.descriptors:
            fds.append((len(out), descriptor))
            out.append(0)
        while self._out is out and self._writable():
            pass  # nothing but the kernel's word makes a descriptor wait for a turn of the loop
        if self.unsent > WRITE_HIGH:
            self.pause(PAUSE_WRITE)

    def _send_some(self, out: bytearray) -> int:
        """Send a part of `out`, with a descriptor if one is due; return how many bytes went."""
        # A bounded view: `send` of megabytes would only copy what the kernel cannot take.
        end = 4 * WRITE_HIGH
        fds = self._fds
        if not fds:
            return self.sock.send(memoryview(out)[:end])
        position, descriptor = fds[0]
        if position:
            sent = self.sock.send(memoryview(out)[: min(position, end)])
        else:
            sent = socket.send_fds(self.sock, [b"\0"], [descriptor])
            del fds[0]  # first: a number is never used again after a close, even one that fails
            close_all([descriptor])
        self._fds = [(position - sent, descriptor) for position, descriptor in fds] or None
        return sent

    def _writable(self) -> bool:
        """Send what the kernel takes at once; whether it took any and there is more."""
        out = self._out
        if out is None:
            return False
        try:
            sent = self._send_some(out)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._write_failed(error)
            return False
        self._alive = True
        del out[:sent]
        if not out:
            self._out = None
            self._loop.remove_writer(self.sock.fileno())
            if self._end_when_sent:
                self._end("closed after its last reply")
                return False
        if len(out) <= WRITE_LOW:
            if self._paused & PAUSE_WRITE:
                self.resume(PAUSE_WRITE)
            self.drained()
        return bool(out)

    def _write_failed(self, error: OSError) -> None:
        """Drop what cannot be sent any more, and read what the peer sent before it went."""
        if self._out is not None:
            self._out = None
            self._loop.remove_writer(self.sock.fileno())
        if self._fds is not None:
            close_all(descriptor for _, descriptor in self._fds)
            self._fds = None
        if self._broken:
            return
        self._broken = f"write failed: {error.strerror}"
        if self._end_when_sent:
            self._end(self._broken)
            return
        self.resume(PAUSE_WRITE)
        self._loop.call_soon(self._read_again)  # uvloop does not call again: see `_readable`
        self.unsendable()
        if not self.closed:
            self.drained()

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

    def accept_descriptors(self, waiting: Iterable[int] = ()) -> None:
        """Keep the descriptors that arrive from now on. Does nothing unless it is a UNIX socket.

        Args:
            waiting: those that an earlier owner of the socket has received and not taken.
        """
        if self.sock.family == socket.AF_UNIX and not self.closed:
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

    def _make_passage(self) -> Passage:
        if self._passage is None:
            self._passage = Passage()
            self._reader_changed()
        return self._passage

    def _reader_changed(self) -> None:
        """Read by the other reader from now on, also if this one is in the middle of its work."""
        if not self.closed and not self._paused:
            self._alive = True  # the loop of the reader ends here
            self._watch_socket()
            self._loop.call_soon(self._read_again)

    # Handing over --------------------------------------------------------------------------------

    @property
    def unsent_buffer(self) -> bytearray | None:
        """The bytes that the kernel has not taken yet, in place, for a restart."""
        return self._out

    @property
    def unsent_descriptors(self) -> list[tuple[int, int]]:
        """The descriptors among that: the position of the byte that each goes along with, and it."""
        return list(self._fds or ())

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
            self._out = unsent
            self._fds = list(descriptors) or None
            self._loop.add_writer(self.sock.fileno(), self._writable)
            if len(unsent) > WRITE_HIGH:
                self.pause(PAUSE_WRITE)

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
        """Close the socket, so that the peer sees the end."""
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
        descriptor = self.sock.fileno()
        if not self._paused:
            self._loop.remove_reader(descriptor)
        if self._out is not None:
            self._loop.remove_writer(descriptor)
            self._out = None
        if self._fds is not None:
            close_all(descriptor for _, descriptor in self._fds)
            self._fds = None
        self.close_socket()
        self.ended(reason)
