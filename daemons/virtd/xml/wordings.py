"""How libvirt refuses a value of an attribute or a text where it does not use its general words.

A key is `element/@attribute` or `element`, with the parent's name before it where elements of one name
differ; with `!` at its end it is about an absent attribute. A wording is a code and words, in which
`{}` is the value and `{name}` the name of the object.
"""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.rules import Scope
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_XML: Final = ErrorCode.XML_ERROR
_UNSUPPORTED: Final = ErrorCode.CONFIG_UNSUPPORTED
_INTERNAL: Final = ErrorCode.INTERNAL_ERROR
_ARGUMENT: Final = ErrorCode.INVALID_ARG

_CHARACTER: Final = "unknown type presented to host for character device: {}"
_TARGET: Final = "unknown target type '{}' specified for character device"

WORDINGS: Final[dict[str, tuple[ErrorCode, str]]] = {
    "domain/@type!": (_INTERNAL, "missing domain type attribute"),
    "domain/@type": (_UNSUPPORTED, "invalid domain type {}"),
    "os/type": (_UNSUPPORTED, "unknown OS type '{}'"),
    "os/type/@arch": (_UNSUPPORTED, "Unknown architecture {}"),
    "on_poweroff": (_UNSUPPORTED, "unknown on_poweroff action: {}"),
    "on_reboot": (_UNSUPPORTED, "unknown on_reboot action: {}"),
    "on_crash": (_UNSUPPORTED, "unknown on_crash action: {}"),
    "domain/vcpu": (_XML, "maximum vcpus count must be an integer"),
    "vcpu/@current": (_XML, "current vcpus count must be an integer"),
    "vcpu/@cpuset": (_ARGUMENT, "Failed to parse bitmap '{}'"),
    "vcpupin/@cpuset": (_ARGUMENT, "Failed to parse bitmap '{}'"),
    "emulatorpin/@cpuset": (_ARGUMENT, "Failed to parse bitmap '{}'"),
    "clock/@offset": (_UNSUPPORTED, "unknown clock offset '{}'"),
    "cpu/@mode": (_UNSUPPORTED, "Invalid mode attribute '{}'"),
    "disk/driver/@type": (_UNSUPPORTED, "unknown driver format value '{}'"),
    "address/@type": (_UNSUPPORTED, "unknown address type '{}'"),
    "interface/mac/@address": (_XML, "unable to parse mac address '{}'"),
    "interface/model/@type": (_ARGUMENT, "Model name contains invalid characters"),
    "graphics/@port": (_INTERNAL, "cannot parse graphics port {}"),
    "video/model/@type": (_UNSUPPORTED, "unknown video model '{}'"),
    "input/@type": (_UNSUPPORTED, "unknown input device type '{}'"),
    "input/@type!": (_INTERNAL, "missing input device type"),
    "input/@bus": (_UNSUPPORTED, "unknown input bus type '{}'"),
    **{
        f"{name}/@type": (_UNSUPPORTED, _CHARACTER)
        for name in ("serial", "parallel", "console", "channel", "redirdev", "smartcard")
    },
    **{
        f"{name}/target/@type": (_UNSUPPORTED, _TARGET) for name in ("serial", "console", "channel")
    },
    "redirdev/@type!": (_INTERNAL, "missing type in redirdev"),
    "controller/@model": (_UNSUPPORTED, "Unknown model type '{}'"),
    "hostdev/@mode": (_UNSUPPORTED, "unknown hostdev mode '{}'"),
    "hostdev/@type": (_UNSUPPORTED, "unknown host device source address type '{}'"),
    "watchdog/@model": (_UNSUPPORTED, "unknown watchdog model '{}'"),
    "watchdog/@model!": (_INTERNAL, "watchdog must contain model name"),
    "rng/@model": (_UNSUPPORTED, "unknown RNG model '{}'"),
    "rng/@model!": (_XML, "missing RNG device model"),
    "shmem/@name!": (_XML, "shmem element must contain 'name' attribute"),
    "panic/@model": (_UNSUPPORTED, "unknown panic model '{}'"),
    "forward/@mode": (_UNSUPPORTED, "unknown forwarding type '{}'"),
    "ip/@address": (_XML, "Invalid address '{}' in network '{name}'"),
    "ip/@netmask": (_XML, "Invalid netmask '{}' in network '{name}'"),
    "network/mac/@address": (_XML, "Invalid bridge mac address '{}' in network '{name}'"),
    "host/@mac": (_XML, "Cannot parse MAC address '{}' in network '{name}'"),
    "source/format/@type": (_UNSUPPORTED, "unknown pool format type {}"),
    "permissions/mode": (_XML, "malformed octal mode"),
    "permissions/owner": (_XML, "malformed owner element"),
    "permissions/group": (_XML, "malformed group element"),
    "os/@firmware": (_XML, "unknown firmware value {}"),
    "maxMemory/@slots!": (
        _XML,
        "both maximum memory size and memory slot count must be specified",
    ),
    **{
        f"{name}/@cpuset!": (_INTERNAL, f"missing cpuset for {name}")
        for name in ("vcpupin", "emulatorpin", "iothreadpin")
    },
    "smbios/@mode": (_UNSUPPORTED, "unknown smbios mode '{}'"),
    "rng/rate/@bytes": (_XML, "invalid RNG rate bytes value"),
    "rng/rate/@period": (_XML, "invalid RNG rate period value"),
    "watchdog/@action": (_UNSUPPORTED, "unknown watchdog action '{}'"),
    "interface/mtu/@size": (_XML, "malformed mtu size"),
    "interface/ip/@address": (_XML, "Invalid address '{}' in <ip>"),
    "address/@slot": (_XML, "Invalid PCI address slot='{}', must be <= 0x1F"),
    "source/auth/@type": (_UNSUPPORTED, "unknown auth type '{}'"),
    "cputune/shares": (_XML, "can't parse cputune shares value"),
    "cputune/period": (_XML, "can't parse cputune period value"),
    "cputune/quota": (_XML, "can't parse cputune quota value"),
    "maxMemory/@slots": (_XML, "Failed to parse memory slot count"),
    "network/@ipv6": (_XML, "Invalid ipv6 setting '{}' in network '{name}'"),
    "bridge/@delay": (_XML, "Invalid delay value in network '{name}'"),
    "bridge/@macTableManager": (_XML, "Invalid macTableManager setting '{}' in network '{name}'"),
    "network/mtu/@size": (_XML, "Invalid mtu size '{}' in network '{name}'"),
    "dns/host/@ip": (
        ErrorCode.XML_DETAIL,
        "Invalid IP address in network '{name}' DNS HOST record",
    ),
    "portgroup/@name!": (_XML, "Missing required name attribute in portgroup"),
    **{
        f"{way}/@{name}": (_UNSUPPORTED, f"could not convert bandwidth {name} value '{{}}'")
        for way in ("inbound", "outbound")
        for name in ("average", "peak", "burst", "floor")
    },
    "secret/@ephemeral": (_XML, "invalid value of 'ephemeral'"),
    "secret/@private": (_XML, "invalid value of 'private'"),
    "secret/usage/@type!": (_XML, "unknown secret usage type"),
    "secret/usage/@type": (_UNSUPPORTED, "unknown secret usage type {}"),
    "filter/@name!": (_INTERNAL, "filter has no name"),
    "filter/@priority": (_ARGUMENT, "Could not parse chain priority '{}'"),
    "filter/rule/@action!": (_INTERNAL, "rule node requires action attribute"),
    "filter/rule/@action": (_UNSUPPORTED, "unknown rule action attribute value"),
    "filter/rule/@direction!": (_INTERNAL, "rule node requires direction attribute"),
    "filter/rule/@direction": (_UNSUPPORTED, "unknown rule direction attribute value"),
    "filter/filterref/@filter!": (_INTERNAL, "rule node requires action attribute"),
}

