"""Addresses of running guests on a host's networks, as its DHCP servers gave them.

A guest has an address as soon as it runs: no operating system is booted that would ask for one. Each
hardware address keeps its address as long as its network runs.

Source: the form of a lease is that of libvirt's src/network/bridge_driver.c (networkGetDHCPLeases).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml.placing import assign
from aiovirt.rpc.wire.errors import ErrorCode

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain, DomainRecord
    from aiovirt.daemons.virtd.host.network import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Seconds for which a lease is given; a guest renews it after half of them.
EXPIRY: Final = 3600
_UNITS: Final = {"seconds": 1, "minutes": 60, "hours": 3600}
_SECOND: Final = 1_000_000_000
#: In place of an address: the guest gets none.
_WITHHELD: Final = "-"
#: Addresses of a range that are tried for one guest.
_TRIED: Final = 65536


class Interface(msgspec.Struct, frozen=True):
    """An interface of a guest. kind: its type; mac: its hardware address; network: the name of its
    network, empty for none; target: its name on the host."""

    kind: str
    mac: str
    network: str
    target: str


class Lease(msgspec.Struct, frozen=True):
    """An address that a guest has.

    mac: of its interface; address, prefix: with the bits of its network; bridge: of its network;
    hostname: what it calls itself; expiry: in seconds since 1970.
    """

    mac: str
    address: Address
    prefix: int
    bridge: str
    hostname: str | None
    expiry: int


def interfaces(record: DomainRecord) -> tuple[Interface, ...]:
    """Return the interfaces of a domain's document in force, in order; read once for a record."""
    found: tuple[Interface, ...] | None = record.__dict__.get("interfaces")
    if found is None:
        found = tuple(
            _interface(element, number)
            for number, element in enumerate(record.facts.root.findall("devices/interface"))
        )
        record.__dict__["interfaces"] = found
    return found


def _interface(element: etree._Element, number: int) -> Interface:
    mac, source, target = (element.find(tag) for tag in ("mac", "source", "target"))
    kind = element.get("type") or ""
    return Interface(
        kind,
        "" if mac is None else (mac.get("address") or "").lower(),
        (source.get("network") or "") if kind == "network" and source is not None else "",
        (target.get("dev") if target is not None else None) or f"vnet{number}",
    )


def attached(network: Network) -> Iterator[tuple[Domain, Interface]]:
    """Give the interfaces of running guests on a network, in the order of the guests' ids."""
    for domain in network.host.domains.active():
        for interface in interfaces(domain.record):
            if interface.network == network.name:
                yield domain, interface


def shown(network: Network, *, inactive: bool = False) -> str:
    """Return the document of a network as a client wants it; an active one of qemu says how many
    guests use it.

    Args:
        network: the network.
        inactive: the definition; the test driver has the document in force, whatever is wanted.
    """
    record = network.record
    if network.host.name == "test" or not network.is_active:
        return cached("network", record.text).text()
    if inactive and record.config is not None:
        return cached("network", record.config).text()
    count = 0 if inactive else sum(1 for _ in attached(network))
    document = cached("network", record.text)
    if count:
        document = document.copy()
        assign(document.root, document.rules, "connections", str(count))
    return document.text()


