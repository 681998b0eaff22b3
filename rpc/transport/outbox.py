"""Replies that wait until everything that came in this turn of the event loop has been answered.

A send to a process that sleeps wakes it up, which costs the sender more than the rest of the send. Where
the clients are threads of one process, or processes on one core, replies that are sent together wake
it up once. It pays where a call takes long compared to one more step of the loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiovirt.rpc.transport.link import SocketLink


class Outbox:
    """The links that have something to send at the end of this turn, in the order of their calls."""

    __slots__ = ("_links", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._links: list[SocketLink] = []

    def put(self, link: SocketLink, data: bytes) -> None:
        """Send whole messages at the end of this turn, or after what waits for the peer already."""
        if link.hold(data):
            self._links.append(link)
            if len(self._links) == 1:
                self._loop.call_soon(self._send)

    def _send(self) -> None:
        links = self._links
        self._links = []
        for link in links:
            link.send_held()
