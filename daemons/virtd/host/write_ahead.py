"""The write-ahead log of a store, brought into its file by a thread, since that waits for the disk.

SQLite would do it in the commit that makes the log too long, and every client would wait for the disk,
up to 30 ms. The thread has a connection of its own and never keeps a writer waiting (a passive
checkpoint). A process that is killed meanwhile leaves log and file as the next one needs them.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

from aiovirt.rpc.background import start_thread

#: Bytes of the log after which the thread begins.
_BEGIN: Final = 4 * 1024 * 1024
#: Pages of the log after which a commit does it after all: the thread does not keep up, or cannot.
PAGES_MAX: Final = 16_384
#: Bytes that a write takes besides its data, about.
_EACH: Final = 4096


class WriteAhead:
    """The log of one file.

    Args:
        connect: makes a new connection to the file; it may raise anything. None: there is no log.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection] | None) -> None:
        self._connect = connect
        self._bytes = 0
        self._thread: threading.Thread | None = None

    def wrote(self, size: int) -> None:
        """Count a write of so many bytes, and begin if there were enough of them."""
        if self._connect is None:
            return
        self._bytes += size + _EACH
        if self._bytes >= _BEGIN and (self._thread is None or not self._thread.is_alive()):
            self._bytes = 0
            self._thread = start_thread(_empty, self._connect, name="write-ahead log")

    def wait(self) -> None:
        """Wait for the thread, if it is at work."""
        if self._thread is not None:
            self._thread.join()


def _empty(connect: Callable[[], sqlite3.Connection]) -> None:
    # A failure is not told: a commit does the same later, and its failure is told.
    with suppress(Exception), closing(connect()) as base:
        base.execute("pragma wal_checkpoint(passive)")
