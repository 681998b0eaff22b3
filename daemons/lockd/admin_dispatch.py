"""lockd's administration: who holds what, who was refused, and breaking a lock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.lockd import admin_protocol as protocol
from aiovirt.daemons.lockd.admin_protocol import Cursor, LockInfo, RefusalInfo, SpaceInfo
from aiovirt.daemons.lockd.breaking import Breaker
from aiovirt.rpc.server import Client, Handlers, Server, serves

if TYPE_CHECKING:
    from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch
    from aiovirt.daemons.lockd.space import LockSpace
    from aiovirt.daemons.lockd.table import Resource

#: Characters of names after which an answer is full: whatever they are, it fits into one frame.
_FULL: Final = 4 * 1024 * 1024


class LockAdminDispatch:
    """Serves the administration program for the locks of a service."""

    def __init__(self, service: LockSpaceDispatch) -> None:
        self._service = service
        self._breaker = Breaker(service)

    def serve_on(self, server: Server) -> None:
        """Add the program to the admin server."""
        server.add_program(Handlers.of(self))

    @serves(protocol.LOCKSPACE_LIST)
    def spaces(self, client: Client, args: protocol.SpaceListArgs) -> protocol.SpaceListRet:
        page: list[SpaceInfo] = []
        size = 0
        for directory, space in self._sorted_spaces():
            if args.after is not None and directory <= args.after:
                continue
            if len(page) == protocol.PAGE or size > _FULL:
                return protocol.SpaceListRet(page, more=True)
            page.append(SpaceInfo(directory, len(space.resources)))
            size += len(directory)
        return protocol.SpaceListRet(page, more=False)

    @serves(protocol.LOCK_LIST)
    def locks(self, client: Client, args: protocol.LockListArgs) -> protocol.LockListRet:
        page: list[LockInfo] = []
        size = 0
        now = time.time()
        last = None
        for at, resource in self._resources_after(args.after):
            for number, holding in enumerate(resource.holdings[at.holds :], at.holds + 1):
                if len(page) == protocol.PAGE or size > _FULL:
                    return protocol.LockListRet(page, last)
                page.append(
                    LockInfo(
                        at.directory,
                        resource.name,
                        resource.flags,
                        holding.owner,
                        holding.client,
                        int(holding.since),
                        max(0, int(now - holding.since)),
                    )
                )
                size += len(at.directory) + len(resource.name) + len(holding.owner.name)
                last = Cursor(at.directory, resource.name, number)
        return protocol.LockListRet(page, None)

    def _resources_after(self, after: Cursor | None) -> Iterator[tuple[Cursor, Resource]]:
        """Resources in order, each with where it begins, from a cursor on."""
        place = (after.directory, after.name) if after is not None else None
        for directory, space in self._sorted_spaces():
            if after is not None and directory < after.directory:
                continue
            for name in sorted(space.resources):
                begins = Cursor(directory, name, 0)
                if place is not None and after is not None:
                    if (directory, name) < place:
                        continue
                    if (directory, name) == place:
                        begins = after
                yield begins, space.resources[name]

    def _sorted_spaces(self) -> list[tuple[str, LockSpace]]:
        return [("", self._service.default), *sorted(self._service.spaces.items())]

    @serves(protocol.REFUSAL_LIST)
    def refusals(self, client: Client, args: protocol.RefusalListArgs) -> protocol.RefusalListRet:
        return protocol.RefusalListRet(
            [
                RefusalInfo(
                    int(one.time),
                    one.directory,
                    one.name,
                    one.flags,
                    one.owner,
                    one.client,
                    one.because,
                )
                for one in self._service.refusals
            ]
        )

    @serves(protocol.LOCK_BREAK)
    async def break_lock(self, client: Client, args: protocol.BreakArgs) -> protocol.BreakRet:
        owner, fate = await self._breaker.break_lock(client, args)
        return protocol.BreakRet(owner, fate)
