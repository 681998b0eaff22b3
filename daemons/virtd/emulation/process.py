"""The process of a guest, from virtd's side."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Final

from aiovirt.rpc.server.threads import run_blocking

_PROGRAM: Final = f"{os.path.dirname(__file__)}/stand_in.py"
#: Seconds that the process has to connect to a socket.
_PATIENCE: Final = 10.0


class Process:
    """A process that was started by this one, or by the program before it.

    pid: of the process; control: a socket that the process watches, and that tells of its end.
    """

    def __init__(self, pid: int, control: socket.socket) -> None:
        self.pid = pid
        self.control = control
        self._watched = False

    @classmethod
    async def start(cls, name: str) -> Process:
        """Start one. name: of the guest, for lists of processes. Raises OSError."""
        return await run_blocking(cls._start, name)

    @classmethod
    def _start(cls, name: str) -> Process:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                pid = os.posix_spawn(
                    sys.executable,
                    [sys.executable, "-I", "-S", _PROGRAM, name],
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
        return cls(pid, ours)

    async def connect(self, path: str) -> socket.socket:
        """Have the process connect to a socket, and return the connection. Raises OSError."""
        return await run_blocking(self._connect, path)

    def _connect(self, path: str) -> socket.socket:
        self.control.settimeout(_PATIENCE)
        try:
            self.control.send(os.fsencode(path))
            answer, descriptors, _, _ = socket.recv_fds(self.control, 16, 1)
        finally:
            self.control.setblocking(False)
        if not descriptors:
            number = int(answer or b"0")
            raise OSError(number, os.strerror(number) if number else "the emulator has ended", path)
        connection = socket.socket(fileno=descriptors[0])
        connection.setblocking(False)
        return connection

    def took_over(self) -> None:
        """Keep the socket from the processes of other guests; a new program inherited it."""
        self.control.set_inheritable(False)

    def watch(self, ended: Callable[[], object]) -> None:
        """Call a function once when the process has ended by itself."""

        def readable() -> None:
            self.unwatch()
            ended()

        self.control.setblocking(False)
        asyncio.get_running_loop().add_reader(self.control, readable)
        self._watched = True

    def unwatch(self) -> None:
        """Undo `watch`."""
        if self._watched:
            self._watched = False
            asyncio.get_running_loop().remove_reader(self.control)

    async def end(self) -> None:
        """End the process, and wait for that."""
        self.unwatch()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            await run_blocking(os.waitpid, self.pid, 0)
        self.control.close()
