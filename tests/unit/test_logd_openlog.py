"""Moving a guest's bytes: quickly, past a slow disk, past a full one."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.daemons.logd import openlog
from aiovirt.daemons.logd.openlog import PIPE_SIZE, OpenLog, make_pipe
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

    def __init__(self, path: Path) -> None:
        self.disk = Disk(path)
        self.path = path
        reading, self.pipe = make_pipe()
        self.closed = 0
        self.log = OpenLog(
            self.disk, reading, driver="test", uuid=b"u" * 16, guest="g", on_close=self._on_close
        )
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
async def guest(tmp_path: Path) -> AsyncIterator[Guest]:
    guest = Guest(tmp_path / "one.log")
    yield guest
    await guest.end()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[Guest]:
    guest = Guest(tmp_path / "other.log")
    yield guest
    await guest.end()


async def _make_slow(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one write seem slow, so that the log leaves the loop."""
    with monkeypatch.context() as patched:
        patched.setattr(openlog, "SLOW", -1.0)
        guest.write(b".")
        await eventually(lambda: guest.log._nurse is not None, "away from the loop")


async def test_bytes_go_from_pipe_to_file(guest: Guest) -> None:
    guest.write(b"hello\n")
    await eventually(lambda: guest.written == b"hello\n")
    assert guest.log.received == 6


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


async def test_a_slow_disk_keeps_nobody_else_waiting(
    guest: Guest, other: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _make_slow(guest, monkeypatch)
    guest.disk.gate.clear()
    guest.write(b"slow")
    await eventually(lambda: guest.disk.waits)
    other.write(b"quick")
    await eventually(lambda: other.written == b"quick")
    guest.disk.gate.set()
    await eventually(lambda: guest.written == b".slow")


async def test_a_disk_that_is_quick_again_brings_its_log_back(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _make_slow(guest, monkeypatch)
    for number in range(200):
        if guest.log._nurse is None:
            break
        guest.write(b"!")
        await eventually(lambda n=number: len(guest.written) == n + 2)
    assert guest.log._nurse is None
    guest.write(b"?")
    await eventually(lambda: guest.written.endswith(b"?"))


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
    monkeypatch.setattr(openlog, "RETRY_AFTER", 0.001)
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


async def test_finishing_writes_what_is_there_and_breaks_the_pipe(guest: Guest) -> None:
    guest.write(b"z" * 100_000)
    await guest.log.finish()
    assert len(guest.written) == 100_000
    with pytest.raises(BrokenPipeError):
        guest.write(b"more")


async def test_finishing_a_log_on_a_slow_disk(
    guest: Guest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await _make_slow(guest, monkeypatch)
    guest.write(b"end")
    await guest.log.finish()
    assert guest.written == b".end"
    assert guest.closed == 1


async def test_a_watcher_hears_of_every_move(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = []
    guest.log.watchers.append(lambda: heard.append(guest.disk.position))
    guest.write(b"abc")
    await eventually(lambda: heard == [3])
    await _make_slow(guest, monkeypatch)
    guest.write(b"de")
    await eventually(lambda: heard[-1] == 6)


async def test_the_pipe_is_large_where_that_is_allowed() -> None:
    reading, writing = make_pipe()
    assert fcntl.fcntl(reading, fcntl.F_GETPIPE_SZ) <= PIPE_SIZE
    assert not os.get_blocking(reading)
    assert os.get_blocking(writing)
    assert not os.get_inheritable(writing)
    os.close(reading)
    os.close(writing)
