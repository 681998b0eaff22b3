"""The toy operating system of a guest: its disks, its file systems, its interfaces.

Source: the form of what it tells is that of QEMU's agent on a Linux guest.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.daemons.virtd.host import leases, machine

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Disk, Domain

#: What the system says of itself.
SYSTEM: Final = {
    "name": "Debian GNU/Linux",
    "kernel-release": "6.1.0-18-amd64",
    "version": "12 (bookworm)",
    "pretty-name": "Debian GNU/Linux 12 (bookworm)",
    "version-id": "12",
    "kernel-version": "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)",
    "machine": "x86_64",
    "id": "debian",
}
#: The boot partition, and the address of a guest in qemu's own network.
_BOOT_SIZE: Final = 1 << 30
_USER_NETWORK: Final = ipaddress.ip_address("10.0.2.15")
_LINK_LOCAL: Final = int(ipaddress.ip_address("fe80::"))


class Filesystem(msgspec.Struct, frozen=True):
    """A file system. name: its device in the guest; disk: the target of its disk; size: in bytes."""

    mountpoint: str
    name: str
    disk: str
    size: int


class Interface(msgspec.Struct, frozen=True):
    """An interface. addresses: each with the bits of its network; statistics: as the agent has them."""

    name: str
    mac: str
    addresses: list[tuple[leases.Address, int]]
    statistics: dict[str, int]


def disks(domain: Domain) -> list[Disk]:
    """Return the disks that the system sees; media of drives do not count."""
    return [disk for disk in domain.record.facts.disks if disk.device == "disk"]


def filesystems(domain: Domain) -> list[Filesystem]:
    """Return the mounted file systems, which are on the first disk."""
    for disk in disks(domain):
        name = disk.target
        rest = max(_BOOT_SIZE, machine.sizes(domain, disk).capacity - _BOOT_SIZE)
        return [
            Filesystem("/", f"{name}1", name, rest),
            Filesystem("/boot", f"{name}2", name, _BOOT_SIZE),
        ]
    return []


def frozen(domain: Domain) -> list[str]:
    """Return the frozen file systems, by the places where they are mounted."""
    found: list[str] = domain.detail("frozen", [])
    return found


def interfaces(domain: Domain) -> list[Interface]:
    """Return the interfaces as the system has them, the loopback one first."""
    quiet = dict.fromkeys(_COUNTERS, 0)
    own = [(ipaddress.ip_address("127.0.0.1"), 8), (ipaddress.ip_address("::1"), 128)]
    found = [Interface("lo", "00:00:00:00:00:00", own, quiet)]
    for number, (one, given) in enumerate(leases.of_guest(domain)):
        counts = machine.net_counts(domain, one.mac)
        statistics = quiet | {
            "rx-bytes": counts.rx_bytes,
            "rx-packets": counts.rx_packets,
            "tx-bytes": counts.tx_bytes,
            "tx-packets": counts.tx_packets,
        }
        found.append(Interface(f"eth{number}", one.mac, _addresses(one, given), statistics))
    return found


_COUNTERS: Final = tuple(
    f"{way}-{what}" for way in ("tx", "rx") for what in ("packets", "errs", "bytes", "dropped")
)


def _addresses(
    interface: leases.Interface, given: list[leases.Lease]
) -> list[tuple[leases.Address, int]]:
    found = [(one.address, one.prefix) for one in given]
    if interface.kind == "user":
        found.append((_USER_NETWORK, 24))
    return [*found, (_link_local(interface.mac), 64)]


def _link_local(mac: str) -> leases.Address:
    """The address that a system gives itself from a hardware address (RFC 4291, appendix A)."""
    octets = bytes.fromhex(mac.replace(":", "")) or bytes(6)
    made = bytes((octets[0] ^ 2, *octets[1:3], 0xFF, 0xFE, *octets[3:]))
    return ipaddress.IPv6Address(_LINK_LOCAL | int.from_bytes(made, "big"))
