"""A migration that is under way: how far it is.

Nothing is copied: the time that a migration takes follows from the memory of the guest and from the
limit of its speed, and is short without one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.daemons.virtd.constants.domain import DomainJobOperation
from aiovirt.daemons.virtd.host.job_statistics import PAGE

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_MIB: Final = 1 << 20
#: Of each hundred bytes of a guest's memory those that are sent; the others are pages of zeros.
_SENT: Final = 40
#: Seconds between two looks at what may end a migration.
_LOOK: Final = 0.1
#: Seconds that each migration takes to begin.
_SETUP: Final = 0.002


#: Milliseconds in which a guest runs on neither side, as it is told, and those for the network.
_DOWNTIME: Final = 12
_NETWORK: Final = 1


class Arrival(msgspec.Struct, frozen=True):
    """A definition that is on its way here without a guest. owner: the client that brings it."""

    text: str
    name: str
    uuid: str
    owner: str


class Migrations:
    """The knowledge of a host about migrations, beside the records of its guests.

    moving: the guests whose memory is sent just now; touched: all that may have a migration;
    arrivals: definitions on their way, by name; arrived: the numbers of guests that run on the other
    side, as that has said; tasks: the migrations from peer to peer; on_change: called after `touched`
    has got its first or has lost its last.
    """

    def __init__(self) -> None:
        self.moving: dict[bytes, Moving] = {}
        self.touched: set[bytes] = set()
        self.arrivals: dict[str, Arrival] = {}
        self.arrived: dict[bytes, int] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.on_change: Callable[[], None] = lambda: None
        self._over = asyncio.Event()

    def begun(self, uuid: bytes) -> None:
        """Note that a guest has a migration."""
        self.touched.add(uuid)
        self.on_change()

    def guest_paused(self, uuid: bytes) -> None:
        """Note that a guest stands still, if its memory is sent just now."""
        one = self.moving.get(uuid)
        if one is not None:
            one.guest_paused()

    def ended(self, uuid: bytes) -> None:
        """Note that a guest has no migration any more; nothing happens if it had none."""
        if uuid in self.touched:
            self.touched.discard(uuid)
            self._over.set()
            self._over = asyncio.Event()
            self.on_change()

    async def wait_for(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Wait until a condition is true, as it may be at the end of a migration.

        Args:
            condition: what is waited for.
            seconds: how long at most.

        Returns:
            Whether it is true.
        """
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    await self._over.wait()
        except TimeoutError:
            return condition()
        return True

    def clear(self) -> None:
        """Forget all of them; those that are sent just now fail."""
        for one in self.moving.values():
            one.stop("the guest is gone")
        self.arrived.clear()
        self.arrivals.clear()
        for uuid in tuple(self.touched):
            self.ended(uuid)


class Moving:
    """The memory of a guest on its way.

    Args:
        total: the memory in bytes.
        pace: seconds that it takes without a limit.
        limit: MiB per second, 0 for none.
        disks: bytes of disks, which are copied before the memory, in no time.
    """

    def __init__(self, total: int, pace: float, limit: int, disks: int = 0) -> None:
        self.total = total
        self.amount = max(PAGE, total * _SENT // 100)
        self.limit = limit
        self.disks = disks
        self.why_stopped: str | None = None
        self.switched = False
        self._paused: float | None = None
        self._pace = max(pace, 0.001)
        self._begun = self._seen = time.monotonic()
        self._sent = 0.0
        self._stopped = asyncio.Event()

    @property
    def elapsed(self) -> int:
        """Milliseconds since it began."""
        return int((time.monotonic() - self._begun) * 1000)

    def _rate(self) -> float:
        """Bytes per second."""
        free = self.amount / self._pace
        return min(free, self.limit * _MIB) if self.limit else free

    def sent(self) -> int:
        """Return the bytes that were sent until now."""
        now = time.monotonic()
        self._sent = min(self.amount, self._sent + (now - self._seen) * self._rate())
        self._seen = now
        return int(self._sent)

    def set_limit(self, limit: int) -> None:
        """Limit it from now on, in MiB per second."""
        self.sent()
        self.limit = limit

    def stop(self, why: str) -> None:
        """Have it end without success. why: what is said of it."""
        self.why_stopped = self.why_stopped or why
        self._stopped.set()

    async def run(self, is_over: Callable[[], str | None]) -> None:
        """Wait until all is sent, or `why_stopped` or `switched` is set.

        Args:
            is_over: tells why it has to stop, None while it may go on; asked now and then.
        """
        while self.sent() < self.amount and self.why_stopped is None and not self.switched:
            left = (self.amount - self._sent) / self._rate()
            try:
                async with asyncio.timeout(min(_LOOK, left + 0.001)):
                    await self._stopped.wait()
            except TimeoutError:
                why = is_over()
                if why is not None:
                    self.stop(why)

    def guest_paused(self) -> None:
        """Note that the guest stands still from now on."""
        if self._paused is None:
            self._paused = time.monotonic()

    def switch(self) -> None:
        """Have the guest run on the other side at once, where the rest of its memory follows it."""
        self.switched = True
        self._stopped.set()

    def numbers(self) -> dict[str, int]:
        """Return what is told of it while it is under way, see `job_statistics`."""
        sent = self.sent()
        remaining = self.total - int(self.total * (sent / self.amount))
        elapsed = self.elapsed
        return {
            "operation": int(DomainJobOperation.MIGRATION_OUT),
            "elapsed": elapsed,
            "setup": int(_SETUP * 1000),
            "total": self.total,
            "sent": sent,
            "remaining": remaining,
            "rate": int(sent * 1000 / max(1, elapsed)),
            "constant": max(0, self.total - remaining - sent) // PAGE,
            "normal": sent // PAGE,
            "iteration": 1 if sent < self.amount else 2,
            "disks": self.disks,
        }

    def finished(self) -> dict[str, int]:
        """Return what is told of it when it has succeeded; all that was left is sent."""
        self._sent = self.amount
        paused = self._paused or time.monotonic()
        downtime = int((time.monotonic() - paused) * 1000) + _DOWNTIME
        return {**self.numbers(), "iteration": 2, "downtime": downtime, "network": _NETWORK}


def of(domain: Domain) -> Moving | None:
    """Return the migration of a guest whose memory is sent just now, None for others."""
    return domain.host.migrations.moving.get(domain.uuid)
