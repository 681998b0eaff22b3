"""Moving a guest's bytes: quickly, past a slow disk, past a full one."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiovirt.daemons.logd import movers as movers_module
from aiovirt.daemons.logd import stations
from aiovirt.daemons.logd.movers import Movers
from aiovirt.daemons.logd.openlog import PIPE_SIZE, LogClosed, OpenLog, make_pipe
from aiovirt.daemons.logd.rotating import RotatingFile, Rotation, WriteFailed
from tests.unit.house import eventually


class Disk(RotatingFile):
    """A file whose disk is full while `full`, and slow while its gate is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), Rotation(0, 3))
        self.full = False
        self.partly = 0
        self.gate = threading.Event()
        self.gate.set()
        self.waits = 0

    def append(self, data: memoryview) -> None:
        if not self.gate.is_set():
            self.waits += 1
            self.gate.wait(10)
        if self.full:
            done, self.partly = self.partly, 0
            super().append(data[:done])
            raise WriteFailed(done, OSError(errno.ENOSPC, "No space left on device"))
        super().append(data)


class Guest:
    """A log, the end of the pipe that is written to, and the file."""

    def __init__(self, path: Path, movers: Movers, *, taken_over: bool = False) -> None:
        self.disk = Disk(path)
        self.path = path
        reading, self.pipe = make_pipe()
        self.closed = 0
        self.log = OpenLog(
            self.disk,
            reading,
            movers,
            driver="test",
            uuid=b"u" * 16,
            guest="g",
            on_close=self._on_close,
        )
        if taken_over:
            self.log.go_on()
        else:
            self.log.start()

    def _on_close(self, log: OpenLog) -> None:
        self.closed += 1

    def write(self, data: bytes) -> None:
        assert os.write(self.pipe, data) == len(data)

    def let_go(self) -> None:
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1

    @property
    def written(self) -> bytes:
        return self.path.read_bytes()

    async def end(self) -> None:
        self.disk.full = False
        self.disk.gate.set()
        self.let_go()
        await eventually(lambda: self.closed, "closed")


@pytest.fixture
async def movers() -> Movers:
    return Movers()


@pytest.fixture
async def guest(tmp_path: Path, movers: Movers) -> AsyncIterator[Guest]:
    guest = Guest(tmp_path / "one.log", movers)
    yield guest
    await guest.end()


@pytest.fixture
async def other(tmp_path: Path, movers: Movers) -> AsyncIterator[Guest]:
    guest = Guest(tmp_path / "other.log", movers)
    yield guest
    await guest.end()


def _is_apart(guest: Guest) -> bool:
    return guest.log.station is not None and guest.log.station.apart


async def _make_slow(guest: Guest) -> None:
    """Have one write hang until its log is apart."""
    guest.disk.gate.clear()
    guest.write(b".")
    await eventually(lambda: _is_apart(guest), "apart from the others")
    guest.disk.gate.set()
    await eventually(lambda: guest.written.endswith(b"."))


async def test_bytes_go_from_pipe_to_file(guest: Guest) -> None:
    guest.write(b"hello\n")
    await eventually(lambda: guest.written == b"hello\n")
    await eventually(lambda: guest.log.received == 6)  # a thread counts after it has written


async def test_when_the_guest_lets_go_everything_is_written_and_closed(guest: Guest) -> None:
    guest.write(b"x" * 200_000)
    guest.let_go()
    await eventually(lambda: guest.closed)
    assert guest.written == b"x" * 200_000
    assert guest.log.lost == 0


async def test_draining_writes_what_is_in_the_pipe_now(guest: Guest) -> None:
    guest.write(b"y" * 100_000)
    await guest.log.do(guest.log.drain)
    assert len(guest.written) == 100_000


async def test_the_first_write_that_hangs_keeps_nobody_else_waiting(
    guest: Guest, other: Guest
) -> None:
    guest.disk.gate.clear()
    guest.write(b"slow")
    await eventually(lambda: guest.disk.waits)
    other.write(b"quick")
    await eventually(lambda: other.written == b"quick")
    assert _is_apart(guest)
    assert not _is_apart(other)
    guest.disk.gate.set()
    await eventually(lambda: guest.written == b"slow")


async def test_a_job_that_hangs_keeps_nobody_else_waiting(guest: Guest, other: Guest) -> None:
    gate = threading.Event()
    job = asyncio.create_task(guest.log.do(lambda: gate.wait(10)))
    other.write(b"quick")
    await eventually(lambda: other.written == b"quick")
    assert await other.log.do(lambda: 7) == 7
    gate.set()
    assert await job


async def test_two_logs_that_hang_keep_a_third_one_going(
    guest: Guest, other: Guest, tmp_path: Path, movers: Movers
) -> None:
    third = Guest(tmp_path / "third.log", movers)
    for slow in (guest, other):
        slow.disk.gate.clear()
        slow.write(b"slow")
    await eventually(lambda: guest.disk.waits and other.disk.waits)
    third.write(b"quick")
    await eventually(lambda: third.written == b"quick")
    for slow in (guest, other):
        slow.disk.gate.set()
        await eventually(lambda slow=slow: slow.written == b"slow")
    await third.end()


