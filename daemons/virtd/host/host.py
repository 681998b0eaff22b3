"""A host: what a client sees after it has opened a driver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiovirt.daemons.virtd.host.clock import Clock
from aiovirt.daemons.virtd.host.documents import Documents
from aiovirt.daemons.virtd.host.domain import Domain, Domains
from aiovirt.daemons.virtd.host.entries import Collection
from aiovirt.daemons.virtd.host.events import Events
from aiovirt.daemons.virtd.host.flavour import Flavour
from aiovirt.daemons.virtd.host.saving import Image
from aiovirt.daemons.virtd.host.store import Store
from aiovirt.daemons.virtd.host.timers import Timers


@dataclass
class Pace:
    """How long guests take, in seconds. shutdown: to shut down, or to boot again; agent: until the agent
    of a guest that was started answers."""

    shutdown: float = 0.3
    agent: float = 0.0


class Host:
    """One host of the daemon.

    name: of its driver, and of its rows in the store; flavour: how that driver behaves; domains and
    so on: its objects. A kind of object has a module of its own beside this one.
    """

    def __init__(self, flavour: Flavour, clock: Clock | None = None) -> None:
        self.name = flavour.name
        self.flavour = flavour
        self.documents = Documents(flavour)
        self.store = Store(None)
        self.clock = clock or Clock()
        self.events = Events(self._after)
        self.timers = Timers()
        self.pace = Pace()
        self.domains = Domains(self)
        self.images: Collection[Image] = Collection(self, Image)

    def load(self, store: Store) -> bool:
        """Read everything from a store, and keep it there from now on.

        Returns:
            Whether the store knows this host; a new one needs its world (see `world`).

        Raises StoreError or msgspec.MsgspecError for a damaged store.
        """
        self.store = store
        for kind in self._kinds():
            kind.clear()
            kind.load()
        return any(True for _ in self.store.load(self.name, "host"))

    def _after(self, function: Callable[..., object], *args: object) -> None:
        self.store.after(function, *args)

    def _kinds(self) -> tuple[Collection[Any], ...]:
        return self.domains, self.images

    def mark_known(self) -> None:
        """Note in the store that this host has its world. Raises RpcError."""
        self.store.put(self.name, "host", "", b"")

    @property
    def max_vcpus(self) -> int:
        """Processors that a guest may have."""
        return 32 if self.flavour.name == "test" else 255

    def cpu_time(self, domain: Domain) -> int:
        """Return the nanoseconds of CPU that a guest has had; the test driver's is the time of day."""
        if not domain.is_active:
            return 0
        if self.flavour.name == "test":
            return self.clock.now() // 1000 * 1000
        return domain.ran() // 20 * domain.record.facts.vcpus
