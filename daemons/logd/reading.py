"""Reading a log from a position on, across the files that rotation made of it. On threads only.

Source: libvirt's src/util/virrotatingfile.c (virRotatingFileReader).
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable
from typing import Final, NamedTuple

from aiovirt.daemons.logd.protocol import Position
from aiovirt.daemons.logd.rotating import backups
from aiovirt.rpc.security.regular import open_regular

#: The largest offset that the kernel takes.
_OFFSET_MAX: Final = 2**63 - 1


class Piece(NamedTuple):
    """A piece of a log. position: the place after it; found: whether nothing before it was missed."""

    data: bytes
    position: Position
    found: bool


class Opened(NamedTuple):
    """A file of a log, open for reading; or something else in its place, which `error` says."""

    descriptor: int
    inode: int
    error: OSError | None = None


def read_log(path: str, max_backups: int, position: Position, maxlen: int) -> Piece:
    """Read at most `maxlen` bytes from `position` on.

    When its file was rotated out of existence, or never was, that is from the start of the oldest one
    available. Raises OSError, FileNotFoundError when there is none at all.
    """
    files = open_chain(path, max_backups)
    try:
        at = next((at for at, file in enumerate(files) if file.inode == position.inode), None)
        offset = position.offset if at is not None else 0
        pieces = []
        for file in files[at or 0 :]:
            piece = read_at(file, offset, maxlen)
            pieces.append(piece)
            maxlen -= len(piece)
            reached = Position(file.inode, offset + len(piece))
            offset = 0
            if not maxlen:
                break
        return Piece(b"".join(pieces), reached, at is not None)
    finally:
        close_all(files)


def open_chain(path: str, max_backups: int) -> list[Opened]:
    """Open every file of a log that is there, from old to new, at least one.

    They are opened from new to old: a rotation in the middle then shows a file twice, never not at all.
    Raises OSError, FileNotFoundError when there is none.
    """
    files: dict[int, Opened] = {}
    try:
        for name in (path, *backups(path, max_backups)):
            with contextlib.suppress(FileNotFoundError):
                file = _open(name)
                if file.inode in files:
                    close_all([file])
                else:
                    files[file.inode] = file
    except OSError:
        close_all(files.values())
        raise
    if not files:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return list(reversed(files.values()))


def _open(name: str) -> Opened:
    try:
        descriptor = open_regular(name)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return Opened(-1, os.stat(name).st_ino, error)
    return Opened(descriptor, os.fstat(descriptor).st_ino)


def close_all(files: Iterable[Opened]) -> None:
    """Close files that were read; what close(2) says of them is of no interest."""
    for file in files:
        if file.error is None:
            with contextlib.suppress(OSError):
                os.close(file.descriptor)


def read_at(file: Opened, offset: int, maxlen: int) -> bytes:
    """Read as many bytes as there are, at most `maxlen`. Raises OSError."""
    if file.error is not None:
        raise file.error
    if offset > _OFFSET_MAX:
        raise OSError(errno.EINVAL, f"no file reaches byte {offset}")
    pieces = []
    while maxlen:
        piece = os.pread(file.descriptor, maxlen, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        maxlen -= len(piece)
    return b"".join(pieces)
