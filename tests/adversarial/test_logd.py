"""Scenarios that were made up to break logd. docs/logd.md says what each of them found.

The rule: a guest's bytes go into its own log, once, or are counted as lost; one guest's disk is nobody
else's trouble; nothing that can hang is done on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import resource
import shutil
import signal
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.daemons.logd import protocol
from aiovirt.daemons.logd.client import LogAdmin, OpenLogInfo
from aiovirt.daemons.logd.movers import Movers
from aiovirt.daemons.logd.openlog import OpenLog, make_pipe
from aiovirt.daemons.logd.rotating import RotatingFile, Rotation
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.message import Status, Type, frame
from tests import harness
from tests.adversarial.disks import LoopDisk, loop_disk, small_disk
from tests.restart.conftest import Restarted
from tests.restart.wire import GUEST, open_log
from tests.unit.house import eventually

#: What others have to be served within, in seconds, while something hangs. It would be for ever.
SOON = 5.0
SETTINGS: harness.Settings = {"log_level": 2, "log_outputs": "2:stderr", "max_size": 0}


class Logd(Restarted):
    """A logd in a process of its own."""

    async def position(self, path: Path) -> int:
        """The size of an open log's file, after what is in its pipe was written."""
        async with asyncio.timeout(SOON):
            async with connect_unix(self.daemon.socket) as connection:
                found = await connection.call(
                    protocol.DOMAIN_GET_LOG_FILE_POSITION, protocol.PositionArgs(str(path), 0)
                )
        return found.position.offset

    async def logs(self) -> dict[str, OpenLogInfo]:
        """What is open, by path."""
        async with asyncio.timeout(SOON), admin_client.connect(self.daemon.uri) as connection:
            return {log.path: log for log in await LogAdmin(connection).list()}

    async def settle(self, thing: Callable[[], object]) -> None:
        """Wait until something is so."""
        await self.wait_for(thing)

    def descriptors(self) -> int:
        """How many it has open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))


@pytest.fixture
def logd() -> Iterator[Logd]:
    with harness.running("logd", SETTINGS) as daemon:
        yield Logd(daemon)


@pytest.fixture
def disk() -> Iterator[LoopDisk]:
    with loop_disk() as disk:
        yield disk


@contextlib.asynccontextmanager
async def opened(logd: Logd, *paths: Path) -> AsyncIterator[list[int]]:
    """Open logs, and let go of those pipes at the end that were not let go of before."""
    pipes = [await open_log(logd.daemon.socket, str(path)) for path in paths]
    try:
        yield pipes
    finally:
        for pipe in pipes:
            with contextlib.suppress(OSError):
                os.close(pipe)


async def test_1_twenty_logs_on_one_frozen_disk_cost_nobody_else_a_moment(
    logd: Logd, disk: LoopDisk, tmp_path: Path
) -> None:
    stuck = [disk.path / f"{number}.log" for number in range(20)]
    fine = [tmp_path / f"{number}.log" for number in range(3)]
    async with opened(logd, *stuck) as stuck_pipes, opened(logd, *fine[:2]) as fine_pipes:
        disk.freeze()
        for pipe in stuck_pipes:
            os.write(pipe, b"before it hung\n")
        for _ in range(10):
            for pipe, path in zip(fine_pipes, fine, strict=False):
                size = path.stat().st_size
                os.write(pipe, b"line\n")
                assert await logd.position(path) == size + 5
        async with opened(logd, fine[2]) as (pipe,):
            os.write(pipe, b"new\n")
            assert await logd.position(fine[2]) == 4
        assert len(await logd.logs()) >= 22
        disk.thaw()
        for path in stuck:
            await logd.settle(lambda path=path: path.read_bytes() == b"before it hung\n")


async def test_2_a_guest_that_ends_while_its_disk_hangs_loses_nothing(
    logd: Logd, disk: LoopDisk
) -> None:
    path = disk.path / "guest.log"
    words = b"".join(b"line %05d\n" % number for number in range(10_000))
    async with opened(logd, path) as (pipe,):
        disk.freeze()
        os.write(pipe, words)
        os.close(pipe)
        assert str(path) in await logd.logs()
        with pytest.raises(RpcError, match="is open already"):
            await open_log(logd.daemon.socket, str(path))
        disk.thaw()
        await logd.settle(lambda: f"log closed path={path}" in logd.said)
        assert path.read_bytes() == words
    async with opened(logd, path) as (pipe,):
        os.write(pipe, b"again\n")
        assert await logd.position(path) == len(words) + 6


async def test_3_an_orderly_end_while_a_disk_hangs_finishes_the_other_logs(
    logd: Logd, disk: LoopDisk, tmp_path: Path
) -> None:
    stuck, fine = disk.path / "guest.log", tmp_path / "guest.log"
    async with opened(logd, stuck, fine) as pipes:
        disk.freeze()
        for pipe in pipes:
            os.write(pipe, b"last words\n")
        os.kill(logd.pid, signal.SIGTERM)
        await logd.settle(lambda: "log not finished" in logd.said)
        assert str(stuck) in logd.said.rpartition("log not finished")[2]
        assert fine.read_bytes() == b"last words\n"
        disk.thaw()
        assert await asyncio.to_thread(logd.daemon.wait) == 0


async def test_4_a_file_system_that_died_costs_its_own_log_only_at_a_restart(
    logd: Logd, disk: LoopDisk, tmp_path: Path
) -> None:
    dead, fine = disk.path / "guest.log", tmp_path / "guest.log"
    async with opened(logd, dead, fine) as (dead_pipe, fine_pipe):
        os.write(dead_pipe, b"before\n")
        assert await logd.position(dead) == 7
        disk.die()
        for number in range(3):
            os.write(dead_pipe, b"lost %d\n" % number)
            os.write(fine_pipe, b"line %d\n" % number)
            await logd.restart()
            assert await logd.position(fine) == 7 * (number + 1)
        await logd.position(dead)  # which tries to write what waits
        assert (await logd.logs())[str(dead)].trouble == "Input/output error"
        os.close(dead_pipe)
        await logd.settle(lambda: "bytes of a log were lost" in logd.said)
        assert logd.said.count("lost=21") == 1, "each byte is counted, through three restarts"


async def test_5_a_restart_while_a_log_cannot_be_opened_is_refused_and_harms_nobody(
    logd: Logd, disk: LoopDisk, tmp_path: Path
) -> None:
    fine, new = tmp_path / "guest.log", disk.path / "new.log"
    async with opened(logd, fine) as (pipe,):
        disk.freeze()
        opening = asyncio.create_task(open_log(logd.daemon.socket, str(new)))
        await asyncio.sleep(0)
        async with connect_unix(logd.daemon.socket) as connection:
            args = protocol.ReadArgs(str(fine), protocol.Position(0, 0), 100, 0)
            await connection.call(protocol.DOMAIN_READ_LOG_FILE, args)
        logd.signal()
        await logd.settle(lambda: "restart refused" in logd.said or "restart failed" in logd.said)
        assert str(new) in logd.said.rpartition("restart refused")[2], "the message has the path"
        for number in range(3):
            os.write(pipe, b"line %d\n" % number)
            assert await logd.position(fine) == 7 * (number + 1)
        disk.thaw()
        with contextlib.suppress(RpcError):  # it may have been given up for the restart
            os.close(await opening)
        await logd.settle(lambda: logd.said.count("log closed") == 1)
        await logd.restart()
        os.write(pipe, b"after\n")
        assert await logd.position(fine) == 27


async def test_6_lines_that_two_clients_add_at_once_are_whole_and_in_order(
    logd: Logd, tmp_path: Path
) -> None:
    path = tmp_path / "guest.log"
    harness.write_settings(logd.daemon.conf, {**SETTINGS, "max_size": 1000, "max_backups": 32})
    os.kill(logd.pid, signal.SIGHUP)

    async def add(who: str) -> None:
        async with connect_unix(logd.daemon.socket) as connection:
            for number in range(200):
                line = f"{who} {number:04}\n"
                # Another spelling of the path would be another log on the file: docs/logd.md.
                args = protocol.AppendArgs("test", GUEST, str(path), line, 0)
                await connection.call(protocol.DOMAIN_APPEND_LOG_FILE, args)

    await asyncio.gather(add("a"), add("b"))
    lines = chain(path).decode().splitlines()
    for who in "ab":
        assert [line for line in lines if line[0] == who] == [f"{who} {n:04}" for n in range(200)]
    assert len(lines) == 400


def chain(path: Path) -> bytes:
    """What is in a log's files, from old to new."""
    data = b""
    for name in (*(f"{path}.{number}" for number in reversed(range(33))), str(path)):
        with contextlib.suppress(FileNotFoundError):  # it may be renamed at this moment
            data += Path(name).read_bytes()
    return data


