"""The client side of lockd's administration.

    async with admin.client.connect("lockd:///system") as connection:
        locks = LockAdmin(connection)
        for lock in await locks.locks():
            print(lock.name, lock.owner.name, lock.age)

Errors, from every call: those of `admin.client`; MissingProgram when the daemon is no lockd.
"""

from __future__ import annotations

from typing import Final, NamedTuple, TypeVar

from aiovirt.admin.client import Connection
from aiovirt.daemons.lockd import admin_protocol as protocol
from aiovirt.daemons.lockd.admin_protocol import BreakFlags, Fate, LockInfo, RefusalInfo, SpaceInfo
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.rpc.wire.program import Procedure

__all__ = [
    "AcquireFlags",
    "Broken",
    "Fate",
    "LockAdmin",
    "LockInfo",
    "Owner",
    "RefusalInfo",
    "SpaceInfo",
]

#: Seconds that lockd may take to end a holder.
_ENDING: Final = 3.0

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")


class Broken(NamedTuple):
    """A lock that was broken: whose it was, and what has become of them."""

    owner: Owner
    fate: Fate


class LockAdmin:
    """The locks of a lockd, over an admin connection that was opened by `admin.client.connect`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def spaces(self) -> list[SpaceInfo]:
        """All lockspaces, sorted by directory; the default one, which has none, is the first."""
        found: list[SpaceInfo] = []
        more = True
        while more:
            after = found[-1].directory if found else None
            page = await self._call(protocol.LOCKSPACE_LIST, protocol.SpaceListArgs(after, flags=0))
            found += page.spaces
            more = page.more and bool(page.spaces)  # an empty page would come again and again
        return found

    async def locks(self) -> list[LockInfo]:
        """All locks, one for each that holds it, sorted by lockspace and name."""
        page = await self._call(protocol.LOCK_LIST, protocol.LockListArgs(None, flags=0))
        found = page.locks
        while page.next is not None and page.locks:
            page = await self._call(protocol.LOCK_LIST, protocol.LockListArgs(page.next, flags=0))
            found += page.locks
        return found

    async def refusals(self) -> list[RefusalInfo]:
        """The recent refusals of locks, from old to new."""
        answer = await self._call(protocol.REFUSAL_LIST, protocol.RefusalListArgs(flags=0))
        return answer.refusals

    async def break_lock(
        self,
        name: str,
        owner: str,
        *,
        directory: str = "",
        pid: int = 0,
        force: bool = False,
        keep_holder: bool = False,
    ) -> Broken:
        """Take a lock from its holder.

        name, directory: the resource and its lockspace, "" for the default one. owner: the holder's name
        or UUID; pid: its process, where several have the name. force: even if that process runs; it is
        ended first, for up to three seconds, unless keep_holder: then the lock is taken at once and
        the process is left alone.

        Raises RpcError: OPERATION_INVALID when that owner does not hold it, OPERATION_DENIED when its
        process runs and `force` was not given, INVALID_ARG for keep_holder without force.
        """
        flags = (BreakFlags.FORCE if force else 0) | (BreakFlags.KEEP_HOLDER if keep_holder else 0)
        args = protocol.BreakArgs(directory, name, owner, pid, flags)
        takes = _ENDING if force and not keep_holder else 0.0
        with self._connection.needing(protocol.LOCK_ADMIN, "lockd"):
            answer = await self._connection.call(protocol.LOCK_BREAK, args, takes=takes)
        return Broken(answer.owner, Fate(answer.fate))

    async def _call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        with self._connection.needing(protocol.LOCK_ADMIN, "lockd"):
            return await self._connection.call(procedure, args)
