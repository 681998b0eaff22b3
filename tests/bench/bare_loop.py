"""The least that a uvloop server can do: the yardstick of what the machine and the loop allow.

    python -m tests.bench.bare_loop PATH

Answers CONNECT_OPEN and then CONNECT_GET_LIB_VERSION with constant bytes and the call's serial. It
looks at nothing but lengths: no program, no procedure, no limits, nothing that a daemon must do.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final, cast

import uvloop

from aiovirt.admin.protocol import CONNECT_GET_LIB_VERSION, CONNECT_OPEN, LibVersion
from aiovirt.rpc.wire.message import MIN_FRAME, Status, Type, frame

_OPENED: Final = frame(CONNECT_OPEN.key, Type.REPLY, 0, Status.OK, b"")
_REPLY: Final = frame(
    CONNECT_GET_LIB_VERSION.key,
    Type.REPLY,
    0,
    Status.OK,
    CONNECT_GET_LIB_VERSION.encode_result(LibVersion(9_000_000)),
)
_SERIAL: Final = 20
"""Where the serial begins in a frame; it has four bytes."""
_HEAD: Final = _REPLY[:_SERIAL]
_TAIL: Final = _REPLY[_SERIAL + 4 :]


class _Bare(asyncio.Protocol):
    __slots__ = ("_held", "_write")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio's.
        self._write = cast(asyncio.Transport, transport).write
        self._held: bytes | None = None

    def data_received(self, data: bytes) -> None:
        if self._held is None:  # the first frame of a connection is CONNECT_OPEN, in one piece
            self._held = b""
            self._write(_OPENED)
            return
        if self._held:
            data = self._held + data
        whole = len(data) // MIN_FRAME * MIN_FRAME
        self._held = data[whole:]
        self._write(
            b"".join(
                [
                    _HEAD + data[at + _SERIAL : at + _SERIAL + 4] + _TAIL
                    for at in range(0, whole, MIN_FRAME)
                ]
            )
        )


async def _serve(path: str) -> None:
    server = await asyncio.get_running_loop().create_unix_server(_Bare, path, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1]))