class _Server:
    """The DHCP server of one `<ip>` of a network."""

    def __init__(self, element: etree._Element) -> None:
        self.own = _parsed(element.get("address")) or ipaddress.IPv4Address(0)
        self.prefix = _prefix(element, self.own)
        self.hosts = element.findall("dhcp/host")
        self.fixed = {one.get("ip") or "" for one in self.hosts}
        self.ranges = list(self._ranges(element))
        #: The entries with their places among all, by hardware address, and by name for the others.
        self._by_mac: dict[str, tuple[int, etree._Element]] = {}
        self._by_name: dict[str, tuple[int, etree._Element]] = {}
        for place, one in enumerate(self.hosts):
            mac = one.get("mac")
            if mac is not None:
                self._by_mac.setdefault(mac.lower(), (place, one))
            else:
                self._by_name.setdefault(one.get("name") or "", (place, one))

    def _ranges(self, element: etree._Element) -> Iterator[tuple[Address, int, int]]:
        """The ranges that give addresses: first, last, seconds; others are passed over."""
        for one in element.findall("dhcp/range"):
            start, end = _parsed(one.get("start")), _parsed(one.get("end"))
            if start is None or end is None or not start.version == end.version == self.own.version:
                continue
            if int(start) <= int(end):
                yield start, int(end), _expiry(one)

    def host(self, mac: str, name: str) -> etree._Element | None:
        """The first entry for a guest, by its hardware address or its name."""
        found = [one for one in (self._by_mac.get(mac), self._by_name.get(name)) if one is not None]
        return min(found)[1] if found else None

    def expiry(self, address: Address) -> int:
        """Seconds for which an address is given."""
        for start, end, seconds in self.ranges:
            if int(start) <= int(address) <= end:
                return seconds
        return EXPIRY

    def holds(self, address: Address) -> bool:
        """Whether an address is in a range."""
        return any(int(start) <= int(address) <= end for start, end, _ in self.ranges)

    def free(self, mac: str, taken: set[str]) -> Address | None:
        """An address that nobody has, the same one for a hardware address as far as possible."""
        import hashlib  # late: no start needs it

        seed = int.from_bytes(hashlib.sha256(mac.encode()).digest()[:8], "big")
        for start, end, _ in self.ranges:
            size = end - int(start) + 1
            for step in range(min(size, _TRIED)):
                address = start + (seed + step) % size
                if str(address) not in taken:
                    return address
        return None


def _parsed(text: str | None) -> Address | None:
    """The address of a text, None for another text."""
    try:
        return ipaddress.ip_address(text or "")
    except ValueError:
        return None


def _prefix(element: etree._Element, own: Address) -> int:
    if element.get("prefix") is not None:
        return int(element.get("prefix") or 0)
    mask = _parsed(element.get("netmask"))
    if mask is not None:
        return int(mask).bit_count()
    if isinstance(own, ipaddress.IPv6Address):
        return 64
    first = int(own) >> 24
    return 8 if first < 128 else 16 if first < 192 else 24


def _expiry(element: etree._Element) -> int:
    lease = element.find("lease")
    if lease is None:
        return EXPIRY
    return int(lease.get("expiry") or 0) * _UNITS[lease.get("unit") or "minutes"]


def leases(network: Network, mac: str | None = None) -> list[Lease]:
    """Return the addresses of the running guests on a network; new ones are stored.

    Args:
        network: the network; an inactive one has none.
        mac: only the ones of this hardware address.

    Raises:
        RpcError: the store cannot be written.
    """
    wanted = None if mac is None else mac.lower()
    guests = {
        interface.mac: domain
        for domain, interface in attached(network)
        if wanted in (None, interface.mac)
    }
    return _given(network, guests)


def of_guest(domain: Domain) -> list[tuple[Interface, list[Lease]]]:
    """Return the interfaces of a running guest in order, each with its addresses; new ones are stored.

    Args:
        domain: the guest.

    Raises:
        RpcError: the store cannot be written.
    """
    found = interfaces(domain.record)
    guests: dict[str, dict[str, Domain]] = {}  # by network and hardware address
    for one in found:
        guests.setdefault(one.network, {})[one.mac] = domain
    held: dict[tuple[str, str], list[Lease]] = {}
    for name, macs in guests.items():
        network = domain.host.networks.by_name(name)
        for lease in [] if network is None else _given(network, macs):
            held.setdefault((name, lease.mac), []).append(lease)
    return [(one, held.get((one.network, one.mac), [])) for one in found]


def _given(network: Network, guests: Mapping[str, Domain]) -> list[Lease]:
    """The addresses of some guests on a network, by their hardware addresses; new ones are stored."""
    if not guests or not network.is_active:
        return []
    known = dict(network.record.leases)
    found: list[Lease] = []
    for element in network.root.findall("ip"):
        if element.find("dhcp") is None:
            continue
        server = _Server(element)
        pool = _Pool(network, server, known)
        for mac, domain in guests.items():
            held = known.get(mac + pool.key)
            if held == _WITHHELD:
                continue
            entry = server.host(mac, domain.name)
            address = _address(server, entry, held) or pool.take(mac)
            if address is not None:
                found.append(_lease(network, server, domain, mac, address, entry))
    if known != network.record.leases:
        network.change(leases=known)
    return found


