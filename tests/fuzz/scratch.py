"""A file in memory, for readers that want a path."""

from __future__ import annotations

import functools
import os


@functools.cache
def _descriptor(pid: int, name: str) -> int:
    # Those of each process: targets that run at the same time must not share them.
    return os.memfd_create(name)


def file_with(data: bytes, name: str = "fuzz") -> str:
    """The path of a file that contains `data` until this is called again for the same name."""
    descriptor = _descriptor(os.getpid(), name)
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)
    return f"/proc/self/fd/{descriptor}"
