"""A migration that is under way: how far it is, and what is told of it.

Nothing is copied: the time that a migration takes follows from the memory of the guest and from the
limit of its speed, and is short without one.

Source: libvirt's src/qemu/qemu_domainjob.c (qemuDomainMigrationJobDataToParams,
qemuDomainMigrationJobDataToInfo).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.virtd.constants.domain import DomainJobOperation
from aiovirt.rpc.wire import typedparams
from aiovirt.rpc.wire.typedparams import TypedParam

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_MIB: Final = 1 << 20
_PAGE: Final = 4096
#: Of each hundred bytes of a guest's memory those that are sent; the others are pages of zeros.
_SENT: Final = 40
#: Seconds between two looks at what may end a migration.
_LOOK: Final = 0.1
#: Seconds that each migration takes to begin.
_SETUP: Final = 0.002


#: Milliseconds of which those without the network are fewer.
_NETWORK: Final = 1
#: What is told of a migration that has sent nothing yet.
NOTHING: Final = {"elapsed": 0, "total": 0, "sent": 0, "remaining": 0, "rate": 0, "iteration": 0}


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
    """

    def __init__(self, total: int, pace: float, limit: int) -> None:
        self.total = total
        self.amount = max(_PAGE, total * _SENT // 100)
        self.limit = limit
        self.why_stopped: str | None = None
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
        """Wait until all is sent, or `why_stopped` is set.

        Args:
            is_over: tells why it has to stop, None while it may go on; asked now and then.
        """
        while self.sent() < self.amount and self.why_stopped is None:
            left = (self.amount - self._sent) / self._rate()
            try:
                async with asyncio.timeout(min(_LOOK, left + 0.001)):
                    await self._stopped.wait()
            except TimeoutError:
                why = is_over()
                if why is not None:
                    self.stop(why)

    def numbers(self) -> dict[str, int]:
        """Return what is told of it: sizes in bytes, times in milliseconds."""
        sent = self.sent()
        share = sent / self.amount
        done = int(self.total * share)
        elapsed = self.elapsed
        return {
            "elapsed": elapsed,
            "total": self.total,
            "sent": sent,
            "remaining": self.total - done,
            "rate": int(sent * 1000 / max(1, elapsed)),
            "iteration": 1 if sent < self.amount else 2,
        }


def finished(numbers: dict[str, int], downtime: int) -> dict[str, int]:
    """Return what is told of a migration that has succeeded.

    Args:
        numbers: its last ones, of `Moving.numbers`.
        downtime: milliseconds in which the guest ran on neither side.
    """
    return {**numbers, "remaining": 0, "iteration": 2, "downtime": downtime}


def parameters(numbers: dict[str, Any], operation: DomainJobOperation) -> list[TypedParam]:
    """Return the statistics of a job as clients get them.

    Args:
        numbers: of `Moving.numbers` or `finished`.
        operation: on which side it is.
    """
    total, sent, remaining = numbers["total"], numbers["sent"], numbers["remaining"]
    found = {"time_elapsed": numbers["elapsed"]}
    if "downtime" in numbers:
        found["time_elapsed_net"] = max(0, numbers["elapsed"] - _NETWORK)
        found["downtime"] = numbers["downtime"]
        found["downtime_net"] = max(0, numbers["downtime"] - _NETWORK)
    found |= {
        "setup_time": int(_SETUP * 1000),
        "data_total": total,
        "data_processed": sent,
        "data_remaining": remaining,
        "memory_total": total,
        "memory_processed": sent,
        "memory_remaining": remaining,
    }
    if numbers["rate"]:
        found["memory_bps"] = numbers["rate"]
    found |= {
        "memory_constant": max(0, total - remaining - sent) // _PAGE,
        "memory_normal": sent // _PAGE,
        "memory_normal_bytes": sent // _PAGE * _PAGE,
        "memory_dirty_rate": 0,
        "memory_iteration": numbers["iteration"],
        "memory_postcopy_requests": 0,
        "memory_page_size": _PAGE,
        "disk_total": 0,
        "disk_processed": 0,
        "disk_remaining": 0,
    }
    return [
        typedparams.int_("operation", operation),
        *(typedparams.ullong(name, value) for name, value in found.items()),
    ]


def of(domain: Domain) -> Moving | None:
    """Return the migration of a guest whose memory is sent just now, None for others."""
    return domain.host.migrations.moving.get(domain.uuid)
