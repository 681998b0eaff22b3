"""The kernel's locks on files.

They are open-file-description locks. They exclude libvirt's process locks and are excluded by them, but
they belong to the descriptor: with a process lock, closing any other descriptor of the same file, such
as one reached through a symbolic link, would silently give the lock away.

Whatever fails here leaves no descriptor open. A descriptor that was closed is closed, whatever close(2)
says: its number is never used again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from typing import Final, NoReturn

from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.lockd.kernel")

#: struct flock on 64-bit Linux: type, whence, start, length, pid (0 for these locks).
_FLOCK: Final = struct.Struct("hhqqi4x")
_FIRST_BYTE: Final = {
    kind: _FLOCK.pack(kind, os.SEEK_SET, 0, 1, 0) for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK)
}
_UNLOCKED: Final = _FLOCK.pack(fcntl.F_UNLCK, os.SEEK_SET, 0, 1, 0)
_SET: Final = fcntl.F_OFD_SETLK
READ: Final = fcntl.F_RDLCK
WRITE: Final = fcntl.F_WRLCK
#: Opened without waiting: for a terminal's line, or for a program that has a lease on the file.
_OPEN: Final = os.O_RDWR | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
#: Files made for a lock that may be replaced under us before we give up.
_TRIES: Final = 100


class AlreadyLocked(Exception):
    """The file is locked. identity: its device and inode; pid: the process, if that is known, or 0."""

    def __init__(self, identity: tuple[int, int], pid: int) -> None:
        super().__init__(identity, pid)
        self.identity = identity
        self.pid = pid


def lock_existing(path: str, kind: int) -> int:
    """Open and lock a file. Returns its descriptor. Raises OSError, AlreadyLocked."""
    descriptor = os.open(path, _OPEN)
    try:
        fcntl.fcntl(descriptor, _SET, _FIRST_BYTE[kind])
    except OSError as error:
        _give_up(descriptor, path, error)
    return descriptor


def lock_made(path: str, kind: int) -> int:
    """Make or reuse a file and lock it. Returns its descriptor. Raises OSError, AlreadyLocked.

    A file that was replaced between opening and locking is noticed, and the new one is locked.
    """
    for _ in range(_TRIES):
        descriptor = os.open(path, _OPEN | os.O_CREAT, 0o600)
        try:
            fcntl.fcntl(descriptor, _SET, _FIRST_BYTE[kind])
        except OSError as error:
            _give_up(descriptor, path, error)
        try:
            if is_at(descriptor, path):
                return descriptor
        except OSError:
            close(descriptor, path)
            raise
        close(descriptor, path)
    raise OSError(errno.EBUSY, "another program replaces it again and again")


def make(path: str) -> None:
    """Make a file if nothing is there; a FIFO is not waited for. Raises OSError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
    os.close(os.open(path, flags, 0o600))


def _give_up(descriptor: int, path: str, error: OSError) -> NoReturn:
    """Close a descriptor that could not be locked, and raise the reason."""
    try:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise AlreadyLocked(identity(descriptor), _locking_process(descriptor)) from None
        raise error
    finally:
        close(descriptor, path)


def _locking_process(descriptor: int) -> int:
    """The process with the kernel's lock; the kernel does not tell the owner of a description."""
    found = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _FIRST_BYTE[WRITE])
    kind, *_, pid = _FLOCK.unpack(found)
    return pid if kind != fcntl.F_UNLCK and pid > 0 else 0


def lock_alone(descriptor: int) -> None:
    """Make a shared lock an exclusive one. Raises OSError when others share it."""
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _FIRST_BYTE[WRITE])


def unlock(descriptor: int, path: str) -> None:
    """Release a lock whose descriptor other processes have, too; an error is logged."""
    try:
        fcntl.fcntl(descriptor, _SET, _UNLOCKED)
    except OSError as error:
        _log.error("a file failed to unlock", path=path, reason=error.strerror)


def identity(descriptor: int) -> tuple[int, int]:
    """Device and inode of an open file. Raises OSError."""
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


def is_at(descriptor: int, path: str) -> bool:
    """Whether `path` leads to this open file. Raises OSError when that cannot be seen."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    return (there.st_dev, there.st_ino) == identity(descriptor)


def close(descriptor: int, path: str) -> None:
    """Close a descriptor; an error is logged, and the descriptor is closed all the same."""
    try:
        os.close(descriptor)
    except OSError as error:
        _log.error("a file failed to close", path=path, reason=error.strerror)
