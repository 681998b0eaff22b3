"""The table of virtd's administration program, on its admin socket: worlds and clocks.

A program of its own, as the design of libvirt's admin interface asks for what is one daemon's business.
"""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorDomain
from aiovirt.rpc.wire.program import Program

#: Bytes of the text of a world.
WORLD_MAX: Final = 16 * 1024 * 1024
#: Bytes of the name of a host, and hosts of one daemon.
HOST_MAX: Final = 64
HOSTS_MAX: Final = 64

HostName = Annotated[str, xdr.String(HOST_MAX)]
World = Annotated[str, xdr.String(WORLD_MAX)]


@xdr.struct
class LoadArgs:
    """Arguments of WORLD_LOAD. world: XML, TOML or what WORLD_SAVE returned, without references to
    files."""

    world: World
    flags: xdr.UInt


@xdr.struct
class HostArgs:
    """Arguments of WORLD_SAVE and WORLD_RESET. host: by the name of its driver; empty for all."""

    host: HostName
    flags: xdr.UInt


@xdr.struct
class HostsRet:
    """The hosts that were changed, by the names of their drivers."""

    hosts: Annotated[list[str], xdr.Array(xdr.String(HOST_MAX), HOSTS_MAX)]


@xdr.struct
class SaveRet:
    """Result of WORLD_SAVE. world: a JSON document."""

    world: World


@xdr.struct
class ClockInfo:
    """The clock of a host.

    now: its time of day, in nanoseconds since the epoch; rate: its seconds in one second, 0 while it is
    stopped.
    """

    host: HostName
    now: xdr.Hyper
    rate: xdr.Double


@xdr.struct
class ClockListArgs:
    """Arguments of CLOCK_LIST."""

    flags: xdr.UInt


@xdr.struct
class ClockListRet:
    """The clocks of all hosts."""

    clocks: Annotated[list[ClockInfo], xdr.Array(ClockInfo, HOSTS_MAX)]


@xdr.struct
class ClockSetArgs:
    """Arguments of CLOCK_SET.

    host: by the name of its driver; empty for all. now: the new time of day, in nanoseconds since the
    epoch; rate: the new rate, from 0. Without one of the two it stays as it is.
    """

    host: HostName
    now: Annotated[int | None, xdr.Optional(xdr.Hyper)]
    rate: Annotated[float | None, xdr.Optional(xdr.Double)]
    flags: xdr.UInt


VIRT_ADMIN: Final = Program(
    "virtualization administration", 0x06900694, 1, domain=ErrorDomain.CONF, prefix=""
)

WORLD_LOAD: Final = VIRT_ADMIN.procedure(1, "WORLD_LOAD", LoadArgs, HostsRet, flags=0)
WORLD_SAVE: Final = VIRT_ADMIN.procedure(2, "WORLD_SAVE", HostArgs, SaveRet, flags=0, reads=True)
WORLD_RESET: Final = VIRT_ADMIN.procedure(3, "WORLD_RESET", HostArgs, HostsRet, flags=0)
CLOCK_LIST: Final = VIRT_ADMIN.procedure(
    4, "CLOCK_LIST", ClockListArgs, ClockListRet, flags=0, reads=True
)
CLOCK_SET: Final = VIRT_ADMIN.procedure(5, "CLOCK_SET", ClockSetArgs, xdr.Void, flags=0)
