"""A guest that migrates runs on one side at most, whatever fails on the way.

The clients here call phase by phase, as libvirt's library does; results are those of libvirt's
src/qemu/qemu_migration.c, qemuMigrationAnyConnectionClosed and qemuProcessRecoverMigrationOut.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.component import HostsComponent
from aiovirt.daemons.virtd.constants.domain import DomainShutoffReason as Off
from aiovirt.daemons.virtd.constants.domain import DomainState as State
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.dispatch import migration_peer
from aiovirt.daemons.virtd.host import leaving
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.rpc.client import ConnectionLost
from aiovirt.rpc.server import Daemon
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.virtd.conftest import MakeVirtd
from tests.virtd.migrating import (
    HAS_LEFT,
    LIVE,
    NAME,
    NOWHERE,
    RAN_ALL_TIME,
    RUNS_HERE,
    RUNS_THERE,
    WAITS_HERE,
    Pair,
    at,
    has_job,
    until,
)


@pytest.fixture
async def pair(make_virtd: MakeVirtd) -> Pair:
    """One with a guest that runs."""
    made = Pair(await make_virtd(), await make_virtd())
    await made.begin()
    return made


def full(monkeypatch: pytest.MonkeyPatch, host: Host) -> None:
    """Have a host's store refuse everything, until `monkeypatch.undo`."""

    def refuse(*_: object) -> None:
        raise RpcError.of(ErrorCode.OPERATION_FAILED, "the disk is full")

    for name in ("put", "delete"):
        monkeypatch.setattr(host.store, name, refuse)


# The source cannot store -----------------------------------------------------------------------------


