"""Threads that a disk holds up.

Executing a program ends all other threads first, and the kernel waits for that: one that is held up by a
disk cannot be ended. The daemon would neither go on nor be replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from typing import Final

#: Seconds between two looks.
_LOOK: Final = 0.05
#: The state of a thread that no signal wakes, in /proc/PID/task/TID/stat.
_UNINTERRUPTIBLE: Final = "D"
#: The place in the kernel of one that waits for a file system in another process (FUSE). A signal wakes
#: it, but only to wait once more.
_FUSE: Final = "request_wait_answer"


async def until_none_is_held_up(patience: float) -> None:
    """Wait until no disk holds up any thread of this process that it held up at the begin.

    A busy disk holds up one thread or another at any moment, but none of them for long.

    Args:
        patience: seconds.

    Raises:
        TimeoutError: one is held up all the time.
        OSError: the threads cannot be looked at.
    """
    loop = asyncio.get_running_loop()
    end = loop.time() + patience
    held = set(filter(_is_held_up, _others()))
    while held:
        if loop.time() >= end:
            raise TimeoutError(f"a disk holds up {len(held)} of the daemon's threads")
        await asyncio.sleep(_LOOK)
        held = set(filter(_is_held_up, held))


def _others() -> list[str]:
    """The other threads of this process; none where there is no /proc."""
    own = str(threading.get_native_id())
    try:
        return [one for one in os.listdir("/proc/self/task") if one != own]
    except FileNotFoundError:
        return []


def _is_held_up(thread: str) -> bool:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        state = _read(thread, "stat").rpartition(")")[2].split()[0]
        return state == _UNINTERRUPTIBLE or _read(thread, "wchan") == _FUSE
    return False


def _read(thread: str, name: str) -> str:
    with open(f"/proc/self/task/{thread}/{name}", encoding="ascii", errors="replace") as file:
        return file.read()
