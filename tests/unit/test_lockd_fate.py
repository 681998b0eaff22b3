"""What becomes of a process whose connection went while it held locks."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.daemons.lockd import fate
from aiovirt.daemons.lockd.holder import Holder, open_process
from aiovirt.daemons.lockd.protocol import (
    ACQUIRE_RESOURCE,
    LOCK_SPACE,
    REGISTER,
    RESTRICT,
    Owner,
    RegisterArgs,
    ResourceArgs,
    RestrictArgs,
)
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.unit.house import eventually
from tests.unit.lock_house import LockHouse, open_lock_house

PATIENCE = 20


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[LockHouse]:
    async with open_lock_house(tmp_path) as house:
        yield house


async def _acquire(house: LockHouse) -> None:
    async with await house.connect(Owner(bytes(16), "next", 2, 1)) as connection:
        await house.acquire(connection, house.disk())


async def _let_go(house: LockHouse, process: asyncio.subprocess.Process) -> None:
    """Have the holder close its connection, and wait until that was noticed."""
    assert process.stdin is not None
    process.stdin.write(b"\n")
    await eventually(lambda: not house.service.sessions())


async def test_a_holder_whose_connection_went_is_ended(house: LockHouse) -> None:
    process = await house.holder(house.disk())
    await _let_go(house, process)
    assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGTERM


async def test_a_holder_that_does_not_heed_is_killed_and_keeps_its_locks_until_then(
    house: LockHouse,
) -> None:
    process = await house.holder(house.disk(), "stubborn")
    await _let_go(house, process)
    with pytest.raises(RpcError) as refusal:
        await _acquire(house)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY
    assert process.returncode is None
    assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGKILL


async def test_the_daemon_s_end_is_the_end_of_its_holders(house: LockHouse) -> None:
    process = await house.holder(house.disk())
    house.daemon.shutdown()
    assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGTERM


async def test_a_process_that_took_the_number_over_is_left_alone() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    descriptor, start = open_process(process.pid, None)
    os.close(descriptor)
    await fate.end_process(Holder(process.pid, start - 1), "test")
    assert process.returncode is None
    process.kill()
    await process.wait()


def test_neither_init_nor_the_daemon_itself_is_ended() -> None:
    assert not fate.may_end(Holder(1, 1))
    assert not fate.may_end(Holder(os.getpid(), 1))
    assert fate.may_end(Holder(2**22 + 1, 1))


async def test_a_holder_that_may_not_be_ended_keeps_its_locks(house: LockHouse) -> None:
    owner = Owner(bytes(16), "here", 3, os.getpid())
    async with await house.connect(owner) as here:
        await house.acquire(here, house.disk())
    await eventually(lambda: not house.service.sessions())
    with pytest.raises(RpcError) as refusal:
        await _acquire(house)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY


async def test_a_holder_that_cannot_be_watched_keeps_its_locks_and_is_ended_once_it_can(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    descriptor, start = open_process(process.pid, None)
    os.close(descriptor)
    holder = Holder(process.pid, start)
    looks = []
    really = os.pidfd_open

    def fails_at_first(pid: int) -> int:
        looks.append(pid)
        if len(looks) < 4:
            raise OSError(errno.EMFILE, "Too many open files")
        return really(pid)

    monkeypatch.setattr(fate, "LOOK_AGAIN_AFTER", 0.0)
    monkeypatch.setattr(os, "pidfd_open", fails_at_first)
    assert not holder.has_ended()
    await asyncio.wait_for(fate.end_process(holder, "test"), PATIENCE)
    assert await process.wait() == -signal.SIGTERM


async def test_a_socket_that_fails_to_close_keeps_nobody_s_locks(
    house: LockHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await house.holder(house.disk())
    really = socket.socket.close

    def failing(self: socket.socket) -> None:
        really(self)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch:
        patch.setattr(socket.socket, "close", failing)
        await _let_go(house, process)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGTERM
    await _acquire(house)


async def test_a_restricted_connection_can_do_nothing_more(house: LockHouse) -> None:
    async with connect_unix(house.socket) as connection:
        with pytest.raises(RpcError) as refusal:
            await connection.call(RESTRICT, RestrictArgs(0))
        assert refusal.value.code == ErrorCode.OPERATION_INVALID
        owner = Owner(bytes(16), "guest", 1, 1)
        await connection.call(REGISTER, RegisterArgs(owner, 0))
        await connection.call(RESTRICT, RestrictArgs(0))
        with pytest.raises(RpcError) as refusal:
            await connection.call(ACQUIRE_RESOURCE, ResourceArgs("", house.disk(), 0))
        assert refusal.value.code == ErrorCode.OPERATION_DENIED


def test_the_table_is_virtlockd_s() -> None:
    assert (LOCK_SPACE.number, LOCK_SPACE.version) == (0xEA7BEEF, 1)
    assert [procedure.number for procedure in LOCK_SPACE] == list(range(1, 9))