async def test_a_guest_that_has_arrived_stays_paused_until_its_end_is_stored(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.phases(3)
    full(monkeypatch, pair.here)
    with pytest.raises(RpcError, match="the disk is full"):
        await pair.confirm()
    assert pair.states == (WAITS_HERE, RUNS_THERE)
    with pytest.raises(RpcError, match="held by monitor=remoteDispatchDomainMigratePerform3"):
        await pair.at_source.call(protocol.DOMAIN_RESUME, protocol.DomainArgs(pair.guest))
    monkeypatch.undo()
    await pair.come_to(HAS_LEFT, RUNS_THERE)


async def test_not_even_its_client_makes_a_guest_run_here_that_has_arrived(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.phases(3)
    full(monkeypatch, pair.here)
    with pytest.raises(RpcError):
        await pair.confirm()
    monkeypatch.undo()
    await pair.confirm(cancelled=True)
    assert pair.states == (HAS_LEFT, RUNS_THERE)


async def test_a_guest_that_has_arrived_ends_here_though_its_client_is_gone(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await pair.phases(3)
    full(monkeypatch, pair.here)
    with pytest.raises(RpcError):
        await pair.confirm()
    await pair.at_source.rpc.close()
    await until(lambda: not list(pair.virtds[0].server.registry))
    monkeypatch.undo()
    await pair.come_to(HAS_LEFT, RUNS_THERE)


async def test_from_peer_to_peer_a_guest_that_has_arrived_never_runs_here(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = leaving.arrived

    async def arrived(*args: Any) -> None:
        full(monkeypatch, pair.here)
        await real(*args)

    monkeypatch.setattr(leaving, "arrived", arrived)
    await pair.peer()  # libvirt's succeeds then, too
    assert pair.states == (WAITS_HERE, RUNS_THERE)
    monkeypatch.undo()
    await pair.come_to(HAS_LEFT, RUNS_THERE)


async def test_a_guest_that_did_not_arrive_runs_on_as_soon_as_that_can_be_stored(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.slow()
    await pair.prepare(0)
    sending = asyncio.ensure_future(pair.perform(0))  # not live: it is paused at once
    await until(lambda: at(pair.here) == WAITS_HERE)
    full(monkeypatch, pair.here)
    await pair.at_source.call(protocol.DOMAIN_ABORT_JOB, protocol.DomainArgs(pair.guest))
    with pytest.raises(RpcError, match="job 'migration out' canceled by client"):
        await sending
    assert at(pair.here) == WAITS_HERE
    monkeypatch.undo()
    await until(lambda: at(pair.here) == RUNS_HERE)


# The other side fails --------------------------------------------------------------------------------


async def test_from_peer_to_peer_a_guest_whose_arrival_is_not_known_stays_paused(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = migration_peer._Phases._finish

    async def finish(*args: Any, **options: Any) -> None:
        await real(*args, **options)
        raise ConnectionLost("the answer is lost")

    monkeypatch.setattr(migration_peer._Phases, "_finish", finish)
    with pytest.raises(RpcError, match="was lost, and the guest stays paused"):
        await pair.peer()
    assert pair.states == (WAITS_HERE, RUNS_THERE)
    assert not has_job(pair.here)  # the user may decide


async def test_from_peer_to_peer_a_guest_runs_on_that_the_other_side_refuses(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.slow()
    sending = asyncio.ensure_future(pair.peer())
    await pair.sending()
    full(monkeypatch, pair.there)
    next(iter(pair.here.migrations.moving.values())).set_limit(0)
    next(iter(pair.here.migrations.moving.values())).amount = 1
    with pytest.raises(RpcError, match="the disk is full"):
        await sending
    assert at(pair.here) == RUNS_HERE
    monkeypatch.undo()
    await pair.come_to(RUNS_HERE, NOWHERE)


async def test_from_peer_to_peer_a_guest_stays_when_the_other_side_is_gone(pair: Pair) -> None:
    pair.slow()
    sending = asyncio.ensure_future(pair.peer())
    await pair.sending()
    for client in list(pair.virtds[1].server.registry):
        client.abort()
    with pytest.raises(RpcError, match="Lost connection to destination host"):
        await sending
    await pair.come_to(RAN_ALL_TIME, NOWHERE)


# The client is gone ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("phases", "flags", "states"),
    [
        (1, LIVE, (RAN_ALL_TIME, NOWHERE)),
        (1, LIVE | Flags.CHANGE_PROTECTION, (RAN_ALL_TIME, NOWHERE)),
        (2, LIVE, (WAITS_HERE, NOWHERE)),
        (3, LIVE, (WAITS_HERE, RUNS_THERE)),
        (4, LIVE, (HAS_LEFT, RUNS_THERE)),
    ],
)
async def test_a_guest_whose_client_is_gone_is_where_libvirt_leaves_it(
    pair: Pair, phases: int, flags: int, states: Any
) -> None:
    await pair.phases(phases, flags)
    await pair.at_source.rpc.close()
    await pair.at_target.rpc.close()
    await pair.come_to(*states)
    await until(lambda: not has_job(pair.here))


async def test_a_migration_from_peer_to_peer_goes_on_without_its_client(pair: Pair) -> None:
    pair.slow()
    sending = asyncio.ensure_future(pair.peer())
    await pair.sending()
    for client in list(pair.virtds[0].server.registry):
        client.abort()
    with pytest.raises(ConnectionLost):
        await sending
    assert pair.here.migrations.moving
    next(iter(pair.here.migrations.moving.values())).amount = 1
    await pair.come_to(HAS_LEFT, RUNS_THERE)


async def test_a_guest_that_is_destroyed_meanwhile_is_gone_on_both_sides(pair: Pair) -> None:
    pair.slow()
    sending = asyncio.ensure_future(pair.peer())
    await pair.sending()
    await pair.at_source.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(pair.guest))
    with pytest.raises(RpcError, match="domain is not running"):
        await sending
    await pair.come_to((State.SHUTOFF, Off.DESTROYED), NOWHERE)


# Restarts --------------------------------------------------------------------------------------------


def killed(path: str) -> Host:
    """A host after `kill -9` of its daemon: it is read from the file."""
    hosts = Hosts(path)
    hosts.open()
    return hosts.all["qemu"]


@pytest.fixture
async def stored(make_virtd: MakeVirtd, tmp_path: Path) -> Pair:
    """A pair whose stores have files, `here` and `there`."""
    made = Pair(*[await make_virtd(str(tmp_path / name)) for name in ("here", "there")])
    await made.begin()
    return made


@pytest.mark.parametrize(
    ("phases", "flags", "states"),
    [
        (1, LIVE | Flags.CHANGE_PROTECTION, (RAN_ALL_TIME, NOWHERE)),
        (2, LIVE, (WAITS_HERE, NOWHERE)),
        (3, LIVE, (WAITS_HERE, RUNS_THERE)),
        (4, LIVE, (HAS_LEFT, RUNS_THERE)),
    ],
)
async def test_a_killed_daemon_finds_the_guest_where_libvirt_leaves_it(
    stored: Pair, tmp_path: Path, phases: int, flags: int, states: Any
) -> None:
    await stored.phases(phases, flags)
    here, there = killed(str(tmp_path / "here")), killed(str(tmp_path / "there"))
    assert (at(here), at(there)) == states
    for host in (here, there):
        host.store.close()


async def test_a_source_killed_while_it_sends_has_the_guest_run_on(
    stored: Pair, tmp_path: Path
) -> None:
    stored.slow()
    await stored.prepare(0)
    sending = asyncio.ensure_future(stored.perform(0))
    await until(lambda: at(stored.here) == WAITS_HERE)
    here = killed(str(tmp_path / "here"))
    assert at(here) == RUNS_HERE
    here.store.close()
    sending.cancel()


def taken_over(hosts: Hosts) -> Hosts:
    """The hosts of the program that a restart by SIGUSR1 begins."""
    old = HostsComponent(hosts, Daemon("old"))
    state = msgspec.json.decode(msgspec.json.encode(old.save(int)), type=old.state_type)
    fresh = Hosts(hosts.path)
    component = HostsComponent(fresh, Daemon("new"))
    component.restore(state)
    component.resume()
    return fresh


@pytest.mark.parametrize(("flags", "state"), [(0, RUNS_HERE), (LIVE, RAN_ALL_TIME)])
async def test_a_restart_ends_a_migration_that_sends(
    stored: Pair, flags: int, state: tuple[int, int]
) -> None:
    stored.slow()
    await stored.prepare(flags)
    sending = asyncio.ensure_future(stored.perform(flags))
    await stored.sending()
    await until(lambda: flags == LIVE or at(stored.here) == WAITS_HERE)
    here = taken_over(stored.virtds[0].hosts)
    host = here.all["qemu"]
    await until(lambda: not has_job(host))
    assert at(host) == state
    here.close()
    sending.cancel()


async def test_a_migration_goes_on_after_a_restart_between_two_phases(stored: Pair) -> None:
    await stored.phases(2)
    here, there = [taken_over(one.hosts) for one in stored.virtds]
    for hosts in (here, there):
        assert has_job(hosts.all["qemu"])
        hosts.close()


async def test_a_guest_that_has_arrived_ends_here_after_a_restart(
    stored: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stored.phases(3)
    full(monkeypatch, stored.here)
    with pytest.raises(RpcError):
        await stored.confirm()
    here = taken_over(stored.virtds[0].hosts)
    host = here.all["qemu"]
    assert at(host) == WAITS_HERE
    await until(lambda: at(host) == HAS_LEFT)
    here.close()


# What is sent ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cookie", "words"),
    [
        (b"", "Document is empty"),
        (b"\xff\xfe", "is not in UTF-8"),
        (b"<qemu-migration>", "Premature end of data"),
        (b"<domain/>", "qemu-migration"),
        (b"<qemu-migration/>", "missing name element in migration data"),
    ],
)
async def test_a_message_that_is_not_one_is_refused_and_nothing_is_left(
    pair: Pair, cookie: bytes, words: str
) -> None:
    begin = protocol.DomainMigrateBegin3Args(pair.guest, None, LIVE, None, 0)
    begun = await pair.at_source.call(protocol.DOMAIN_MIGRATE_BEGIN3, begin)
    args = protocol.DomainMigratePrepare3Args(cookie, None, LIVE, None, 0, begun.xml)
    with pytest.raises(RpcError, match=words):
        await pair.at_target.call(protocol.DOMAIN_MIGRATE_PREPARE3, args)
    assert pair.states == (RAN_ALL_TIME, NOWHERE)


async def test_a_message_about_another_guest_ends_the_one_that_arrives(pair: Pair) -> None:
    await pair.phases(2)
    mine, pair.cookie = pair.cookie, pair.cookie.replace(b"<name>guest<", b"<name>ghost<")
    with pytest.raises(RpcError, match="unexpected name ghost vs guest"):
        await pair.finish()
    await pair.confirm(cancelled=True)
    assert pair.states == (RUNS_HERE, NOWHERE)
    pair.cookie = mine
    with pytest.raises(RpcError, match="no domain with matching name 'guest'"):
        await pair.finish()


async def test_an_aborted_arrival_leaves_nothing_and_says_so(pair: Pair) -> None:
    await pair.phases(2)
    with pytest.raises(RpcError) as caught:
        await pair.finish(cancelled=True)
    assert caught.value.code == ErrorCode.MIGRATE_FINISH_OK
    await pair.confirm(cancelled=True)
    assert pair.states == (RUNS_HERE, NOWHERE)


async def test_what_a_guest_has_beside_its_document_goes_along(pair: Pair) -> None:
    guest = pair.here.domains.by_name(NAME)
    assert guest is not None
    guest.keep("clock-offset", 3600 * 10**9)
    ran, age = guest.ran(), pair.here.clock.now() - guest.record.booted
    await pair.phases(4)
    arrived = pair.there.domains.by_name(NAME)
    assert arrived is not None
    assert arrived.detail("clock-offset") == 3600 * 10**9
    assert arrived.ran() >= ran
    assert pair.there.clock.now() - arrived.record.booted >= age


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"total":', b'"t":', "incomplete statistics"),
        (b'"elapsed":', b'"elapsed":-', "for elapsed, not 0 to"),
        (b'{"', b'{"other":1,"', "another kind of guest"),
        (b'name="aiovirt-guest"', b'name="lockstate"', "is not a virtd"),
    ],
)
async def test_a_guest_whose_luggage_is_garbled_stays_where_it_was(
    pair: Pair, old: bytes, new: bytes, words: str
) -> None:
    await pair.phases(2)
    assert old in pair.cookie
    pair.cookie = pair.cookie.replace(old, new, 2)
    with pytest.raises(RpcError, match=words):
        await pair.finish()
    await pair.confirm(cancelled=True)
    assert pair.states == (RUNS_HERE, NOWHERE)
