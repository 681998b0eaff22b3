"""Slices: a client that sends more calls at once than `SLICE` waits for the others between them.

Each turn of the event loop, one of those who wait has its own; everything that came meanwhile is looked
at in between. So a flood keeps another client waiting for a turn, not for all that the flood has
sent, and any number of floods share what time there is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiovirt.rpc.server.hot_path import HotPath

#: Frames of one client that are handled in a row. More are hardly faster; fewer make floods dearer.
SLICE: Final = 64


class Slices:
    """Who waits for a turn, in the order of waiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[HotPath] = deque()

    def wait(self, client: HotPath) -> None:
        """Let a client have a turn when it is its."""
        self._waiting.append(client)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._waiting[0].take_slice()
        self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
