"""The table of lockd's administration program, on its admin socket.

A program of its own, as the design of libvirt's admin interface asks for what is one daemon's business.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated, Final

from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner, ShortStr
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorDomain
from aiovirt.rpc.wire.program import Program

#: The most rows of one answer; the next ones are asked for with `after`.
PAGE: Final = 1024
#: The most refusals that are remembered.
REFUSALS: Final = 256
#: The longest text of our own, in bytes.
TEXT_MAX: Final = 4096

Text = Annotated[str, xdr.String(TEXT_MAX)]


class BreakFlags(IntFlag):
    """How far breaking a lock may go."""

    FORCE = 1  # even if its holder runs: the holder is ended first
    KEEP_HOLDER = 2  # with FORCE: the holder keeps running, and the lock is taken at once


class Fate(IntEnum):
    """The fate of the holder of a broken lock."""

    GONE = 0  # its process had ended before; the lock is free
    ENDED = 1  # its process was ended; the lock is free
    ENDING = 2  # its process was told to end but still runs; the lock is free when it has ended
    CUT = 3  # its process runs without the lock, and its connection was closed
    KEPT = 4  # its process runs without the lock; its connection stays, for the sake of its other locks


@xdr.struct
class SpaceInfo:
    """A lockspace. directory: empty for the default one; resources: how many are locked in it."""

    directory: ShortStr
    resources: xdr.UHyper


@xdr.struct
class SpaceListArgs:
    """Arguments of LOCKSPACE_LIST. after: the directory after which the list continues."""

    after: Annotated[str | None, xdr.Optional(xdr.String(65536))]
    flags: xdr.UInt


@xdr.struct
class SpaceListRet:
    """Lockspaces, sorted by directory; more: whether others follow the last one."""

    spaces: Annotated[list[SpaceInfo], xdr.Array(SpaceInfo, PAGE)]
    more: xdr.Bool


@xdr.struct
class LockInfo:
    """One owner's hold on a resource; a shared one has several.

    directory: of its lockspace; flags: AcquireFlags of the program lockspace; client: the id of the
    client that acquired it, 0 when that was a client of a lockd that was killed; since: seconds since
    the epoch; age: seconds.
    """

    directory: ShortStr
    name: ShortStr
    flags: Annotated[xdr.UInt, AcquireFlags]
    owner: Owner
    client: xdr.UHyper
    since: xdr.Hyper
    age: xdr.UHyper


@xdr.struct
class Cursor:
    """The place where a list of locks continues: after `holds` holds of this resource."""

    directory: ShortStr
    name: ShortStr
    holds: xdr.UInt


@xdr.struct
class LockListArgs:
    """Arguments of LOCK_LIST."""

    after: Annotated[Cursor | None, xdr.Optional(Cursor)]
    flags: xdr.UInt


@xdr.struct
class LockListRet:
    """Locks, sorted by directory and name; next: the place where the list continues, if it does."""

    locks: Annotated[list[LockInfo], xdr.Array(LockInfo, PAGE)]
    next: Annotated[Cursor | None, xdr.Optional(Cursor)]


@xdr.struct
class RefusalInfo:
    """Somebody who was refused a lock.

    time: seconds since the epoch; flags: what was asked for; owner and client: who asked; because: what
    it was told, with who held the lock then.
    """

    time: xdr.Hyper
    directory: ShortStr
    name: ShortStr
    flags: Annotated[xdr.UInt, AcquireFlags]
    owner: Owner
    client: xdr.UHyper
    because: Text


@xdr.struct
class RefusalListArgs:
    """Arguments of REFUSAL_LIST."""

    flags: xdr.UInt


@xdr.struct
class RefusalListRet:
    """The latest refusals, from old to new."""

    refusals: Annotated[list[RefusalInfo], xdr.Array(RefusalInfo, REFUSALS)]


@xdr.struct
class BreakArgs:
    """The lock to break.

    owner: the holder, by name or UUID; pid: its process, 0 if that need not be said. They must fit
    exactly one hold of the resource. flags: BreakFlags.
    """

    directory: ShortStr
    name: ShortStr
    owner: ShortStr
    pid: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class BreakRet:
    """Whose lock it was, and what has become of them. fate: Fate."""

    owner: Owner
    fate: Annotated[xdr.UInt, Fate]


LOCK_ADMIN: Final = Program(
    "lock administration",
    0x06900692,
    1,
    domain=ErrorDomain.LOCKSPACE,
    prefix="",
    enums=(Fate,),
)

LOCKSPACE_LIST: Final = LOCK_ADMIN.procedure(
    1, "LOCKSPACE_LIST", SpaceListArgs, SpaceListRet, flags=0, reads=True
)
LOCK_LIST: Final = LOCK_ADMIN.procedure(
    2, "LOCK_LIST", LockListArgs, LockListRet, flags=0, reads=True
)
REFUSAL_LIST: Final = LOCK_ADMIN.procedure(
    3, "REFUSAL_LIST", RefusalListArgs, RefusalListRet, flags=0, reads=True
)
LOCK_BREAK: Final = LOCK_ADMIN.procedure(4, "LOCK_BREAK", BreakArgs, BreakRet, flags=BreakFlags)
