"""A log file that is rotated when it is full: PATH, then PATH.0, PATH.1 ... from new to old.

What is written is in one file or the next, never in both and never in none: a file is renamed only
between two writes. A rotation that fails gives all files their names back, and the file is written on,
beyond its size, until a later attempt succeeds. A
descriptor's number is given up before it is closed: close(2) may fail, and the number is somebody
else's from then on.

Everything here may hang with its disk, and is called on threads only, by one at a time for each
file. The exceptions are `take_over` and what is only looked at: the attributes.

Only regular files are rotated or removed. A log that is a device is written to and left where it is; a
FIFO is refused, as by virtlogd, but not waited for.

Source: libvirt's src/util/virrotatingfile.c.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
import time
from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.logd.rotating")

#: Bytes before the end of a full file in which a line's end is looked for, to break there.
_LINE_MAX: Final = 80
#: Not to wait: opening a FIFO that nobody reads would never return.
_WRITE: Final = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE: Final = 0o600
#: Seconds between two attempts to rotate a file for which that fails.
RETRY_AFTER: Final = 10.0
#: A file that was removed on its server (NFS), or whose file system was replaced (FUSE).
_REPLACED: Final = (errno.ESTALE, errno.ENOTCONN)
#: The position of a file that was not looked at yet.
_UNKNOWN: Final = -1


class Rotation(msgspec.Struct):
    """When files are rotated and how many are kept; shared by all logs, so that a change counts.

    max_size: bytes, 0 for no rotation; max_backups: rotated files kept beside the current one.
    """

    max_size: int
    max_backups: int


class Identity(NamedTuple):
    """The identity of a file, however its path is written: the numbers of its device and its inode."""

    device: int
    inode: int


class Marks(NamedTuple):
    """The facts about a written file that a reader needs.

    inode: the newest file; all others since the log was opened. rotations: how often it was rotated;
    removals: how often somebody removed it; cuts: how often somebody cut it short, and cut_at: where new
    data began the last time, in bytes; turning: files are being renamed or made, so that their names and
    these facts may not fit.
    """

    inode: int
    rotations: int = 0
    removals: int = 0
    cuts: int = 0
    cut_at: int = 0
    turning: bool = False


class WriteFailed(Exception):
    """A write stopped: `done` bytes are in the file, the rest is not, because of `error`."""

    def __init__(self, done: int, error: OSError) -> None:
        super().__init__(str(error))
        self.done = done
        self.error = error


class RotatingFile:
    """The file that a log is written to now.

    path: of the newest file; identity: what it is; regular: whether it is a regular file, which alone is
    rotated; position: its size in bytes, as far as it is known; marks: see there; failure: why it could
    not be rotated when that was due, None if it could.
    """

    __slots__ = (
        "_descriptor",
        "_retry_at",
        "failure",
        "identity",
        "marks",
        "path",
        "position",
        "regular",
        "rotation",
    )

    def __init__(self, path: str, rotation: Rotation, *, truncate: bool = False) -> None:
        """Open or make the file. truncate: remove it and its backups first. Raises OSError."""
        self.path = path
        self.rotation = rotation
        self.failure: OSError | None = None
        self._retry_at = 0.0
        if truncate:
            for old in (path, *backups(path, rotation.max_backups)):
                if _movable(old) or _is_directory(old):  # which is refused
                    with contextlib.suppress(FileNotFoundError):
                        os.unlink(old)
        self._descriptor, found = _open(path)
        self.marks = Marks(found.st_ino)
        self._take(found)

    @classmethod
    def take_over(
        cls,
        path: str,
        rotation: Rotation,
        descriptor: int,
        rotations: int,
        *,
        identity: Identity | None = None,
        position: int = _UNKNOWN,
    ) -> RotatingFile:
        """Write on to a file that an earlier program had open. Nothing is looked at before a write."""
        file = cls.__new__(cls)
        file.path = path
        file.rotation = rotation
        file.failure = None
        file._retry_at = 0.0
        file.identity = identity = identity or Identity(0, 0)
        file.position = position
        file.regular = True  # until it is looked at
        file.marks = Marks(identity.inode, rotations)
        file._descriptor = descriptor
        return file

    def _take(self, found: os.stat_result) -> None:
        self.identity = Identity(found.st_dev, found.st_ino)
        self.regular = stat.S_ISREG(found.st_mode)
        self.position = found.st_size if self.regular else 0

    @property
    def rotations(self) -> int:
        """How often it was rotated since it was opened."""
        return self.marks.rotations

    @property
    def inode(self) -> int:
        """The number of the newest file."""
        return self.identity.inode

    # Writing -------------------------------------------------------------------------------------

    def append(self, data: memoryview) -> None:
        """Write `data`, rotating where that is due. Raises WriteFailed."""
        done = 0
        size = len(data)
        try:
            self.look()
            limit = self._limit()
            while done < size:
                end = size
                full = False
                if limit and self.position + size - done > limit:
                    end, full = self._cut_off(data, done, limit)
                while done < end:
                    written = os.write(self._descriptor, data[done:end])
                    done += written
                    self.position += written
                due = full or (self.position == limit and limit and done < size)
                if due and not self._rotate_or_write_on():
                    limit = 0
        except OSError as error:
            raise WriteFailed(done, error) from error

    def _limit(self) -> int:
        """Bytes at which the file is rotated; 0 for never, or not before the next attempt."""
        waits = self.failure is not None and time.monotonic() < self._retry_at
        return self.rotation.max_size if self.regular and not waits else 0

    def _rotate_or_write_on(self) -> bool:
        """Rotate; whether that was possible. If not, the file becomes larger than it should be."""
        try:
            self.rotate()
        except OSError as error:
            if self.failure is None or self.failure.errno != error.errno:
                _log.error(
                    "log cannot be rotated and is written on", path=self.path, reason=error.strerror
                )
            self.failure = error
            self._retry_at = time.monotonic() + RETRY_AFTER
            return False
        return True

    def _cut_off(self, data: memoryview, done: int, limit: int) -> tuple[int, bool]:
        """Up to where `data` goes into this file, and whether the file is full then anyhow.

        It breaks after the last line's end, if there is one near: lines should stay whole.
        """
        if self.position > limit:
            return done, True
        end = done + limit - self.position
        start = max(done, end - _LINE_MAX)
        line_end = bytes(data[start:end]).rfind(b"\n")
        return (end, False) if line_end < 0 else (start + line_end + 1, True)

    def look(self) -> None:
        """Look at the file before it is written: somebody may have cut it short, or removed it.

        One that was removed is made anew, since what is written to a file without a name is lost.
        Raises OSError when that fails.
        """
        try:
            found = os.fstat(self._descriptor)
        except OSError as error:
            if error.errno in _REPLACED:
                self._make_anew()
            return  # of a disk that has gone: the write will say so, too
        if self.position == _UNKNOWN or not self.identity.inode:
            self.marks = self.marks._replace(inode=found.st_ino)
            self._take(found)
        if not self.regular:
            return
        if not found.st_nlink:
            self._make_anew()
        elif found.st_size != self.position:
            if found.st_size < self.position:
                cuts = self.marks.cuts + 1
                self.marks = self.marks._replace(cuts=cuts, cut_at=found.st_size)
            self.position = found.st_size

    def _make_anew(self) -> None:
        with self._turning():
            descriptor, found = _open(self.path)
            self._turn_to(descriptor, found, removals=1)
        _log.warning("log was removed and is made anew", path=self.path)

    # Rotating ------------------------------------------------------------------------------------

    def rotate(self) -> None:
        """Turn to a new, empty file; the old one becomes the first backup. Raises OSError.

        When it fails, all files have the names that they had, and the old one is written on.
        """
        if not self.regular:
            raise OSError(errno.EINVAL, "only a regular file is rotated", self.path)
        with self._turning():
            self._rotate()
        if self.failure is not None:
            _log.warning("log is rotated again", path=self.path)
            self.failure = None

    def _rotate(self) -> None:
        names = [self.path, *backups(self.path, self.rotation.max_backups)]
        there = [_movable(name) for name in names]
        if False in there:
            name = names[there.index(False)]
            raise OSError(errno.EEXIST, f"{name} is not a regular file, so it is not moved", name)
        spare = backups(self.path, len(names))[-1]
        moved = _move_up(names, there, spare) if there[0] else []
        try:
            descriptor, found = _open(self.path)
            if not stat.S_ISREG(found.st_mode):
                _close(descriptor, self.path)
                raise OSError(errno.EEXIST, "its place was taken by a device", self.path)
        except OSError:
            _move_back(moved)
            raise
        self._turn_to(descriptor, found, rotations=1)
        if moved and moved[0][1] == spare:
            with contextlib.suppress(OSError):
                os.unlink(spare)

    @contextlib.contextmanager
    def _turning(self) -> Iterator[None]:
        """Have readers wait until names and marks fit again."""
        self.marks = self.marks._replace(turning=True)
        try:
            yield
        finally:
            self.marks = self.marks._replace(turning=False)

    def _turn_to(
        self, descriptor: int, found: os.stat_result, *, rotations: int = 0, removals: int = 0
    ) -> None:
        """Write to another file from now on. The old number is not used again, whatever close says."""
        old, self._descriptor = self._descriptor, descriptor
        marks = self.marks
        self.marks = Marks(
            found.st_ino,
            marks.rotations + rotations,
            marks.removals + removals,
            marks.cuts,
            turning=marks.turning,
        )
        self._take(found)
        _close(old, self.path)

    # The end -------------------------------------------------------------------------------------

    def fileno(self) -> int:
        """The descriptor that is written to; -1 after the end."""
        return self._descriptor

    def close(self) -> None:
        """Close the file; a second call does nothing. An error is logged, for nothing is left to do."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            _close(descriptor, self.path)


