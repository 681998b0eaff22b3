"""The log manager program's table, exactly as virtlogd's.

Source: libvirt's src/logging/log_protocol.x.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Annotated, Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorDomain
from aiovirt.rpc.wire.program import Program

#: The most that one READ gives, in bytes: what a string carries.
READ_MAX: Final = 4194304


class OpenFlags(IntFlag):
    """Flags of DOMAIN_OPEN_LOG_FILE."""

    TRUNCATE = 1  # its file and its backups are removed first


@xdr.struct
class Position:
    """A place in a log that survives rotation: the inode of a file, and bytes from its start."""

    inode: xdr.UHyper
    offset: xdr.UHyper


@xdr.struct
class Domain:
    """The guest whose log it is."""

    uuid: Annotated[bytes, xdr.Opaque(16)]
    name: xdr.Str


@xdr.struct
class OpenArgs:
    """Arguments of DOMAIN_OPEN_LOG_FILE."""

    driver: xdr.Str
    domain: Domain
    path: xdr.Str
    flags: Annotated[xdr.UInt, OpenFlags]


@xdr.struct
class PositionRet:
    """A position in the log."""

    position: Position


@xdr.struct
class PositionArgs:
    """Arguments of DOMAIN_GET_LOG_FILE_POSITION."""

    path: xdr.Str
    flags: xdr.UInt


@xdr.struct
class ReadArgs:
    """Arguments of DOMAIN_READ_LOG_FILE. maxlen: bytes, at most 4194304 (READ_MAX)."""

    path: xdr.Str
    position: Position
    maxlen: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class ReadRet:
    """The log's content from that position on."""

    data: xdr.Str


@xdr.struct
class AppendArgs:
    """Arguments of DOMAIN_APPEND_LOG_FILE."""

    driver: xdr.Str
    domain: Domain
    path: xdr.Str
    message: xdr.Str
    flags: xdr.UInt


@xdr.struct
class AppendRet:
    """Always 0."""

    result: xdr.Int


LOG_MANAGER: Final = Program(
    "log manager",
    0x87539319,
    1,
    domain=ErrorDomain.LOGGING,
    prefix="virLogManagerProtocolDispatch",
    enums=(OpenFlags,),
)

DOMAIN_OPEN_LOG_FILE: Final = LOG_MANAGER.procedure(
    1, "DOMAIN_OPEN_LOG_FILE", OpenArgs, PositionRet, reply_fds=True
)
DOMAIN_GET_LOG_FILE_POSITION: Final = LOG_MANAGER.procedure(
    2, "DOMAIN_GET_LOG_FILE_POSITION", PositionArgs, PositionRet, flags=0, reads=True
)
DOMAIN_READ_LOG_FILE: Final = LOG_MANAGER.procedure(
    3, "DOMAIN_READ_LOG_FILE", ReadArgs, ReadRet, flags=0, reads=True
)
DOMAIN_APPEND_LOG_FILE: Final = LOG_MANAGER.procedure(
    4, "DOMAIN_APPEND_LOG_FILE", AppendArgs, AppendRet, flags=0
)
