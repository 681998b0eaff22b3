"""Complete a network: its UUID, its bridge, and what its mode of forwarding implies.

Source: libvirt's src/conf/network_conf.c (virNetworkDefParseXML, virNetworkSetBridgeName,
virNetworkSetBridgeMacAddr) and src/test/test_driver.c (testNetworkDefineXML).
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add, assign
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain

#: The modes whose network has a bridge of its own.
BRIDGED: Final = ("nat", "route", "open")


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
    if not root.findtext("name"):
        raise refusals.refused(ErrorCode.NO_NAME, "", ErrorDomain.NETWORK)
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