async def test_7_clients_that_open_logs_and_go_at_once_leave_nothing_behind(
    logd: Logd, tmp_path: Path
) -> None:
    await logd.logs()
    before = logd.descriptors()
    for number in range(200):
        args = protocol.OpenArgs("test", GUEST, str(tmp_path / f"{number}.log"), 0)
        payload = protocol.DOMAIN_OPEN_LOG_FILE.encode_args(args)
        call = frame(protocol.DOMAIN_OPEN_LOG_FILE.key, Type.CALL, 1, Status.OK, payload)
        _, writer = await asyncio.open_unix_connection(logd.daemon.socket)
        writer.write(call)
        await writer.drain()
        if number % 3 == 0:
            await asyncio.sleep(0.001)
        writer.close()
    await logd.settle(lambda: logd.descriptors() <= before)
    assert await logd.logs() == {}


async def test_8_without_descriptors_to_rotate_with_nothing_is_lost(
    logd: Logd, tmp_path: Path
) -> None:
    path = tmp_path / "guest.log"
    harness.write_settings(logd.daemon.conf, {**SETTINGS, "max_size": 1000, "max_backups": 32})
    os.kill(logd.pid, signal.SIGHUP)
    await logd.settle(lambda: "max_size" in logd.said)
    words = b""
    async with opened(logd, path) as (pipe,):
        limit = 1 + max(int(number) for number in os.listdir(f"/proc/{logd.pid}/fd"))
        limits = resource.prlimit(logd.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(logd.pid, resource.RLIMIT_NOFILE, (limit, limits[1]))
        clients = [await asyncio.open_unix_connection(logd.daemon.socket) for _ in range(20)]
        await logd.settle(lambda: "accepting paused" in logd.said)
        for number in range(500):
            words += b"line %05d\n" % number
            os.write(pipe, b"line %05d\n" % number)
        # It has one left over when something else was closed meanwhile; then it rotates with that.
        await logd.settle(lambda: "log cannot be written" in logd.said or chain(path) == words)
        resource.prlimit(logd.pid, resource.RLIMIT_NOFILE, limits)
        await logd.settle(lambda: chain(path) == words)
        for _, writer in clients:
            writer.close()


async def test_9_a_folder_that_is_moved_away_for_a_moment_costs_nothing(
    logd: Logd, tmp_path: Path
) -> None:
    harness.write_settings(logd.daemon.conf, {**SETTINGS, "max_size": 1000, "max_backups": 32})
    os.kill(logd.pid, signal.SIGHUP)
    await logd.settle(lambda: "max_size" in logd.said)
    folder = tmp_path / "qemu"
    folder.mkdir()
    path, words = folder / "guest.log", b""
    async with opened(logd, path) as (pipe,):
        for number in range(400):
            if number == 100:
                folder.rename(tmp_path / "away")
            if number == 300:
                await logd.settle(lambda: "log cannot be rotated" in logd.said)
                (tmp_path / "away").rename(folder)
            words += b"line %05d\n" % number
            os.write(pipe, b"line %05d\n" % number)
        await logd.settle(lambda: chain(path) == words)
        assert (await logd.logs())[str(path)].lost == 0


async def test_10_a_log_that_is_copied_and_cut_in_a_loop_is_followed_without_a_repetition(
    logd: Logd, tmp_path: Path
) -> None:
    path = tmp_path / "guest.log"
    stop = threading.Event()

    def copytruncate() -> None:
        while not stop.wait(0.02):
            shutil.copyfile(path, tmp_path / "copy")
            os.truncate(path, 0)

    async with (
        opened(logd, path) as (pipe,),
        admin_client.connect(logd.daemon.uri) as connection,
        LogAdmin(connection).follow(str(path)) as followed,
    ):
        cutting = asyncio.create_task(asyncio.to_thread(copytruncate))
        got, gaps = b"", []

        async def take() -> None:
            nonlocal got
            async for data in followed:
                if followed.gaps > len(gaps):
                    gaps.append(len(got))
                got += data

        taking = asyncio.create_task(take())
        for number in range(2000):
            os.write(pipe, b"%06d\n" % number)
            if not number % 10:
                await asyncio.sleep(0.001)
        stop.set()
        await cutting
        os.write(pipe, b"the end\n")
        await logd.settle(lambda: got.endswith(b"the end\n"))
        taking.cancel()
    numbers = [int(line) for line in got.splitlines()[:-1]]
    assert numbers == sorted(set(numbers)), "in order, and each once"
    missing = [before + 1 != after for before, after in itertools.pairwise(numbers)]
    jumps = [7 * at for at, jump in enumerate(missing, 1) if jump]
    assert set(jumps) <= set(gaps), "each line that is missing was announced"


async def test_11_a_file_for_each_byte_holds_up_no_other_log(logd: Logd, tmp_path: Path) -> None:
    harness.write_settings(logd.daemon.conf, {**SETTINGS, "max_size": 1, "max_backups": 1})
    path, other = tmp_path / "guest.log", tmp_path / "other.log"
    async with opened(logd, path, other) as (pipe, other_pipe):
        os.kill(logd.pid, signal.SIGHUP)
        await logd.settle(lambda: "max_size" in logd.said)
        os.write(pipe, b"x" * 5_000)
        for _ in range(5):
            os.write(other_pipe, b"y")
            await logd.position(other)
        assert len(await logd.logs()) == 2
        assert await logd.position(path) == 1
        log = (await logd.logs())[str(path)]
        assert (log.received, log.lost, log.rotations) == (5_000, 0, 4_999)


async def test_12_a_full_disk_under_many_guests_that_come_and_go_is_counted_to_the_byte(
    logd: Logd,
) -> None:
    with small_disk(512) as folder:
        filler = folder / "filler"
        paths = [folder / f"{number}.log" for number in range(10)]
        sent = 0
        async with opened(logd, *paths) as pipes:
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1024))
            for number, pipe in enumerate(pipes):
                data = b"%05d\n" % number * (100 * number + 1)
                sent += os.write(pipe, data)
            await logd.settle(lambda: logd.said.count("log cannot be written") >= 9)
            for pipe in pipes:
                sent += os.write(pipe, b"this stays in the pipe\n" * 10)
            for pipe in pipes[::2]:
                os.close(pipe)
            await logd.settle(lambda: logd.said.count("log closed") == 5)
            filler.unlink()
            for path in paths[1::2]:
                await logd.settle(lambda path=path: path.stat().st_size)
                await logd.position(path)
        await logd.settle(lambda: logd.said.count("log closed") == 10)
        lost = sum(int(one.split()[0]) for one in logd.said.split(" lost=")[1:])
        assert sum(path.stat().st_size for path in paths) + lost == sent


