"""A guest whose migration is switched to post-copy runs on the other side at once.

Events, states and numbers are those of two libvirtds of 9.0.0 with QEMU 7.2, by `virsh migrate
--postcopy` and `virsh migrate-postcopy`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol as p
from aiovirt.daemons.virtd.constants.domain import DomainJobOperation as Operation
from aiovirt.daemons.virtd.constants.domain import DomainJobType
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import job_statistics
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.rpc.wire.errors import RpcError
from tests.virtd.conftest import MakeVirtd
from tests.virtd.migrating import HAS_LEFT, LIVE, RUNS_THERE, Pair

POSTCOPY = LIVE | Flags.POSTCOPY


@pytest.fixture
async def pair(make_virtd: MakeVirtd) -> Pair:
    """One with a guest whose migration takes minutes."""
    return await Pair.slow_one(make_virtd)


def told(host: Host) -> Callable[[], list[tuple[int, ...]]]:
    """What is told of guests from now on: the event and its first numbers."""
    events: list[tuple[int, ...]] = []

    def hear(event: Any) -> None:
        numbers = [one for one in event.details if isinstance(one, int)]
        events.append((int(event.number), *map(int, numbers[:2])))

    host.events.receive(hear)
    return lambda: events


async def switch(pair: Pair) -> None:
    """Switch the migration to post-copy."""
    flags = p.DomainFlagsArgs(pair.guest, 0)
    await pair.at_source.call(p.DOMAIN_MIGRATE_START_POST_COPY, flags)


async def leave(pair: Pair, flags: int) -> asyncio.Task[None]:
    """Have the guest leave."""
    await pair.prepare(flags)
    sending = asyncio.ensure_future(pair.perform(flags))
    await pair.sending()
    return sending


async def completed(client: Any, guest: Any) -> Any:
    """The job that was done last."""
    args = p.DomainFlagsArgs(guest, 3)  # completed, and kept
    return await client.call(p.DOMAIN_GET_JOB_STATS, args)


async def test_a_switched_guest_is_told_of_as_by_libvirt(pair: Pair) -> None:
    here, there = told(pair.here), told(pair.there)
    sending = await leave(pair, POSTCOPY)
    await switch(pair)
    await sending
    assert pair.states[0] == (3, 12)  # paused (post-copy)
    with pytest.raises(RpcError, match="cannot abort migration in post-copy mode"):
        await pair.at_source.call(p.DOMAIN_ABORT_JOB, p.DomainArgs(pair.guest))
    await pair.finish(POSTCOPY)
    await pair.confirm(POSTCOPY)
    assert pair.states == (HAS_LEFT, RUNS_THERE)
    lifecycle, iteration = int(DomainEventID.LIFECYCLE), int(DomainEventID.MIGRATION_ITERATION)
    assert [one for one in here() if one[0] != DomainEventID.JOB_COMPLETED] == [
        (iteration, 1),
        (lifecycle, 3, 1),  # suspended, migrated
        (lifecycle, 3, 7),  # suspended, post-copy
        (iteration, 2),
        (lifecycle, 5, 3),  # stopped, migrated
    ]
    assert there() == [
        (lifecycle, 2, 1),  # started, migrated
        (lifecycle, 4, 3),  # resumed, post-copy
        (lifecycle, 4, 1),  # resumed, migrated
    ]
    assert (await completed(pair.at_source, pair.guest)).type == DomainJobType.COMPLETED
    assert (await completed(pair.at_target, pair.guest)).type == DomainJobType.NONE


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (LIVE, "switching to post-copy requires migration to be started with VIR_MIGRATE_POSTCOPY"),
        (None, "post-copy can only be started while outgoing migration is in progress"),
    ],
)
async def test_a_switch_needs_a_migration_that_was_begun_for_it(
    pair: Pair, flags: int | None, words: str
) -> None:
    sending = await leave(pair, flags) if flags is not None else None
    with pytest.raises(RpcError, match=words):
        await switch(pair)
    if sending is not None:
        sending.cancel()


async def test_a_guest_that_was_suspended_has_stood_still_since_then(pair: Pair) -> None:
    sending = await leave(pair, LIVE)
    one = next(iter(pair.here.migrations.moving.values()))
    await pair.at_source.call(p.DOMAIN_SUSPEND, p.DomainArgs(pair.guest))
    assert one._paused is not None
    one._paused -= 5
    one.amount = 1
    await sending
    await pair.finish()
    await pair.confirm()
    found = {t.field: t.value.content for t in (await completed(pair.at_source, pair.guest)).params}
    assert found["downtime"] >= 5000


def test_all_jobs_are_told_by_one_table() -> None:
    numbers = {**job_statistics.NOTHING, "operation": int(Operation.SAVE), "normal": 2, "rate": 5}
    plain = [one.field for one in job_statistics.parameters(numbers)]
    done = {**numbers, "downtime": 3, "network": 5, "disks": 0}
    more = {one.field: one.value.content for one in job_statistics.parameters(done)}
    assert plain == [name for name in more if name in plain]
    assert set(more) - set(plain) == {
        "time_elapsed_net",
        "downtime",
        "downtime_net",
        "disk_total",
        "disk_processed",
        "disk_remaining",
    }
    assert (more["downtime_net"], more["memory_normal_bytes"]) == (0, 8192)
