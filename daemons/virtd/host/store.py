"""The store: what survives the process, in one SQLite file.

A row is one object of one host. Each write is on disk, as far as this process can bring it there, when
the call returns: the file has a write-ahead log, which a killed process leaves whole. Writes happen on
the loop, since a reply must not leave before them; the file lies in the run directory, beside the
sockets.

Several writes that belong together are a `batch`. Memory follows each write at once, so that the later
ones see the earlier; whoever changes memory says with `undo` how it was before, and what cannot be taken
back, such as an event, waits with `after` until everything is on disk.

A rehearsal of a restart opens the file for reading only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: The layout of the file; another one is refused.
_LAYOUT: Final = 1
_TABLES: Final = """
create table if not exists object (
    host text not null, kind text not null, key text not null, data blob not null,
    primary key (host, kind, key)
) without rowid
"""


class StoreError(Exception):
    """A store that cannot be used; the text names the file and the reason."""


class Store:
    """The objects of all hosts of a daemon.

    Args:
        path: the file; None for a store in memory, which ends with the process.
        read_only: nothing is written, nor the file made if it is missing.

    is_batch: whether several writes are being made one.

    Raises:
        StoreError: the file cannot be opened, or is not a store of this layout.
    """

    def __init__(self, path: str | None, *, read_only: bool = False) -> None:
        self.path = path
        try:
            if path is None:
                self._base = sqlite3.connect(":memory:", isolation_level=None)
            else:
                mode = "ro" if read_only else "rw"
                if not read_only:
                    # Documents have passwords: SQLite gives its other files the mode of this one.
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
                self._base = sqlite3.connect(
                    f"file:{name}?mode={mode}", uri=True, isolation_level=None
                )
            self._prepare(read_only)
        except OSError as error:
            raise StoreError(f"{path}: {error.strerror}") from error
        except sqlite3.Error as error:
            raise StoreError(f"{path or 'the store in memory'}: {error}") from error
        self.is_batch = False
        self._undo: list[Callable[[], object]] = []
        self._after: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def _prepare(self, read_only: bool) -> None:
        found = self._base.execute("pragma user_version").fetchone()[0]
        if found not in (0, _LAYOUT):
            raise StoreError(f"{self.path}: layout {found} is not supported, only {_LAYOUT}")
        if read_only:
            return
        self._base.execute("pragma journal_mode = wal")
        self._base.execute("pragma synchronous = normal")
        self._base.execute(_TABLES)
        self._base.execute(f"pragma user_version = {_LAYOUT}")

    def put(self, host: str, kind: str, key: str, data: bytes) -> None:
        """Write one object, in the place of an earlier one.

        Args:
            host: the name of its host.
            kind: its kind, "domain" for one.
            key: its key among the objects of that kind.
            data: what `load` gives back.

        Raises:
            RpcError: it cannot be written, SYSTEM_ERROR; nothing has changed then.
        """
        with self._writing():
            self._base.execute("replace into object values (?, ?, ?, ?)", (host, kind, key, data))

    def delete(self, host: str, kind: str, key: str) -> None:
        """Remove one object, if it exists. Raises RpcError as `put` does."""
        with self._writing():
            self._base.execute(
                "delete from object where host = ? and kind = ? and key = ?", (host, kind, key)
            )

    def delete_all(self, host: str) -> None:
        """Remove all objects of a host. Raises RpcError as `put` does."""
        with self._writing():
            self._base.execute("delete from object where host = ?", (host,))

    def load(self, host: str, kind: str) -> Iterator[tuple[str, bytes]]:
        """Give all objects of a kind, as (key, data). Raises StoreError for a damaged file."""
        try:
            yield from self._base.execute(
                "select key, data from object where host = ? and kind = ?", (host, kind)
            )
        except sqlite3.Error as error:
            raise StoreError(f"{self.path or 'the store in memory'}: {error}") from error

    def rows(self, host: str) -> Iterator[tuple[str, str, bytes]]:
        """Give all objects of a host, as (kind, key, data). Raises StoreError for a damaged file."""
        try:
            yield from self._base.execute(
                "select kind, key, data from object where host = ?", (host,)
            )
        except sqlite3.Error as error:
            raise StoreError(f"{self.path or 'the store in memory'}: {error}") from error

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Make the writes of a block one: all of them are kept, or none when it raises.

        Memory is then as it was before the block, as far as `undo` was told of it.

        Raises RpcError as `put` does.
        """
        if self.is_batch:  # the outermost block decides
            yield
            return
        with self._writing():
            self._base.execute("begin immediate")
        self.is_batch = True
        try:
            yield
            with self._writing():
                self._base.execute("commit")
        except BaseException:
            self._roll_back()
            raise
        self.is_batch = False
        waiting, self._after = self._after, []
        self._undo.clear()
        for function, args in waiting:
            function(*args)

    def _roll_back(self) -> None:
        """Leave the batch, with the file and memory as they were before it."""
        self.is_batch = False
        self._after.clear()
        undo, self._undo = self._undo, []
        for function in reversed(undo):
            function()
        with suppress(sqlite3.Error):  # SQLite has done it already if the disk is full
            self._base.execute("rollback")

    def undo(self, function: Callable[[], object]) -> None:
        """Have a function called if the batch that is under way fails; outside one, do nothing.

        Args:
            function: takes a change of memory back. The latest change is taken back first.
        """
        if self.is_batch:
            self._undo.append(function)

    def after(self, function: Callable[..., object], *args: Any) -> None:
        """Call a function when what was written is on disk: at once, or after the batch under way.

        Args:
            function: what is called; never, if the batch fails.
            args: its arguments.
        """
        if self.is_batch:
            self._after.append((function, args))
        else:
            function(*args)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"cannot write {self.path or 'the store in memory'}: {error}",
                domain=ErrorDomain.CONF,
            ) from error

    def dump(self) -> bytes:
        """Return the whole store, for `restored`; only for a store in memory."""
        return self._base.serialize()

    def restored(self, data: bytes) -> None:
        """Take what `dump` returned."""
        self._base.deserialize(data)

    def close(self) -> None:
        """Close the file. Does nothing if it is closed already."""
        self._base.close()