# In this process, where the disk can be as bad as wanted -------------------------------------------


class FlappingFile(RotatingFile):
    """A file whose disk is slow or full again and again."""

    chance = random.Random(7)

    def append(self, data: memoryview) -> None:
        if self.chance.random() < 0.03:
            time.sleep(0.03)
        super().append(data)


async def test_13_logs_that_leave_the_others_and_come_back_all_the_time_lose_nothing(
    tmp_path: Path,
) -> None:
    movers = Movers()
    guests: list[tuple[Path, int, OpenLog]] = []
    over: list[OpenLog] = []
    for number in range(8):
        path = tmp_path / f"{number}.log"
        reading, writing = make_pipe()
        file = FlappingFile(str(path), Rotation(20_000, 32))
        log = OpenLog(
            file, reading, movers, driver="t", uuid=bytes(16), guest="g", on_close=over.append
        )
        log.start()
        guests.append((path, writing, log))
    words = dict.fromkeys((path for path, _, _ in guests), b"")
    jobs = 0
    for number in range(1500):
        for path, pipe, log in guests:
            words[path] += b"%06d\n" % number
            os.write(pipe, b"%06d\n" % number)
            if number % 50 == 0:
                jobs += await log.do(lambda: 1)
        if number % 200 == 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.02):
                    await movers.pause()
            movers.resume()
        await asyncio.sleep(0.0005)
    for _, pipe, _ in guests:
        os.close(pipe)
    await eventually(lambda: len(over) == len(guests))
    assert jobs == 8 * 30
    for path, wanted in words.items():
        assert chain(path) == wanted
