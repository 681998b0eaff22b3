"""What the kernel says about the daemon's process."""

from __future__ import annotations

import os
from pathlib import Path


def descriptors(pid: int) -> list[str]:
    """What each open descriptor of the process is, as /proc shows it, in order."""
    folder = Path(f"/proc/{pid}/fd")
    return sorted(os.readlink(path) for path in folder.iterdir())


def resident(pid: int) -> int:
    """Bytes of memory that the process occupies."""
    return _size(pid, "VmRSS")


def allocated(pid: int) -> int:
    """Bytes of them that it has allocated. (Its share of the libraries grows when others end.)"""
    return _size(pid, "RssAnon")


def _size(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no memory any more")
