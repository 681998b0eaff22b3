"""A log file that is rotated when it is full: PATH, then PATH.0, PATH.1 ... from new to old.

What is written is in one file or the next, never in both and never in none: a file is renamed only
between two writes, and whatever fails leaves a state in which the next write can go on.

Source: libvirt's src/util/virrotatingfile.c.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from dataclasses import dataclass
from typing import Final

#: Bytes before the end of a full file in which a line's end is looked for, to break there.
_LINE_MAX: Final = 80
#: Not to wait: opening a FIFO that nobody reads would never return.
_WRITE: Final = os.O_CREAT | os.O_APPEND | os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_MODE: Final = 0o600


@dataclass(slots=True)
class Rotation:
    """When files are rotated and how many are kept; shared by all logs, so that a change counts.

    max_size: bytes, 0 for no rotation; max_backups: rotated files kept beside the current one.
    """

    max_size: int
    max_backups: int


class WriteFailed(Exception):
    """A write stopped: `done` bytes are in the file, the rest is not, because of `error`."""

    def __init__(self, done: int, error: OSError) -> None:
        super().__init__(str(error))
        self.done = done
        self.error = error


class RotatingFile:
    """The file that a log is written to now.

    path: of the newest file; inode: its number; position: its size in bytes; rotations: how often
    it was rotated since it was opened.
    """

    __slots__ = ("_descriptor", "inode", "path", "position", "rotation", "rotations")

    def __init__(self, path: str, rotation: Rotation, *, truncate: bool = False) -> None:
        """Open or make the file. truncate: remove it and its backups first. Raises OSError."""
        self.path = path
        self.rotation = rotation
        self.rotations = 0
        if truncate:
            for old in (path, *backups(path, rotation.max_backups)):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(old)
        self._descriptor, self.inode, self.position = _open(path)

    @classmethod
    def take_over(
        cls, path: str, rotation: Rotation, descriptor: int, rotations: int
    ) -> RotatingFile:
        """Write on to a file that an earlier program had open; only looks at it. Raises OSError."""
        file = cls.__new__(cls)
        file.path = path
        file.rotation = rotation
        file.rotations = rotations
        status = os.fstat(descriptor)
        file._descriptor, file.inode, file.position = descriptor, status.st_ino, status.st_size
        return file

    def append(self, data: memoryview) -> None:
        """Write `data`, rotating where that is due. Raises WriteFailed."""
        done = 0
        size = len(data)
        limit = self.rotation.max_size
        try:
            while done < size:
                end = size
                full = False
                if limit and self.position + size - done > limit:
                    end, full = self._cut(data, done, limit)
                while done < end:
                    written = os.write(self._descriptor, data[done:end])
                    done += written
                    self.position += written
                if full or (self.position == limit and done < size):
                    self.rotate()
        except OSError as error:
            raise WriteFailed(done, error) from error

    def _cut(self, data: memoryview, done: int, limit: int) -> tuple[int, bool]:
        """Up to where `data` goes into this file, and whether the file is full then anyhow.

        It breaks behind the last line's end, if there is one near: lines should stay whole.
        """
        if self.position > limit:
            return done, True
        end = done + limit - self.position
        start = max(done, end - _LINE_MAX)
        line_end = bytes(data[start:end]).rfind(b"\n")
        return (end, False) if line_end < 0 else (start + line_end + 1, True)

    def rotate(self) -> None:
        """Turn to a new, empty file; the old one becomes the first backup. Raises OSError.

        When it fails, the old file is written on, under whatever name it has.
        """
        if self.rotation.max_backups == 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
        elif os.path.lexists(self.path):  # else it was moved already, and only opening failed
            names = [self.path, *backups(self.path, self.rotation.max_backups)]
            # ext4 writes a file to the disk at once that is renamed over another one (auto_da_alloc).
            with contextlib.suppress(OSError):
                os.unlink(names[-1])
            for newer, older in reversed(list(itertools.pairwise(names))):
                with contextlib.suppress(FileNotFoundError):
                    os.rename(newer, older)
        descriptor, self.inode, self.position = _open(self.path)
        os.close(self._descriptor)
        self._descriptor = descriptor
        self.rotations += 1

    def fileno(self) -> int:
        """The descriptor that is written to."""
        return self._descriptor

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)


def backups(path: str, count: int) -> list[str]:
    """The paths of a log's rotated files, from new to old, whether they are there or not."""
    return [f"{path}.{number}" for number in range(count)]


def _open(path: str) -> tuple[int, int, int]:
    """Open for appending: descriptor, inode and size."""
    descriptor = os.open(path, _WRITE, _MODE)
    try:
        return _measured(descriptor)
    except OSError as error:
        os.close(descriptor)
        raise OSError(error.errno, error.strerror, path) from None


def _measured(descriptor: int) -> tuple[int, int, int]:
    """Descriptor, inode and size."""
    inode = os.fstat(descriptor).st_ino
    return descriptor, inode, os.lseek(descriptor, 0, os.SEEK_END)
