"""Breaking a lock: taking it from a holder that does not give it back.

Whoever had a lock may still write to what it locked. So the holder's process is ended first, as it is
when its connection goes, and the lock is given back when it is gone. Who wants the lock at once, and
knows that the holder does no harm, can have that too, and must say so.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import UUID

from aiovirt.daemons.lockd.admin_protocol import BreakArgs, BreakFlags, Fate
from aiovirt.daemons.lockd.fate import KILL_AFTER, REPORT_AFTER, may_end
from aiovirt.daemons.lockd.protocol import Owner
from aiovirt.daemons.lockd.space import LockSpace, holders
from aiovirt.daemons.lockd.table import Holding, Resource
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch

_log = get_logger("daemons.lockd.breaking")


class Breaker:
    """Breaks locks of a service."""

    def __init__(self, service: LockSpaceDispatch) -> None:
        self._service = service

    async def break_lock(self, by: Client, args: BreakArgs) -> tuple[Owner, Fate]:
        """Break one lock for an administrator: whose it was, and what has become of them.

        Raises RpcError: OPERATION_INVALID when the named owner does not hold the resource,
        OPERATION_DENIED when its process runs and may not be ended.
        """
        if args.flags == BreakFlags.KEEP_HOLDER:
            raise _refused(ErrorCode.INVALID_ARG, "a holder is kept by force only")
        who = by.identity()
        user = await run_blocking(who.user_name) or str(who.uid)
        space = self._service.space(args.directory)
        resource, holding = _find(space, args)
        owner = holding.owner
        alive = not holding.holder.has_ended()
        if alive and not args.flags & BreakFlags.FORCE:
            raise _refused(
                ErrorCode.OPERATION_DENIED,
                f"{owner.name} (process {owner.pid}) runs and may write to '{args.name}':"
                " its lock is broken by force only",
            )
        ends = alive and not args.flags & BreakFlags.KEEP_HOLDER
        if ends and not may_end(holding.holder):
            raise _refused(ErrorCode.OPERATION_DENIED, f"refusing to terminate process {owner.pid}")
        _log.warning(
            "lock is broken",
            resource=resource.name,
            lockspace=args.directory,
            owner=owner.name,
            pid=owner.pid,
            by_user=user,
            by_pid=who.pid,
            by_client=by.id,
        )
        if ends:
            return owner, await self._end(holding)
        space.table.give_back(holding)
        space.table.settle()
        if not alive:
            return owner, Fate.GONE
        return owner, Fate.CUT if self._cut(holding) else Fate.KEPT

    def _cut(self, holding: Holding) -> bool:
        """Close the connection of a holder that lost its lock; whether that was done.

        Not one that others use, and not one that holds more: its end would be the holder's.
        """
        session = self._service.sessions().get(holding.client)
        holder = holding.holder
        if session is None or session.holder is not holder or session.pid != holder.pid:
            return False
        if holder.holdings:
            return False
        return self._service.disconnect(holding.client, "its lock was broken")

    async def _end(self, holding: Holding) -> Fate:
        """End the holder's process, by which it loses everything that it holds."""
        ending = self._service.end_holder(holding.holder, "its lock is broken")
        if ending is not None:
            done, _ = await asyncio.wait([ending], timeout=KILL_AFTER + REPORT_AFTER)
            if not done:
                return Fate.ENDING
        self._cut(holding)  # a child of it may have kept it open
        return Fate.ENDED


def _find(space: LockSpace, args: BreakArgs) -> tuple[Resource, Holding]:
    """The one hold that is meant."""
    resource = space.resources.get(args.name)
    if resource is None:
        raise _refused(ErrorCode.OPERATION_INVALID, f"resource '{args.name}' is not locked")
    meant = [
        holding
        for holding in resource.holdings
        if (
            args.owner == holding.owner.name
            or args.owner.lower() == str(UUID(bytes=holding.owner.uuid))
        )
        and args.pid in (0, holding.owner.pid)
    ]
    if not meant:
        process = f" (process {args.pid})" if args.pid else ""
        raise _refused(
            ErrorCode.OPERATION_INVALID,
            f"resource '{args.name}' is locked by {holders(resource)}, not by {args.owner}{process}",
        )
    if len({holding.owner.pid for holding in meant}) > 1:
        raise _refused(
            ErrorCode.OPERATION_INVALID,
            f"resource '{args.name}' is locked by {holders(resource)}: say whose process is meant",
        )
    return resource, meant[0]


def _refused(code: ErrorCode, text: str) -> RpcError:
    return RpcError(code, text, domain=ErrorDomain.LOCKSPACE)
