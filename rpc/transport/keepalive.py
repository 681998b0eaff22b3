"""Keepalive towards one peer: PING it, and give it up when it stays silent.

Source: libvirt's src/rpc/virkeepalive.c.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Peer(Protocol):
    """A connection as far as keepalive is concerned."""

    def heard(self) -> bool:
        """Whether anything came since this was last asked."""

    def ping(self) -> None:
        """Send a PING."""

    def abort(self, reason: str = ...) -> None:
        """End the connection now."""


class Keepalive:
    """A timer for one connection.

    interval: seconds between two looks; count: PINGs that may stay unanswered. Silence for
    interval x (count + 1) seconds closes the connection; anything that arrives counts as life.
    """

    __slots__ = ("_count", "_interval", "_loop", "_peer", "_pings", "_timer")

    def __init__(
        self,
        peer: Peer,
        interval: float,
        count: int,
        *,
        pings: int = 0,
        left: float | None = None,
    ) -> None:
        """Begin, or go on where an earlier process stopped.

        Args:
            peer: the connection.
            interval: seconds between two looks.
            count: PINGs that may stay unanswered.
            pings: those that are unanswered already.
            left: seconds until the next look; None for a whole interval.
        """
        self._peer = peer
        self._interval = interval
        self._count = count
        self._pings = pings
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(interval if left is None else left, self._look)

    @property
    def progress(self) -> tuple[int, float]:
        """The number of unanswered PINGs, and the seconds until the next look."""
        return self._pings, max(0.0, self._timer.when() - self._loop.time())

    def _look(self) -> None:
        if self._peer.heard():
            self._pings = 0
        elif self._pings >= self._count:
            silence = self._interval * (self._count + 1)
            self._peer.abort(f"no sign of life for {silence:g} seconds")
            return
        self._timer = self._loop.call_later(self._interval, self._look)
        if self._pings < self._count:
            self._pings += 1
            self._peer.ping()

    def stop(self) -> None:
        """No more PINGs."""
        self._timer.cancel()
