"""Records for those who follow the log, and the latest records, beside the outputs.

Rules of this file: a record becomes bytes once, however many want it, so that nothing that it names is
kept alive or changes later. What is shared is changed under one reentrant lock, and only by statements
that nothing can interrupt halfway: the garbage collector may run the code of others at a call, and that
code may log. Nothing here waits, writes, or knows of an event loop.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple, Protocol

from .settings import Filter, Level, level_chooser

#: Bytes of one of the two buffers of a follower.
BUFFER_MAX: Final = 512 << 10
#: Bytes in a buffer from which its reader is woken at once.
AMPLE: Final = 64 << 10
#: What a record costs in a buffer beside its bytes.
_RECORD_COST: Final = 64

_sending: ContextVar[bool] = ContextVar("aiovirt_sends_log_records", default=False)


class Kept(NamedTuple):
    """A record, as listeners take it. when: seconds since 1970; data: see `capture`."""

    when: float
    level: int
    source: str
    data: bytes


class Listener(Protocol):
    """Takes records beside the outputs.

    full: whether it only counts what comes; sends: whether it passes records on to a client.
    """

    full: bool
    sends: bool

    def least(self, source: str) -> int:
        """Return the lowest level that it wants of a source."""

    def put(self, record: Kept | None) -> None:
        """Take a record, or count one that was not made because it was full."""


Listeners = tuple[tuple[int, Listener], ...]


@contextmanager
def unfollowed() -> Iterator[None]:
    """Keep what is logged in the block, and by tasks that begin there, from all followers.

    Records that the sending of records causes would be followed for ever.
    """
    token = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(token)


def is_sending() -> bool:
    """Return whether log records are being sent here; see `unfollowed`."""
    return _sending.get()


class Batch(NamedTuple):
    """The content of a buffer. lost: the number of records that are missing after `records`."""

    records: list[bytes]
    lost: int


class Follower:
    """The records that one reader wants, in two bounded buffers.

    One is filled while the other, which `take` has returned, is being sent. When the reader has not come
    back until the first is full, records are dropped and counted until it does: those that are missing
    are always in one place, after the records of a batch.

    Args:
        level: 1 (debug) to 4 (error), for sources that no filter matches.
        filters: those that decide for other sources; the first match wins.
        wake: called when there is something to take, and again when there is much or some is lost. Any
            thread may call it, under the lock.
        lock: the one of the loggers.
    """

    sends = True

    def __init__(
        self,
        level: Level,
        filters: list[Filter],
        wake: Callable[[], object],
        lock: threading.RLock,
    ) -> None:
        self.least = level_chooser(filters, level)
        self.full = False
        self.total_lost = 0
        self._wake = wake
        self._lock = lock
        self._records: list[bytes] = []
        self._size = 0
        self._lost = 0

    @property
    def is_ample(self) -> bool:
        """Whether there is so much to take that waiting for more is of no use."""
        return self._size >= AMPLE or self.full

    def put(self, record: Kept | None) -> None:
        """Take a record, or count it; call it with the lock."""
        if record is None or self.full:
            first, self.full = not self.full, True
            self._lost += 1
            if first:
                self._wake()
            return
        before = self._size
        size = before + _RECORD_COST + len(record.data)
        if size > BUFFER_MAX:
            self.full = True
            self._lost += 1
            self._wake()
            return
        self._size = size
        self._records.append(record.data)
        if not before or before < AMPLE <= size:
            self._wake()

    def take(self) -> Batch:
        """Return what has come since the last time, and begin with an empty buffer."""
        with self._lock:
            batch = Batch(self._records, self._lost)
            self._records = []
            self._size = self._lost = 0
            self.full = False
            self.total_lost += batch.lost
            return batch


class Ring:
    """The latest records.

    Args:
        size: how many.
        least: gives the lowest level that is kept of a source.
        records: those to begin with, the oldest one first.
    """

    full = False
    sends = False

    def __init__(
        self, size: int, least: Callable[[str], int], records: Iterable[Kept] = ()
    ) -> None:
        self.least = least
        self._records: deque[Kept] = deque(records, maxlen=size)

    @property
    def size(self) -> int:
        """The number of records that are kept at most."""
        return self._records.maxlen or 0

    def put(self, record: Kept | None) -> None:
        """Keep a record instead of the oldest one."""
        if record is not None:
            self._records.append(record)

    def all(self) -> list[Kept]:
        """Return the records, the oldest one first."""
        return list(self._records)

    def latest(self, count: int, least: Callable[[str], int], since: float) -> list[bytes]:
        """Return the latest records of certain levels, the oldest one first.

        Args:
            count: how many at most.
            least: gives the lowest level that is wanted of a source.
            since: only later ones, in seconds since 1970.
        """
        levels: dict[str, int] = {}
        found: list[bytes] = []
        for record in reversed(self.all()):
            if len(found) >= count or record.when <= since:
                break
            wanted = levels.get(record.source)
            if wanted is None:
                wanted = levels[record.source] = least(record.source)
            if record.level >= wanted:
                found.append(record.data)
        found.reverse()
        return found
