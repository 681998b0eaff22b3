"""An open log: a pipe that a guest writes to, and the file that its bytes go to.

As long as the disk is quick, bytes are moved by the event loop: one read and one write for each
turn that a guest has, so that a guest that floods cannot keep the others waiting. When a write is
slow or fails, that log alone leaves the loop: a task looks after it, whose reads and writes are made
on a thread, until all is well again. So no guest's disk is ever another guest's trouble.

Nothing is read from a pipe that could not be written, except that a guest must not be stopped by a full
disk: when its pipe is more than half full, the oldest bytes are given up, counted and reported.

Read and write, not splice(2): splice refuses files that are opened for appending, and without that a log
that somebody else cut short would be continued behind a hole. It would not be quicker either, since
a file's pages are copied all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import fcntl
import os
import select
import struct
import termios
import time
from collections.abc import Callable
from typing import Final, TypeVar

from aiovirt.daemons.logd.rotating import RotatingFile, WriteFailed
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import run_blocking

_log = get_logger("daemons.logd.openlog")

T = TypeVar("T")

#: Bytes that a pipe holds: what a guest can write while we are busy elsewhere.
PIPE_SIZE: Final = 256 * 1024
#: Bytes moved in one turn. Larger ones are no faster, and make others wait longer.
_TURN: Final = 64 * 1024
_BUFFER: Final = bytearray(_TURN)
_VIEW: Final = memoryview(_BUFFER)
_VIEWS: Final = [_BUFFER]

#: A write that takes longer, in seconds, moves its log away from the loop.
SLOW: Final = 0.02
#: Quick writes in a row that bring it back.
_QUICK_AGAIN: Final = 50
#: Seconds between two tries of a write that failed.
RETRY_AFTER: Final = 0.1
#: Seconds over which a log's rate is taken, at least.
_RATE_WINDOW: Final = 1.0


class _Moved(enum.Enum):
    """What came of one turn."""

    QUICKLY = enum.auto()
    SLOWLY = enum.auto()
    NOTHING = enum.auto()  # the pipe is empty
    FAILED = enum.auto()
    ENDED = enum.auto()  # the pipe is empty and nobody can write to it any more


class OpenLog:
    """A guest's log between its opening and the moment when the guest lets go of its pipe.

    pipe: the descriptor that is read; driver, uuid and guest say whose log it is; opened: epoch
    seconds; received: bytes that came through the pipe; lost: those that were given up; waiting: those
    that were read and could not be written yet; watchers: called after every move of bytes and
    at the end. on_close is called once, when it is over.
    """

    def __init__(
        self,
        file: RotatingFile,
        pipe: int,
        *,
        driver: str,
        uuid: bytes,
        guest: str,
        on_close: Callable[[OpenLog], None],
    ) -> None:
        self.file = file
        self.pipe = pipe
        self.driver = driver
        self.uuid = uuid
        self.guest = guest
        self.opened = time.time()
        self.received = 0
        self.lost = 0
        self.waiting = b""
        self.watchers: list[Callable[[], None]] = []
        self.closed = False
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._room = fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ)
        self._rate = 0.0
        self._rate_since = time.monotonic()
        self._rate_bytes = 0
        self._error: OSError | None = None
        self._nurse: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()

    @property
    def path(self) -> str:
        """Where it is written to, as the client named it."""
        return self.file.path

    @property
    def trouble(self) -> str:
        """Why its file cannot be written now, or empty."""
        return (self._error.strerror or str(self._error)) if self._error else ""

    # The quick way -------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to move bytes."""
        if self.waiting:
            self._leave_loop()
        else:
            self._loop.add_reader(self.pipe, self._readable)

    def _readable(self) -> None:
        try:
            size = os.readv(self.pipe, _VIEWS)
        except BlockingIOError:
            return
        if not size:
            self.close()
            return
        start = time.monotonic()
        self._count(size, start)
        try:
            self.file.append(_VIEW[:size])
        except WriteFailed as failure:
            self._failed(failure, bytes(_VIEW[failure.done : size]))
            self._leave_loop()
        else:
            if time.monotonic() - start > SLOW:
                self._leave_loop()
        if self.watchers:
            self.grown()

    def _leave_loop(self) -> None:
        self._loop.remove_reader(self.pipe)
        if self._nurse is None:
            self._nurse = self._loop.create_task(self._look_after())

    def grown(self) -> None:
        """Tell who watches this log that its file has more."""
        for watcher in list(self.watchers):
            watcher()

    # The careful way -----------------------------------------------------------------------------

    async def _look_after(self) -> None:
        quick = 0
        while quick < _QUICK_AGAIN and not self.closed:
            async with self._turn:
                moved = await run_blocking(self._move)
            if self.watchers:
                self.grown()
            if moved is _Moved.ENDED:
                self.close()
                return
            if moved is _Moved.FAILED:
                await asyncio.sleep(RETRY_AFTER)
            elif moved is _Moved.NOTHING:
                await self._wait_for_more()
            quick = 0 if moved in (_Moved.SLOWLY, _Moved.FAILED) else quick + 1
        if not self.closed:
            self._nurse = None
            self._loop.add_reader(self.pipe, self._readable)

    async def _wait_for_more(self) -> None:
        ready = asyncio.Event()
        self._loop.add_reader(self.pipe, ready.set)
        try:
            await ready.wait()
        finally:
            self._loop.remove_reader(self.pipe)

    def _move(self) -> _Moved:
        """Write what waits, then one turn's bytes more. Runs on a thread, one at a time."""
        start = time.monotonic()
        if self.waiting and not self._write_waiting():
            return _Moved.FAILED if self._still_written() else _Moved.ENDED
        try:
            data = os.read(self.pipe, _TURN)
        except BlockingIOError:
            return _Moved.NOTHING
        if not data:
            return _Moved.ENDED
        self._count(len(data), start)
        self.waiting = data
        if not self._write_waiting():
            return _Moved.FAILED
        return _Moved.SLOWLY if time.monotonic() - start > SLOW else _Moved.QUICKLY

    def _write_waiting(self) -> bool:
        waiting, self.waiting = self.waiting, b""
        try:
            self.file.append(memoryview(waiting))
        except WriteFailed as failure:
            self._failed(failure, waiting[failure.done :])
            return False
        if self._error is not None:
            _log.warning("log is written again", path=self.path, lost_so_far=self.lost)
            self._error = None
        return True

    def _failed(self, failure: WriteFailed, rest: bytes) -> None:
        self.waiting = rest
        if self._error is None or self._error.errno != failure.error.errno:
            _log.error("log cannot be written", path=self.path, error=failure.error.strerror)
        self._error = failure.error

    def _still_written(self) -> bool:
        """After a failed write: keep the pipe from filling up; whether the guest has it open still."""
        while self._filled() > self._room // 2:
            self.lost += len(self.waiting)
            self.waiting = os.read(self.pipe, _TURN)
            self._count(len(self.waiting), time.monotonic())
        poll = select.poll()
        poll.register(self.pipe, select.POLLIN)
        return not any(events & select.POLLHUP for _, events in poll.poll(0))

    def _filled(self) -> int:
        """Bytes in the pipe."""
        counted: bytes = fcntl.ioctl(self.pipe, termios.FIONREAD, b"\0\0\0\0")
        return int(struct.unpack("i", counted)[0])

    # For others ----------------------------------------------------------------------------------

    async def do(self, work: Callable[[], T]) -> T:
        """Run `work`, which reads or writes the file, while nobody else does; at once if it is quick."""
        if self._nurse is None:
            return work()
        async with self._turn:
            return await run_blocking(work)

    def drain(self) -> None:
        """Write what is in the pipe at this moment. Use it through `do`."""
        left = self._filled()
        while left > 0 and not self.waiting:
            data = os.read(self.pipe, min(left, _TURN))
            if not data:
                return
            left -= len(data)
            self._count(len(data), time.monotonic())
            self.waiting = data
            if not self._write_waiting() and self._nurse is None:
                self._loop.call_soon_threadsafe(self._leave_loop)

    def _count(self, size: int, now: float) -> None:
        if now - self._rate_since >= _RATE_WINDOW:
            self._rate = self._recent(now)
            self._rate_since, self._rate_bytes = now, 0
        self._rate_bytes += size
        self.received += size

    def _recent(self, now: float) -> float:
        return self._rate_bytes / (now - self._rate_since)

    def rate(self) -> float:
        """Bytes a second that came of late."""
        now = time.monotonic()
        return self._recent(now) if now - self._rate_since >= _RATE_WINDOW else self._rate

    async def pause(self) -> None:
        """Move nothing until `start`; what a thread does now is done first."""
        async with self._turn:
            await self._dismiss_nurse()
            self._loop.remove_reader(self.pipe)

    async def finish(self) -> None:
        """Write what is in the pipe, then close."""
        async with self._turn:
            if await self._dismiss_nurse():
                await run_blocking(self.drain)
            else:
                self.drain()
            self.close()

    async def _dismiss_nurse(self) -> bool:
        """End the task that looks after this log, if there is one; it must not have its turn."""
        nurse = self._nurse
        if nurse is None:
            return False
        nurse.cancel()
        await asyncio.wait([nurse])
        self._nurse = None
        return True

    def close(self) -> None:
        """Let go of pipe and file; a guest that still writes gets a broken pipe.

        Not while a thread works on them.
        """
        if self.closed:
            return
        self.closed = True
        if self._nurse is None:
            self._loop.remove_reader(self.pipe)
        self.lost += len(self.waiting)
        if self.lost:
            _log.error("bytes of a log were lost", path=self.path, lost=self.lost)
        os.close(self.pipe)
        self.file.close()
        self._on_close(self)
        self.grown()


def make_pipe() -> tuple[int, int]:
    """A pipe as a guest's log needs it: reading and writing end; the writer waits when it is full.

    Raises OSError.
    """
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    # Without permission this user's share of pipe memory is used up; an ordinary pipe works, too.
    with contextlib.suppress(PermissionError):
        fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
    return reading, writing
