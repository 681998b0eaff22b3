"""Keepalive towards one peer: PING it, and give it up when it stays silent.

Source: libvirt's src/rpc/virkeepalive.c.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Peer(Protocol):
    """What keepalive needs to know of a connection."""

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

    def __init__(self, peer: Peer, interval: float, count: int) -> None:
        self._peer = peer
        self._interval = interval
        self._count = count
        self._pings = 0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(interval, self._look)

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
