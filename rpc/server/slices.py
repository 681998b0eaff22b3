"""Slices: a client that sends more calls at once than `SLICE` waits for the others between them.

In each iteration of the event loop one waiting client gets a slice; everything that came meanwhile is
looked at in between. So a flood keeps another client waiting for one slice, not for all that the flood
has sent, and any number of floods share the available time.
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
    """The clients that wait for a slice, in the order of waiting."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[HotPath] = deque()

    def wait(self, client: HotPath) -> None:
        """Give a client a slice when those before it have had theirs."""
        self._waiting.append(client)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        self._waiting[0].take_slice()
        self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
