"""Packets of a stream that a fault delays, and those that wait after them: their order stays."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiovirt.rpc.server.faults import Fault

Packet = tuple[int, int, bytes]
"""Kind, status and payload."""


class LatePackets:
    """Packets from the client, until none is late any more.

    Args:
        take: called with each packet and its fault, in order.
        ended: called when all were taken, or `cancel` was called.
    """

    def __init__(
        self, take: Callable[[Fault | None, Packet], None], ended: Callable[[], None]
    ) -> None:
        self._take = take
        self._ended = ended
        self._waiting: deque[tuple[Fault | None, Packet]] = deque()
        self._task = asyncio.get_running_loop().create_task(self._bring())

    def add(self, fault: Fault | None, packet: Packet) -> None:
        """Let a packet wait for those before it, and as long as its own fault says.

        Args:
            fault: of the packet.
            packet: what came.
        """
        self._waiting.append((fault, packet))

    async def _bring(self) -> None:
        while self._waiting:
            fault, packet = self._waiting[0]
            if fault is not None and fault.wait is not None:
                await fault.wait()
            self._waiting.popleft()
            self._take(fault, packet)
        self._ended()

    def cancel(self) -> None:
        """Drop what waits: the stream is over."""
        self._waiting.clear()
        self._ended()
        self._task.cancel()
