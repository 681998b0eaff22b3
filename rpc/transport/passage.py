"""The path of bytes between a link's socket and its owner: a filter, taps, received descriptors.

Most links have nothing of this, and no `Passage`, or share one with others (`ACCEPTING`). The order is
fixed: owner, taps, filter, socket. So taps see messages in the clear.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, Final, Protocol
from weakref import WeakKeyDictionary

from aiovirt.rpc.transport.descriptors import WAITING_HIGH, Inbox
from aiovirt.rpc.transport.tap import Tap, Taps
from aiovirt.rpc.wire.framing import announced_descriptors

#: Bytes read at a time, into one buffer that all links of an event loop share: a read is consumed before
#: the next one, so only the tail of an incomplete frame is ever copied. Larger reads are no faster.
READ_SIZE: Final = 64 * 1024
#: Loops in other threads read at the same time, so each has a buffer of its own.
_BUFFERS: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, bytearray]] = WeakKeyDictionary()


def read_buffer(loop: asyncio.AbstractEventLoop) -> bytearray:
    """Return the buffer that all links of an event loop share."""
    found = _BUFFERS.get(loop)
    if found is None:
        found = _BUFFERS[loop] = bytearray(READ_SIZE)
    return found


class Passable(Protocol):
    """A link as far as filters and taps are concerned. buffer: what it reads into."""

    buffer: bytearray
    closed: bool
    sock: socket.socket

    @property
    def unconsumed(self) -> bytes:
        """The received bytes that are not consumed yet."""

    @property
    def unsent(self) -> int:
        """Bytes that the kernel has not taken yet."""

    @property
    def is_paused(self) -> bool:
        """Whether it is not read now."""

    def deliver(self, data: bytearray, size: int) -> None:
        """Give the owner what came, after the taps have seen it."""

    def write(self, data: bytes, *, raw: bool = ...) -> None:
        """Send bytes."""

    def set_filter(self, made: Filter) -> None:
        """Have a filter change all bytes from now on."""

    def input_ended(self, reason: str) -> None:
        """Nothing more comes from the peer."""

    def abort(self, reason: str = ...) -> None:
        """End the connection now."""


class Filter(Protocol):
    """A change of all bytes of a link between its socket and its owner, both ways; see `TlsFilter`."""

    peer_name: str

    @property
    def peer_certificate(self) -> dict[str, Any]:
        """The certificate that the peer has shown, as `ssl.SSLSocket.getpeercert` gives it."""

    def incoming(self, link: Passable, size: int) -> None:
        """So many bytes came, in the buffer of the link."""

    def outgoing(self, link: Passable, data: bytes) -> None:
        """Change and send what the owner writes."""

    def resumed(self, link: Passable) -> None:
        """The link is read again."""

    def ending(self, link: Passable, reason: str) -> None:
        """The link ends now; its socket is still there."""


class Passage:
    """The parts between one link's socket and its owner.

    filter: TLS, or None; taps: who watches, or None; inbox: the descriptors that came, or None where
    they are not accepted.
    """

    __slots__ = ("filter", "inbox", "taps")

    def __init__(self) -> None:
        self.filter: Filter | None = None
        self.taps: Taps | None = None
        self.inbox: Inbox | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to pass."""
        return self.filter is None and self.taps is None and self.inbox is None

    # In and out ----------------------------------------------------------------------------------

    def has_many_waiting(self, link: Passable) -> bool:
        """Whether so many descriptors wait that the link should not be read.

        Ends the link if they are more than its peer has announced.
        """
        if self.inbox is None or not self.inbox.waiting or link.closed:
            return False
        waiting = len(self.inbox.waiting)
        if waiting > announced_descriptors(link.unconsumed):
            link.abort("the peer sent descriptors that it had not announced")
        return waiting > WAITING_HIGH and not link.closed

    def outgoing(self, link: Passable, data: bytes) -> None:
        """Take what the owner writes to the socket."""
        if link.closed:
            return
        if self.taps is not None:
            self.taps.sent(data)
        if self.filter is not None:
            self.filter.outgoing(link, data)
        else:
            link.write(data, raw=True)

    # Taps ----------------------------------------------------------------------------------------

    def add_tap(self, link: Passable, tap: Tap) -> None:
        """Attach a tap."""
        if self.taps is None:
            self.taps = Taps(lambda: link.unconsumed)
        self.taps.add(tap)

    def remove_tap(self, tap: Tap) -> None:
        """Detach a tap; does nothing if it is not attached."""
        if self.taps is not None:
            self.taps.remove(tap)
            if not self.taps:
                self.taps = None

    # Descriptors ---------------------------------------------------------------------------------

    def accept_descriptors(self, waiting: Iterable[int]) -> None:
        """Keep the descriptors that arrive from now on, after those that wait already."""
        if self.inbox is None:
            self.inbox = Inbox(waiting)

    def keep_descriptors(self, came: tuple[int, ...]) -> None:
        """Keep descriptors that came, after those that wait already."""
        if self.inbox is not None:
            self.inbox.waiting += came

    @classmethod
    def accepting(cls) -> Passage:
        """Return one that accepts descriptors and has nothing else."""
        made = cls()
        made.accept_descriptors(())
        return made


#: What all links share that accept descriptors, until one comes, or there is something else to pass: a
#: link gets a passage of its own then. Never changed.
ACCEPTING: Final = Passage.accepting()
