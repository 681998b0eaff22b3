"""While a guest migrates, calls wait for the job that they need of it, as they do in libvirt.

Which calls wait, which do not and all texts are the answers of two libvirtds of 9.0.0 while one moved a
guest to the other by `virsh migrate --live --bandwidth 1`; libvirt waits for 30 seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol as p
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.dispatch.with_jobs import JOBS
from aiovirt.daemons.virtd.host.editing import CONFIG
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.program import Procedure
from tests.virtd.conftest import MakeVirtd
from tests.virtd.migrating import (
    HAS_LEFT,
    LIVE,
    NOWHERE,
    RAN_ALL_TIME,
    RUNS_HERE,
    RUNS_THERE,
    WAITS_HERE,
    Pair,
)

DEVICE = "<disk type='file'><source file='/d'/><target dev='vdb'/></disk>"


def changes(dom: Any) -> dict[Any, Any]:
    """Calls that have to wait, with arguments."""
    named, flags = p.DomainArgs(dom), p.DomainFlagsArgs(dom, 0)
    return {
        p.DOMAIN_ATTACH_DEVICE: p.DomainXmlArgs(dom, DEVICE),
        p.DOMAIN_BLOCK_PULL: p.DomainBandwidthArgs(dom, "vda", 0, 0),
        p.DOMAIN_BLOCK_RESIZE: p.DomainBlockResizeArgs(dom, "vda", 10, 0),
        p.DOMAIN_CORE_DUMP: p.DomainCoreDumpArgs(dom, "/x", 0),
        p.DOMAIN_CREATE: named,
        p.DOMAIN_DETACH_DEVICE: p.DomainXmlArgs(dom, DEVICE),
        p.DOMAIN_INJECT_NMI: flags,
        p.DOMAIN_MANAGED_SAVE: flags,
        p.DOMAIN_REBOOT: p.DomainFlagsArgs(dom, 0),
        p.DOMAIN_RENAME: p.DomainRenameArgs(dom, "other", 0),
        p.DOMAIN_RESET: flags,
        p.DOMAIN_RESUME: named,
        p.DOMAIN_SAVE: p.DomainSaveArgs(dom, "/x"),
        p.DOMAIN_SET_AUTOSTART: p.DomainSetAutostartArgs(dom, 1),
        p.DOMAIN_SET_MEMORY: p.DomainMemoryArgs(dom, 1024),
        p.DOMAIN_SET_METADATA: p.DomainSetMetadataArgs(dom, 0, "a note", None, None, 0),
        p.DOMAIN_SET_VCPUS: p.DomainSetVcpusArgs(dom, 1),
        p.DOMAIN_SHUTDOWN: named,
        p.DOMAIN_SNAPSHOT_CREATE_XML: p.DomainXmlDescFlagsArgs(dom, "<domainsnapshot/>", 0),
        p.DOMAIN_UNDEFINE: named,
    }


@pytest.fixture
async def pair(make_virtd: MakeVirtd) -> Pair:
    """One with a guest that leaves, and whose memory takes minutes."""
    return await Pair.slow_one(make_virtd)


async def leave(pair: Pair) -> asyncio.Task[None]:
    """Have the guest leave."""
    await pair.prepare()
    sending = asyncio.ensure_future(pair.perform())
    await pair.sending()
    return sending


async def abort(pair: Pair, sending: Awaitable[None]) -> None:
    """End the migration without success."""
    await pair.at_source.call(p.DOMAIN_ABORT_JOB, p.DomainArgs(pair.guest))
    with pytest.raises(RpcError, match="canceled by client"):
        await sending


async def memory(pair: Pair) -> int:
    """The memory of the definition, in MiB."""
    text = await pair.at_source.xml(pair.guest, 2)
    return int(text.partition("<currentMemory unit='KiB'>")[2].partition("<")[0]) // 1024


async def test_a_change_of_a_guest_that_leaves_is_refused_after_a_while(pair: Pair) -> None:
    sending = await leave(pair)
    for procedure, args in changes(pair.guest).items():
        error = await pair.at_source.refused(procedure, args)
        assert (error.code, str(error)) == (
            ErrorCode.OPERATION_TIMEOUT,
            "Timed out during operation: cannot acquire state change lock "
            "(held by monitor=remoteDispatchDomainMigratePerform3)",
        ), procedure
    await abort(pair, sending)
    assert pair.states[0] == RAN_ALL_TIME


async def test_a_change_waits_for_the_end_of_a_migration_that_fails(pair: Pair) -> None:
    pair.here.pace.job = 30.0
    sending = await leave(pair)
    args = p.DomainSetMemoryFlagsArgs(pair.guest, 256 * 1024, CONFIG)
    change = asyncio.ensure_future(pair.at_source.call(p.DOMAIN_SET_MEMORY_FLAGS, args))
    assert await memory(pair) == 512  # calls are begun in order, and this one does not wait
    assert not change.done()
    await abort(pair, sending)
    await change
    assert await memory(pair) == 256


async def test_a_change_that_waited_finds_no_guest_after_a_migration(pair: Pair) -> None:
    pair.here.pace.job = 30.0
    sending = await leave(pair)
    args = p.DomainMemoryArgs(pair.guest, 256 * 1024)
    change = asyncio.ensure_future(pair.at_source.call(p.DOMAIN_SET_MEMORY, args))
    await memory(pair)
    next(iter(pair.here.migrations.moving.values())).amount = 1
    await sending
    await pair.finish()
    await pair.confirm()
    with pytest.raises(RpcError, match="domain is not running"):
        await change
    assert pair.states == (HAS_LEFT, RUNS_THERE)


async def test_a_guest_that_leaves_may_be_asked_and_its_migration_tuned(pair: Pair) -> None:
    sending = await leave(pair)
    dom, flags = pair.guest, p.DomainFlagsArgs(pair.guest, 0)
    for procedure, args in (
        (p.DOMAIN_MEMORY_STATS, p.DomainMemoryStatsArgs(dom, 13, 0)),
        (p.DOMAIN_GET_BLOCK_INFO, p.DomainPathFlagsArgs(dom, "vda", 0)),
        (p.DOMAIN_GET_JOB_INFO, p.DomainArgs(dom)),
        (p.DOMAIN_GET_CONTROL_INFO, flags),
        (p.DOMAIN_MIGRATE_GET_MAX_DOWNTIME, flags),
        (p.DOMAIN_MIGRATE_SET_MAX_DOWNTIME, p.DomainMigrateSetMaxDowntimeArgs(dom, 5, 0)),
        (p.DOMAIN_MIGRATE_SET_MAX_SPEED, p.DomainMigrateSetMaxSpeedArgs(dom, 1, 0)),
        (
            p.DOMAIN_MIGRATE_SET_COMPRESSION_CACHE,
            p.DomainMigrateSetCompressionCacheArgs(dom, 4096, 0),
        ),
    ):
        await pair.at_source.call(procedure, args)
    await abort(pair, sending)


async def test_a_guest_suspended_while_it_leaves_runs_on_when_it_stays(pair: Pair) -> None:
    sending = await leave(pair)
    await pair.at_source.call(p.DOMAIN_SUSPEND, p.DomainArgs(pair.guest))
    await pair.at_source.call(p.DOMAIN_SUSPEND, p.DomainArgs(pair.guest))
    assert pair.states[0] == WAITS_HERE
    await abort(pair, sending)
    assert pair.states[0] == RUNS_HERE


async def test_a_guest_that_leaves_is_destroyed_at_once(pair: Pair) -> None:
    sending = await leave(pair)
    await pair.at_source.call(p.DOMAIN_DESTROY, p.DomainArgs(pair.guest))
    with pytest.raises(RpcError, match="operation failed: domain is not running"):
        await sending
    assert not pair.here.migrations.touched


async def test_a_guest_that_leaves_cannot_leave_again(pair: Pair) -> None:
    sending = await leave(pair)
    begin = p.DomainMigrateBegin3Args(pair.guest, None, LIVE, None, 0)
    error = await pair.at_source.refused(p.DOMAIN_MIGRATE_BEGIN3, begin)
    assert (error.code, str(error).partition(": ")[2]) == (
        ErrorCode.OPERATION_INVALID,
        "another migration job is already running for domain 'guest'",
    )
    await abort(pair, sending)


async def test_a_guest_is_protected_from_the_first_phase_on_if_the_client_asks(pair: Pair) -> None:
    await pair.prepare(LIVE | Flags.CHANGE_PROTECTION)
    error = await pair.at_source.refused(p.DOMAIN_SHUTDOWN, p.DomainArgs(pair.guest))
    assert str(error).endswith("(held by monitor=remoteDispatchDomainMigrateBegin3)")


async def test_a_guest_that_arrives_waits_for_questions_too(pair: Pair) -> None:
    await pair.prepare()
    for procedure, args in (
        (p.DOMAIN_MEMORY_STATS, p.DomainMemoryStatsArgs(pair.guest, 13, 0)),
        (p.DOMAIN_SUSPEND, p.DomainArgs(pair.guest)),
        (p.DOMAIN_ABORT_JOB, p.DomainArgs(pair.guest)),
        (p.DOMAIN_UNDEFINE, p.DomainArgs(pair.guest)),
    ):
        error = await pair.at_target.refused(procedure, args)
        assert str(error).endswith("(held by monitor=remoteDispatchDomainMigratePrepare3)")
    error = await pair.at_target.refused(p.DOMAIN_GET_JOB_INFO, p.DomainArgs(pair.guest))
    assert str(error).endswith("migration statistics are available only on the source host")
    await pair.at_target.call(p.DOMAIN_DESTROY, p.DomainArgs(pair.guest))
    assert pair.states == (RAN_ALL_TIME, NOWHERE)


async def test_calls_are_plain_functions_again_when_no_guest_migrates(pair: Pair) -> None:
    table = pair.virtds[0].server.table

    def plain() -> set[bool]:
        return {table[one.key].inline for one in JOBS if one.key in table}

    before = plain()
    sending = await leave(pair)
    assert plain() == {False}
    await abort(pair, sending)
    assert plain() == before == {True}


@pytest.mark.parametrize("procedure", JOBS, ids=lambda one: one.name)
def test_each_procedure_that_takes_a_job_names_a_guest(procedure: Procedure[Any, Any]) -> None:
    names = xdr.names_of(procedure.args)
    assert "dom" in names or "checkpoint" in names
