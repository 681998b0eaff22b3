"""Signals, as bytes that no restart loses.

A signal may be noted by any thread at any moment, also in the middle of executing the program anew; a
handler in Python is then never called. Here every signal becomes a byte in a socket pair, written by the
interpreter's own C code, in whichever thread that was. The loop reads them; the bytes that it has not
read go to the next program, with the end that they are read from.

Between blocking and executing, the kernel keeps what comes to the main thread; threads without the block
write bytes. So each signal is acted upon by one program or by the other, whenever it comes.

The socket pair takes about 270 bytes. In a storm of signals the interpreter drops the bytes beyond that
silently, so the handlers in Python note each number as well: after a storm, every number that came is
acted upon, though not as often as it came.
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
#: Bytes from which on others may have been dropped: far fewer than the socket pair takes.
_STORM: Final = 64


class Signals:
    """The signals of this process, taken by the loop that is running now.

    Args:
        handlers: called on the loop, once for each signal that came.
    """

    def __init__(self, handlers: Mapping[int, Callable[[], object]]) -> None:
        self._handlers = handlers
        self._came: set[int] = set()
        self._loop = asyncio.get_running_loop()
        self._taken, self._noted = socket.socketpair()
        self._taken.setblocking(False)
        self._noted.setblocking(False)
        signal.set_wakeup_fd(self._noted.fileno(), warn_on_full_buffer=False)
        for number in handlers:
            signal.signal(number, self._note)
        self._loop.add_reader(self._taken.fileno(), self._take)

    def _note(self, number: int, frame: object) -> None:
        """Note that a signal came, in case that its byte was dropped."""
        self._came.add(number)

    def _take(self) -> None:
        self._act(self._read())

    def _read(self) -> bytes:
        """The numbers of the signals that came, in order; of those in a storm, each at least once."""
        numbers = b""
        with contextlib.suppress(BlockingIOError, InterruptedError):
            while piece := self._taken.recv(_MANY):
                numbers += piece
        if len(numbers) >= _STORM:
            numbers = bytes(dict.fromkeys((*numbers, *self._came)))
        self._came.clear()
        return numbers

    def _act(self, numbers: bytes) -> None:
        for number in numbers:
            if number in self._handlers:
                self._handlers[number]()

    def make_room(self) -> None:
        """Leave few bytes to the next program, so that the socket pair takes those that still come."""
        with contextlib.suppress(BlockingIOError):
            self._noted.send(self._read())

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
        """Ignore signals from now on: the daemon ends.

        They would have their default effect otherwise while the interpreter is taken down, and a daemon
        that has ended in order would be seen killed.
        """
        for number in self._handlers:
            signal.signal(number, signal.SIG_IGN)
        self._loop.remove_reader(self._taken.fileno())
        signal.set_wakeup_fd(-1)
        self._taken.close()
        self._noted.close()


def block() -> None:
    """Have signals wait in the kernel from now on, as far as this thread is concerned."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HANDLED)


def unblock() -> None:
    """Let the signals through that waited."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDLED)
