"""Descriptors that came with bytes, before anybody has taken them.

They travel after their frame, each along with one byte of its own, and a plain read would lose them.
They wait here in the order in which they came; they are closed on exec, and closed when nobody takes
them.

Source: libvirt's src/rpc/virnetsocket.c (virNetSocketRecvFD).
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
from collections import deque
from collections.abc import Iterable
from typing import Final

from aiovirt.rpc.wire.message import MAX_FDS, FramingError

#: Descriptors that may wait before their link is not read any more: those of one message, and of the
#: one before it.
WAITING_HIGH: Final = 2 * MAX_FDS

_INT: Final = array.array("i").itemsize
_SPACE: Final = socket.CMSG_SPACE(MAX_FDS * _INT)
#: Plain numbers: an operation on members of an enumeration takes longer than all the rest here.
_CLOEXEC: Final = int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED: Final = int(socket.MSG_CTRUNC)


def close_all(descriptors: Iterable[int]) -> None:
    """Close every one of them."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):  # its number is free, whatever close(2) says of the file
            os.close(descriptor)


class Inbox:
    """The descriptors that one link has received and that wait to be taken."""

    __slots__ = ("waiting",)

    def __init__(self, waiting: Iterable[int] = ()) -> None:
        """Begin with those that an earlier owner of the socket has received."""
        self.waiting = deque(waiting)
        for descriptor in self.waiting:
            os.set_inheritable(descriptor, False)

    def read_into(self, sock: socket.socket, buffer: bytearray) -> int:
        """Read bytes as `recv_into` does, and keep the descriptors that come along.

        Raises:
            OSError: as recvmsg(2) does.
            FramingError: more descriptors at once than one message can have.
        """
        size, ancillary, flags, _ = sock.recvmsg_into([buffer], _SPACE, _CLOEXEC)
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.waiting.extend(array.array("i", content[: len(content) - len(content) % _INT]))
        if flags & _TRUNCATED:
            raise FramingError(f"more than {MAX_FDS} descriptors came at once")
        return size

    def take(self, count: int) -> tuple[int, ...]:
        """Give out the next `count` of them. Raises FramingError when they have not come."""
        waiting = self.waiting
        if len(waiting) < count:
            raise FramingError(
                f"{count} descriptors were announced, but only {len(waiting)} came with their bytes"
            )
        return tuple(waiting.popleft() for _ in range(count))

    def close(self) -> None:
        """Close those that wait."""
        close_all(self.waiting)
        self.waiting.clear()
