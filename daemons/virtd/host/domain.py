"""Domains: the record of one, what its documents say, and the numbers of those that run."""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterator
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Final

import msgspec

from aiovirt.daemons.virtd.constants.domain import DomainShutoffReason, DomainState
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.entries import Collection, Entry, Record
from aiovirt.daemons.virtd.host.events import Event, Family, Subject
from aiovirt.daemons.virtd.host.moments import Moments
from aiovirt.daemons.virtd.xml import devices, guests
from aiovirt.daemons.virtd.xml.documents import has_secrets
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.xml.documents import Document


#: The name of the channel of the guest agent.
AGENT: Final = "org.qemu.guest_agent.0"
#: Where a domain keeps the migration that is under way, and the numbers of the job that was done last.
JOB: Final = "migration"
JOB_DONE: Final = "job-done"
#: The port of a display.
_DISPLAY: Final = pattern("<graphics type='[a-z]+' port='([0-9]+)'")


class Disk(msgspec.Struct, frozen=True):
    """A disk of a document. device: its kind, "disk" or "cdrom"; source: a path or a name, "" without a
    medium; bus, alias: "" if it has none."""

    target: str
    device: str
    source: str
    is_local: bool
    bus: str
    alias: str


class Nic(msgspec.Struct, frozen=True):
    """An interface of a document. name: on the host, "" if it has none."""

    name: str
    mac: str
    type: str
    alias: str


class Facts:
    """The values of a document that calls ask for most often, read once.

    text: the document; memory, maximum: in KiB; vcpus, vcpus_maximum: how many; os_type: "hvm" for one.
    """

    def __init__(self, text: str) -> None:
        document = cached("domain", text)
        self.text = text
        self.maximum = guests.max_memory(document)
        self.memory = guests.memory(document)
        self.vcpus_maximum = guests.max_vcpus(document)
        self.vcpus = guests.vcpus(document)
        self.os_type = guests.os_type(document)

    @property
    def disks(self) -> tuple[Disk, ...]:
        """The disks, in the order of the document."""
        return self._devices[0]

    @property
    def nics(self) -> tuple[Nic, ...]:
        """The interfaces, in the order of the document."""
        return self._devices[1]

    @property
    def has_balloon(self) -> bool:
        """Whether the guest has a balloon, which counts its memory."""
        return self._devices[2]

    @cached_property
    def _devices(self) -> tuple[tuple[Disk, ...], tuple[Nic, ...], bool]:
        """The devices that counters are about, read together."""
        root = self.root
        balloon = root.find("devices/memballoon")
        return (
            tuple(map(_disk, root.iterfind("devices/disk"))),
            tuple(map(_nic, root.iterfind("devices/interface"))),
            balloon is not None and balloon.get("model") != "none",
        )

    @cached_property
    def displays(self) -> tuple[int, ...]:
        """The ports of the displays."""
        return tuple(map(int, _DISPLAY.findall(self.text)))

    @cached_property
    def iothreads(self) -> tuple[int, ...]:
        """The numbers of the threads for input and output."""
        return guests.iothreads(self.document) if "<iothread" in self.text else ()

    @cached_property
    def agent(self) -> str | None:
        """The state of the channel of the guest agent: "connected", "disconnected", "" for a guest that
        does not run; None without a channel."""
        for target in self.root.iterfind(f"devices/channel/target[@name='{AGENT}']"):
            if target.get("type") == "virtio":
                return target.get("state") or ""
        return None

    @property
    def lacks_agent(self) -> bool:
        """Whether the guest agent has a channel, and is not connected."""
        return self.agent in ("", "disconnected")

    def disk(self, path: str) -> Disk | None:
        """Return the disk with this target, or else with this source."""
        return self._disks.get(path)

    @cached_property
    def _disks(self) -> dict[str, Disk]:
        """The disks by target, and by source unless that is the target of another."""
        found: dict[str, Disk] = {}
        for one in self.disks:
            found.setdefault(one.target, one)
        for one in self.disks:
            found.setdefault(one.source, one)
        found.pop("", None)
        return found

    def nic(self, device: str) -> Nic | None:
        """Return the interface with this name on the host, or this hardware address."""
        for one in self.nics:
            if device and (one.name == device or one.mac.lower() == device.lower()):
                return one
        return None

    @property
    def document(self) -> Document:
        """The document, shared: whoever changes it makes a copy first."""
        return cached("domain", self.text)

    @property
    def root(self) -> etree._Element:
        """The root of the document, which is not to be changed."""
        return cached("domain", self.text).root


