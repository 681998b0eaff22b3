"""Things that happen on a host after a while: a guest that shuts down, one that has booted.

A timer is not in the store: it ends with the process, unless another program takes over (see
`virtd.state`). A change that cannot be stored when its time has come is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

from aiovirt.rpc.wire.errors import RpcError

#: Names a timer: the UUID of an object, and what happens to it.
Key = tuple[bytes, str]
#: Seconds until a change that could not be stored is tried again.
RETRY: Final = 1.0


class Timers:
    """Timers by key; a new one with the key of another takes its place."""

    def __init__(self) -> None:
        self._handles: dict[Key, asyncio.TimerHandle] = {}

    def after(self, seconds: float, key: Key, function: Callable[..., object], *args: Any) -> None:
        """Call a function after a while, at once if that is zero.

        Args:
            seconds: how long, in seconds of the real clock.
            key: names the timer.
            function: what is called; when it raises RpcError later, it is called again after a while.
            args: its arguments.
        """
        self.cancel(key)
        if seconds <= 0:
            function(*args)
            return
        self._set(seconds, key, function, args)

    def _set(
        self, seconds: float, key: Key, function: Callable[..., object], args: tuple[Any, ...]
    ) -> None:
        loop = asyncio.get_running_loop()
        self._handles[key] = loop.call_later(seconds, self._expire, key, function, args)

    def pending(self) -> list[tuple[Key, float]]:
        """Return the timers, with the seconds until they expire."""
        if not self._handles:
            return []
        now = asyncio.get_running_loop().time()
        return [(key, max(0.0, handle.when() - now)) for key, handle in self._handles.items()]

    def cancel(self, key: Key) -> None:
        """Forget a timer; does nothing if it is unknown."""
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def cancel_all(self) -> None:
        """Forget all timers."""
        for key in list(self._handles):
            self.cancel(key)

    def _expire(self, key: Key, function: Callable[..., object], args: tuple[Any, ...]) -> None:
        self._handles.pop(key, None)
        try:
            function(*args)
        except RpcError:  # nothing has changed, and nobody waits for an answer
            self._set(RETRY, key, function, args)
