"""What is attacked, and what an attacker holds: sockets, and a count of what became of them."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Final, Self

from aiovirt.admin.protocol import CONNECT_GET_LIB_VERSION
from aiovirt.daemons.virtd.protocol import AUTH_LIST
from aiovirt.rpc.wire.message import MAX_FRAME, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure

Tally = Counter[str]
Attack = Generator[float, None, None]

PATIENCE: Final = 10.0
"""Seconds that the daemon may take for what it has to do at once."""
_PATIENCE_AS_TIMEVAL: Final = struct.pack("@ll", int(PATIENCE), 0)


@dataclass(frozen=True)
class Target:
    """A socket of a daemon.

    address: its path, or a port of 127.0.0.1. admin: it speaks the admin program, else the remote one.
    pki: the folder of a client's certificate, for TLS. log: the path of a log to be followed.
    """

    address: str | int
    admin: bool = False
    pki: str = ""
    log: str = ""

    def connect(self) -> socket.socket:
        """A blocking connection. Raises OSError."""
        if isinstance(self.address, int):
            return socket.create_connection(("127.0.0.1", self.address), PATIENCE)
        link = socket.socket(socket.AF_UNIX)
        try:
            # Not `settimeout` before: the kernel would not wait for room in the backlog at all.
            link.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _PATIENCE_AS_TIMEVAL)
            link.connect(self.address)
            link.settimeout(PATIENCE)
        except OSError:
            link.close()
            raise
        return link

    @property
    def question(self) -> Procedure[Any, Any]:
        """The procedure that anybody may call, without arguments."""
        return CONNECT_GET_LIB_VERSION if self.admin else AUTH_LIST

    def call(self, serial: int = 1, kind: Type = Type.CALL, payload: bytes = b"") -> bytes:
        """A call of it."""
        return frame(self.question.key, kind, serial, Status.OK, payload)

    def announce(self, length: int = MAX_FRAME) -> bytes:
        """The beginning of a call that says that it is `length` bytes long."""
        return length.to_bytes(4, "big") + self.call()[4:]


class Crowd:
    """Connections of one attacker, which do not block; one that the daemon ends is opened again."""

    def __init__(self, target: Target, tally: Tally, size: int) -> None:
        self._target = target
        self._tally = tally
        self.links = [self._open() for _ in range(size)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for link in self.links:
            link.close()

    def _open(self) -> socket.socket:
        link = self._target.connect()
        link.setblocking(False)
        self._tally["connected"] += 1
        return link

    def say(self, number: int, data: bytes) -> int:
        """How many bytes of it the connection took; it may be a new one next time."""
        try:
            sent = self.links[number].send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self.again(number)
            return 0
        self._tally["bytes"] += sent
        return sent

    def again(self, number: int) -> None:
        """Put a new connection in the place of one that the daemon ended."""
        self._tally["cut off"] += 1
        self.links[number].close()
        self.links[number] = self._open()


def receive_frame(link: socket.socket) -> bytes:
    """The next whole frame; fewer bytes when the connection ends before."""
    data = receive(link, 4)
    return data + receive(link, int.from_bytes(data, "big") - 4)


def receive(link: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; fewer when the connection ends before."""
    data = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while len(data) < size and (more := link.recv(size - len(data))):
            data += more
    return bytes(data)


def is_cut(link: socket.socket) -> bool:
    """Whether the daemon ends the connection, without a word. Raises TimeoutError."""
    try:
        return link.recv(1) == b""
    except ConnectionResetError:
        return True