def _nic(element: etree._Element) -> Nic:
    return Nic(
        devices.value(element, "target/@dev") or "",
        devices.value(element, "mac/@address") or "",
        element.get("type") or "",
        devices.value(element, "alias/@name") or "",
    )


def _disk(element: etree._Element) -> Disk:
    source = element.find("source")
    places = ("file", "dev", "name", "dir", "volume")
    found = "" if source is None else next(filter(None, map(source.get, places)), "")
    return Disk(
        devices.value(element, "target/@dev") or "",
        element.get("device") or "disk",
        found,
        element.get("type") in ("file", "block", "dir"),
        devices.value(element, "target/@bus") or "",
        devices.value(element, "alias/@name") or "",
    )


class DomainRecord(Record, frozen=True, kw_only=True, dict=True):
    """A domain.

    config: the document of its definition, complete; None for a transient domain. live: the document of
    the running guest, None while it is shut off. number: its id while it runs, else -1. state,
    reason: as in virDomainState and its reasons. autostart: whether it starts with the daemon.
    saved: the document of its managed save image; saved_paused: whether that guest was paused.
    began: when it last began to run, as `Clock.passed` gives it, None while it does not run; ran:
    nanoseconds that it ran before. booted: when it was started, by the time of day. details: small
    things that a kind of call keeps (times, keys), by the module that keeps them.
    """

    config: str | None = None
    live: str | None = None
    number: int = -1
    state: int = DomainState.SHUTOFF
    reason: int = DomainShutoffReason.UNKNOWN
    autostart: bool = False
    saved: str | None = None
    saved_paused: bool = False
    began: int | None = None
    ran: int = 0
    booted: int = 0
    details: dict[str, Any] = msgspec.field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether a guest exists: running, paused, or on its way."""
        return self.live is not None

    @property
    def text(self) -> str:
        """The document in force: of the running guest, or else of the definition."""
        return self.live if self.live is not None else self.config or ""

    def shown(self, *, secure: bool = False, inactive: bool = False) -> str:
        """Return the document as a client wants it.

        Args:
            secure: with passwords (VIR_DOMAIN_XML_SECURE).
            inactive: the definition, or for a transient domain what would be one.
        """
        text = self.config if inactive and self.config is not None else self.text
        stripped = inactive and self.config is None
        if not stripped and (secure or not has_secrets("domain", text)):
            return text
        return cached("domain", text).text(secure=secure, inactive=stripped)

    def inherit(self, replaced: DomainRecord) -> None:
        """See `Record`."""
        known = replaced.__dict__
        if "facts" in known and replaced.text == self.text:
            self.__dict__["facts"] = known["facts"]
        if "config_facts" in known and replaced.config == self.config is not None:
            self.__dict__["config_facts"] = known["config_facts"]

    @cached_property
    def facts(self) -> Facts:
        """The values of the document in force."""
        return Facts(self.text)

    @cached_property
    def config_facts(self) -> Facts:
        """The values of the definition, or of the document in force of a transient domain."""
        return Facts(self.config) if self.config is not None else self.facts


class Domain(Entry[DomainRecord]):
    """A domain of a host."""

    kind: ClassVar[str] = "domain"
    record_type = DomainRecord

    def __init__(self, host: Host, record: DomainRecord) -> None:
        super().__init__(host, record)
        self.snapshots = Moments(self, "snapshot")
        self.checkpoints = Moments(self, "checkpoint")

    def require_active(self) -> None:
        """Raise RpcError OPERATION_INVALID unless a guest exists (virDomainObjCheckActive)."""
        if not self.is_active:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID, "domain is not running", domain=ErrorDomain.DOMAIN
            )

    def require_no_job(self) -> None:
        """Raise RpcError OPERATION_TIMEOUT for a guest that migrates; calls of clients wait first."""
        found = self.record.details.get(JOB) if self.is_active else None
        if found is not None:
            holder = f"monitor=remoteDispatch{found.get('function', '')}"
            text = f"cannot acquire state change lock (held by {holder})"
            raise self.refused(ErrorCode.OPERATION_TIMEOUT, text)

    def refused(self, code: ErrorCode, text: str) -> RpcError:
        """Make an error about this domain, in the name of its driver.

        Args:
            code: what went wrong.
            text: the words after the code's phrase.
        """
        return RpcError.of(code, text, domain=self.host.flavour.domain)

    @property
    def moments(self) -> tuple[Moments, ...]:
        """Its snapshots and its checkpoints."""
        return self.snapshots, self.checkpoints

    @property
    def is_active(self) -> bool:
        """Whether a guest exists."""
        return self.record.live is not None

    @property
    def is_persistent(self) -> bool:
        """Whether it has a definition."""
        return self.record.config is not None

    def detail(self, name: str, default: Any = None) -> Any:
        """Return one of the small things that kinds of call keep, or the default."""
        return self.record.details.get(name, default)

    def keep(self, name: str, value: Any) -> None:
        """Keep a small thing; None forgets it. Raises RpcError when the store cannot be written."""
        details = {**self.record.details, name: value}
        if value is None:
            del details[name]
        self.change(details=details)

    def ran(self) -> int:
        """Return the nanoseconds for which the guest has run; pauses do not count."""
        record = self.record
        if record.began is None:
            return record.ran
        return record.ran + max(0, self.host.clock.passed() - record.began)

    def emit(self, number: int, *details: object) -> None:
        """Tell of an event of this domain; see `Event`."""
        record = self.record
        subject = Subject(record.name, self.uuid, record.number)
        self.host.events.emit(Event(Family.DOMAIN, number, subject, details))


class Domains(Collection[Domain]):
    """The domains of a host, running ones by id, too."""

    def __init__(self, host: Host) -> None:
        super().__init__(host, Domain)
        self._by_number: dict[int, Domain] = {}
        self._last = 0

    def by_number(self, number: int) -> Domain | None:
        """Return the running domain with this id, or None."""
        return self._by_number.get(number)

    @property
    def numbers(self) -> list[int]:
        """The ids of those that run, in order."""
        return sorted(self._by_number)

    def active(self) -> Iterator[Domain]:
        """Give those that run, in the order of their ids."""
        return iter([self._by_number[number] for number in self.numbers])

    def next_number(self) -> int:
        """Return an id that no domain of this host has had."""
        self._last += 1
        return self._last

    def started(self, domain: Domain) -> None:
        """List a domain that has begun to run."""
        number = domain.record.number
        self.host.store.undo(partial(self._by_number.pop, number, None))
        self._by_number[number] = domain
        self._last = max(self._last, domain.record.number)

    def stopped(self, number: int) -> None:
        """Forget the id of a domain that runs no more."""
        domain = self._by_number.pop(number, None)
        if domain is not None:
            self.host.store.undo(partial(self._by_number.__setitem__, number, domain))

    def remove(self, entry: Domain) -> None:
        """See `Collection`."""
        with entry.host.store.batch():
            for moments in entry.moments:
                moments.remove_all()
            super().remove(entry)
        self.stopped(entry.record.number)

    def load(self) -> None:
        """See `Collection`."""
        super().load()
        for domain in self:
            if domain.is_active:
                self.started(domain)
        for kind in ("snapshot", "checkpoint"):
            self._load_moments(kind)

    def _load_moments(self, kind: str) -> None:
        for key, data in self.host.store.load(self.host.name, kind):
            owner = self.by_uuid(uuids.UUID(key.partition("/")[0]).bytes)
            for moments in owner.moments if owner is not None else ():
                if moments.kind == kind:
                    moments.loaded(data)

    def clear(self) -> None:
        """See `Collection`."""
        super().clear()
        self._by_number.clear()
