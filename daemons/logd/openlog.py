"""An open log: a pipe that a guest writes to, and the file that its bytes go to.

The loop knows of a log what it is and how much went through it. All that is done with its pipe and
its file is done by the thread that has it (see `movers`): steps, which move one turn's bytes, and
jobs, which others ask for. So no guest's disk is ever another guest's trouble, nor the loop's.

Nothing is read from a pipe that could not be written, except that a guest must not be stopped by a full
disk: when its pipe is more than half full, the oldest bytes are given up, counted and reported. So are
those that cannot be written when the guest has let go of its pipe.

Read and write, not splice(2): splice refuses files that are opened for appending, and without that a log
that somebody else cut short would be continued after a hole. It would not be quicker either, since
a file's pages are copied all the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import select
import struct
import termios
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final, TypeVar

from aiovirt.daemons.logd.movers import Movers
from aiovirt.daemons.logd.rotating import RotatingFile, WriteFailed
from aiovirt.daemons.logd.stations import RETRY_AFTER, STEP, Buffer, Moved, Station
from aiovirt.rpc.background import start_thread
from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.logd.openlog")

T = TypeVar("T")

#: Bytes that a pipe holds: what a guest can write while we are busy elsewhere.
PIPE_SIZE: Final = 256 * 1024
#: Seconds over which a log's rate is taken, at least.
_RATE_WINDOW: Final = 1.0


class LogClosed(Exception):
    """The log was closed before the job's turn came."""


