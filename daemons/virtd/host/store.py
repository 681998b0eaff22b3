"""The store: what survives the process, in one SQLite file.

A row is one object of one host. Each write is with the kernel when the call returns: the file has a
write-ahead log, which a killed process leaves whole. Writes happen on the loop, since a reply must not
leave before them; the file lies in the run directory, beside the sockets.

The loop does not wait for the disk (`synchronous = normal`): when the machine loses its power, changes
may be lost that were made latest, and the file is whole. To wait for it in each write would cost ten
milliseconds a call and protect guests that do not outlive the machine.

Several writes that belong together are a `batch`. Memory follows each write at once, so that the later
ones see the earlier; whoever changes memory says with `undo` how it was before, and what cannot be taken
back, such as an event, waits with `after` until everything is on disk.

A rehearsal of a restart opens the file for reading only.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Any, Final

from aiovirt.daemons.virtd.host.sealing import Seal, SealError
from aiovirt.daemons.virtd.host.write_ahead import PAGES_MAX, WriteAhead
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: The layout of the file; another one is refused.
_LAYOUT: Final = 1
_TABLES: Final = """
create table if not exists object (
    host text not null, kind text not null, key text not null, data blob not null,
    primary key (host, kind, key)
)
"""
#: Host, kind and key of the row that has the key of the seal, in a store on its way to the next program.
_KEY_ROW: Final = ("", "key", "")
#: Written in place: of a changed object one page goes into the log, of a replaced one four.
_PUT: Final = """
insert into object values (?, ?, ?, ?)
on conflict (host, kind, key) do update set data = excluded.data
"""


#: Bytes of a page of memory.
_PAGE: Final = os.sysconf("SC_PAGESIZE")
#: Bytes of the index of the write-ahead log, as far as it grows: 32 KiB for every 4062 pages and a rest.
_INDEX_ROOM: Final = (PAGES_MAX // 4062 + 2) * 32768


class StoreError(Exception):
    """A store that cannot be used; the text names the file and the reason."""


class Store:
    """The objects of all hosts of a daemon.

    path: the file; None for a store in memory. home: the file that it has or would have; None for a
    store that belongs in memory. is_read_only: whether the file is open for reading only; the first
    write opens it for writing. seal: seals the values of secrets, with a key beside the file.

    Args:
        path: the file; None for a store in memory, which ends with the process.
        read_only: nothing is written, nor the file made if it is missing.
        home: the file that a store in memory would have.

    Raises:
        StoreError: the file cannot be opened, or is not a store of this layout.
    """

    def __init__(
        self, path: str | None, *, read_only: bool = False, home: str | None = None
    ) -> None:
        self.path = path
        self.home = path or home
        self.is_read_only = read_only
        self._base = self._connected(read_only=read_only)
        #: Device and inode of the file.
        self._file = None if path is None else _identity(path)
        self._log = _logged(path)
        self.seal = Seal(None if path is None else f"{path}.key")
        self.is_batch = False
        self._undo: list[Callable[[], object]] = []
        self._after: list[tuple[Callable[..., object], tuple[Any, ...]]] = []

    def _connected(self, *, read_only: bool) -> sqlite3.Connection:
        """A connection to the file. Raises StoreError."""
        path, base = self.path, None
        try:
            if path is None:
                base = sqlite3.connect(":memory:", isolation_level=None)
            else:
                _require_regular(path)
                if not read_only and not os.path.exists(path):
                    # Documents have passwords: SQLite gives its other files the mode of this one.
                    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                _require_room(path)
                base = _opened(path, "ro" if read_only else "rw")
            self._prepare(base, read_only=read_only)
        except (OSError, sqlite3.Error, StoreError) as error:
            if base is not None:
                base.close()
            if isinstance(error, StoreError):
                raise
            reason = error.strerror if isinstance(error, OSError) else error
            raise StoreError(f"{path or 'the store in memory'}: {reason}") from error
        return base

    def _prepare(self, base: sqlite3.Connection, *, read_only: bool) -> None:
        """Check the layout, and make it in a new file; a file that has it is not written to."""
        found = base.execute("pragma user_version").fetchone()[0]
        if found not in (0, _LAYOUT):
            raise StoreError(f"{self.path}: layout {found} is not supported, only {_LAYOUT}")
        if read_only:
            return
        base.execute("pragma journal_mode = wal")
        base.execute("pragma synchronous = normal")
        base.execute(f"pragma wal_autocheckpoint = {PAGES_MAX}")
        if not found:
            base.execute(_TABLES)
            base.execute(f"pragma user_version = {_LAYOUT}")
        # A file that is read-only opens as well; what is taken back needs no room on the disk.
        base.execute("begin")
        base.execute(f"pragma user_version = {_LAYOUT}")
        base.execute("rollback")

    def write(self) -> None:
        """Open the file for writing, if it is open for reading only.

        Raises StoreError if that is not possible; it stays open for reading then.
        """
        if not self.is_read_only:
            return
        # SQLite shares what it knows of a file among connections, also that it cannot be written to.
        self._base.close()
        try:
            self._base = self._connected(read_only=False)
            self.is_read_only = False
        finally:
            if self.is_read_only:
                with suppress(StoreError):
                    self._base = self._connected(read_only=True)

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
        try:
            if self.is_read_only:
                self.write()
            self._base.execute(_PUT, (host, kind, key, data))
        except (sqlite3.Error, StoreError) as error:
            raise self._unwritable(error) from error
        self._log.wrote(len(data))

    def delete(self, host: str, kind: str, key: str) -> None:
        """Remove one object, if it exists. Raises RpcError as `put` does."""
        with self._writing():
            self._base.execute(
                "delete from object where host = ? and kind = ? and key = ?", (host, kind, key)
            )
        self._log.wrote(0)

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
            if self.is_read_only:
                self.write()
            yield
        except (sqlite3.Error, StoreError) as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: sqlite3.Error | StoreError) -> RpcError:
        name = self.path or "the store in memory"
        reason = error if isinstance(error, sqlite3.Error) else error.__cause__ or error
        text = f"cannot write {name}: {reason}"
        return RpcError(ErrorCode.SYSTEM_ERROR, text, domain=ErrorDomain.CONF)

    # Without a file ------------------------------------------------------------------------------

    def is_filed(self) -> bool:
        """Return whether the next program finds everything in the file; it was not removed, then.

        Raises StoreError if another file has taken its place.
        """
        if self.path is None or self._file is None:
            return False
        try:
            found = _identity(self.path)
        except FileNotFoundError:
            return False
        except OSError:  # that is not known: the rehearsal tells whether it can be read
            return True
        if found != self._file:
            raise StoreError(f"{self.path}: replaced by another file; restore the file in use")
        return True

    def dump(self) -> bytes:
        """Return the whole store with its key, for `restored`."""
        data = self._base.serialize()
        if self.seal.key is None:
            return data
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as base:
            base.deserialize(_without_log(data))
            base.execute(_PUT, (*_KEY_ROW, self.seal.key))
            return base.serialize()

    def restored(self, data: bytes) -> None:
        """Take what `dump` returned; only for a store in memory."""
        self._base.deserialize(_without_log(data))
        for _, key in self.load(*_KEY_ROW[:2]):
            self.seal = Seal(None, key)
        self.delete(*_KEY_ROW)

    def file(self, path: str) -> None:
        """Bring a store in memory into a new file, and keep it there from now on.

        Raises StoreError if that is not possible; it stays in memory then.
        """
        if os.path.lexists(path):
            raise StoreError(f"{path}: the file exists already")
        rows = self._base.execute("select host, kind, key, data from object").fetchall()
        try:
            made = Store(path)
            try:
                with made.batch():
                    made._base.executemany("insert into object values (?, ?, ?, ?)", rows)
                made.seal.take(self.seal.key)
            except (RpcError, SealError, sqlite3.Error) as error:
                made.close()
                raise StoreError(f"{path}: {error}") from error
        except StoreError:
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    os.unlink(path + suffix)
            raise
        self._base.close()
        self.path, self.home, self._base, self._file = path, path, made._base, made._file
        self._log, self.seal = made._log, made.seal

    def scrub(self) -> None:
        """Write the file anew, so that no byte of what was removed or replaced is left in it.

        Raises RpcError as `put` does.
        """
        with self._writing():
            self.settle()
            self._base.execute("vacuum")
            self._base.execute("pragma wal_checkpoint(truncate)")

    def settle(self) -> None:
        """Wait until nothing of the write-ahead log is on its way into the file."""
        self._log.wait()

    def close(self) -> None:
        """Close the file. Does nothing if it is closed already."""
        self.settle()
        self._base.close()


def _require_room(path: str) -> None:
    """Raise StoreError if the disk has no room for the index of the write-ahead log.

    SQLite maps that file, and a block that is not to be had then ends the process with SIGBUS. It asks
    for one block of each page before, which is enough unless blocks are smaller than pages, as on a
    small ext4. A rehearsal looks as well, so that a restart is refused instead.
    """
    folder = os.path.dirname(path) or "."
    if os.statvfs(folder).f_bsize >= _PAGE:
        return
    import tempfile  # late: a start on a usual disk does without it

    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            os.posix_fallocate(trial.fileno(), 0, _INDEX_ROOM)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            text = f"{path}: {_INDEX_ROOM} bytes of room are needed beside it: {error.strerror}"
            raise StoreError(text) from error


def _opened(path: str, mode: str) -> sqlite3.Connection:
    """Open an existing file; mode: "rw", or "ro" for reading only."""
    name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(f"file:{name}?mode={mode}", uri=True, isolation_level=None)


def _without_log(data: bytes) -> bytes:
    """The bytes of a file for a store in memory."""
    # Bytes 18 and 19 of the header say that there is a write-ahead log; memory has none.
    return data[:18] + b"\1\1" + data[20:]


def _logged(path: str | None) -> WriteAhead:
    """The write-ahead log of a file; a store in memory has none."""
    if path is None:
        return WriteAhead(None)

    def connect() -> sqlite3.Connection:
        _require_regular(path)
        return _opened(path, "rw")

    return WriteAhead(connect)


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


def _require_regular(path: str) -> None:
    """Raise StoreError for a FIFO, on which SQLite would wait, a device and the like."""
    for name in (path, f"{path}-wal", f"{path}-shm"):
        with suppress(FileNotFoundError):
            mode = os.stat(name).st_mode
            if not stat.S_ISREG(mode):
                raise StoreError(f"{name}: not a regular file")
