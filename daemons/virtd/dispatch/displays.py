"""Displays of guests that are reached by a descriptor, and who talks there.

The server of a VNC display greets its client, and refuses it with a reason: a toy guest draws nothing.
That of a SPICE display closes the connection.

Source: RFC 6143, section 7.1 (the Remote Framebuffer Protocol).
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from contextlib import suppress
from typing import Final

#: What the server says of its version, and its reason to refuse.
_VERSION: Final = b"RFB 003.008\n"
_REASON: Final = b"a toy guest draws nothing"
#: Seconds that a client may take, and the conversations at the same time.
_PATIENCE: Final = 10.0
CONVERSATIONS_MAX: Final = 64


class Displays:
    """The conversations under way."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, descriptor: int, *, vnc: bool) -> bool:
        """Talk to the client at the other end of a socket; the descriptor is taken.

        Args:
            descriptor: of a connected stream socket.
            vnc: whether it is a VNC display.

        Returns:
            Whether that is possible: it is not for something else, or beyond the limit.
        """
        try:
            connection = socket.socket(fileno=descriptor)
        except OSError:
            os.close(descriptor)
            return False
        if connection.type != socket.SOCK_STREAM or len(self._tasks) >= CONVERSATIONS_MAX:
            connection.close()
            return False
        if not vnc:
            connection.close()
            return True
        connection.setblocking(False)
        task = asyncio.ensure_future(_refuse(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True


async def _refuse(connection: socket.socket) -> None:
    """Greet a client and refuse it."""
    loop = asyncio.get_running_loop()
    with connection, suppress(OSError, TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            await loop.sock_sendall(connection, _VERSION)
            version = b""
            while len(version) < len(_VERSION):
                data = await loop.sock_recv(connection, len(_VERSION) - len(version))
                if not data:
                    return
                version += data
            # Version 3.3 has a word for the kind of security, later ones a number of kinds.
            none = struct.pack(">I", 0) if version == b"RFB 003.003\n" else b"\0"
            reason = struct.pack(">I", len(_REASON)) + _REASON
            await loop.sock_sendall(connection, none + reason)
