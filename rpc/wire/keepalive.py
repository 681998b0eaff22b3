"""The keepalive program: PING and PONG, messages of their own beside every other program.

Source: libvirt's src/rpc/virkeepaliveprotocol.x.
"""

from __future__ import annotations

from typing import Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.program import Program

KEEPALIVE: Final = Program("keepalive", 0x6B656570, 1)
PING: Final = KEEPALIVE.procedure(1, "PING", xdr.Void, xdr.Void, needs_auth=False)
PONG: Final = KEEPALIVE.procedure(2, "PONG", xdr.Void, xdr.Void, needs_auth=False)

#: The two frames, ready to send.
PING_FRAME: Final = frame(PING.key, Type.MESSAGE, 0, Status.OK, b"")
PONG_FRAME: Final = frame(PONG.key, Type.MESSAGE, 0, Status.OK, b"")
