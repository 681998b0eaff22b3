"""Restarts under load: 200 holders of locks and 200 writers of logs, 20 times in a row."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import pytest

from aiovirt.daemons.lockd import protocol as locks
from aiovirt.daemons.logd import protocol as logs
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness
from tests.restart.conftest import Restarted
from tests.restart.kernel import Disks
from tests.restart.wire import open_log

HOLDERS = WRITERS = 200
RESTARTS = 20


async def _hold(socket: str, path: Path, number: int) -> Connection:
    connection = await connect_unix(socket)
    # In the name of a process that is not ours, so that it is left alone when we go.
    owner = locks.Owner(number.to_bytes(16, "big"), f"guest{number}", number, 0x7000_0000 + number)
    await connection.call(locks.REGISTER, locks.RegisterArgs(owner, 0))
    await connection.call(locks.ACQUIRE_RESOURCE, locks.ResourceArgs("", str(path), 0))
    return connection


async def test_no_lock_is_lost(lockd: Restarted, tmp_path: Path) -> None:
    disks = [tmp_path / f"disk{number}" for number in range(1, HOLDERS + 1)]
    spare = tmp_path / "spare"
    kernel = Disks(*disks, spare)
    names = {disk.name for disk in disks}
    daemon = lockd.daemon
    holders = [await _hold(daemon.socket, disk, n) for n, disk in enumerate(disks, 1)]
    assert kernel.locked() == names

    stop = threading.Event()
    missing: list[set[str]] = []

    def watch() -> None:
        while not stop.is_set():
            if lost := names - kernel.locked():
                missing.append(lost)

    watching = asyncio.create_task(asyncio.to_thread(watch))
    rival = await _hold(daemon.socket, spare, 9999)
    try:
        for round_number in range(RESTARTS):
            restarting = asyncio.create_task(lockd.restart())
            tried = 0
            while not restarting.done() or not tried:
                await _is_refused(rival, disks[(round_number * 7 + tried) % HOLDERS])
                tried += 1
            await restarting
    finally:
        stop.set()
        await watching
    assert not missing
    assert not any(holder.closed for holder in holders)
    for holder, disk in zip(holders, disks, strict=True):
        await holder.call(locks.RELEASE_RESOURCE, locks.ResourceArgs("", str(disk), 0))
    assert kernel.locked() == {"spare"}
    for holder in (*holders, rival):
        await holder.close()
    kernel.close()


async def _is_refused(rival: Connection, disk: Path) -> None:
    args = locks.ResourceArgs("", str(disk), 0)
    with pytest.raises(RpcError) as refusal:
        await rival.call(locks.ACQUIRE_RESOURCE, args, timeout=harness.PATIENCE)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY


class Writer(threading.Thread):
    """A guest that writes numbered lines into its pipe until it is told to stop."""

    def __init__(self, number: int, pipe: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self.prefix = f"guest {number:03} says "
        self.pipe = pipe
        self.stop = stop
        self.lines = 0
        self.failure: Exception | None = None

    def run(self) -> None:
        try:
            while not self.stop.is_set():
                os.write(self.pipe, f"{self.prefix}{self.lines:08}\n".encode())
                self.lines += 1
                self.stop.wait(0.01)
        except Exception as error:
            self.failure = error
        finally:
            os.close(self.pipe)


async def test_no_byte_of_a_log_is_lost_or_doubled(logd: Restarted, tmp_path: Path) -> None:
    daemon = logd.daemon
    stop = threading.Event()
    paths = [str(tmp_path / f"guest{number}.log") for number in range(WRITERS)]
    pipes = [await open_log(daemon.socket, path) for path in paths]
    writers = [Writer(number, pipe, stop) for number, pipe in enumerate(pipes)]
    async with connect_unix(daemon.socket) as client:
        for writer in writers:
            writer.start()
        for _ in range(RESTARTS):
            restarting = asyncio.create_task(logd.restart())
            while not restarting.done():
                found = await client.call(
                    logs.DOMAIN_GET_LOG_FILE_POSITION,
                    logs.PositionArgs(paths[0], 0),
                    timeout=harness.PATIENCE,
                )
                assert found.position.offset >= 0
            await restarting
        stop.set()
        for writer in writers:
            await asyncio.to_thread(writer.join)
        await logd.wait_for(lambda: logd.said.count("log closed") == WRITERS)
    for writer, path in zip(writers, paths, strict=True):
        assert writer.failure is None
        assert writer.lines
        wanted = [f"{writer.prefix}{number:08}" for number in range(writer.lines)]
        assert await asyncio.to_thread(_lines, path) == wanted


def _lines(path: str) -> list[str]:
    """All lines of a log, through its rotated files."""
    names = [path] + [f"{path}.{number}" for number in range(32)]
    return "".join(
        Path(name).read_text() for name in reversed(names) if os.path.exists(name)
    ).split("\n")[:-1]