class _Pool:
    """The addresses that a server has left.

    Args:
        network: the network.
        server: of the network.
        known: all addresses by hardware address and `key`; those that are given are added.
    """

    def __init__(self, network: Network, server: _Server, known: dict[str, str]) -> None:
        self.key = "" if server.own.version == 4 else "/6"
        self._network = network
        self._server = server
        self._known = known
        self._taken: set[str] | None = None
        self._is_full = False

    def take(self, mac: str) -> Address | None:
        """Give a new address to a hardware address; None if all are taken."""
        if self._is_full:  # no address becomes free meanwhile
            return None
        address = self._free(mac)
        if address is None:  # the addresses of guests that do not run are free again
            running = {interface.mac for _, interface in attached(self._network)}
            for one in [one for one in self._known if one.removesuffix("/6") not in running]:
                del self._known[one]
            self._taken = None
            address = self._free(mac)
        if address is None:
            self._is_full = True
            return None
        if self._known.pop(mac + self.key, None) is not None:
            self._taken = None
        elif self._taken is not None:
            self._taken.add(str(address))
        self._known[mac + self.key] = str(address)
        return address

    def _free(self, mac: str) -> Address | None:
        if self._taken is None:
            self._taken = {*self._known.values(), *self._server.fixed, str(self._server.own)}
        return self._server.free(mac, self._taken)


def readdress(domain: Domain, mac: str, address: str) -> None:
    """Give an interface of a running guest another address on its network.

    Args:
        domain: the guest.
        mac: the hardware address of the interface; empty for the first on a network.
        address: a free one in a range of the network; "next" for any other; "none" to give none.

    Raises:
        RpcError: OPERATION_INVALID for a guest without such an interface, INVALID_ARG for an address
            that cannot be given; the store cannot be written.
    """
    domain.require_active()
    for interface in interfaces(domain.record):
        network = domain.host.networks.by_name(interface.network)
        if network is not None and network.is_active and mac.lower() in ("", interface.mac):
            break
    else:
        text = f"domain '{domain.name}' has no interface '{mac}' on an active network"
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)
    known = {one.mac: str(one.address) for one in leases(network) if one.address.version == 4}
    wanted = _parsed(address)
    servers = [_Server(one) for one in network.root.findall("ip") if one.find("dhcp") is not None]
    taken = {*known.values(), *(str(one.own) for one in servers)}
    taken = taken.union(*(one.fixed for one in servers))
    if address == "next":
        wanted = servers[0].free(interface.mac, taken) if servers else None
    given = _WITHHELD if address == "none" else str(wanted)
    if address != "none" and (
        wanted is None or given in taken or not any(one.holds(wanted) for one in servers)
    ):
        text = f"network '{network.name}' cannot give the address '{address}'"
        raise domain.refused(ErrorCode.INVALID_ARG, text)
    key = "/6" if wanted is not None and wanted.version == 6 else ""
    network.change(leases={**network.record.leases, interface.mac + key: given})


def _address(server: _Server, entry: etree._Element | None, known: str | None) -> Address | None:
    """The address that a guest has already, or by its entry."""
    if entry is not None and entry.get("ip") is not None:
        wanted = _parsed(entry.get("ip"))
        return wanted if wanted is not None and wanted.version == server.own.version else None
    address = None if known in server.fixed else _parsed(known)
    return address if address is not None and server.holds(address) else None


def _lease(
    network: Network,
    server: _Server,
    domain: Domain,
    mac: str,
    address: Address,
    entry: etree._Element | None,
) -> Lease:
    seconds = server.expiry(address)
    begun, now = domain.record.booted // _SECOND, network.host.clock.now() // _SECOND
    half = max(1, seconds // 2)
    expiry = begun + max(0, now - begun) // half * half + seconds if seconds else 0
    named = entry.get("name") if entry is not None else None
    return Lease(mac, address, server.prefix, network.bridge or "", named or domain.name, expiry)


def first(network: Network) -> tuple[Address, int]:
    """Return the first address that a network gives, and the bits of the network, from which the test
    driver counts."""
    element = network.root.find("ip")
    if element is None:
        return ipaddress.IPv4Address(0), 0
    server = _Server(element)
    return server.ranges[0][0] if server.ranges else server.own, server.prefix
