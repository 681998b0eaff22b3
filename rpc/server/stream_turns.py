"""Turns of one client's streams at having something ready that the client has not taken yet.

A stream that reads what it sends from a file does so before there is room for it: a disk that hangs
must not keep the client's other streams from sending. Without turns every stream of a client that reads
nothing would have a piece ready: 256 streams kept 8 MiB.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Self, TypeVar

T = TypeVar("T")

#: Streams of one client that may have something ready at once; twice as many while they begin, as no
#: turn is needed, nor paid for, where there are not more streams than that.
TURNS: Final = 4
#: Seconds after which a stream that is still being made something for lets another one have its turn.
LATE: Final = 0.1


class Turn:
    """One turn, for the length of an `async with`, or until its work is late."""

    __slots__ = ("_needed", "_taken", "_turns")

    def __init__(self, turns: asyncio.Semaphore, *, needed: bool) -> None:
        """Make one. needed: whether the client has more streams than there are turns."""
        self._turns = turns
        self._needed = needed
        self._taken = False

    async def __aenter__(self) -> Self:
        if self._needed:
            await self._turns.acquire()
            self._taken = True
        return self

    async def __aexit__(self, *_: object) -> None:
        self._give_back()

    async def wait_for(self, work: Awaitable[T]) -> T:
        """Return the result of some work; if it is late, another stream has the turn."""
        if not self._taken:
            return await work
        timer = asyncio.get_running_loop().call_later(LATE, self._give_back)
        try:
            return await work
        finally:
            timer.cancel()

    def _give_back(self) -> None:
        if self._taken:
            self._taken = False
            self._turns.release()
