"""Which of a server's many connections can be read: one set in the kernel, for the idle ones.

An event loop's own `add_reader` keeps a handle, a callback and a context for each socket: 600 bytes,
which thousands of silent clients take and which the allocators of Python and C do not give back. Here a
connection is a place in a list and one in an epoll set, and the loop watches that set as one descriptor.

Such a set costs one more system call for each time that it has something, a tenth of a small call of a
client that is alone. So those that are read often are watched by the loop itself: never many, and the
one that has been longest makes room.
"""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiovirt.rpc.transport.link import SocketLink

#: Links that the loop itself watches at the most.
DIRECT_MAX: Final = 64
#: Reads after which it does.
_OFTEN: Final = 16
#: Links of the set that are read before the loop goes on; the kernel begins with the others next time.
_AT_ONCE: Final = 64


class Readiness:
    """The links of one event loop that are read when something comes for them."""

    __slots__ = ("_count", "_direct", "_epoll", "_links", "_loop", "_reads")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._epoll = select.epoll()
        self._links: list[SocketLink | None] = []  # by descriptor: those in the set
        self._reads = bytearray()  # by descriptor: of a link since it is in the set
        self._direct: dict[int, SocketLink] = {}  # by descriptor: those that the loop watches
        self._count = 0  # of links in the set

    def watch(self, link: SocketLink) -> None:
        """Have a link read from now on, by its present reader. Raises OSError."""
        descriptor = link.sock.fileno()
        if descriptor in self._direct:
            self._loop.add_reader(descriptor, link.reader)
        else:
            self._add(descriptor, link)

    def unwatch(self, link: SocketLink) -> None:
        """Leave a link alone. Call it before its socket is closed."""
        descriptor = link.sock.fileno()
        if self._direct.pop(descriptor, None) is not None:
            self._loop.remove_reader(descriptor)
        else:
            self._remove(descriptor)

    def close(self) -> None:
        """Close the set, when all links have ended."""
        self._epoll.close()

    @property
    def direct(self) -> int:
        """How many links the loop itself watches."""
        return len(self._direct)

    def _add(self, descriptor: int, link: SocketLink) -> None:
        links = self._links
        if descriptor >= len(links):
            more = descriptor + 1 - len(links)
            links.extend([None] * more)
            self._reads.extend(bytes(more))
        if links[descriptor] is link:
            return
        self._epoll.register(descriptor, select.EPOLLIN)
        links[descriptor] = link
        self._reads[descriptor] = 0
        self._count += 1
        if self._count == 1:
            self._loop.add_reader(self._epoll.fileno(), self._ready)

    def _remove(self, descriptor: int) -> None:
        if descriptor >= len(self._links) or self._links[descriptor] is None:
            return
        self._links[descriptor] = None
        self._epoll.unregister(descriptor)
        self._count -= 1
        if not self._count:
            self._loop.remove_reader(self._epoll.fileno())

    def _ready(self) -> None:
        links, reads = self._links, self._reads
        for descriptor, _ in self._epoll.poll(0, _AT_ONCE):
            link = links[descriptor]
            if link is not None:  # else one before it has ended or paused it
                reads[descriptor] += 1
                if reads[descriptor] == _OFTEN:
                    self._watch_directly(descriptor, link)
                link.reader()

    def _watch_directly(self, descriptor: int, link: SocketLink) -> None:
        self._remove(descriptor)
        if len(self._direct) == DIRECT_MAX:
            oldest = next(iter(self._direct))
            self._loop.remove_reader(oldest)
            self._add(oldest, self._direct.pop(oldest))
        self._direct[descriptor] = link
        self._loop.add_reader(descriptor, link.reader)
