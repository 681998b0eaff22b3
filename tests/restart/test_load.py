"""Restarts under load: 300 holders of locks and 200 writers of logs, 10 times in a row.

AIOVIRT_RESTARTS=100 python -m pytest tests/restart/test_load.py    does it a hundred times.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass
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

HOLDERS, WRITERS, BUSY = 300, 200, 4
#: Lines that the rotated files of a log keep (see the fixture); a guest that has written so many waits.
KEPT = 24_000
RESTARTS = int(os.environ.get("AIOVIRT_RESTARTS", "10"))


async def _hold(socket: str, path: Path, number: int) -> Connection:
    connection = await connect_unix(socket)
    # In the name of a process that is not ours, so that it is left alone when we go.
    owner = locks.Owner(number.to_bytes(16, "big"), f"guest{number}", number, 0x7000_0000 + number)
    await connection.call(locks.REGISTER, locks.RegisterArgs(owner, 0))
    await connection.call(locks.ACQUIRE_RESOURCE, locks.ResourceArgs("", str(path), 0))
    return connection


async def _keep_busy(socket: str, disk: Path, number: int, stop: threading.Event) -> int:
    """Give back and take a lock again and again; the number of times."""
    await asyncio.to_thread(disk.touch)
    args = locks.ResourceArgs("", str(disk), 0)
    times = 0
    async with await _hold(socket, disk, number) as client:
        while not stop.is_set():
            await client.call(locks.RELEASE_RESOURCE, args, timeout=harness.PATIENCE)
            await client.call(locks.ACQUIRE_RESOURCE, args, timeout=harness.PATIENCE)
            times += 1
    return times


async def test_no_lock_is_lost(lockd: Restarted, tmp_path: Path) -> None:
    disks = [tmp_path / f"disk{number}" for number in range(1, HOLDERS + 1)]
    spare = tmp_path / "spare"
    kernel = Disks(*disks, spare)
    names = {disk.name for disk in disks}
    daemon = lockd.daemon
    holders = [await _hold(daemon.socket, disk, n) for n, disk in enumerate(disks, 1)]
    assert kernel.locked() == names

    stop = threading.Event()
    busy = [
        asyncio.create_task(_keep_busy(daemon.socket, tmp_path / f"busy{number}", number, stop))
        for number in range(10_000, 10_000 + BUSY)
    ]
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
        times = await asyncio.gather(*busy)
    assert all(each > RESTARTS for each in times)
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


@dataclass
class Guest:
    """A guest that writes numbered lines into its pipe. lines: how many it has written."""

    number: int
    path: str
    pipe: int
    lines: int = 0

    def line(self, number: int) -> str:
        return f"guest {self.number:03} says {number:08}"

    def write(self) -> None:
        os.write(self.pipe, f"{self.line(self.lines)}\n".encode())
        self.lines += 1


def _write(guests: Sequence[Guest], stop: threading.Event) -> None:
    """Have each of the guests write, again and again, until they are told to stop; then close."""
    try:
        while not stop.wait(0.01):
            for guest in guests:
                if guest.lines < KEPT:
                    guest.write()
    finally:
        for guest in guests:
            os.close(guest.pipe)


async def _restart(logd: Restarted) -> None:
    """Restart logd; ask again when it is refused because the disk is too slow to pause the logs."""
    logd.times += 1
    refused = logd.said.count("restart refused")
    logd.signal()
    while logd.said.count("took over") < logd.times:
        said = logd.said
        if said.count("restart refused") > refused:
            slow = said.count("was not done in time") + said.count("a disk holds up")
            assert said.count("restart refused") == slow, said[-3000:]
            refused = said.count("restart refused")
            logd.signal()
        await logd.wait_for(
            lambda: (
                logd.said.count("took over") == logd.times
                or logd.said.count("restart refused") > refused  # noqa: B023  as it is now
            )
        )


async def test_no_byte_of_a_log_is_lost_or_doubled(logd: Restarted, tmp_path: Path) -> None:
    daemon = logd.daemon
    stop = threading.Event()
    paths = [str(tmp_path / f"guest{number}.log") for number in range(WRITERS)]
    guests = [
        Guest(number, path, await open_log(daemon.socket, path))
        for number, path in enumerate(paths)
    ]
    async with connect_unix(daemon.socket) as client:
        writing = [
            asyncio.create_task(asyncio.to_thread(_write, guests[part::4], stop))
            for part in range(4)
        ]
        try:
            for _ in range(RESTARTS):
                restarting = asyncio.create_task(_restart(logd))
                while not restarting.done():
                    found = await client.call(
                        logs.DOMAIN_GET_LOG_FILE_POSITION,
                        logs.PositionArgs(paths[0], 0),
                        timeout=harness.PATIENCE,
                    )
                    assert found.position.offset >= 0
                await restarting
        finally:
            stop.set()
            await asyncio.gather(*writing)
        await logd.wait_for(lambda: logd.said.count("log closed") == WRITERS)
    for guest in guests:
        assert guest.lines
        wanted = [guest.line(number) for number in range(guest.lines)]
        assert await asyncio.to_thread(_lines, guest.path) == wanted


def _lines(path: str) -> list[str]:
    """All lines of a log, through its rotated files."""
    names = [path] + [f"{path}.{number}" for number in range(32)]
    return "".join(
        Path(name).read_text() for name in reversed(names) if os.path.exists(name)
    ).split("\n")[:-1]
