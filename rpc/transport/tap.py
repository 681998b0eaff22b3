"""Taps: what a link sends and receives, message by message, for whoever wants to watch.

    with connection.tap(lambda direction, message, descriptors: print(direction, message)):
        await connection.call(...)

A tap sees every message of both directions, decrypted, in the order in which the link reads and writes
them; PINGs, PONGs and packets of streams are messages too. Of descriptors it is told how many there are:
they are not its own. It has copies, and can do no harm: one that raises is dropped with a log line.

Attached in the middle of a message, a tap begins with the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.message import FramingError, Message


class Direction(Enum):
    """Which way a message goes, seen from the link's own side."""

    IN = "in"
    OUT = "out"


#: Called with the direction, the message, and the number of descriptors that travel with it.
Watch = Callable[[Direction, Message, int], None]


class Tap:
    """One watcher of one link, made by `SocketLink.tap`. As a context manager it detaches at the end."""

    __slots__ = ("_detach", "_watch", "skip")

    def __init__(self, watch: Watch, detach: Callable[[Tap], None]) -> None:
        self._watch = watch
        self._detach = detach
        self.skip = False  # the message that is coming in now began before it was attached

    def show(self, direction: Direction, message: Message) -> None:
        """Tell it of a message; drop it if it raises."""
        if self.skip and direction is Direction.IN:
            self.skip = False
            return
        try:
            self._watch(direction, message, message.descriptors)
        except Exception:
            self.detach()
            import logging  # here, since a command that ends at once needs no logging

            logging.getLogger("rpc.transport.tap").exception("a tap failed and was dropped")

    def detach(self) -> None:
        """See nothing more. Does nothing if it is detached already."""
        self._detach(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.detach()


class Taps:
    """All taps of one link, and where its messages begin and end."""

    __slots__ = ("_incoming", "_late", "_outgoing", "_taps", "_unconsumed")

    def __init__(self, unconsumed: Callable[[], bytes]) -> None:
        """Begin with the bytes that come next.

        Args:
            unconsumed: gives what the owner of the link keeps of the bytes before them. It is asked
                between two reads, and not while the owner is in the middle of one.
        """
        self._unconsumed = unconsumed
        self._taps: list[Tap] = []
        self._late: list[Tap] = []  # attached since the last read
        self._incoming: Framer | None = None  # made with the first read
        self._outgoing = Framer()

    def __len__(self) -> int:
        return len(self._taps)

    def add(self, tap: Tap) -> None:
        """Attach one."""
        self._taps.append(tap)
        self._late.append(tap)

    def remove(self, tap: Tap) -> None:
        """Detach one; does nothing if it is not attached."""
        for taps in (self._taps, self._late):
            if tap in taps:
                taps.remove(tap)

    def received(self, data: bytearray, size: int) -> None:
        """Show what came: the first `size` bytes of `data`."""
        if self._incoming is None:
            self._incoming = Framer()
            with suppress(FramingError):
                self._incoming.feed(self._unconsumed())  # complete, and not new to anybody
        if self._late:
            for tap in self._late:
                tap.skip = self._incoming.pending > 0
            self._late.clear()
        self._show(Direction.IN, self._incoming, data, size)

    def sent(self, data: bytes) -> None:
        """Show what is written: whole messages."""
        self._show(Direction.OUT, self._outgoing, data, len(data))

    def _show(
        self, direction: Direction, framer: Framer, data: bytes | bytearray, size: int
    ) -> None:
        try:
            messages = framer.feed(data, size)
        except FramingError:
            return  # the owner of the link sees the same, and ends it
        now = time.time()
        for message in messages:
            message.time = now
            for tap in tuple(self._taps):
                tap.show(direction, message)