async def test_a_disk_that_is_quick_again_brings_its_log_back(guest: Guest, other: Guest) -> None:
    await _make_slow(guest)
    for _ in range(500):
        if not _is_apart(guest):
            break
        before = len(guest.written)
        guest.write(b"!")
        await eventually(lambda before=before: len(guest.written) == before + 1)
    assert guest.log.station is other.log.station
    guest.write(b"?")
    await eventually(lambda: guest.written.endswith(b"?"))


async def test_jobs_are_done_in_order_and_even_if_nobody_waits_any_more(guest: Guest) -> None:
    gate, done = threading.Event(), []
    first = asyncio.create_task(guest.log.do(lambda: (gate.wait(10), done.append(1))))
    second = asyncio.create_task(guest.log.do(lambda: done.append(2)))
    third = asyncio.create_task(guest.log.do(lambda: done.append(3)))
    await asyncio.sleep(0)
    second.cancel()
    gate.set()
    await asyncio.gather(first, third)
    assert done == [1, 2, 3]


async def test_a_job_for_a_log_that_ends_before_is_told_so(guest: Guest) -> None:
    gate = threading.Event()
    blocked = asyncio.create_task(guest.log.do(lambda: gate.wait(10)))
    ending = asyncio.create_task(guest.log.finish())
    late = asyncio.create_task(guest.log.do(lambda: None))
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(blocked, ending)
    with pytest.raises(LogClosed):
        await late
    await eventually(lambda: guest.closed)
    with pytest.raises(LogClosed):
        await guest.log.do(lambda: None)


async def test_a_mistake_in_a_step_ends_no_thread(
    guest: Guest, other: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stations, "RETRY_AFTER", 0.001)
    tried = []

    def fail(data: memoryview) -> None:
        tried.append(bytes(data))
        raise RuntimeError("a mistake of ours")

    with monkeypatch.context() as patched:
        patched.setattr(Disk, "append", lambda self, data: fail(data))
        guest.write(b"x")
        await eventually(lambda: guest.log.lost == len(tried) == 1)
    other.write(b"quick")
    await eventually(lambda: other.written == b"quick")
    guest.write(b"y")
    await eventually(lambda: guest.written.endswith(b"y"))


# Pausing -----------------------------------------------------------------------------------------


async def test_nothing_is_moved_in_a_pause_and_nothing_is_lost_by_it(
    guest: Guest, movers: Movers
) -> None:
    await movers.pause()
    guest.write(b"later")
    job = asyncio.create_task(guest.log.do(lambda: 1))
    assert guest.written == b""
    guest.log.start()
    movers.resume()
    assert await job == 1
    await eventually(lambda: guest.written == b"later")


async def test_a_pause_that_a_stuck_log_prevents_changes_nothing(
    guest: Guest, other: Guest, movers: Movers
) -> None:
    guest.disk.gate.clear()
    guest.write(b"slow")
    await eventually(lambda: guest.disk.waits)
    for number in range(3):
        pausing = asyncio.create_task(movers.pause())
        await asyncio.wait([pausing], timeout=0.05)
        assert guest.log.path in movers.busy()
        pausing.cancel()
        for log in (guest.log, other.log):
            log.start()
        movers.resume()
        other.write(b"%d" % number)
        await eventually(lambda number=number: other.written.endswith(b"%d" % number))
    assert other.written == b"012", "each line once: nobody reads beside the thread"
    guest.disk.gate.set()
    await eventually(lambda: guest.written == b"slow")
    await movers.pause()
    movers.resume()


# A full disk -------------------------------------------------------------------------------------


async def test_a_full_disk_loses_nothing_that_the_pipe_can_hold(guest: Guest) -> None:
    guest.disk.full, guest.disk.partly = True, 3
    guest.write(b"one\ntwo\n")
    await eventually(lambda: guest.log.trouble)
    assert guest.log.trouble == "No space left on device"
    guest.write(b"three\n")
    guest.disk.full = False
    await eventually(lambda: guest.written == b"one\ntwo\nthree\n")
    assert (guest.log.lost, guest.log.trouble) == (0, "")


async def test_a_full_disk_does_not_stop_the_guest_and_what_was_lost_is_counted(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stations, "RETRY_AFTER", 0.001)
    guest.disk.full = True
    os.set_blocking(guest.pipe, False)
    sent = b""
    number = 0
    while len(sent) < 3 * PIPE_SIZE:
        line = b"%099d\n" % number
        number += 1
        try:
            guest.write(line)
        except BlockingIOError:
            number -= 1
            await asyncio.sleep(0.001)
        else:
            sent += line
    guest.disk.full = False
    guest.let_go()
    await eventually(lambda: guest.closed)
    assert guest.log.lost > 0
    assert len(guest.written) + guest.log.lost == len(sent)
    assert guest.written == sent[guest.log.lost :]  # the oldest went, in one piece


