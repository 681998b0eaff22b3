"""What becomes of a process whose connection went while it held locks.

It may still write to what it locked, so it is ended: asked, and after a while killed. Its locks are
kept until it is gone, so that nobody else gets them while it can still write. (virtlockd gives them
back first, but answers nobody until it is done or has given up after three seconds.)

Source: libvirt's src/locking/lock_daemon.c, virLockDaemonClientFree.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import signal
from typing import Final

from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.lockd.fate")

#: Seconds between asking a process to end (SIGTERM) and killing it (SIGKILL).
KILL_AFTER: Final = 1.6
#: Seconds after which a process that does not die is reported; it is waited for all the same.
REPORT_AFTER: Final = 1.4


def started_at(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: with its id it names it for good.

    None when there is no such process.
    """
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            # The name in parentheses may hold anything; field 22 is the 20th behind it.
            return int(stat.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return None


def runs(pid: int, start: int | None) -> bool:
    """Whether the process `pid` runs, and started at `start` if that is known.

    One that has ended and was not waited for does not run; one of whose threads any does, runs.
    """
    try:
        descriptor = os.pidfd_open(pid)
    except OSError as error:
        return error.errno not in (errno.ESRCH, errno.EINVAL)  # it cannot be watched: who knows
    try:
        return not _has_ended(descriptor) and (start is None or started_at(pid) == start)
    finally:
        os.close(descriptor)


def _has_ended(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


async def end_process(pid: int, start: int | None, because: str) -> None:
    """End the process `pid` that started at `start`, and return when it is gone.

    A process that took the id over is left alone; so are this process and init. because: for the log.
    """
    if pid <= 1 or pid == os.getpid():
        return
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    except OSError as error:
        _log.error("a lock holder cannot be watched", pid=pid, error=error.strerror)
        return
    try:
        if start is None or started_at(pid) != start or _has_ended(descriptor):
            return
        gone = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, gone.set)
        try:
            _log.warning("a lock holder is ended", pid=pid, because=because)
            await _end(descriptor, pid, gone)
        finally:
            asyncio.get_running_loop().remove_reader(descriptor)
    finally:
        os.close(descriptor)


async def _end(descriptor: int, pid: int, gone: asyncio.Event) -> None:
    for number, patience in ((signal.SIGTERM, KILL_AFTER), (signal.SIGKILL, REPORT_AFTER)):
        try:
            signal.pidfd_send_signal(descriptor, number)
        except ProcessLookupError:
            return
        except OSError as error:
            _log.error("a lock holder cannot be ended", pid=pid, error=error.strerror)
            break
        try:
            await asyncio.wait_for(gone.wait(), patience)
        except TimeoutError:
            continue
        return
    _log.error("a lock holder does not end; its locks are kept until it does", pid=pid)
    await gone.wait()
