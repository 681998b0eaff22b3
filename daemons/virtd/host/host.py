"""A host: what a client sees after it has opened a driver."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Callable, Iterator
from itertools import count
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.virtd.host import machine, node
from aiovirt.daemons.virtd.host.clock import Clock, ClockState
from aiovirt.daemons.virtd.host.consoles import Consoles
from aiovirt.daemons.virtd.host.contents import Contents
from aiovirt.daemons.virtd.host.device import Device
from aiovirt.daemons.virtd.host.documents import Documents, cached, written
from aiovirt.daemons.virtd.host.domain import Domain, Domains
from aiovirt.daemons.virtd.host.emulators import Emulators
from aiovirt.daemons.virtd.host.entries import Collection
from aiovirt.daemons.virtd.host.events import Events
from aiovirt.daemons.virtd.host.flavour import Flavour
from aiovirt.daemons.virtd.host.interface import Interfaces
from aiovirt.daemons.virtd.host.moving import Migrations
from aiovirt.daemons.virtd.host.network import Network
from aiovirt.daemons.virtd.host.nwfilter import Filter
from aiovirt.daemons.virtd.host.nwfilter_binding import CreatedBinding
from aiovirt.daemons.virtd.host.pool import Pool
from aiovirt.daemons.virtd.host.saving import Image
from aiovirt.daemons.virtd.host.secret import Secret
from aiovirt.daemons.virtd.host.store import Store, StoreError
from aiovirt.daemons.virtd.host.timers import Timers
from aiovirt.daemons.virtd.host.volume import Volumes
from aiovirt.daemons.virtd.xml import firmware, live
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.xml.documents import Document

#: The name of an interface in the document of a running guest.
_INTERFACE: Final = pattern("'vnet([0-9]+)'")

#: Nanoseconds for which a new host has run already.
_UPTIME: Final = 3600 * 10**9
#: The kind of the row that has the clock.
_CLOCK: Final = "clock"


class Pace(msgspec.Struct):
    """How long guests take, in seconds. shutdown: to shut down, or to boot again; boot: until the agent
    answers, None for never; block: for a job on a disk; migration: to send a guest's memory; job:
    how long a call waits for the end of a migration."""

    shutdown: float = 0.3
    boot: float | None = 0.3
    block: float = 0.3
    migration: float = 0.3
    job: float = 30.0


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
        self._booted = self.clock.passed() - _UPTIME
        self.events = Events(self._after)
        self.timers = Timers()
        self.pace = Pace()
        self.panics: Callable[[Domain], object] = lambda domain: None  # see `Hosts`
        self.consoles = Consoles()
        self.emulators = Emulators(self)
        self.migrations = Migrations()
        self._interface_names = self._names()
        self.domains = Domains(self)
        self.networks: Collection[Network] = Collection(self, Network)
        self.pools: Collection[Pool] = Collection(self, Pool)
        self.volumes = Volumes(self)
        self.contents = Contents(None)
        self.secrets: Collection[Secret] = Collection(self, Secret)
        self.devices: Collection[Device] = Collection(self, Device)
        self.interfaces = Interfaces(self)
        self.filters: Collection[Filter] = Collection(self, Filter)
        self.bindings: Collection[CreatedBinding] = Collection(self, CreatedBinding)
        self.images: Collection[Image] = Collection(self, Image)

    def load(self, store: Store) -> bool:
        """Read everything from a store, and keep it there from now on.

        Returns:
            Whether the store knows this host; a new one needs its world (see `world`).

        Raises StoreError for a damaged store.
        """
        self.keep_in(store)
        self.read()
        known = [data for _, data in self.store.load(self.name, "host")]
        if known and known[0]:  # earlier versions wrote nothing there
            self._booted = int(known[0])
        return bool(known)

    def read(self) -> None:
        """Read all objects from the store. Raises StoreError for a damaged one."""
        for kind in self.kinds:
            kind.clear()
            try:
                kind.load()
            except StoreError:
                raise
            except Exception as error:  # whatever a reader of damaged data stumbles over
                reason = " ".join(str(error).split())
                raise StoreError(
                    f"{self.store.home}: a {kind.kind} of {self.name} cannot be read: {reason}"
                ) from error
        for _, data in self.store.load(self.name, _CLOCK):
            self.clock.restored(msgspec.msgpack.decode(data, type=ClockState))

    def empty(self) -> None:
        """Remove everything, from the store and here. Raises RpcError when that cannot be written."""
        self.timers.cancel_all()
        self.migrations.clear()
        uuid = self.uuid
        self.store.delete_all(self.name)
        self.set_uuid(uuid)
        for kind in self.kinds:
            kind.clear()
        self.store.after(self.emulators.follow_all)

    def set_clock(self, now: int | None, rate: float | None) -> None:
        """Change the clock, in the store as well.

        Args:
            now: the new time of day, in nanoseconds since the epoch; None leaves it.
            rate: the new rate; None leaves it.

        Raises:
            RpcError: INVALID_ARG for what no clock can show; SYSTEM_ERROR when the store cannot be
                written. Nothing has changed then.
        """
        earlier = self.clock.kept()
        try:
            self.clock.set(now, rate=rate)
            self.keep_clock()
        except ValueError as error:
            raise RpcError(ErrorCode.INVALID_ARG, str(error), domain=ErrorDomain.CONF) from error
        except RpcError:
            self.clock.restored(earlier)
            raise

    def keep_clock(self) -> None:
        """Store the clock as it is. Raises RpcError."""
        self.store.put(self.name, _CLOCK, "", msgspec.msgpack.encode(self.clock.kept()))

    def _after(self, function: Callable[..., object], *args: object) -> None:
        self.store.after(function, *args)

    def keep_in(self, store: Store) -> None:
        """Keep everything in a store from now on; the store has it already."""
        self.store = store
        self.contents = Contents(store.home)

    @property
    def kinds(self) -> tuple[Collection[Any], ...]:
        """The collections of its objects."""
        return (
            self.domains,
            self.images,
            self.networks,
            self.pools,
            self.volumes,
            self.secrets,
            self.devices,
            self.interfaces,
            self.filters,
            self.bindings,
        )

    def mark_known(self) -> None:
        """Note in the store that this host has its world, and since when it runs. Raises RpcError."""
        self.store.put(self.name, "host", "", str(self._booted).encode())

    def uptime(self) -> int:
        """Return the nanoseconds for which the host has run, by its clock: they grow when it is set
        forward, and stay when it is set back."""
        return max(0, self.clock.passed() - self._booted)

    def live_document(self, config: str, number: int) -> str:
        """Make the document of a guest that starts: its id, and what it has of this host.

        Args:
            config: the definition, complete.
            number: the id of the guest.
        """
        is_qemu = self.flavour.name == "qemu"
        document = live.start(cached("domain", config), number, aliases=is_qemu)
        if is_qemu:
            live.align_memory(document)
            firmware.choose(document)
            live.open_disks(document, self.volumes.backing)
            self.name_interfaces(document)
            live.open_terminals(document, number)
            live.open_channels(document, number)
            live.open_displays(document, number, self._free_ports())
        return written(document)

    def name_interfaces(self, document: Document) -> None:
        """Give the interfaces of a running guest the names that they have on this host."""
        if self.flavour.name == "qemu":
            live.name_interfaces(document, self._interface_names)

    def _names(self) -> Iterator[str]:
        """Names that no interface of a guest has had here."""
        texts = (one.record.live or "" for one in self.domains.active())
        used = (int(found) for text in texts for found in _INTERFACE.findall(text))
        for number in count(max(used, default=-1) + 1):
            yield f"vnet{number}"

    def _free_ports(self) -> Iterator[int]:
        """Ports for displays that no guest has."""
        used = {port for one in self.domains.active() for port in one.record.facts.displays}
        yield from (port for port in range(5900, 65536) if port not in used)

    @property
    def uuid(self) -> str:
        """The UUID of the machine, which the store keeps."""
        for _, data in self.store.load(self.name, "machine"):
            return data.decode()
        made = str(uuids.uuid4())
        self.set_uuid(made)
        return made

    def set_uuid(self, uuid: str) -> None:
        """Set the UUID of the machine. Raises RpcError when the store cannot be written."""
        self.store.put(self.name, "machine", "", uuid.encode())

    @property
    def max_vcpus(self) -> int:
        """Processors that a guest may have."""
        return 32 if self.flavour.name == "test" else 255

    @property
    def cpus(self) -> int:
        """Processors of the host that guests may be pinned to."""
        return 16 if self.flavour.name == "test" else node.QEMU.cpus

    def cpu_time(self, domain: Domain) -> int:
        """Return the nanoseconds of CPU that a guest has had; the test driver's is the time of day."""
        if self.flavour.name == "test":  # of a guest that is shut off, too
            return self.clock.now() // 1000 * 1000
        return machine.times(domain).total