async def test_a_guest_that_ends_while_the_disk_is_full_does_not_keep_its_log_open(
    guest: Guest,
) -> None:
    guest.disk.full = True
    guest.write(b"last words")
    await eventually(lambda: guest.log.trouble)
    guest.let_go()
    await eventually(lambda: guest.closed)
    assert guest.log.lost == len(b"last words")


async def test_what_a_guest_leaves_in_its_pipe_on_a_full_disk_is_counted(guest: Guest) -> None:
    guest.disk.full = True
    guest.write(b"a" * 1000)
    await eventually(lambda: guest.log.trouble)
    guest.write(b"b" * 5000)  # these stay in the pipe, for there is room in it
    guest.let_go()
    await eventually(lambda: guest.closed)
    assert (guest.log.received, guest.log.lost) == (6000, 6000)


async def test_finishing_on_a_full_disk_counts_what_is_not_written(guest: Guest) -> None:
    guest.disk.full = True
    guest.write(b"a" * 1000)
    await eventually(lambda: guest.log.trouble)
    guest.write(b"b" * 5000)
    await guest.log.finish()
    await eventually(lambda: guest.closed)
    assert (guest.log.received, guest.log.lost) == (6000, 6000)


async def test_finishing_writes_what_is_there_and_breaks_the_pipe(guest: Guest) -> None:
    guest.write(b"z" * 100_000)
    await guest.log.finish()
    await eventually(lambda: guest.closed)
    assert len(guest.written) == 100_000
    with pytest.raises(BrokenPipeError):
        guest.write(b"more")


async def test_finishing_a_log_on_a_slow_disk(guest: Guest) -> None:
    await _make_slow(guest)
    guest.write(b"end")
    await guest.log.finish()
    await eventually(lambda: guest.closed)
    assert guest.written == b".end"
    assert guest.closed == 1


async def test_a_watcher_hears_of_every_move(guest: Guest) -> None:
    heard = []
    guest.log.watchers.append(lambda: heard.append(guest.disk.position))
    guest.write(b"abc")
    await eventually(lambda: heard and heard[-1] == 3)
    await _make_slow(guest)
    guest.write(b"de")
    await eventually(lambda: heard[-1] == 6)


async def test_a_log_whose_descriptors_are_gone_costs_itself_only(
    tmp_path: Path, guest: Guest, movers: Movers
) -> None:
    lost = Guest(tmp_path / "lost.log", movers)
    await lost.end()
    reading, writing = make_pipe()
    over = []
    broken = OpenLog(
        RotatingFile.take_over(str(tmp_path / "broken.log"), Rotation(0, 3), 99_999, 0),
        reading,
        movers,
        driver="test",
        uuid=b"u" * 16,
        guest="g",
        on_close=over.append,
    )
    broken.go_on()
    await eventually(lambda: over == [broken])
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"x")
    os.close(writing)
    guest.write(b"fine")
    await eventually(lambda: guest.written == b"fine")


async def test_a_log_goes_on_when_there_is_a_descriptor_again(
    tmp_path: Path, movers: Movers, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = []

    def no_more(*_: object, **__: object) -> None:
        tries.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(movers_module, "Station", no_more)
        guest = Guest(tmp_path / "guest.log", movers, taken_over=True)
        guest.write(b"waits")
        job = asyncio.create_task(guest.log.do(lambda: 1))
        await eventually(lambda: len(tries) > 1, "tried again")
        await movers.pause()
        movers.resume()
    await eventually(lambda: guest.written == b"waits")
    assert await job == 1
    await guest.end()


async def test_a_slow_log_that_cannot_be_set_apart_is_reported_once(
    guest: Guest,
    other: Guest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tries = []
    told: list[str] = []

    def no_more(*_: object, **__: object) -> None:
        tries.append(1)
        raise OSError(errno.EMFILE, "Too many open files")

    guest.disk.gate.clear()
    with monkeypatch.context() as patched:
        patched.setattr(movers_module, "Station", no_more)
        patched.setattr(
            movers_module, "_log", SimpleNamespace(error=lambda text, **_: told.append(text))
        )
        guest.write(b"slow")
        other.write(b"other")
        await eventually(lambda: len(tries) > 3, "tried again")
    await eventually(lambda: other.written == b"other", "set apart when that is possible")
    assert told == ["a slow log keeps others waiting"]


async def test_the_pipe_is_large_where_that_is_allowed() -> None:
    reading, writing = make_pipe()
    assert fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ) <= PIPE_SIZE
    assert not os.get_blocking(reading)
    assert os.get_blocking(writing)
    assert not os.get_inheritable(writing)
    os.close(reading)
    os.close(writing)
