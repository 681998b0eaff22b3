"""Checks of the interfaces of a guest that starts: the networks of its host have what they ask for.

Source: libvirt's src/network/bridge_driver.c (networkAllocatePort, networkCheckBandwidth) and
src/conf/domain_validate.c (virDomainActualNetDefValidate).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiovirt.daemons.virtd.host import guaranteed_rates, leases
from aiovirt.daemons.virtd.xml.devices import value
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.host.network import Network

#: Ways to forward in which the host's packets pass through a bridge of libvirt's own.
_OWN: Final = ("none", "nat", "route", "open")
#: The virtual ports that each way to be connected has, and how libvirt calls a network of that kind.
_PORTS: Final = {
    "network": ((), "IP forwarding"),
    "bridge": (("openvswitch",), "a bridge device"),
    "direct": (("802.1Qbg", "802.1Qbh"), "a macvtap device"),
    "hostdev": (
        ("802.1Qbg", "802.1Qbh"),
        "an SR-IOV Virtual Function via PCI passthrough",
    ),
}


class _Connection(NamedTuple):
    """How an interface is connected. kind: the type that an interface without a network would have;
    mode: of a direct one."""

    kind: str
    mode: str
    port: str | None
    vlan: bool


def require(host: Host, root: etree._Element) -> None:
    """Refuse a guest whose interfaces cannot be connected.

    Args:
        host: where the guest is to run.
        root: its document.

    Raises:
        RpcError: NO_NETWORK or OPERATION_INVALID for its network, CONFIG_UNSUPPORTED,
            OPERATION_UNSUPPORTED or INTERNAL_ERROR for what the network has not.
    """
    others: list[etree._Element] = []
    for interface in root.iterfind("devices/interface"):
        require_interface(host, interface, others=others)
        others.append(interface)


def require_interface(
    host: Host,
    interface: etree._Element,
    *,
    others: Sequence[etree._Element] = (),
    besides: Domain | None = None,
) -> None:
    """Refuse an interface that cannot be connected.

    Args:
        host: of its guest.
        interface: the interface.
        others: interfaces of the same guest that are connected together with it.
        besides: the guest whose interface of the same address does not count, because it changes.

    Raises:
        RpcError: as `require`.
    """
    kind = interface.get("type") or ""
    if kind == "network":
        network = find(host, value(interface, "source/@network") or "")
        if not network.is_active:
            raise network.invalid(f"network '{network.name}' is not active")
        made = _connected(network, interface, besides)
        if guaranteed_rates.of_interface(interface):
            same = [one for one in others if value(one, "source/@network") == network.name]
            rate = sum(map(guaranteed_rates.of_interface, (interface, *same)))
            guaranteed_rates.require(network, interface, rate, besides)
    else:
        made = _Connection(
            kind,
            value(interface, "source/@mode") or "",
            value(interface, "virtualport/@type"),
            interface.find("vlan") is not None,
        )
    _require_vlan(interface, made)


def find(host: Host, name: str) -> Network:
    """Return a network. Raises RpcError NO_NETWORK."""
    network = host.networks.by_name(name)
    if network is None:
        detail = f"no network with matching name '{name}'"
        raise RpcError.of(ErrorCode.NO_NETWORK, detail, domain=ErrorDomain.NETWORK)
    return network


def _connected(network: Network, interface: etree._Element, besides: Domain | None) -> _Connection:
    """How a network connects an interface, which it has to be able to."""
    root = network.root
    group = value(interface, "source/@portgroup")
    groups = [one for one in root.iterfind("portgroup") if one.get("name") == group]
    if group is None:
        groups = [one for one in root.iterfind("portgroup") if one.get("default") == "yes"]
    givers = [interface, *groups[:1], root]
    mode = value(root, "forward/@mode") or "none"
    port = next(filter(None, (value(one, "virtualport/@type") for one in givers)), None)
    kind = _kind(root, mode)
    supported, words = _PORTS[kind]
    if port is not None and port not in supported:
        detail = f"<virtualport type='{port}'> not supported for network '{network.name}'"
        raise _refused(ErrorCode.CONFIG_UNSUPPORTED, f"{detail} which uses {words}")
    if kind in ("direct", "hostdev") and besides is None:
        _require_device(network, kind, mode, port)
    _require_floor(network, interface, groups[:1], mode)
    vlan = any(one.find("vlan") is not None for one in givers)
    return _Connection(kind, mode, port, vlan)


def _refused(code: ErrorCode, detail: str) -> RpcError:
    return RpcError.of(code, detail, domain=ErrorDomain.NETWORK)


def _kind(root: etree._Element, mode: str) -> str:
    if mode in _OWN:
        return "network"
    if mode == "hostdev":
        return mode
    return "bridge" if mode == "bridge" and value(root, "bridge/@name") else "direct"


def _require_device(network: Network, kind: str, mode: str, port: str | None) -> None:
    """The network has a device of the host for one more interface."""
    forward = network.root.find("forward")
    if forward is None or forward.find("pf") is not None:
        return  # it is the machine that would have them
    count = len(forward.findall("interface")) + len(forward.findall("address"))
    if kind == "direct" and count == 0 and forward.get("dev") is None:
        detail = f"network '{network.name}' uses a direct mode, but has no forward dev"
        raise _refused(ErrorCode.INTERNAL_ERROR, f"{detail} and no interface pool")
    alone = kind == "hostdev" or mode == "passthrough" or (mode, port) == ("private", "802.1Qbh")
    if alone and count <= sum(1 for _ in leases.attached(network)):
        detail = f"network '{network.name}' requires exclusive access to interfaces"
        raise _refused(ErrorCode.INTERNAL_ERROR, f"{detail}, but none are available")


def _require_floor(
    network: Network, interface: etree._Element, groups: list[etree._Element], mode: str
) -> None:
    """The network can promise an interface the least bandwidth that it asks for."""
    holder = next(
        (one for one in (interface, *groups) if one.find("bandwidth") is not None), interface
    )
    if not int(value(holder, "bandwidth/inbound/@floor") or 0):
        return
    if mode not in _OWN:
        raise guaranteed_rates.unsupported(interface)
    if network.root.find("bandwidth/inbound") is None:
        why = f"network '{network.name}' has no inbound QoS set"
        raise guaranteed_rates.unsupported(interface, why)


def _require_vlan(interface: etree._Element, made: _Connection) -> None:
    """Only some connections have tags of a VLAN."""
    if (
        made.vlan
        and made.kind != "hostdev"
        and (made.kind, made.mode) != ("direct", "passthrough")
        and (made.kind, made.port) != ("bridge", "openvswitch")
    ):
        mac = value(interface, "mac/@address")
        detail = f"interface {mac} - vlan tag not supported for this connection type"
        raise RpcError.of(ErrorCode.CONFIG_UNSUPPORTED, detail, domain=ErrorDomain.DOMAIN)
