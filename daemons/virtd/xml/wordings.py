"""How libvirt refuses a value of an attribute or a text where it does not use its general words.

A key is `element/@attribute` or `element`, with the parent's name before it where elements of one name
differ; with `!` at its end it is about an absent attribute. A wording is a code and words, in which
`{}` is the value.
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
    "ip/@address": (_XML, "Invalid address '{}' in network"),
    "ip/@netmask": (_XML, "Invalid netmask '{}' in network"),
    "network/mac/@address": (_XML, "Invalid bridge mac address '{}' in network"),
    "host/@mac": (_XML, "Cannot parse MAC address '{}' in network"),
    "source/format/@type": (_UNSUPPORTED, "unknown pool format type {}"),
    "permissions/mode": (_XML, "malformed octal mode"),
    "permissions/owner": (_XML, "malformed owner element"),
    "permissions/group": (_XML, "malformed group element"),
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
    return refusals.refused(code, words.format(refusals.shown(value)), owner)
