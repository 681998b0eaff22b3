"""Replies that wait until everything that came in this turn of the event loop has been answered.

A send to a process that sleeps wakes it up, which costs the sender more than the rest of the send. Where
the clients are threads of one process, or processes on one core, replies that are sent together wake
it up once. It pays where a call takes long compared to one more step of the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiovirt.rpc.transport.link import SocketLink


class Outbox:
    """The links that have something to send at the end of this turn, in the order of their calls.

    Args:
        loop: whose turns are meant.
        before: called before any of it is sent: what has to be done before a peer hears of it.
    """

    __slots__ = ("_before", "_links", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, before: Callable[[], None]) -> None:
        self._loop = loop
        self._before = before
        self._links: list[SocketLink] = []

    def put(self, link: SocketLink, data: bytes) -> None:
        """Send whole messages at the end of this turn, or after what waits for the peer already."""
        if link.hold(data):
            links = self._links
            if not links:
                self._loop.call_soon(self._send)
            links.append(link)
        else:
            self._before()
            link.write(data)

    def _send(self) -> None:
        links = self._links
        self._links = []
        self._before()
        for link in links:
            link.send_held()
