"""The process of a guest, from virtd's side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Final

from aiovirt.daemons.runtime.process.others import is_over, start_time
from aiovirt.rpc.server.threads import run_blocking

_PROGRAM: Final = f"{os.path.dirname(__file__)}/stand_in.py"
#: Seconds that the process has for an answer, and for its end after a signal.
_PATIENCE: Final = 10.0


class Process:
    """A process that was started by this program, or by one before it.

    It ends with virtd unless `outlive` was called. One descriptor of virtd's belongs to it.

    pid: of the process; started: when, in clock ticks since the machine's boot; control: a socket on
    which the process takes orders, None if a virtd before this one started it; pidfd: of the process if
    there is no such socket, -1 otherwise; is_kept: whether it outlives virtd.
    """

    def __init__(
        self,
        pid: int,
        started: int,
        control: socket.socket | None,
        pidfd: int = -1,
        *,
        is_kept: bool = False,
    ) -> None:
        self.pid = pid
        self.started = started
        self.control = control
        self.pidfd = pidfd
        self.is_kept = is_kept
        self._ended: Callable[[], None] | None = None
        self._asking = 0  # answers that are waited for
        self._looks = False
        self._turn = threading.Lock()  # for one question at a time

    @classmethod
    async def start(cls, name: str, uuid: bytes, folder: str) -> Process:
        """Start one.

        Args:
            name: of the guest, for lists of processes.
            uuid: of the guest; `open_process` finds it in the arguments.
            folder: the run directory, which tells the processes of one virtd from those of another.

        Raises:
            OSError: it cannot be started.
        """
        return await run_blocking(cls._start, [name, uuid.hex(), folder])

    @classmethod
    def _start(cls, arguments: list[str]) -> Process:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-I", "-S", _PROGRAM, *arguments],
                    {},
                    file_actions=[
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), 0),
                        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                        (os.POSIX_SPAWN_DUP2, 1, 2),
                    ],
                    setsid=True,
                    setsigmask=[],
                    setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
                )
            except OSError:
                ours.close()
                raise
        return cls(pid, start_time(pid), ours)

    async def connect(self, path: str) -> socket.socket:
        """Have the process connect to a socket, and return the connection. Raises OSError."""
        answer, descriptors = await self._order(b"C" + os.fsencode(path))
        if not descriptors:
            number = int(answer or b"0")
            raise OSError(number, os.strerror(number) if number else "the emulator has ended", path)
        connection = socket.socket(fileno=descriptors[0])
        connection.setblocking(False)
        return connection

    async def hold(self, descriptor: int) -> int:
        """Have the process hold a copy of a descriptor. Returns its number there. Raises OSError."""
        answer, _ = await self._order(b"H", descriptor)
        return int(answer or b"-1")

    def drop(self, number: int) -> None:
        """Have the process close what it holds. number: there; nothing happens if it takes no orders."""
        if self.control is not None and number >= 0:
            with contextlib.suppress(OSError):  # it has ended, as the descriptor tells
                self.control.send(b"D%d" % number)

    async def _order(self, packet: bytes, descriptor: int = -1) -> tuple[bytes, list[int]]:
        """Ask on a thread, and look for the end of the process only after the answer."""
        self._asking += 1
        self._look()
        asking = asyncio.ensure_future(run_blocking(self._ask, packet, descriptor))
        asking.add_done_callback(self._asked)
        return await asyncio.shield(asking)  # the thread goes on if this is cancelled

    def _asked(self, asking: asyncio.Future[tuple[bytes, list[int]]]) -> None:
        self._asking -= 1
        self._look()
        if not asking.cancelled():
            asking.exception()  # was raised if anybody waited for it

    def _ask(self, packet: bytes, descriptor: int) -> tuple[bytes, list[int]]:
        control = self.control
        if control is None:
            raise RuntimeError("the process takes no orders any more")
        with self._turn:
            control.setblocking(False)
            _drain(control)
            control.settimeout(_PATIENCE)
            try:
                socket.send_fds(control, [packet], [] if descriptor < 0 else [descriptor])
                answer, descriptors, _, _ = socket.recv_fds(control, 16, 1)
            finally:
                control.setblocking(False)
        return answer, descriptors

    def outlive(self) -> None:
        """Let the process go on after virtd has ended."""
        if self.control is not None:
            with contextlib.suppress(OSError):  # it has ended, as the descriptor tells
                self.control.send(b"K")
        self.is_kept = True

    @property
    def descriptor(self) -> int:
        """The descriptor that tells of its end."""
        return self.pidfd if self.control is None else self.control.fileno()

    def took_over(self) -> None:
        """Keep the descriptor from the processes of other guests; a new program inherited it."""
        os.set_inheritable(self.descriptor, False)

    def watch(self, ended: Callable[[], None]) -> None:
        """Call a function once when the process has ended by itself."""
        if self.control is not None:
            self.control.setblocking(False)
        self._ended = ended
        self._look()

    def unwatch(self) -> None:
        """Undo `watch`."""
        self._ended = None
        self._look()

    def _look(self) -> None:
        """Look for the end of the process, or not, as is wanted now."""
        looks, self._looks = self._looks, self._ended is not None and not self._asking
        if self._looks and not looks:
            asyncio.get_running_loop().add_reader(self.descriptor, self._readable)
        elif looks and not self._looks:
            asyncio.get_running_loop().remove_reader(self.descriptor)

    def _readable(self) -> None:
        if self.control is not None and not _drain(self.control):
            return
        ended = self._ended
        self.unwatch()
        if ended is not None:
            ended()

    async def end(self) -> None:
        """End the process, and wait for that."""
        self.unwatch()
        if self.control is None:
            await run_blocking(self._end_by_pidfd)
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                await run_blocking(os.waitpid, self.pid, 0)
        self.close()

    def _end_by_pidfd(self) -> None:
        """End a process that may be a child of another one."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
        is_over(self.pidfd, _PATIENCE)
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG)

    def close(self) -> None:
        """Close the descriptor. The process goes on if it outlives virtd, and ends otherwise."""
        self.unwatch()
        if self.control is not None:
            self.control.close()
        elif self.pidfd >= 0:
            os.close(self.pidfd)
            self.pidfd = -1


def _drain(control: socket.socket) -> bool:
    """Drop answers that came too late; whether the process has ended. control: does not block."""
    try:
        while True:
            answer, descriptors, _, _ = socket.recv_fds(control, 16, 1)
            for one in descriptors:
                os.close(one)
            if not answer:
                return True
    except BlockingIOError:
        return False
    except OSError:
        return True


def open_process(pid: int, started: int, uuid: bytes) -> Process:
    """Return the process of a guest that a virtd before this one started.

    Args:
        pid: its number.
        started: when, in clock ticks since the machine's boot.
        uuid: of the guest.

    Raises:
        ProcessLookupError: it is known that the process has ended.
        OSError: it is not known.
    """
    pidfd = os.pidfd_open(pid)
    try:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                arguments = file.read().split(b"\0")
            is_it = start_time(pid) == started and uuid.hex().encode() in arguments
        except (FileNotFoundError, ProcessLookupError):
            is_it = False
            if not is_over(pidfd):
                raise
        if not is_it or is_over(pidfd):
            raise ProcessLookupError(f"process {pid} of the guest has ended")
    except BaseException:
        os.close(pidfd)
        raise
    return Process(pid, started, None, pidfd, is_kept=True)
