"""The end of a process whose connection went while it held locks.

It may still write to what it locked, so it is ended: asked, and after a while killed. Its locks are
kept until it is gone, so that nobody else gets them while it can still write. (virtlockd gives them
back first, but answers nobody until it is done or has given up after three seconds.)

Source: libvirt's src/locking/lock_daemon.c, virLockDaemonClientFree.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from typing import Final

from aiovirt.daemons.lockd.holder import Holder
from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.lockd.fate")

#: Seconds between asking a process to end (SIGTERM) and killing it (SIGKILL).
KILL_AFTER: Final = 1.6
#: Seconds after which a process that does not die is reported; it is waited for all the same.
REPORT_AFTER: Final = 1.4
#: Seconds between two looks at a process that cannot be watched.
LOOK_AGAIN_AFTER: Final = 0.5


def may_end(holder: Holder) -> bool:
    """Whether a process may be ended at all: not init, and not this one."""
    return holder.pid not in (1, os.getpid())


async def end_process(holder: Holder, reason: str) -> None:
    """End a process, which `may_end` allows, and return when it is known that it has ended.

    reason: for the log.
    """
    if holder.has_ended():
        return
    ended = asyncio.Event()
    holder.when_ended(ended.set)
    await _watched(holder, ended)
    _log.warning("a lock holder is ended", pid=holder.pid, reason=reason)
    if await _end(holder, ended):
        return
    _log.error("a lock holder does not end; its locks are kept until it does", pid=holder.pid)
    await ended.wait()


async def _watched(holder: Holder, ended: asyncio.Event) -> None:
    """Wait until a process is watched or has ended."""
    if not holder.watch() and not holder.has_ended():
        _log.error("a lock holder cannot be watched; its locks are kept", pid=holder.pid)
        while not holder.watch() and not ended.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), LOOK_AGAIN_AFTER)


async def _end(holder: Holder, ended: asyncio.Event) -> bool:
    """Signal a process. Returns whether it has ended in time."""
    for number, patience in ((signal.SIGTERM, KILL_AFTER), (signal.SIGKILL, REPORT_AFTER)):
        if holder.has_ended():
            return True
        try:
            signal.pidfd_send_signal(holder.descriptor, number)
        except ProcessLookupError:
            pass  # it is about to be gone
        except OSError as error:
            _log.error("a lock holder cannot be ended", pid=holder.pid, reason=error.strerror)
            return False
        try:
            await asyncio.wait_for(ended.wait(), patience)
        except TimeoutError:
            continue
        return True
    return False
