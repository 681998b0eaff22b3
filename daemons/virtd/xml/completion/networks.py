"""Complete a network: its UUID, its bridge, and what its mode of forwarding implies.

Source: libvirt's src/conf/network_conf.c (virNetworkDefParseXML, virNetworkSetBridgeName,
virNetworkSetBridgeMacAddr) and src/test/test_driver.c (testNetworkDefineXML).
"""

from __future__ import annotations

import ipaddress
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add, assign
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain

#: The modes whose network has a bridge of its own.
BRIDGED: Final = ("nat", "route", "open")
#: The greatest number of addresses of a network; libvirt has no bound.
ADDRESSES_MAX: Final = 1024


def complete(root: etree._Element, flavour: Flavour) -> None:
    """Add everything that is missing.

    Args:
        root: a network in shape.
        flavour: not used: all drivers do the same.

    Raises:
        RpcError: for a network that libvirt refuses.
    """
    del flavour
    rules = KINDS["network"].rules
    addresses = root.findall("ip")
    if len(addresses) > ADDRESSES_MAX:
        detail = f"too many addresses: at most {ADDRESSES_MAX}"
        raise refusals.refused(ErrorCode.XML_DETAIL, detail, ErrorDomain.NETWORK)
    for address in addresses:
        _check_ranges(address)
    forward = root.find("forward")
    mode = None if forward is None else forward.get("mode")
    bridge = root.find("bridge")
    if mode is None or mode in BRIDGED:
        if bridge is None:
            bridge = add(root, rules, "bridge")
        assign(bridge, rules.below("bridge"), "stp", bridge.get("stp") or "on")
        assign(bridge, rules.below("bridge"), "delay", bridge.get("delay") or "0")
    elif bridge is not None:
        for name in ("stp", "delay", "zone"):
            bridge.attrib.pop(name, None)
        if not bridge.attrib:
            root.remove(bridge)


def _check_ranges(address: etree._Element) -> None:
    """Ranges of leases lie in the network of their address."""
    mask = address.get("netmask") or address.get("prefix") or ""
    try:
        net = ipaddress.ip_network(
            f"{address.get('address')}/{mask}" if mask else "::/0", strict=False
        )
    except ValueError:
        raise refusals.refused(
            ErrorCode.XML_ERROR, f"Invalid netmask '{mask}' in network", ErrorDomain.NETWORK
        ) from None
    for part in address.findall("dhcp/range") if mask else ():
        first, last = part.get("start") or "", part.get("end") or ""
        ends = ipaddress.ip_address(first), ipaddress.ip_address(last)
        if any(end not in net for end in ends) or int(ends[0]) > int(ends[1]):
            detail = f"range {first} - {last} is not entirely within network {net}"
            raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail, ErrorDomain.NONE)
