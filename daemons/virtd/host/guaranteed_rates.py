"""The rates that networks guarantee to interfaces of running guests, in KiB/s.

Source: libvirt's src/network/bridge_driver.c (networkCheckBandwidth).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml.devices import value
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.network import Network

_ONLY: Final = (
    "'floor' is only supported for interface type 'network' with forward type 'nat', 'route', 'open'"
    " or none"
)


def of_interface(interface: etree._Element) -> int:
    """Return the rate that an interface asks for; 0 for none."""
    return int(value(interface, "bandwidth/inbound/@floor") or 0)


def unsupported(
    interface: etree._Element, why: str = _ONLY, domain: ErrorDomain = ErrorDomain.NETWORK
) -> RpcError:
    """Make the error for a rate that nothing can guarantee.

    Args:
        interface: the interface that asks for it.
        why: what is missing; by default, that its connection is of another kind.
        domain: the part of libvirt that refuses.
    """
    mac = value(interface, "mac/@address")
    detail = f"Invalid use of 'floor' on interface with MAC address {mac} - {why}"
    return RpcError.of(ErrorCode.OPERATION_UNSUPPORTED, detail, domain=domain)


def require(
    network: Network, interface: etree._Element, rate: int, besides: Domain | None = None
) -> None:
    """Refuse a rate that a network cannot guarantee beside those that it guarantees already.

    Args:
        network: the network, which has an inbound rate of its own.
        interface: the interface that asks.
        rate: the rate, with those that other interfaces of the same guest ask for.
        besides: the guest whose interface of the same address does not count, because it changes.

    Raises:
        RpcError: OPERATION_INVALID.
    """
    address, root = value(interface, "mac/@address"), network.root
    total = rate + _guaranteed(network, address, besides)
    key = "peak" if int(value(root, "bandwidth/inbound/@peak") or 0) else "average"
    most = int(value(root, f"bandwidth/inbound/@{key}") or 0)
    if total > most:
        raise network.invalid(
            f"Cannot plug '{address}' interface into '{network.bridge or ''}' because new combined"
            f" inbound floor={total} would overcommit {key}={most} on network '{network.name}'"
        )


def _guaranteed(network: Network, address: str | None, besides: Domain | None) -> int:
    """The sum of the rates of running guests."""
    total = 0
    for domain in network.host.domains.active():
        text = domain.record.live
        if text is None or " floor=" not in text:
            continue
        for one in cached("domain", text).root.iterfind("devices/interface[@type='network']"):
            changes = domain is besides and value(one, "mac/@address") == address
            if value(one, "source/@network") == network.name and not changes:
                total += of_interface(one)
    return total
