"""The writing half of a connection: bytes and descriptors out of one non-blocking socket.

Rules of this file:

- What the kernel takes is sent at once; the rest waits, in order, until it takes more.
- A write that fails ends only what goes out; everything that the peer has sent before is read all the
  same.
- Descriptors that wait to be sent belong to the connection, which closes them, sent or not.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.transport.pauses import PAUSE_WRITE

if TYPE_CHECKING:
    from aiovirt.rpc.transport.passage import Passage

#: Unsent bytes above which a peer is not read any more, and below which it is read again.
WRITE_HIGH: Final = 64 * 1024
WRITE_LOW: Final = 16 * 1024


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


class Outgoing:
    """The part of a `SocketLink` that others write to."""

    __slots__ = (
        "_alive",
        "_broken",
        "_end_when_sent",
        "_fds",
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

    # What the reading half and a subclass say -----------------------------------------------------

    def drained(self) -> None:
        """Little or nothing is left of what was unsent; if reading was paused for it, it goes on."""

    def unsendable(self) -> None:
        """Nothing more can be sent; `input_ended` follows when everything that came has been read."""

    def pause(self, why: int) -> None:
        """See `SocketLink.pause`."""
        raise NotImplementedError

    def resume(self, why: int) -> None:
        """See `SocketLink.resume`."""
        raise NotImplementedError

    def _read_again(self) -> None:
        """See `SocketLink`."""
        raise NotImplementedError

    def _write_through(self, data: bytes) -> None:
        """See `SocketLink`."""
        raise NotImplementedError

    def _end(self, reason: str) -> None:
        """See `SocketLink`."""
        raise NotImplementedError

    @property
    def is_deaf(self) -> bool:
        """Whether the peer receives nothing any more; what it sent before may still be read."""
        return bool(self._broken)

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
            self._write_through(data)
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
        """Keep whole messages back until `send_held`; whether they are.

        What is written meanwhile follows them. They are to be written where something waits already.
        """
        if self._out is not None or self._passage is not None or self.closed:
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

    @property
    def unsent_buffer(self) -> bytearray | None:
        """The bytes that the kernel has not taken yet, in place, for a restart."""
        return self._out

    @property
    def unsent_descriptors(self) -> list[tuple[int, int]]:
        """The descriptors among that: the position of the byte that each goes along with, and it."""
        return list(self._fds or ())

    def _send_on(self, unsent: bytearray, descriptors: list[tuple[int, int]]) -> None:
        """Send first what an earlier owner of the socket did not."""
        self._out = unsent
        self._fds = list(descriptors) or None
        self._loop.add_writer(self.sock.fileno(), self._writable)
        if len(unsent) > WRITE_HIGH:
            self.pause(PAUSE_WRITE)
