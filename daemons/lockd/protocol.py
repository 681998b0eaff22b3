"""The lock space program's table, exactly as virtlockd's.

Source: libvirt's src/locking/lock_protocol.x.
"""

from __future__ import annotations

from enum import IntFlag
from typing import Annotated, Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Program

#: The longest path or name, in bytes.
STRING_MAX: Final = 65536

ShortStr = Annotated[str, xdr.String(STRING_MAX)]


class AcquireFlags(IntFlag):
    """Flags of ACQUIRE_RESOURCE."""

    SHARED = 1  # others may hold it as well, if they share it
    AUTOCREATE = 2  # its file is made if needed, and removed when its last holder releases it


@xdr.struct
class Owner:
    """The owner of locks: a guest's UUID, its name, its id, and the process that runs it."""

    uuid: Annotated[bytes, xdr.Opaque(16)]
    name: ShortStr
    id: xdr.UInt
    pid: xdr.UInt


@xdr.struct
class RegisterArgs:
    """The owner that this connection acts for."""

    owner: Owner
    flags: xdr.UInt


@xdr.struct
class RestrictArgs:
    """Arguments of RESTRICT."""

    flags: xdr.UInt


@xdr.struct
class SpaceArgs:
    """The directory of a lockspace."""

    path: ShortStr
    flags: xdr.UInt


@xdr.struct
class ResourceArgs:
    """A lockspace (empty: the default one), and the name of a resource in it."""

    path: ShortStr
    name: ShortStr
    flags: xdr.UInt


@xdr.struct
class CreateLockspaceArgs:
    """The directory of a lockspace, which may exist already."""

    path: ShortStr


LOCK_SPACE: Final = Program("lockspace", 0x0EA7BEEF, 1, prefix="virLockSpaceProtocolDispatch")

REGISTER: Final = LOCK_SPACE.procedure(1, "REGISTER", RegisterArgs, xdr.Void, flags=0)
RESTRICT: Final = LOCK_SPACE.procedure(2, "RESTRICT", RestrictArgs, xdr.Void, flags=0)
NEW: Final = LOCK_SPACE.procedure(3, "NEW", SpaceArgs, xdr.Void, flags=0)
CREATE_RESOURCE: Final = LOCK_SPACE.procedure(4, "CREATE_RESOURCE", ResourceArgs, xdr.Void, flags=0)
DELETE_RESOURCE: Final = LOCK_SPACE.procedure(5, "DELETE_RESOURCE", ResourceArgs, xdr.Void, flags=0)
ACQUIRE_RESOURCE: Final = LOCK_SPACE.procedure(
    6, "ACQUIRE_RESOURCE", ResourceArgs, xdr.Void, flags=AcquireFlags
)
RELEASE_RESOURCE: Final = LOCK_SPACE.procedure(
    7, "RELEASE_RESOURCE", ResourceArgs, xdr.Void, flags=0
)
CREATE_LOCKSPACE: Final = LOCK_SPACE.procedure(8, "CREATE_LOCKSPACE", CreateLockspaceArgs, xdr.Void)
