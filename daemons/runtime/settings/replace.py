"""Replacing a file by an edited one, so that a reader finds the old or the new one whole, at any moment.

A link is followed; owner, mode and extended attributes stay. A change that somebody else makes meanwhile
is kept: the file is compared before it is replaced, and the replaced one afterwards.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import stat
import time
from collections.abc import Callable, Iterator
from typing import Final

from aiovirt.rpc.security.regular import read_regular

#: Edits that are begun anew since the file changed meanwhile.
_TRIES: Final = 20
#: Seconds to wait for another process of ours that edits a file in the same folder.
_PATIENCE: Final = 5.0
_AT_FDCWD: Final = -100
_RENAME_EXCHANGE: Final = 2
_NEW_MODE: Final = 0o644


def replace(path: str, limit: int, edit: Callable[[bytes], bytes]) -> None:
    """Replace a file by what `edit` makes of it; a missing one counts as empty. Blocks.

    Args:
        path: of the file.
        limit: the bytes that it may have.
        edit: called with the content, and once more for each change that somebody else makes meanwhile.

    Raises:
        OSError: the file cannot be read or replaced; or it changes all the time (EBUSY).
    """
    path = os.path.realpath(path)
    with _folder_lock(os.path.dirname(path)) as folder:
        for _ in range(_TRIES):
            data, status = _read(path, limit)
            new = edit(data)
            if new == data:
                return
            if _replace_once(path, limit, data, status, new):
                os.fsync(folder)
                return
    raise OSError(errno.EBUSY, "the file changes all the time", path)


def _replace_once(
    path: str, limit: int, data: bytes, status: os.stat_result | None, new: bytes
) -> bool:
    """Replace a file that is still as it was read; return whether it was."""
    beside = f"{os.path.dirname(path)}/.{os.path.basename(path)}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)  # of an edit that was killed
    try:
        _write(beside, path, new, status)
        if status is None:
            return _take_name(beside, path)
        if not _is_still(path, limit, data, status):
            return False
        if not _exchange(beside, path):
            os.rename(beside, path)
            return True
        if _is_still(beside, limit, data, status):
            return True
        _exchange(beside, path)  # somebody was quicker: their file goes back
        return False
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)


def _take_name(beside: str, path: str) -> bool:
    """Give a new file its name, unless there is a file of that name by now."""
    try:
        os.link(beside, path)
    except FileExistsError:
        return False
    return True


def _read(path: str, limit: int) -> tuple[bytes, os.stat_result | None]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return b"", None
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", path)
    return read_regular(path, limit), status


def _is_still(path: str, limit: int, data: bytes, status: os.stat_result) -> bool:
    try:
        found, now = _read(path, limit)
    except OSError:
        return False
    return found == data and now is not None and now.st_ino == status.st_ino


def _write(beside: str, path: str, data: bytes, status: os.stat_result | None) -> None:
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        if status is None:
            os.fchmod(descriptor, _NEW_MODE)
        else:
            own = os.fstat(descriptor)
            if (own.st_uid, own.st_gid) != (status.st_uid, status.st_gid):
                _keep_owner(descriptor, status)
            os.fchmod(descriptor, stat.S_IMODE(status.st_mode))
            _copy_attributes(path, descriptor)
        os.fsync(descriptor)


def _keep_owner(descriptor: int, status: os.stat_result) -> None:
    """Give a new file the owner and the group of the old one. Raises OSError."""
    try:
        os.fchown(descriptor, status.st_uid, status.st_gid)
    except PermissionError as error:
        text = f"its owner {status.st_uid} and group {status.st_gid} cannot be kept"
        raise OSError(error.errno, f"{text}: {error.strerror}") from error


def _copy_attributes(path: str, descriptor: int) -> None:
    """Copy labels and access lists, as far as the file system has them and lets us."""
    with contextlib.suppress(OSError):
        for name in os.listxattr(path):
            with contextlib.suppress(OSError):
                os.setxattr(descriptor, name, os.getxattr(path, name))


@contextlib.contextmanager
def _folder_lock(folder: str) -> Iterator[int]:
    """Keep other daemons of ours from editing in this folder. Yields the descriptor of the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OSError(
                        errno.EBUSY, "another process has locked the folder", folder
                    ) from None
                time.sleep(0.01)
            except OSError:
                break  # a file system without locks
        yield descriptor
    finally:
        os.close(descriptor)


@functools.cache
def _renameat2() -> Callable[..., int] | None:
    import ctypes  # late: no start needs it

    found: Callable[..., int] | None = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return found


def _exchange(one: str, other: str) -> bool:
    """Exchange two files at once; False where the system cannot."""
    call = _renameat2()
    if call is None:
        return False
    outcome = call(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    if outcome == 0:
        return True
    import ctypes

    number = ctypes.get_errno()
    if number in (errno.ENOSYS, errno.EINVAL):
        return False
    raise OSError(number, os.strerror(number), other)
