"""A file in memory, for readers that want a path."""

from __future__ import annotations

import functools
import os


@functools.cache
def _descriptor(pid: int) -> int:
    # One for each process: targets that run at the same time must not share it.
    return os.memfd_create("fuzz")


def file_with(data: bytes) -> str:
    """The path of a file that contains `data` until this is called again."""
    descriptor = _descriptor(os.getpid())
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, data, 0)
    return f"/proc/self/fd/{descriptor}"
