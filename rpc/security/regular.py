"""Opening a file that a setting, an administrator or a client names, without waiting for anybody; and
replacing one as a whole.

Such a name may lead to a FIFO, and opening one waits for its other end: a daemon would stand still
for as long as that takes. Every path from outside the process is therefore opened here, or by the
same rule: look first, open without waiting, look again at what was opened.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO, Final

_FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK
_NULL: Final = os.makedev(1, 3)
_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def open_regular(path: str) -> int:
    """Open a regular file for reading, never waiting for a FIFO's writer or a device.

    A link is followed. Blocks no longer than the file system does.

    Returns:
        The descriptor, close-on-exec.

    Raises:
        OSError: as of open(2); with EINVAL and the kind of file in its text for anything else than a
            regular file.
    """
    require_regular(path, os.stat(path))
    descriptor = os.open(path, _FLAGS)
    try:
        require_regular(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def read_regular(path: str, limit: int) -> bytes:
    """Read a regular file, at most `limit` bytes of it and one more, so that a longer one is noticed.

    The null device counts as an empty file, since people use it so.

    Raises:
        OSError: as of `open_regular` and read(2).
    """
    found = os.stat(path)
    if stat.S_ISCHR(found.st_mode) and found.st_rdev == _NULL:
        return b""
    with open(open_regular(path), "rb") as file:
        # As much memory as that is taken at once. Files of /proc have no size.
        return file.read(min(os.fstat(file.fileno()).st_size or limit, limit) + 1)


def require_regular(path: str, found: os.stat_result) -> None:
    """Raise OSError (EINVAL) unless `found` is a regular file; the text says what it is instead."""
    if not stat.S_ISREG(found.st_mode):
        kind = next((name for test, name in _KINDS if test(found.st_mode)), "something else")
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", path)


@contextlib.contextmanager
def replacing(path: str, mode: int) -> Iterator[BinaryIO]:
    """Write a new file, which takes the place of an earlier one when all is written; all or nothing.

    Args:
        path: of the file; a link would be replaced, so it is resolved by the caller.
        mode: of the new file.

    Raises:
        OSError: it cannot be written; an earlier file is as it was.
    """
    fresh = f"{path}.new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(fresh)  # of a process that was killed
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with open(os.open(fresh, flags, mode), "wb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            os.rename(fresh, path)
        except BaseException:
            os.unlink(fresh)
            raise
