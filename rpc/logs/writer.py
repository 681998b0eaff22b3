"""Lines written by a thread, so that a file system that hangs holds up nobody who logs.

Rules of this file: the queue is a deque, and entries are put into it one at a time, under the outlet's
lock. There is no other lock: the garbage collector may run the code of others at any
allocation, and that code may log. Everything in the queue is done in order, so closing and turning to
another file are entries of the queue like the lines.

A crash of the process loses the lines in the queue: normally those of the last millisecond, and only
debug and info, since the outlet waits for the rest (`Outlet.emit`).
"""

from __future__ import annotations

import errno
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Final, Protocol

from aiovirt.rpc.background import start_thread

from .sinks import PATIENCE, Condition, FileSink

#: Bytes of lines that wait for the thread; further lines are lost, and counted.
QUEUE_MAX: Final = 1 << 20
#: Bytes that are written at once.
_BATCH: Final = 64 << 10
#: Seconds without another wait after one that was in vain.
_RESPITE: Final = 10.0


class Lines(Protocol):
    """A sink that may block; only the thread uses it."""

    condition: Condition

    def write(self, data: bytes) -> None:
        """Write lines; raises OSError if nothing of them could be written."""

    def current(self) -> bool:
        """Return whether opening the same output anew would lead to the same place."""

    def close(self) -> None:
        """Give up the descriptor; raises nothing."""


class Writer:
    """A sink that passes its lines to a thread of its own: a write that returns may still fail.

    Args:
        sink: writes them.
        settle: called on the thread as `settle(writer, lost, error)`: with the number of lines that an
            error has cost, or with 0 and None after a write that went well although `condition` says
            that the sink is failing.
    """

    def __init__(
        self, sink: Lines, settle: Callable[[Writer, int, Exception | None], None]
    ) -> None:
        self.condition = sink.condition
        self._sink = sink
        self._settle = settle
        self._queue: deque[bytes | Callable[[], object]] = deque()
        self._accepted = 0
        self._done = 0
        self._idle = True
        self._wake = threading.Lock()
        self._wake.acquire()
        self._wait_again = 0.0
        self._ended = False
        self._thread: threading.Thread | None = None

    def write(self, data: bytes) -> None:
        """Accept one line.

        Raises:
            BlockingIOError: too many lines are waiting.
            RuntimeError: the thread, which the first line starts, cannot be started.
        """
        if self._thread is None:
            self._thread = start_thread(self._serve, name="aiovirt-log")
        if self._accepted - self._done + len(data) > QUEUE_MAX and self._queue:
            raise BlockingIOError(errno.EAGAIN, "earlier lines are still being written")
        self._accepted += len(data)
        self._put(data)

    def _put(self, entry: bytes | Callable[[], object]) -> None:
        self._queue.append(entry)
        if self._idle:
            self._idle = False
            self._wake.release()

    def mark(self) -> threading.Lock:
        """Return a lock that is released when everything accepted so far is done; see `wait`."""
        return self._after(lambda: None)

    def _after(self, act: Callable[[], object]) -> threading.Lock:
        """Do something after the lines accepted so far. Returns a mark for when it is done."""
        lock = threading.Lock()
        if self._thread is None:
            act()
            return lock

        def act_and_release() -> None:
            try:
                act()
            finally:
                lock.release()

        lock.acquire()
        self._put(act_and_release)
        return lock

    def wait(self, mark: threading.Lock, seconds: float = PATIENCE / 1000) -> bool:
        """Wait for a mark, and return whether it was reached. Call it without the outlet's lock."""
        if threading.current_thread() is self._thread:
            return False
        return mark.acquire(timeout=seconds)

    def wait_on_loop(self, mark: threading.Lock) -> None:
        """Wait for a mark as `wait`, but after a wait in vain not again for a while.

        The caller may be an event loop, which is not held up by every line for a slow file system.
        """
        if time.monotonic() >= self._wait_again and not self.wait(mark):
            self._wait_again = time.monotonic() + _RESPITE

    def current(self) -> bool:
        """Return whether opening the same output anew would lead to the same place. May block."""
        return self._sink.current()

    def close(self) -> None:
        """Let the thread write the rest, close the sink and end; wait for that, but not for long."""
        self.wait(self._after(self._end))

    def _end(self) -> None:
        self._ended = True
        self._sink.close()

    # On the thread -------------------------------------------------------------------------------

    def _serve(self) -> None:
        while True:
            self._wake.acquire()
            self._idle = True  # from here on an entry wakes us again; one in vain does no harm
            while self._queue:
                self._take()
            if self._ended:
                return

    def _take(self) -> None:
        """Do what comes next in the queue: as many lines as make a batch, or something else."""
        lines: list[bytes] = []
        size = 0
        while self._queue and size < _BATCH:
            entry = self._queue.popleft()
            if not isinstance(entry, bytes):
                if lines:
                    self._queue.appendleft(entry)
                    break
                entry()
                return
            lines.append(entry)
            size += len(entry)
        try:
            self._sink.write(b"".join(lines))
        except Exception as error:  # an OSError, or else a mistake of ours; the outlet reports both
            self._settle(self, len(lines), error)
        else:
            if self.condition.failing:
                self._settle(self, 0, None)
        finally:
            self._done += size


class FileWriter(Writer):
    """A writer of a file, which can turn to another one."""

    def __init__(
        self, sink: FileSink, settle: Callable[[Writer, int, Exception | None], None]
    ) -> None:
        super().__init__(sink, settle)
        self._file = sink

    def open_anew(self) -> int:
        """Return a descriptor of what the path names now. Blocks; raises OSError."""
        return self._file.open_anew()

    def turn_to(self, fresh: int) -> threading.Lock:
        """Go on with another descriptor after the lines accepted so far; returns a mark."""
        self.condition.greeted = False
        return self._after(lambda: self._file.turn_to(fresh))