class OpenLog:
    """A guest's log between its opening and the moment when the guest lets go of its pipe.

    pipe: the descriptor that is read, -1 after the end; driver, uuid and guest say whose log it is;
    opened: epoch seconds; received: bytes that came through the pipe; lost: those that were given
    up; waiting: those that were read and could not be written yet; watchers: called on the loop
    after bytes were moved and at the end. on_close is called once on the loop, when it is over.
    """

    def __init__(
        self,
        file: RotatingFile,
        pipe: int,
        movers: Movers,
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
        self.station: Station | None = None  # whose thread looks after it; for `movers` only
        self.device = file.identity.device
        self._movers = movers
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._jobs: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._room = PIPE_SIZE
        self._writing = 0  # bytes that a step is writing
        self._rate = 0.0
        self._rate_since = time.monotonic()
        self._rate_bytes = 0
        self._error: OSError | None = None
        self._telling = False
        self._ending = False
        self._delayed = False
        self._ended = asyncio.Event()

    @property
    def path(self) -> str:
        """Where it is written to, as the client named it."""
        return self.file.path

    @property
    def trouble(self) -> str:
        """Why its file cannot be written or rotated now, or empty."""
        error = self._error or self.file.failure
        return (error.strerror or str(error)) if error else ""

    # On the loop ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to move bytes. Raises OSError: no descriptors or threads are left for that."""
        for descriptor in (self.pipe, self.file.fileno()):
            os.set_inheritable(descriptor, False)
        self._room = fcntl.fcntl(self.pipe, fcntl.F_GETPIPE_SZ)
        try:
            self._movers.add(self, due=time.monotonic() if self.waiting else None)
        except RuntimeError as error:
            raise OSError(errno.EAGAIN, str(error)) from error

    def go_on(self) -> None:
        """Begin to move bytes, if that has not begun; what cannot begin costs this log, not others.

        Without a descriptor or a thread it is tried again, and the guest's output waits in the pipe.
        If the log's own descriptors are missing, the pipe breaks.
        """
        if self.station is not None or self.closed or self._movers.paused:
            return
        try:
            self.start()
        except OSError as error:
            if error.errno != errno.EBADF:
                if not self._delayed:
                    _log.error("log not served for now", path=self.path, reason=error.strerror)
                self._delayed = True
                self._loop.call_later(RETRY_AFTER, self.go_on)
                return
            _log.error(
                "log cannot be served, its pipe is closed", path=self.path, reason=str(error)
            )
            self.let_go()
            start_thread(self.file.close, name="aiovirt-log-closing")  # it may hang
        else:
            if self._delayed:
                _log.warning("log is served again", path=self.path)
            self._delayed = False

    async def do(self, work: Callable[[], T]) -> T:
        """Have the log's thread run `work`, which may use the file, and wait for it.

        It is run in any case, even if nobody waits for it any more. Raises LogClosed when it is not.
        """
        if self.closed:
            raise LogClosed
        done: asyncio.Future[T] = self._loop.create_future()
        self._jobs.append((work, done))
        self._movers.ask(self)
        return await done

    async def finish(self) -> None:
        """Write what is in the pipe, then close; return when that is done."""
        with contextlib.suppress(LogClosed):
            await self.do(self._finish)
        await self._ended.wait()

    def unwritten(self) -> int:
        """Bytes of the guest that are not known to be in the file. Exact only while no step is taken."""
        return self._writing + len(self.waiting) + (self._filled() if self.pipe >= 0 else 0)

    def grown(self) -> None:
        """Tell who watches this log that its file has more, or that it is over."""
        self._telling = False
        for watcher in list(self.watchers):
            watcher()

    def rate(self) -> float:
        """Bytes a second that came recently."""
        now = time.monotonic()
        return self._recent(now) if now - self._rate_since >= _RATE_WINDOW else self._rate

    def _over(self) -> None:
        self.closed = True
        self._ended.set()
        while self._jobs:
            _deliver(self._jobs.popleft()[1], None, LogClosed())
        self._on_close(self)
        self.grown()

    # On its thread -------------------------------------------------------------------------------

    def move(self, buffer: Buffer) -> Moved:
        """Write what waits, or one step's bytes more."""
        if self.waiting:
            if not self._write_waiting():
                return self._close() if self._is_deserted() else Moved.FAILED
            self._tell()
            return Moved.WELL
        try:
            size = os.readv(self.pipe, buffer.list)
        except BlockingIOError:
            return Moved.WELL
        if not size:
            return self._close()
        view = buffer.view
        self._writing = size
        try:
            self.file.append(view[:size])
        except WriteFailed as failure:
            self._failed(failure, bytes(view[failure.done : size]))
        except BaseException:  # a mistake of ours: nobody knows how much was written
            self.lost += size
            raise
        finally:
            self._writing = 0
            self._count(size)
        self._tell()
        return Moved.FAILED if self.waiting else Moved.WELL

    def do_jobs(self, buffer: Buffer) -> Moved:
        """Do what was asked for by `do`, in that order."""
        while self._jobs and not self._ending:
            work, done = self._jobs.popleft()
            result, failure = None, None
            try:
                result = work()
            except BaseException as error:  # it belongs to the one who awaits, whatever it is
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
                self._loop.call_soon_threadsafe(_deliver, done, result, failure)
        if self._ending:
            return self._close()
        self._tell()
        return Moved.WAITING if self.waiting else Moved.WELL

    def drain(self) -> None:
        """Write what is in the pipe at this moment, and measure the file. Use it through `do`."""
        left = self._filled()
        if not self.waiting or self._write_waiting():
            while left > 0:
                data = os.read(self.pipe, min(left, STEP))
                left -= len(data)
                self._count(len(data))
                self.waiting = data
                if not data or not self._write_waiting():
                    break
        self.look()

    def look(self) -> None:
        """Measure the file, as far as that is possible. Use it through `do`."""
        with contextlib.suppress(
            OSError
        ):  # a removed one cannot be made anew: the next write says so
            self.file.look()

    def _finish(self) -> None:
        self.drain()
        self._give_up_rest()
        self._ending = True

    def _write_waiting(self) -> bool:
        waiting, self.waiting = self.waiting, b""
        self._writing = len(waiting)
        try:
            self.file.append(memoryview(waiting))
        except WriteFailed as failure:
            self._failed(failure, waiting[failure.done :])
            self._tell()  # a reader may wait for a rotation, and some bytes may be written
            return False
        finally:
            self._writing = 0
        if self._error is not None:
            _log.warning("log is written again", path=self.path, lost_so_far=self.lost)
            self._error = None
        return True

    def _failed(self, failure: WriteFailed, rest: bytes) -> None:
        self.waiting = rest
        if self._error is None or self._error.errno != failure.error.errno:
            _log.error("log cannot be written", path=self.path, reason=failure.error.strerror)
        self._error = failure.error

    def _is_deserted(self) -> bool:
        """After a failed write: keep the pipe from filling up; whether the guest has let go of it."""
        while self._filled() > self._room // 2:
            self.lost += len(self.waiting)
            self.waiting = os.read(self.pipe, STEP)
            self._count(len(self.waiting))
        poll = select.poll()
        poll.register(self.pipe, select.POLLIN)
        if not any(events & select.POLLHUP for _, events in poll.poll(0)):
            return False
        self._give_up_rest()
        return True

    def _give_up_rest(self) -> None:
        """Count as lost what is in the pipe and could not be written; nobody comes back for it."""
        left = self._filled()
        while left > 0 and (data := os.read(self.pipe, min(left, STEP))):
            left -= len(data)
            self._count(len(data))
            if self.waiting:
                self.waiting += data  # what is lost is one piece, the end
            else:
                self.waiting = data
                self._write_waiting()

    def _close(self) -> Moved:
        self._ending = True
        self.lost += len(self.waiting)
        self.waiting = b""
        if self.lost:
            _log.error("bytes of a log were lost", path=self.path, lost=self.lost)
        self.file.close()
        return Moved.ENDED

    def let_go(self) -> None:
        """Close the pipe, after the file; a guest that still writes gets a broken pipe."""
        pipe, self.pipe = self.pipe, -1
        if pipe >= 0:
            with contextlib.suppress(OSError):
                os.close(pipe)
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._over)

    def _tell(self) -> None:
        if self.watchers and not self._telling:
            self._telling = True
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.grown)

    def _filled(self) -> int:
        """Bytes in the pipe."""
        counted: bytes = fcntl.ioctl(self.pipe, termios.FIONREAD, b"\0\0\0\0")
        return int(struct.unpack("i", counted)[0])

    def _count(self, size: int) -> None:
        now = time.monotonic()
        if now - self._rate_since >= _RATE_WINDOW:
            self._rate = self._recent(now)
            self._rate_since, self._rate_bytes = now, 0
        self._rate_bytes += size
        self.received += size

    def _recent(self, now: float) -> float:
        return self._rate_bytes / (now - self._rate_since)


def _deliver(done: asyncio.Future[Any], result: object, failure: BaseException | None) -> None:
    if done.done():  # nobody waits any more
        return
    if failure is not None:
        done.set_exception(failure)
    else:
        done.set_result(result)


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
