"""A guest that migrates between two virtds in this process, by clients that call phase by phase."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainPausedReason as Paused
from aiovirt.daemons.virtd.constants.domain import DomainRunningReason as Running
from aiovirt.daemons.virtd.constants.domain import DomainShutoffReason as Off
from aiovirt.daemons.virtd.constants.domain import DomainState as State
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import migration
from aiovirt.daemons.virtd.host.host import Host
from tests.virtd.conftest import MakeVirtd, Virtd

PATIENCE = 20.0
QEMU = "qemu:///system"
LIVE = int(Flags.LIVE)
PEER = int(Flags.LIVE | Flags.PEER2PEER)
NAME = "guest"

#: States with their reasons; None for a domain that does not exist.
RUNS_HERE = (State.RUNNING, Running.MIGRATION_CANCELED)
RAN_ALL_TIME = (State.RUNNING, Running.BOOTED)
WAITS_HERE = (State.PAUSED, Paused.MIGRATION)
HAS_LEFT = (State.SHUTOFF, Off.MIGRATED)
RUNS_THERE = (State.RUNNING, Running.MIGRATED)
NOWHERE = None


def at(host: Host) -> tuple[int, int] | None:
    """State and reason of the guest on a host."""
    found = host.domains.by_name(NAME)
    return None if found is None else (found.record.state, found.record.reason)


def has_job(host: Host) -> bool:
    """Whether the guest on a host has a migration."""
    found = host.domains.by_name(NAME)
    return found is not None and migration.job(found) is not None


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0.005)


class Pair:
    """Two virtds with a guest on the first, and a client of both that migrates it."""

    def __init__(self, here: Virtd, there: Virtd) -> None:
        self.here, self.there = here.host("qemu"), there.host("qemu")
        self.virtds = (here, there)
        for host in (self.here, self.there):
            host.pace.migration, host.pace.job = 0.01, 0.01
        self.guest: Any = None
        self.cookie = b""
        self.text = ""

    @classmethod
    async def slow_one(cls, make_virtd: MakeVirtd) -> Self:
        """One whose guest runs, and whose memory takes minutes."""
        made = cls(await make_virtd(), await make_virtd())
        await made.begin()
        made.slow()
        return made

    async def begin(self) -> None:
        """Start the guest."""
        self.at_source, self.at_target = [await one.connect(QEMU) for one in self.virtds]
        self.guest = await self.at_source.define(NAME)
        await self.at_source.start(self.guest)

    async def prepare(self, flags: int = LIVE) -> None:
        """The first two phases."""
        begin = protocol.DomainMigrateBegin3Args(self.guest, None, flags, None, 0)
        begun = await self.at_source.call(protocol.DOMAIN_MIGRATE_BEGIN3, begin)
        self.text = begun.xml
        args = protocol.DomainMigratePrepare3Args(begun.cookie_out, None, flags, None, 0, begun.xml)
        made = await self.at_target.call(protocol.DOMAIN_MIGRATE_PREPARE3, args)
        self.cookie = made.cookie_out

    async def perform(self, flags: int = LIVE) -> None:
        """The third phase."""
        args = protocol.DomainMigratePerform3Args(
            self.guest, None, self.cookie, None, "tcp:there:1", flags, None, 0
        )
        done = await self.at_source.call(protocol.DOMAIN_MIGRATE_PERFORM3, args)
        self.cookie = done.cookie_out

    async def finish(self, flags: int = LIVE, *, cancelled: bool = False) -> None:
        """The fourth phase."""
        args = protocol.DomainMigrateFinish3Args(
            NAME, self.cookie, None, None, flags, int(cancelled)
        )
        await self.at_target.call(protocol.DOMAIN_MIGRATE_FINISH3, args)

    async def confirm(self, flags: int = LIVE, *, cancelled: bool = False) -> None:
        """The last phase."""
        args = protocol.DomainMigrateConfirm3Args(self.guest, b"", flags, int(cancelled))
        await self.at_source.call(protocol.DOMAIN_MIGRATE_CONFIRM3, args)

    async def peer(self, flags: int = PEER) -> None:
        """A migration from peer to peer."""
        uri = f"qemu+unix:///system?socket={self.virtds[1].path}"
        args = protocol.DomainMigratePerform3ParamsArgs(self.guest, uri, [], b"", flags)
        await self.at_source.call(protocol.DOMAIN_MIGRATE_PERFORM3_PARAMS, args)

    async def phases(self, count: int, flags: int = LIVE) -> None:
        """The first of prepare, perform, finish and confirm."""
        for phase in (self.prepare, self.perform, self.finish, self.confirm)[:count]:
            await phase(flags)

    def slow(self) -> None:
        """Have the migration take minutes."""
        self.here.pace.migration = 600.0

    async def sending(self) -> None:
        """Wait until the memory is sent."""
        await until(lambda: bool(self.here.migrations.moving))

    @property
    def states(self) -> tuple[tuple[int, int] | None, tuple[int, int] | None]:
        """State and reason on both sides."""
        return at(self.here), at(self.there)

    async def come_to(self, *states: tuple[int, int] | None) -> None:
        """Wait for states on both sides."""
        await until(lambda: self.states == states)
