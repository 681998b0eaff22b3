"""Logs that one thread looks after: which of their pipes are ready, and what else is to be done.

A station belongs to one thread, which waits here. All else is done under the lock of `movers.Movers`.
"""

from __future__ import annotations

import contextlib
import enum
import os
import select
import time
from collections import deque
from typing import Final, Protocol

#: Seconds between two tries of a write that failed.
RETRY_AFTER: Final = 0.1
#: Bytes moved in one step. Larger ones are not faster, and make others wait longer.
STEP: Final = 64 * 1024


class Moved(enum.Enum):
    """The outcome of one step with a log."""

    WELL = enum.auto()
    FAILED = enum.auto()  # it is tried again later; until then its pipe is not looked at
    WAITING = enum.auto()  # a step that failed before is still to be tried again
    ENDED = enum.auto()  # its file is closed; its pipe is, as soon as nobody waits for it


class Log(Protocol):
    """A log, as its thread sees it. device: the file system that it is on; station: see `Station`.

    pipe: the descriptor to wait for.
    """

    pipe: int
    station: Station | None

    @property
    def device(self) -> int: ...

    @property
    def path(self) -> str: ...

    def move(self, buffer: Buffer) -> Moved:
        """Take a step: move some bytes. Called when the pipe is ready, or a failed step is due."""

    def do_jobs(self, buffer: Buffer) -> Moved:
        """Do what others asked for."""

    def let_go(self) -> None:
        """It has ended, and nobody waits for its pipe any more: close that. Must not block."""


class Buffer:
    """Room for one step's bytes. list: as `os.readv` takes it; view: to cut pieces from."""

    __slots__ = ("list", "view")

    def __init__(self) -> None:
        data = bytearray(STEP)
        self.list = [data]
        self.view = memoryview(data)


class Station:
    """Logs that one thread looks after. device: theirs; apart: there is one, and its disk is slow."""

    def __init__(self, device: int, *, apart: bool = False) -> None:
        """Raises OSError without descriptors."""
        self.device = device
        self.apart = apart
        self.logs: dict[int, Log] = {}  # by the number of the pipe
        self.asked: deque[Log] = deque()  # those with jobs
        self.due: dict[Log, float] = {}  # those with a failed step, and when it is tried again
        self.epoll = select.epoll()
        try:
            self._bell = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        except OSError:
            self.epoll.close()
            raise
        self.epoll.register(self._bell, select.EPOLLIN)

    def ring(self) -> None:
        """Have the thread look up."""
        os.eventfd_write(self._bell, 1)

    def wait(self) -> list[int]:
        """The pipes that are ready, as soon as there is one, or something else to be done."""
        timeout = None
        if self.due:
            timeout = max(0.0, min(self.due.values()) - time.monotonic())
        ready = [descriptor for descriptor, _ in self.epoll.poll(timeout)]
        if self._bell in ready:
            ready.remove(self._bell)
            os.eventfd_read(self._bell)
        return ready

    def add(self, log: Log, *, due: float | None = None) -> None:
        """Take a log. due: when its failed step is tried again. Raises OSError."""
        if due is None:
            self.epoll.register(log.pipe, select.EPOLLIN)
        else:
            self.due[log] = due
        self.logs[log.pipe] = log
        log.station = self
        self.asked.append(log)
        self.ring()

    def remove(self, log: Log) -> float | None:
        """Give a log away; when its failed step is due, if it has one."""
        self.logs.pop(log.pipe, None)
        log.station = None
        due = self.due.pop(log, None)
        if due is None:
            with contextlib.suppress(OSError):
                self.epoll.unregister(log.pipe)
        return due

    def wait_for_pipe(self, log: Log, moved: Moved) -> None:
        """After a step: look at the pipe, or do not until the next try."""
        if moved is Moved.WAITING and log in self.due:
            return
        if moved in (Moved.FAILED, Moved.WAITING):
            if log not in self.due:
                self.epoll.unregister(log.pipe)
            self.due[log] = time.monotonic() + RETRY_AFTER
        elif self.due.pop(log, None) is not None:
            self.epoll.register(log.pipe, select.EPOLLIN)

    def close(self) -> None:
        """Give back the descriptors; nobody has this station any more."""
        self.epoll.close()
        bell, self._bell = self._bell, -1
        os.close(bell)
