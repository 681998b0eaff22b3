"""Things that happen on a host after a while: a guest that shuts down, one that has booted.

A timer is not stored. What must not be lost with the process is in the record of its object, which
sets the timer again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import Any


class Timers:
    """Timers by key; a new one with the key of another takes its place."""

    def __init__(self) -> None:
        self._handles: dict[Hashable, asyncio.TimerHandle] = {}

    def after(
        self, seconds: float, key: Hashable, function: Callable[..., object], *args: Any
    ) -> None:
        """Call a function after a while, at once if that is zero.

        Args:
            seconds: how long, in seconds of the real clock.
            key: names the timer.
            function: what is called.
            args: its arguments.
        """
        self.cancel(key)
        if seconds <= 0:
            function(*args)
            return
        loop = asyncio.get_running_loop()
        self._handles[key] = loop.call_later(seconds, self._expire, key, function, args)

    def cancel(self, key: Hashable) -> None:
        """Forget a timer; does nothing if it is unknown."""
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def cancel_all(self) -> None:
        """Forget all timers."""
        for key in list(self._handles):
            self.cancel(key)

    def _expire(
        self, key: Hashable, function: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        self._handles.pop(key, None)
        function(*args)
