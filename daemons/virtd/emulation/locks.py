"""The locks of a guest's disks at a lock manager: lockd, or libvirt's virtlockd.

Source: libvirt's src/locking/lock_driver_lockd.c and src/locking/domain_lock.c.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import socket
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.daemons.lockd.protocol import (
    ACQUIRE_RESOURCE,
    CREATE_LOCKSPACE,
    REGISTER,
    RELEASE_RESOURCE,
    RESTRICT,
    AcquireFlags,
    CreateLockspaceArgs,
    Owner,
    RegisterArgs,
    ResourceArgs,
    RestrictArgs,
)
from aiovirt.daemons.virtd.emulation.connecting import WAIT, connected
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.client import Connection
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

#: The kinds of source that are locked.
_TYPES: Final = ("file", "block", "dir")


class LockManager(msgspec.Struct, frozen=True):
    """A lock manager.

    path: its socket; lockspace: the folder whose files are locked, each for one disk; "" if the files
    of the disks are locked themselves.
    """

    path: str
    lockspace: str

    def resources(self, config: str) -> list[ResourceArgs]:
        """Return what a guest locks: its leases, then its disks.

        Args:
            config: its document.

        Raises:
            RpcError: INTERNAL_ERROR for a lease that no lock manager of this kind has.
        """
        found = [_lease(one) for one in cached("domain", config).root.iterfind("devices/lease")]
        for disk in cached("domain", config).root.iterfind("devices/disk"):
            name = (
                devices.value(disk, "source/@file")
                or devices.value(disk, "source/@dev")
                or devices.value(disk, "source/@dir")
            )
            if not name or disk.get("type") not in _TYPES or disk.find("readonly") is not None:
                continue
            flags = AcquireFlags.SHARED if disk.find("shareable") is not None else 0
            found.append(self._resource(name, flags))
        return found

    def _resource(self, name: str, flags: int) -> ResourceArgs:
        if not self.lockspace:
            return ResourceArgs("", name, flags)
        digest = hashlib.sha256(name.encode(errors="surrogateescape")).hexdigest()
        return ResourceArgs(self.lockspace, digest, flags | AcquireFlags.AUTOCREATE)

    async def register(self, sock: socket.socket, owner: Owner) -> None:
        """Register a guest over the connection of its emulator, which may do nothing else afterwards.

        Args:
            sock: the connection; this copy of it is closed.
            owner: the guest.

        Raises:
            RpcError, OSError, TimeoutError: the lock manager refuses, or does not answer.
        """
        connection = Connection(sock, self.path)
        try:
            await connection.call(REGISTER, RegisterArgs(owner, 0), timeout=WAIT)
            await connection.call(RESTRICT, RestrictArgs(0), timeout=WAIT)
        finally:
            await connection.close()

    async def acquire(self, owner: Owner, resources: Sequence[ResourceArgs]) -> None:
        """Acquire all of a guest's locks, or none.

        Args:
            owner: the guest.
            resources: see `resources`.

        Raises:
            RpcError, OSError, TimeoutError: as for `register`; RESOURCE_BUSY if another guest has one.
        """
        async with self._acting(owner) as connection:
            if self.lockspace and resources:
                await connection.call(
                    CREATE_LOCKSPACE, CreateLockspaceArgs(self.lockspace), timeout=WAIT
                )
            for at, resource in enumerate(resources):
                try:
                    await connection.call(ACQUIRE_RESOURCE, resource, timeout=WAIT)
                except BaseException as error:
                    got = at if isinstance(error, RpcError) else at + 1  # as far as is known
                    with contextlib.suppress(Exception):
                        await self._release(connection, resources[:got])
                    raise

    async def release(self, owner: Owner, resources: Sequence[ResourceArgs]) -> None:
        """Give a guest's locks back.

        Args:
            owner: the guest.
            resources: those that it holds.

        Raises:
            RpcError, OSError, TimeoutError: as for `register`.
        """
        async with self._acting(owner) as connection:
            await self._release(connection, resources)

    async def _release(self, connection: Connection, resources: Sequence[ResourceArgs]) -> None:
        for resource in resources:
            await connection.call(
                RELEASE_RESOURCE, ResourceArgs(resource.path, resource.name, 0), timeout=WAIT
            )

    @contextlib.asynccontextmanager
    async def _acting(self, owner: Owner) -> AsyncIterator[Connection]:
        """A connection of virtd's that acts for a guest."""
        async with connected(self.path) as connection, asyncio.timeout(WAIT):
            await connection.call(REGISTER, RegisterArgs(owner, 0))
            yield connection


def _lease(lease: etree._Element) -> ResourceArgs:
    """A lease of a document: a file that exists, in a lockspace that the lock manager knows."""
    if int(devices.value(lease, "target/@offset") or 0):
        raise _refused("Offset must be zero for this lock manager")
    path, lockspace = devices.value(lease, "target/@path"), devices.value(lease, "lockspace")
    if not path or not lockspace:
        raise _refused("Missing path or lockspace for lease resource")
    return ResourceArgs(f"{path}/{lockspace}", devices.value(lease, "key") or "", 0)


def _refused(detail: str) -> RpcError:
    return RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.LOCKING)