#: The part of libvirt that has a wording, where it is not the owner of the document.
_SPEAKERS: Final = {
    "vcpu/@cpuset": ErrorDomain.NONE,
    "vcpupin/@cpuset": ErrorDomain.NONE,
    "emulatorpin/@cpuset": ErrorDomain.NONE,
    "cpu/@mode": ErrorDomain.CPU,
}

#: The part of libvirt that owns each kind of document; guests for all others.
_OWNERS: Final = {
    "network": ErrorDomain.NETWORK,
    "pool": ErrorDomain.STORAGE,
    "volume": ErrorDomain.STORAGE,
    "secret": ErrorDomain.SECRET,
    "filter": ErrorDomain.NWFILTER,
}


def worded(scope: Scope, suffix: str, value: str) -> RpcError | None:
    """libvirt's own refusal of a value; None where it has general words.

    Args:
        scope: the element.
        suffix: the end of the key: "/@name", "/@name!", or nothing for a text.
        value: what the document has.
    """
    parent = "" if scope.up is None else f"{scope.up.tag}/"
    key = next(
        (
            key
            for key in (f"{parent}{scope.tag}{suffix}", f"{scope.tag}{suffix}")
            if key in WORDINGS
        ),
        None,
    )
    if key is None:
        return None
    top = scope
    while top.up is not None:
        top = top.up
    code, words = WORDINGS[key]
    owner = _SPEAKERS.get(key, _OWNERS.get(top.tag, ErrorDomain.DOMAIN))
    name = "" if top.raw is None else top.raw.findtext("name") or ""
    words = words.format(refusals.shown(value), name=refusals.shown(name))
    return refusals.refused(code, words, owner)