def backups(path: str, count: int) -> list[str]:
    """The paths of a log's rotated files, from new to old, whether they are there or not."""
    return [f"{path}.{number}" for number in range(count)]


def _move_up(names: list[str], there: list[bool | None], spare: str) -> list[tuple[str, str]]:
    """Rename files to the next name each, up to the first name that is free.

    If none is free, the oldest file gets the spare name, until all is done; if that is taken, the oldest
    is removed. (ext4 writes a file to the disk at once that is renamed over another one: auto_da_alloc.)

    Returns:
        What was renamed, each with its new name, the oldest first.

    Raises:
        OSError: one cannot be renamed. All have their former names.
    """
    if None in there:
        names = names[: there.index(None) + 1]
    elif not os.path.lexists(spare):
        names = [*names, spare]
    else:
        os.unlink(names[-1])
    moved: list[tuple[str, str]] = []
    for newer, older in reversed(list(itertools.pairwise(names))):
        try:
            os.rename(newer, older)
        except FileNotFoundError:
            continue
        except OSError:
            _move_back(moved)
            raise
        moved.append((newer, older))
    return moved


def _move_back(moved: list[tuple[str, str]]) -> None:
    """Undo what `_move_up` did."""
    for newer, older in reversed(moved):
        with contextlib.suppress(OSError):
            os.rename(older, newer)


def _movable(path: str) -> bool | None:
    """Whether the file of this name may be renamed or removed; None if there is none. Raises OSError.

    A link may be, as with libvirt, unless it leads to something that is not a regular file.
    """
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if stat.S_ISLNK(found.st_mode):
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return True
    return stat.S_ISREG(found.st_mode)


def _is_directory(path: str) -> bool:
    """Whether a name is that of a directory itself, not of a link to one."""
    return os.path.isdir(path) and not os.path.islink(path)


def _open(path: str) -> tuple[int, os.stat_result]:
    """Open for appending: a descriptor, and what it is."""
    descriptor = os.open(path, _WRITE, _MODE)
    try:
        os.lseek(descriptor, 0, os.SEEK_END)  # which a FIFO or a terminal does not have
        return descriptor, os.fstat(descriptor)
    except OSError as error:
        _close(descriptor, path)
        raise OSError(error.errno, error.strerror, path) from None


def _close(descriptor: int, path: str) -> None:
    """Close a number that nobody uses any more. An error says that an earlier write came to nothing."""
    try:
        os.close(descriptor)
    except OSError as error:
        _log.error(
            "log file closed with an error, its last bytes may be missing",
            path=path,
            reason=error.strerror,
        )
