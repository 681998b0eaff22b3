"""What becomes of a process whose connection went while it held locks."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemons.lockd import fate
from daemons.lockd.protocol import (
    ACQUIRE_RESOURCE,
    LOCK_SPACE,
    REGISTER,
    RESTRICT,
    Owner,
    RegisterArgs,
    ResourceArgs,
    RestrictArgs,
)
from daemons.lockd.service import LockService
from rpc.client import Connection
from rpc.server import Daemon, Server, ServerOptions
from rpc.wire.errors import ErrorCode, RpcError

_HOLDER = """
import os, signal, socket, sys
sys.path.insert(0, sys.argv[3])
from daemons.lockd.protocol import *
from rpc.wire.message import Message
from rpc.wire import xdr
if len(sys.argv) > 4:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
owner = Owner(bytes(16), "guest", 1, os.getpid())
for at, (procedure, args) in enumerate((
    (REGISTER, RegisterArgs(owner, 0)),
    (ACQUIRE_RESOURCE, ResourceArgs("", sys.argv[2], 0)),
)):
    call = Message(LOCK_SPACE.number, 1, procedure.number, 0, at, 0, xdr.encode(args))
    link.sendall(call.pack())
    assert len(link.recv(28)) == 28
print("holding", flush=True)
sys.stdin.readline()
link.close()
print("let go", flush=True)
signal.pause()
"""

_ROOT = str(Path(__file__).parents[2])
PATIENCE = 20


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    daemon = Daemon("lockd")
    server = daemon.add_server(ServerOptions("lockd"))
    LockService(daemon).serve_on(server)
    server.listen_unix(str(tmp_path / "sock"))
    serving = asyncio.create_task(daemon.serve())
    await asyncio.sleep(0)
    yield server
    daemon.shutdown()
    await serving


@pytest.fixture
def disk(tmp_path: Path) -> str:
    path = tmp_path / "disk"
    path.touch()
    return str(path)


async def _holder(tmp_path: Path, disk: str, *extra: str) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _HOLDER,
        str(tmp_path / "sock"),
        disk,
        _ROOT,
        *extra,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"holding\n"
    return process


async def _acquire(tmp_path: Path, disk: str) -> None:
    async with await Connection.open_unix(str(tmp_path / "sock")) as connection:
        await connection.call(REGISTER, RegisterArgs(Owner(bytes(16), "next", 2, 1), 0))
        await connection.call(ACQUIRE_RESOURCE, ResourceArgs("", disk, 0))


async def _let_go(process: asyncio.subprocess.Process) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(b"\n")
    await process.stdin.drain()
    assert await process.stdout.readline() == b"let go\n"


async def test_a_holder_whose_connection_went_is_ended(
    server: Server, tmp_path: Path, disk: str
) -> None:
    process = await _holder(tmp_path, disk)
    await _let_go(process)
    assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGTERM


async def test_a_holder_that_does_not_heed_is_killed_and_keeps_its_locks_until_then(
    server: Server, tmp_path: Path, disk: str
) -> None:
    process = await _holder(tmp_path, disk, "stubborn")
    await _let_go(process)
    with pytest.raises(RpcError) as refusal:
        await _acquire(tmp_path, disk)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY
    assert process.returncode is None
    assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGKILL


async def test_the_daemon_s_end_is_the_end_of_its_holders(
    server: Server, tmp_path: Path, disk: str
) -> None:
    process = await _holder(tmp_path, disk)
    server.daemon.shutdown()
    assert await asyncio.wait_for(process.wait(), PATIENCE) == -signal.SIGTERM


async def test_a_process_that_took_the_number_over_is_left_alone() -> None:
    process = await asyncio.create_subprocess_exec("sleep", "600")
    start = fate.started_at(process.pid)
    assert start is not None
    await fate.end_process(process.pid, start - 1)
    assert process.returncode is None
    process.kill()
    await process.wait()


async def test_neither_init_nor_the_daemon_itself_is_ended() -> None:
    await fate.end_process(1, fate.started_at(1))
    await fate.end_process(os.getpid(), fate.started_at(os.getpid()))


async def test_a_restricted_connection_can_do_nothing_more(
    server: Server, tmp_path: Path, disk: str
) -> None:
    async with await Connection.open_unix(str(tmp_path / "sock")) as connection:
        with pytest.raises(RpcError) as refusal:
            await connection.call(RESTRICT, RestrictArgs(0))
        assert refusal.value.code == ErrorCode.OPERATION_INVALID
        owner = Owner(bytes(16), "guest", 1, 1)
        await connection.call(REGISTER, RegisterArgs(owner, 0))
        await connection.call(RESTRICT, RestrictArgs(0))
        with pytest.raises(RpcError) as refusal:
            await connection.call(ACQUIRE_RESOURCE, ResourceArgs("", disk, 0))
        assert refusal.value.code == ErrorCode.OPERATION_DENIED


def test_the_table_is_virtlockd_s() -> None:
    assert (LOCK_SPACE.number, LOCK_SPACE.version) == (0xEA7BEEF, 1)
    assert [procedure.number for procedure in LOCK_SPACE] == list(range(1, 9))
