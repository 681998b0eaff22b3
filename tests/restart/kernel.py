"""The kernel's own view of locks on files.

Not from /proc/locks: that is read page by page, and leaves one out when another, anybody's, goes
meanwhile.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

#: struct flock on 64-bit Linux, asking for an exclusive lock on the first byte.
_FLOCK = struct.Struct("hhqqi4x")
_WANTED = _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 1, 0)


class Disks:
    """Files, made if need be, and which of them are locked."""

    def __init__(self, *paths: Path) -> None:
        self._files = {path.name: os.open(path, os.O_RDWR | os.O_CREAT) for path in paths}

    def locked(self) -> set[str]:
        """The names of those that are."""
        return {name for name, file in self._files.items() if self._is_locked(file)}

    def _is_locked(self, file: int) -> bool:
        kind, *_ = _FLOCK.unpack(fcntl.fcntl(file, fcntl.F_OFD_GETLK, _WANTED))
        return bool(kind != fcntl.F_UNLCK)

    def close(self) -> None:
        for file in self._files.values():
            os.close(file)


def locked(folder: Path) -> set[str]:
    """The names of the files in a folder that are locked."""
    disks = Disks(*folder.iterdir())
    try:
        return disks.locked()
    finally:
        disks.close()
