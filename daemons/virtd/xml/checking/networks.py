"""The rules about a network.

Source: libvirt's src/conf/network_conf.c (virNetworkDefParseXML, virNetworkForwardDefParseXML).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from aiovirt.daemons.virtd.xml.checking import Rules, conditions, unique

_UNBRIDGED: Final = (
    "forward[@mode='private' or @mode='vepa' or @mode='passthrough' or @mode='hostdev']"
)

#: Looked at as the document was given.
_GIVEN: Final = (
    ("network", "name", "not(string(name))", ""),
    ("network", "detail@xml", "contains(name, '/')", "invalid char in name: /"),
    (
        "ip",
        "unsupported",
        "ip[@prefix][@netmask]",
        "Network '{}' IP address cannot have both a prefix and a netmask",
        "string(name)",
    ),
    (
        "bandwidth",
        "unsupported",
        "(. | portgroup)/bandwidth/inbound[@floor > 0]",
        "floor attribute is not supported for this config",
    ),
    (
        "bandwidth",
        "unsupported",
        "(. | portgroup)/bandwidth/outbound[@floor > 0]",
        "'floor' attribute allowed only in <inbound> element",
    ),
)

_CONDITIONS: Final = (
    (
        "forward",
        "xml",
        "forward[@mode='nat' or @mode='route' or @mode='open'] and not(ip)",
        "{} forwarding requested, but no IP address provided for network '{}'",
        "string(forward/@mode)",
        "string(name)",
    ),
    (
        "forward",
        "xml",
        "forward[@mode='nat' or @mode='route' or @mode='open'][count(interface) > 1]",
        "multiple forwarding interfaces specified for network '{}', only one is supported",
        "string(name)",
    ),
    (
        "forward",
        "xml",
        "forward[@mode='open'][interface]",
        "forward dev not allowed for network '{}' with forward mode='open'",
        "string(name)",
    ),
    (
        "bridge",
        "xml",
        f"{_UNBRIDGED} and bridge/@name",
        "bridge name not allowed in {} mode (network '{}')",
        "string(forward/@mode)",
        "string(name)",
    ),
    (
        "bridge",
        "xml",
        "forward[@mode='bridge'][interface or pf] and bridge/@name",
        "A network with forward mode='bridge' can specify a bridge name or a forward dev, "
        "but not both (network '{}')",
        "string(name)",
    ),
    (
        "dns",
        "xml",
        "dns[@enable='no'][*]",
        "Extra data in disabled network '{}'",
        "string(name)",
    ),
    (
        "mtu",
        "xml",
        f"mtu and ({_UNBRIDGED} or forward[@mode='bridge'])",
        "mtu size only allowed in open, route, nat, and isolated mode, not in {} (network '{}')",
        "string(forward/@mode)",
        "string(name)",
    ),
)

_UNIQUE: Final = (
    (
        "forward",
        "xml",
        "forward/interface",
        "@dev",
        "interface '{0}' can only be listed once in network",
    ),
    (
        "forward",
        "xml",
        "forward/address",
        "@domain @bus @slot @function",
        "PCI device '{0}:{1}:{2}.{3}' can only be listed once in network",
    ),
    ("portgroup", "xml", "portgroup", "@name", "multiple portgroups with the same name ('{0}')"),
)


@cache
def given() -> Rules:
    """The rules about a network as it was given."""
    return Rules(conditions(_GIVEN))


@cache
def rules() -> Rules:
    """The rules about a network."""
    return Rules([*conditions(_CONDITIONS), *unique(_UNIQUE)])
