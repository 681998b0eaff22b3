"""Reading ahead: the calls of a client that is at its request limit wait, but its PINGs are answered.

A keepalive takes no worker and counts as no request, so it is answered wherever it stands among the
calls that wait. No I/O here.
"""

from __future__ import annotations

from typing import Final

from aiovirt.rpc.wire.keepalive import PING
from aiovirt.rpc.wire.message import KEYED_HEADER, MAX_FRAME, MIN_FRAME, Type

#: Bytes that a client at its request limit may send ahead; beyond them it is not read.
READ_AHEAD: Final = 64 * 1024

_unpack: Final = KEYED_HEADER.unpack_from


def take_pings(tail: bytearray, pos: int) -> tuple[int, int]:
    """Take the PINGs out of what waits.

    Args:
        tail: what waits; it begins with a frame.
        pos: how far it has been searched before.

    Returns:
        How far it is searched now, and how many PINGs were taken out.
    """
    pings = 0
    while len(tail) - pos >= MIN_FRAME:
        length, key, kind, *_ = _unpack(tail, pos)
        if not MIN_FRAME <= length <= MAX_FRAME:
            break  # it ends the connection when it is handled
        after = pos + length
        if kind == Type.CALL_WITH_FDS:
            # Its descriptors' bytes follow it; a bad count ends the connection later.
            after += int.from_bytes(tail[pos + MIN_FRAME : pos + MIN_FRAME + 4], "big")
        if after > len(tail):
            break
        if key == PING.key and kind == Type.MESSAGE:
            pings += 1
            del tail[pos:after]
        else:
            pos = after
    return pos, pings
