"""Ports of networks, as clients make them; guests on a network are there without one.

Source: libvirt's src/network/bridge_driver.c (networkPortCreateXML) and src/conf/virnetworkobj.c.
"""

from __future__ import annotations

import uuid as uuids
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host.documents import cached, written
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam, uint, validate

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.network import Network


def active(network: Network) -> Network:
    """Return a network that has to be active. Raises RpcError OPERATION_INVALID."""
    if not network.is_active:
        raise network.invalid(f"network '{network.name}' is not active")
    return network


def _key(network: Network, uuid: bytes) -> str:
    """The key of a port. Raises RpcError NO_NETWORK_PORT, or if the network is inactive."""
    key = str(uuids.UUID(bytes=uuid))
    if key not in network.record.ports:
        detail = f"Network port with UUID {key} does not exist"
        raise RpcError.of(ErrorCode.NO_NETWORK_PORT, detail, domain=ErrorDomain.NETWORK)
    active(network)
    return key


def text(network: Network, uuid: bytes) -> str:
    """Return the document of a port.

    Args:
        network: its network.
        uuid: 16 bytes.

    Raises:
        RpcError: NO_NETWORK_PORT, or OPERATION_INVALID for an inactive network.
    """
    return cached("network-port", network.record.ports[_key(network, uuid)]).text()


def create(network: Network, document: str, *, reclaim: bool) -> bytes:
    """Make a port, and return its UUID.

    Args:
        network: its network.
        document: the port, as XML.
        reclaim: the port exists with its plug, as a daemon's last run left it.

    Raises:
        RpcError: INVALID_ARG for a plug that does not fit, OPERATION_INVALID for an inactive network,
            NETWORK_PORT_EXIST for a second one.
    """
    made = network.host.documents.define("network-port", document, lambda root: None)
    root = cached("network-port", made.text).root
    active(network)
    detail = ""
    if root.find("plug") is None and reclaim:
        detail = "Port reclaim requested but plug type is none"
    elif root.find("plug") is not None and not reclaim:
        detail = "Port reclaim not requested but plug type is not none"
    if detail:
        raise RpcError(
            ErrorCode.INVALID_ARG, f"invalid argument: {detail}", domain=ErrorDomain.NETWORK
        )
    if made.uuid in network.record.ports:
        detail = f"Network port with UUID {made.uuid} already exists"
        raise RpcError.of(ErrorCode.NETWORK_PORT_EXIST, detail, domain=ErrorDomain.NETWORK)
    plugged = network.host.documents.define(
        "network-port", made.text, lambda root: _plug(network, root)
    )
    network.change(ports={**network.record.ports, made.uuid: plugged.text})
    return uuids.UUID(made.uuid).bytes


def _plug(network: Network, root: etree._Element) -> None:
    if root.find("plug") is None and network.bridge is not None:
        add(root, KINDS["network-port"].rules, "plug", type="network", bridge=network.bridge)


#: The limits of a port, in the order in which they are reported; in KiB/s, a burst in KiB.
BANDWIDTH: Final = (
    "inbound.average",
    "inbound.peak",
    "inbound.floor",
    "inbound.burst",
    "outbound.average",
    "outbound.peak",
    "outbound.burst",
)


def parameters(network: Network, uuid: bytes) -> list[TypedParam]:
    """Return the limits of a port; a direction without an average and a floor has none.

    Args:
        network: its network.
        uuid: 16 bytes.

    Raises:
        RpcError: as `text`.
    """
    root = cached("network-port", network.record.ports[_key(network, uuid)]).root
    found = []
    for name in BANDWIDTH:
        way, _, key = name.partition(".")
        element = root.find(f"bandwidth/{way}")
        if element is not None:
            found.append(uint(name, int(element.get(key) or 0)))
    return found


def set_parameters(network: Network, uuid: bytes, params: Iterable[TypedParam]) -> None:
    """Set the limits of a port, in the place of all that it had.

    Args:
        network: its network.
        uuid: 16 bytes.
        params: those of BANDWIDTH.

    Raises:
        RpcError: as `text`; INVALID_ARG or ARGUMENT_UNSUPPORTED for other parameters.
    """
    values = validate(params, dict.fromkeys(BANDWIDTH, ParamType.UINT))
    key = _key(network, uuid)
    document = cached("network-port", network.record.ports[key]).copy()
    rules = KINDS["network-port"].rules
    earlier = document.root.find("bandwidth")
    if earlier is not None:
        document.root.remove(earlier)
    for way in ("inbound", "outbound"):
        given = {
            name.partition(".")[2]: str(value)
            for name, value in values.items()
            if name.startswith(way) and value
        }
        if not {"average", "floor"} & given.keys():
            continue
        holder = document.root.find("bandwidth")
        if holder is None:
            holder = add(document.root, rules, "bandwidth")
        add(holder, rules.below("bandwidth"), way, **given)
    document.changed()
    network.change(ports={**network.record.ports, key: written(document)})


def delete(network: Network, uuid: bytes) -> None:
    """Remove a port.

    Args:
        network: its network.
        uuid: 16 bytes.

    Raises:
        RpcError: as `text`.
    """
    key = _key(network, uuid)
    network.change(ports={one: kept for one, kept in network.record.ports.items() if one != key})
