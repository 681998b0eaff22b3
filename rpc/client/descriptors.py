"""Descriptors that replies bring, on the calling side.

They travel behind their reply, each along with one byte of its own, and a plain read would lose them. So
while such a reply is awaited, its connection is read by `read`, which is a little dearer.

Source: libvirt's src/rpc/virnetmessage.c and src/rpc/virnetsocket.c.
"""

from __future__ import annotations

import array
import asyncio
import os
import socket
from collections import deque
from typing import Any, Final

from aiovirt.rpc.transport.link import READ_SIZE, close_all
from aiovirt.rpc.wire.message import MAX_FDS
from aiovirt.rpc.wire.xdr import XdrError

_INT: Final = array.array("i").itemsize
_SPACE: Final = socket.CMSG_SPACE(MAX_FDS * _INT)


class Due:
    """A reply whose descriptors are still to come."""

    __slots__ = ("count", "descriptors", "future", "result")

    def __init__(self, future: asyncio.Future[Any], result: Any, count: int) -> None:
        self.future = future
        self.result = result
        self.count = count
        self.descriptors: list[int] = []


class Descriptors:
    """What one connection awaits and has got.

    calls: how many calls are out whose replies bring descriptors. due: the reply that came and is not
    complete; nothing behind it is taken before it is.
    """

    __slots__ = ("_inbox", "calls", "due")

    def __init__(self) -> None:
        self.calls = 0
        self.due: Due | None = None
        self._inbox: deque[int] = deque()  # they came, and belong to a byte that was not yet seen

    def read(self, sock: socket.socket) -> bytearray:
        """Read bytes and keep the descriptors that come along; empty at the end of the connection.

        Raises OSError as recvmsg does, and XdrError for more descriptors than can be.
        """
        data, ancillary, flags, _ = sock.recvmsg(READ_SIZE, _SPACE)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                found = array.array("i", content[: len(content) - len(content) % _INT])
                for descriptor in found:
                    os.set_inheritable(descriptor, False)
                self._inbox.extend(found)
        if flags & socket.MSG_CTRUNC:
            raise XdrError("more descriptors at once than the protocol allows")
        return bytearray(data)

    def take(self, due: Due, pos: int, size: int) -> int:
        """Pair bytes from `pos` up to `size` with the descriptors that came along.

        Returns the position reached; `due` is taken back when it is complete. Raises XdrError for a
        byte without a descriptor.
        """
        while len(due.descriptors) < due.count:
            if pos == size:
                return pos
            if not self._inbox:
                raise XdrError("a descriptor that had been announced did not come")
            due.descriptors.append(self._inbox.popleft())
            pos += 1
        self.due = None
        self.calls -= 1
        if due.future.done():
            close_all(due.descriptors)  # nobody waits for them any more
        else:
            due.future.set_result((due.result, due.descriptors))
        return pos

    @property
    def unannounced(self) -> bool:
        """Whether descriptors came that no reply spoke of."""
        return bool(self._inbox)

    def drop(self) -> asyncio.Future[Any] | None:
        """Close everything; return who waits for what will not come now."""
        close_all(self._inbox)
        self._inbox.clear()
        due, self.due = self.due, None
        if due is None:
            return None
        close_all(due.descriptors)
        return due.future
