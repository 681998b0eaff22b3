"""Reading a log from a position on, across the files that rotation made of it.

Source: libvirt's src/util/virrotatingfile.c (virRotatingFileReader).
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

from aiovirt.daemons.logd.protocol import Position
from aiovirt.daemons.logd.rotating import backups


class Piece(NamedTuple):
    """A piece of a log. position: the place behind it; found: whether the file was still there."""

    data: bytes
    position: Position
    found: bool


def read_log(path: str, max_backups: int, position: Position, maxlen: int) -> Piece:
    """At most `maxlen` bytes from `position` on.

    When its file was rotated out of existence, or never was, that is from the start of the oldest one
    that there is. Raises OSError, FileNotFoundError when there is none at all.
    """
    files = _open_all(path, max_backups)
    try:
        at = next((at for at, (_, inode) in enumerate(files) if inode == position.inode), None)
        offset = position.offset if at is not None else 0
        pieces = []
        for descriptor, inode in files[at or 0 :]:
            piece = _read(descriptor, offset, maxlen)
            pieces.append(piece)
            maxlen -= len(piece)
            reached = Position(inode, offset + len(piece))
            offset = 0
            if not maxlen:
                break
        return Piece(b"".join(pieces), reached, at is not None)
    finally:
        for descriptor, _ in files:
            os.close(descriptor)


def _open_all(path: str, max_backups: int) -> list[tuple[int, int]]:
    """Descriptor and inode of every file that there is, from old to new.

    They are opened from new to old: a rotation in the middle then shows a file twice, never not at all.
    """
    files: dict[int, int] = {}
    for name in (path, *backups(path, max_backups)):
        try:
            descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError:
            _close(files)
            raise
        inode = os.fstat(descriptor).st_ino
        if inode in files:
            os.close(descriptor)
        else:
            files[inode] = descriptor
    if not files:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return [(descriptor, inode) for inode, descriptor in reversed(files.items())]


def _close(files: dict[int, int]) -> None:
    for descriptor in files.values():
        os.close(descriptor)


def _read(descriptor: int, offset: int, maxlen: int) -> bytes:
    """As many bytes as there are, at most `maxlen`."""
    if offset > _OFFSET_MAX:
        raise OSError(errno.EINVAL, f"no file reaches byte {offset}")
    pieces = []
    while maxlen:
        piece = os.pread(descriptor, maxlen, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        maxlen -= len(piece)
    return b"".join(pieces)


#: The largest offset that the kernel takes.
_OFFSET_MAX = 2**63 - 1
