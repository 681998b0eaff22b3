"""The table of logd's administration program, on its admin socket.

A program of its own, as the design of libvirt's admin interface asks for what is one daemon's business.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Annotated, Final

from aiovirt.daemons.logd.protocol import Domain, Position, PositionRet
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorDomain
from aiovirt.rpc.wire.program import Program

#: The most logs that one answer lists; the next ones are asked for with `after`.
PAGE: Final = 1024
#: The bytes that one answer of a list may have; a log that is larger by itself goes alone.
PAGE_SIZE: Final = 4 << 20
#: The most bytes of a log in one record of LOG_FOLLOW's stream, which then is one packet of it.
RECORD_MAX: Final = 32000


class FollowFlags(IntFlag):
    """Where following begins if no position is given; without a flag, at the end of the log."""

    FROM_OLDEST = 1  # at the oldest line that is still available


@xdr.struct
class OpenLogInfo:
    """One open log.

    opened: seconds since the epoch; position: where it is written now, so its offset is the size of
    the newest file; received: bytes that came from the guest; lost: those that could not be written;
    rate: bytes per second, recently; rotations: since it was opened; trouble: why it cannot be
    written or rotated now.
    """

    path: xdr.Str
    driver: xdr.Str
    domain: Domain
    opened: xdr.Hyper
    position: Position
    received: xdr.UHyper
    lost: xdr.UHyper
    rate: xdr.UHyper
    rotations: xdr.UHyper
    trouble: xdr.OptStr


@xdr.struct
class ListArgs:
    """Arguments of LOG_LIST. after: the path after which the list continues; it is sorted by path."""

    after: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class ListRet:
    """Open logs; more: whether others follow the last one."""

    logs: Annotated[list[OpenLogInfo], xdr.Array(OpenLogInfo, PAGE)]
    more: xdr.Bool


@xdr.struct
class RotateArgs:
    """The path of an open log."""

    path: xdr.Str
    flags: xdr.UInt


@xdr.struct
class FollowArgs:
    """The path of a log, and where to begin. flags: FollowFlags."""

    path: xdr.Str
    position: Annotated[Position | None, xdr.Optional(Position)]
    flags: xdr.UInt


@xdr.struct
class FollowRecord:
    """A record of LOG_FOLLOW's stream.

    data: a piece of the log; position: the place after it; gap: whether an earlier part was rotated away
    before it could be read.
    """

    position: Position
    gap: xdr.Bool
    data: Annotated[bytes, xdr.VarOpaque(RECORD_MAX)]


LOG_ADMIN: Final = Program(
    "log administration",
    0x06900693,
    1,
    domain=ErrorDomain.LOGGING,
    prefix="",
    records=(FollowRecord,),
)

LOG_LIST: Final = LOG_ADMIN.procedure(1, "LOG_LIST", ListArgs, ListRet, flags=0, reads=True)
LOG_ROTATE: Final = LOG_ADMIN.procedure(2, "LOG_ROTATE", RotateArgs, PositionRet, flags=0)
LOG_FOLLOW: Final = LOG_ADMIN.procedure(
    3, "LOG_FOLLOW", FollowArgs, PositionRet, stream=True, flags=FollowFlags
)
