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


def read_with_descriptors(sock: socket.socket, buffer: bytearray) -> tuple[int, tuple[int, ...]]:
    """Read bytes as `recv_into` does; return their number, and the descriptors that came along.

    Raises:
        OSError: as recvmsg(2) does.
        FramingError: more descriptors at once than one message can have.
    """
    size, ancillary, flags, _ = sock.recvmsg_into([buffer], _SPACE, _CLOEXEC)
    came: tuple[int, ...] = ()
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            came += tuple(array.array("i", content[: len(content) - len(content) % _INT]))
    if flags & _TRUNCATED:
        close_all(came)
        raise FramingError(f"more than {MAX_FDS} descriptors came at once")
    return size, came


class Inbox:
    """The descriptors that one link has received and that wait to be taken.

    waiting: in the order in which they came. A tuple, because an empty one takes no memory: a link
    that never receives any has nothing for them.
    """

    __slots__ = ("waiting",)

    def __init__(self, waiting: Iterable[int] = ()) -> None:
        """Begin with those that an earlier owner of the socket has received."""
        self.waiting = tuple(waiting)
        for descriptor in self.waiting:
            os.set_inheritable(descriptor, False)

    def take(self, count: int) -> tuple[int, ...]:
        """Give out the next `count` of them. Raises FramingError when they have not come."""
        waiting = self.waiting
        if len(waiting) < count:
            raise FramingError(
                f"{count} descriptors were announced, but only {len(waiting)} came with their bytes"
            )
        self.waiting = waiting[count:]
        return waiting[:count]

    def close(self) -> None:
        """Close those that wait."""
        waiting, self.waiting = self.waiting, ()
        close_all(waiting)
