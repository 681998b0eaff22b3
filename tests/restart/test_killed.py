"""`kill -9`: what the next daemon finds, and that no lock is given twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.daemons.lockd import protocol as locks
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.rpc.client import Connection, ConnectionLost, connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness
from tests.restart.kernel import locked
from tests.restart.wire import open_log

SHARED = int(AcquireFlags.SHARED)
MADE = int(AcquireFlags.AUTOCREATE)


class Killable:
    """A daemon of ours that can be killed and started again in its folder."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.start()

    def kill(self) -> None:
        self.daemon.kill(signal.SIGKILL)

    def start(self) -> None:
        settings: harness.Settings = {"log_level": 2, "log_outputs": "2:stderr"}
        self.daemon = harness.start(self.name, self.folder, settings)


@pytest.fixture
def lockd(tmp_path: Path) -> Iterator[Killable]:
    folder = tmp_path / "d"
    folder.mkdir()
    lockd = Killable("lockd", folder)
    yield lockd
    lockd.daemon.kill()


@pytest.fixture
def disks(tmp_path: Path) -> Path:
    folder = tmp_path / "disks"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).touch()
    return folder


class Guest:
    """A process that somebody holds locks for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.owner = Owner(name.encode().ljust(16), name, 1, self.process.pid)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def guests() -> Iterator[tuple[Guest, Guest]]:
    pair = (Guest("first"), Guest("second"))
    yield pair
    for guest in pair:
        guest.end()


@pytest.fixture
async def rival(guests: tuple[Guest, Guest]) -> AsyncIterator[Guest]:
    guest = Guest("rival")
    yield guest
    guest.end()


async def _acting_for(guest: Guest, lockd: Killable) -> Connection:
    connection = await connect_unix(lockd.daemon.socket)
    await connection.call(locks.REGISTER, locks.RegisterArgs(guest.owner, 0))
    return connection


async def _acquire(
    connection: Connection, name: Path | str, flags: int = 0, space: str = ""
) -> None:
    await connection.call(
        locks.ACQUIRE_RESOURCE, locks.ResourceArgs(space, str(name), flags), timeout=30
    )


async def _until(thing: Callable[[], bool]) -> None:
    """Wait until `thing()`, which may block, is so."""
    async with asyncio.timeout(harness.PATIENCE):
        while True:
            if await asyncio.to_thread(thing):
                return


async def _is_refused(connection: Connection, name: Path, holder: str) -> None:
    with pytest.raises(RpcError, match=holder) as refusal:
        await _acquire(connection, name)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY


async def test_a_holder_that_still_runs_has_its_lock_again_before_anybody_comes(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest], rival: Guest
) -> None:
    connection = await _acting_for(guests[0], lockd)
    await _acquire(connection, disks / "a")
    await asyncio.to_thread(lockd.kill)
    assert await asyncio.to_thread(locked, disks) == set(), "the kernel has dropped it"
    with pytest.raises(ConnectionLost):
        await connection.call(locks.RESTRICT, locks.RestrictArgs(0))
    await asyncio.to_thread(lockd.start)
    assert await asyncio.to_thread(locked, disks) == {"a"}
    other = await _acting_for(rival, lockd)
    await _is_refused(other, disks / "a", r"locked by first \(process")
    await other.close()


@pytest.mark.parametrize("flags", [0, SHARED, MADE])
async def test_a_holder_that_asks_again_has_the_lock_that_it_has_and_can_release_it(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest], rival: Guest, flags: int
) -> None:
    connection = await _acting_for(guests[0], lockd)
    await _acquire(connection, disks / "a", flags)
    await asyncio.to_thread(lockd.kill)
    await asyncio.to_thread(lockd.start)
    again, other = await _acting_for(guests[0], lockd), await _acting_for(rival, lockd)
    await _acquire(again, disks / "a", flags)
    if not flags & SHARED:  # once: it does not have it twice
        await _is_refused(again, disks / "a", r"locked by first \(process")
    await _is_refused(other, disks / "a", r"locked by first \(process")
    await again.call(locks.RELEASE_RESOURCE, locks.ResourceArgs("", str(disks / "a"), 0))
    await _acquire(other, disks / "a", flags)
    await again.close()
    await other.close()


async def test_a_recovered_lock_is_not_made_shared_or_exclusive_by_asking_again(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest]
) -> None:
    connection = await _acting_for(guests[0], lockd)
    await _acquire(connection, disks / "a")
    await _acquire(connection, disks / "b", SHARED)
    await asyncio.to_thread(lockd.kill)
    await asyncio.to_thread(lockd.start)
    again = await _acting_for(guests[0], lockd)
    for name, flags in (("a", SHARED), ("b", 0)):
        with pytest.raises(RpcError, match="locked by first") as refusal:
            await _acquire(again, disks / name, flags)
        assert refusal.value.code == ErrorCode.RESOURCE_BUSY
    await again.close()


async def test_its_lock_is_given_back_when_it_ends(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest], rival: Guest
) -> None:
    connection = await _acting_for(guests[0], lockd)
    await _acquire(connection, disks / "a")
    await asyncio.to_thread(lockd.kill)
    await asyncio.to_thread(lockd.start)
    assert await asyncio.to_thread(locked, disks) == {"a"}
    guests[0].end()
    other = await _acting_for(rival, lockd)
    await _until(lambda: not locked(disks))
    await _acquire(other, disks / "a")
    await other.close()


async def test_it_may_give_its_lock_back_over_a_new_connection(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest]
) -> None:
    connection = await _acting_for(guests[0], lockd)
    await _acquire(connection, disks / "a")
    await asyncio.to_thread(lockd.kill)
    await asyncio.to_thread(lockd.start)
    again = await _acting_for(guests[0], lockd)
    await again.call(locks.RELEASE_RESOURCE, locks.ResourceArgs("", str(disks / "a"), 0))
    assert await asyncio.to_thread(locked, disks) == set()
    await again.close()


async def test_a_holder_that_has_ended_meanwhile_holds_nothing(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest], rival: Guest
) -> None:
    await _acquire(await _acting_for(guests[0], lockd), disks / "a")
    await asyncio.to_thread(lockd.kill)
    guests[0].end()
    await asyncio.to_thread(lockd.start)
    other = await _acting_for(rival, lockd)
    await _acquire(other, disks / "a")
    await other.close()


async def test_what_was_given_back_before_is_not_taken_again(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest]
) -> None:
    connection = await _acting_for(guests[0], lockd)
    await _acquire(connection, disks / "a")
    await _acquire(connection, disks / "b")
    await connection.call(locks.RELEASE_RESOURCE, locks.ResourceArgs("", str(disks / "a"), 0))
    await asyncio.to_thread(lockd.kill)
    await asyncio.to_thread(lockd.start)
    assert await asyncio.to_thread(locked, disks) == {"b"}


async def test_leases_and_shared_resources_come_back_too(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest], rival: Guest
) -> None:
    leases = disks / "leases"
    for guest in guests:
        connection = await _acting_for(guest, lockd)
        await connection.call(locks.CREATE_LOCKSPACE, locks.CreateLockspaceArgs(str(leases)))
        await _acquire(connection, disks / "a", SHARED)
        await _acquire(connection, f"{guest.name}-lease", MADE, str(leases))
    await asyncio.to_thread(lockd.kill)
    await asyncio.to_thread(lockd.start)
    assert await asyncio.to_thread(locked, leases) == {"first-lease", "second-lease"}
    other = await _acting_for(rival, lockd)
    await _is_refused(other, disks / "a", "first .*second|second .*first")
    await _acquire(other, disks / "a", SHARED)
    await other.close()


async def test_a_second_kill_loses_nothing_either(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest]
) -> None:
    await _acquire(await _acting_for(guests[0], lockd), disks / "a")
    for _ in range(3):
        await asyncio.to_thread(lockd.kill)
        await asyncio.to_thread(lockd.start)
        assert await asyncio.to_thread(locked, disks) == {"a"}


async def test_a_restart_without_loss_and_then_a_kill(
    lockd: Killable, disks: Path, guests: tuple[Guest, Guest]
) -> None:
    connection = await _acting_for(guests[0], lockd)
    await _acquire(connection, disks / "a")
    os.kill(lockd.daemon.pid, signal.SIGUSR1)
    await _until(lambda: "took over" in lockd.daemon.log.read_text())
    await _acquire(connection, disks / "b")
    await asyncio.to_thread(lockd.kill)
    await asyncio.to_thread(lockd.start)
    assert await asyncio.to_thread(locked, disks) == {"a", "b"}


def test_a_journal_that_cannot_be_read_stops_the_daemon(lockd: Killable) -> None:
    lockd.kill()
    (lockd.folder / "lockd.journal").write_text("what is this?")
    with pytest.raises(
        harness.DaemonFailed,
        match=r"ended with 3 .*\n.*is not a journal that this version can read",
    ):
        lockd.start()


def test_an_orderly_end_leaves_no_journal(lockd: Killable) -> None:
    assert (lockd.folder / "lockd.journal").exists()
    assert lockd.daemon.kill() == 0
    assert not list(lockd.folder.glob("lockd.journal*"))


async def test_a_killed_logd_leaves_what_it_had_written(tmp_path: Path) -> None:
    logd = Killable("logd", tmp_path)
    try:
        path = tmp_path / "guest.log"
        pipe = await open_log(logd.daemon.socket, str(path))
        os.write(pipe, b"before\n")
        await _until(lambda: path.read_bytes() == b"before\n")
        logd.kill()
        with pytest.raises(BrokenPipeError):
            os.write(pipe, b"into the void\n")
        os.close(pipe)
        logd.start()
        pipe = await open_log(logd.daemon.socket, str(path))
        os.write(pipe, b"after\n")
        os.close(pipe)
        await _until(lambda: path.read_bytes() == b"before\nafter\n")
    finally:
        logd.daemon.kill()
