"""Signals, as bytes that no restart loses.

A signal may be noted by any thread at any moment, also in the middle of executing the program anew; a
handler in Python is then never called. Here every signal becomes a byte in a socket pair, written by the
interpreter's own C code, in whichever thread that was. The loop reads them; the bytes that it has not
read go to the next program, with the end that they are read from.

Between blocking and executing, the kernel keeps what comes to the main thread; threads without the block
write bytes. So each signal is acted upon by one program or by the other, whenever it comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Mapping
from typing import Final

#: Signals that a daemon acts upon.
HANDLED: Final = frozenset(
    {signal.SIGUSR1, signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}
)
_MANY: Final = 4096


class Signals:
    """The signals of this process, taken by the loop that is running now.

    Args:
        handlers: called on the loop, once for each signal that came.
    """

    def __init__(self, handlers: Mapping[int, Callable[[], object]]) -> None:
        self._handlers = handlers
        self._loop = asyncio.get_running_loop()
        self._taken, self._noted = socket.socketpair()
        self._taken.setblocking(False)
        self._noted.setblocking(False)
        signal.set_wakeup_fd(self._noted.fileno(), warn_on_full_buffer=False)
        for number in handlers:
            signal.signal(number, _leave_to_the_bytes)
        self._loop.add_reader(self._taken.fileno(), self._take)

    def _take(self) -> None:
        with contextlib.suppress(BlockingIOError, InterruptedError):
            self._act(self._taken.recv(_MANY))

    def _act(self, numbers: bytes) -> None:
        for number in numbers:
            if number in self._handlers:
                self._handlers[number]()

    @property
    def descriptor(self) -> int:
        """The end from which the next program reads what this one has not read."""
        return self._taken.fileno()

    def take_over(self, descriptor: int) -> None:
        """Act upon the signals that the program before this one has not read, and close that end."""
        with contextlib.suppress(OSError), socket.socket(fileno=descriptor) as earlier:
            earlier.setblocking(False)
            self._act(earlier.recv(_MANY))

    def close(self) -> None:
        """Act upon no signal any more: the daemon ends."""
        self._loop.remove_reader(self._taken.fileno())
        signal.set_wakeup_fd(-1)
        self._taken.close()
        self._noted.close()


def _leave_to_the_bytes(number: int, frame: object) -> None:
    """Do nothing: the byte has been written already."""


def block() -> None:
    """Have signals wait in the kernel from now on, as far as this thread is concerned."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def unblock() -> None:
    """Let the signals through that waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
