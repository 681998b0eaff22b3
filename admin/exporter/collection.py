"""Polling all daemons at once, one collection for all scrapes that wait meanwhile."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiovirt.admin.watch.sources import Sources
from aiovirt.admin.watch.state import DaemonState, read_state
from aiovirt.admin.watch.watched import Watched
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.xdr import XdrError

#: What may go wrong with one daemon, in the words of the label `reason`.
REASONS: Final = ("timeout", "unreachable", "refused", "malformed")


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of polling one daemon.

    name: its URI as the user gave it; state: None if it could not be had; seconds: how long it took;
    failures: how many polls have failed since the exporter started, by reason.
    """

    name: str
    state: DaemonState | None
    seconds: float
    failures: Mapping[str, int]


class Collection:
    """The daemons to poll.

    Polls go out when somebody asks, all at the same time. Scrapes that ask while a collection is under
    way get the result of that one.
    """

    def __init__(self, daemons: Sequence[Watched]) -> None:
        self._polled = [_Polled(daemon) for daemon in daemons]
        self._underway: asyncio.Task[list[Reading]] | None = None

    async def readings(self) -> list[Reading]:
        """Poll every daemon, within its timeout; one reading each, in the order of the daemons."""
        if self._underway is None or self._underway.done():
            self._underway = asyncio.create_task(self._collect())
        # A scraper that hangs up must not take the collection away from the others.
        return await asyncio.shield(self._underway)

    async def close(self) -> None:
        """Give up a collection under way, and leave all daemons."""
        if self._underway is not None:
            self._underway.cancel()
            await asyncio.wait([self._underway])
        await asyncio.gather(*(one.daemon.close() for one in self._polled))

    async def _collect(self) -> list[Reading]:
        return list(await asyncio.gather(*(one.poll() for one in self._polled)))


class _Polled:
    """One daemon, with what must be kept from poll to poll."""

    def __init__(self, daemon: Watched) -> None:
        self.daemon = daemon
        self._sources = Sources()
        self._failures = Counter(dict.fromkeys(REASONS, 0))

    async def poll(self) -> Reading:
        began = time.monotonic()
        state = None
        try:
            state = await self.daemon.ask(
                lambda connection: read_state(connection, self._sources, procedures=True)
            )
        except (OSError, RpcError, XdrError) as error:
            self._failures[_reason(error)] += 1
        seconds = time.monotonic() - began
        return Reading(self.daemon.name, state, seconds, dict(self._failures))


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, RpcError):
        return "refused"
    return "malformed" if isinstance(error, XdrError) else "unreachable"
