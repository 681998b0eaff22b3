"""Processes that hold locks: named by number and start time, watched by descriptors.

A number alone names nobody: the kernel gives it to another process as soon as the first one has been
waited for. So a process is looked at once, when it registers, and from then on its pidfd is kept: to
learn whether it has ended takes no further descriptor, and the answer can be about no other process.

The rule of this file: a process has ended when its pidfd says so, or when the kernel says that there is
no such process. A look that fails (no descriptor left, no permission, an error of /proc) says nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterator
from typing import Final

from aiovirt.daemons.runtime.process.others import is_over, start_time
from aiovirt.rpc.spare import Reserve
from aiovirt.rpc.transport.descriptors import close_all

#: Descriptors in reserve. A client that registers needs two for a moment, and one for good.
RESERVE: Final = 8
#: The start time of a number that no process had when it was registered.
NO_PROCESS: Final = 0
#: The largest number that the kernel's own type for processes has room for.
_PID_MAX: Final = 2**31 - 1
#: Linux, asm-generic/socket.h; from 6.5 on. Python has no name for it yet.
_SO_PEERPIDFD: Final = 77


class Share:
    """The limits of a process; `table.Holding` is the one kind."""

    __slots__ = ()


class Holder:
    """A process for which locks are held.

    pid, start: its name, the start in clock ticks since boot, NO_PROCESS if there was none.
    sessions: how many clients act for it; holdings: what it holds.
    """

    __slots__ = (
        "_callbacks",
        "_descriptor",
        "_ended",
        "_loop",
        "holdings",
        "pid",
        "sessions",
        "start",
    )

    def __init__(self, pid: int, start: int, descriptor: int = -1) -> None:
        """Make a holder. descriptor: its pidfd, or -1 if it is not watched yet."""
        self.pid = pid
        self.start = start
        self.sessions = 0
        self.holdings: set[Share] = set()
        self._descriptor = descriptor
        self._ended = start == NO_PROCESS
        self._callbacks: list[Callable[[], None]] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    def __repr__(self) -> str:
        return f"<Holder {self.pid} started at {self.start}>"

    @property
    def descriptor(self) -> int:
        """Its pidfd, -1 when it has ended or cannot be watched."""
        return self._descriptor

    @property
    def in_use(self) -> bool:
        """Whether anything still refers to it."""
        return bool(self.holdings or self.sessions or self._callbacks)

    def has_ended(self) -> bool:
        """Whether it is known that the process has ended.

        A process that nobody has waited for has ended; one of whose threads any runs has not.
        """
        if not self._ended and self.watch() and is_over(self._descriptor):
            self._end()
        return self._ended

    def watch(self) -> bool:
        """Get a pidfd, if there is none yet. Returns whether there is one."""
        if self._descriptor < 0 and not self._ended:
            try:
                self._descriptor = open_process(self.pid, self.start)[0]
            except ProcessLookupError:
                self._end()
            except OSError:
                pass  # that we cannot look does not mean that it has ended
            else:
                self._listen()
        return self._descriptor >= 0

    def adopt(self, descriptor: int) -> bool:
        """Take a pidfd of the process. Returns whether it was wanting."""
        wanting = self._descriptor < 0 and not self._ended
        if wanting:
            self._descriptor = descriptor
            self._listen()
        return wanting

    def when_ended(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the process has ended; soon, if it has."""
        self._callbacks.append(callback)
        if self.has_ended():
            asyncio.get_running_loop().call_soon(self._tell)
        else:
            self._listen()

    def close(self) -> None:
        """Stop watching."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            if self._loop is not None:
                self._loop.remove_reader(descriptor)
                self._loop = None
            close_all((descriptor,))

    def look(self) -> None:
        """Look again, for one whose end is waited for and who could not be watched."""
        if self.watch() and not self.has_ended():
            self._listen()

    def _listen(self) -> None:
        if self._callbacks and self._loop is None and self._descriptor >= 0:
            loop = asyncio.get_running_loop()
            with contextlib.suppress(OSError):  # the kernel has no room; `look` tries again
                loop.add_reader(self._descriptor, self.has_ended)
                self._loop = loop

    def _end(self) -> None:
        self._ended = True
        self.close()
        if self._callbacks:
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class Holders:
    """The processes that anything in this daemon refers to, one `Holder` for each.

    reserve: descriptors for looking at them when there are no others.
    """

    def __init__(self) -> None:
        self._all: dict[tuple[int, int], Holder] = {}
        self._latest: dict[int, Holder] = {}  # who had a number when it was looked at last
        self.reserve = Reserve(RESERVE)

    def __iter__(self) -> Iterator[Holder]:
        return iter(list(self._all.values()))

    def find(self, pid: int, peer: socket.socket | None = None) -> Holder:
        """The process that has the number `pid` now, for a client that registers it.

        Args:
            pid: A number as it came from the wire; it need not be one of a process.
            peer: The client's socket, if the process is said to be the one at its other end.

        Raises:
            OSError: It cannot be known which process that is.
        """
        known = self._latest.get(pid)
        if peer is None and known is not None and known.descriptor >= 0 and not known.has_ended():
            return known
        try:
            self.reserve.fill()
            descriptor, start = self.reserve.use(lambda: open_process(pid, None, peer))
        except ProcessLookupError:
            descriptor, start = -1, NO_PROCESS
        holder = self.named(pid, start, descriptor)
        self._latest[pid] = holder
        return holder

    def named(self, pid: int, start: int, descriptor: int = -1) -> Holder:
        """The process of this number and start time. descriptor: its pidfd, if there is one."""
        holder = self._all.get((pid, start))
        if holder is None:
            holder = self._all[pid, start] = Holder(pid, start, descriptor)
        elif descriptor >= 0 and not holder.adopt(descriptor):
            close_all((descriptor,))
        return holder

    def let_go(self, holder: Holder) -> None:
        """Forget a holder that nothing refers to any more."""
        if not holder.in_use:
            holder.close()
            self._all.pop((holder.pid, holder.start), None)
            if self._latest.get(holder.pid) is holder:
                del self._latest[holder.pid]

    def close(self) -> None:
        """Stop watching them all."""
        for holder in self:
            holder.close()
        self.reserve.drain()


def open_process(pid: int, start: int | None, peer: socket.socket | None = None) -> tuple[int, int]:
    """Open a process. Returns its pidfd and when it started.

    Args:
        pid: Its number.
        start: When it has to have started, None if that is to be found out.
        peer: A UNIX socket whose other end the process has to have opened.

    Raises:
        ProcessLookupError: It is known that there is no such process any more.
        OSError: It is not known.
    """
    if not 0 < pid <= _PID_MAX:
        raise ProcessLookupError(errno.ESRCH, f"no process has the number {pid}")
    descriptor = os.pidfd_open(pid) if peer is None else _peer_descriptor(pid, peer)
    try:
        found = _start_time(pid, descriptor)
        # Only now is it sure that the start time is that of the process that was opened.
        if is_over(descriptor) or start not in (None, found):
            raise ProcessLookupError(errno.ESRCH, f"process {pid} has ended")
    except BaseException:
        close_all((descriptor,))
        raise
    return descriptor, found


def _peer_descriptor(pid: int, peer: socket.socket) -> int:
    """The pidfd of the process that connected, even if its number is another's by now."""
    try:
        return peer.getsockopt(socket.SOL_SOCKET, _SO_PEERPIDFD)
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:  # Linux before 6.5
            return os.pidfd_open(pid)
        if error.errno in (errno.EINVAL, errno.ENODATA, errno.ESRCH):
            raise ProcessLookupError(errno.ESRCH, f"process {pid} has ended") from error
        raise


def _start_time(pid: int, descriptor: int) -> int:
    """When a process started, in clock ticks since boot.

    Raises ProcessLookupError when it has ended, and OSError when that cannot be read.
    """
    try:
        return start_time(pid)
    except (OSError, IndexError, ValueError) as error:
        if is_over(descriptor):
            raise ProcessLookupError(errno.ESRCH, f"process {pid} has ended") from error
        if isinstance(error, OSError) and error.errno not in (errno.ENOENT, errno.ESRCH):
            raise
        # The process runs, but /proc does not show it to us.
        raise OSError(errno.EACCES, f"/proc/{pid}/stat does not say when it started") from error
