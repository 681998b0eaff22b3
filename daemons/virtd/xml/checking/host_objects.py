"""The rules about pools, secrets and network filters, as they are given.

Source: libvirt's src/conf (secret_conf.c, nwfilter_conf.c, storage_conf.c).
"""

from __future__ import annotations

from functools import cache
from typing import Final

from aiovirt.daemons.virtd.xml.checking import Rules, conditions

#: The element that says who uses a secret, and libvirt's words for a missing one.
_USAGES: Final = {
    "volume": ("volume", "volume usage specified, but volume path is missing"),
    "ceph": ("name", "Ceph usage specified, but name is missing"),
    "iscsi": ("target", "iSCSI usage specified, but target is missing"),
    "tls": ("name", "TLS usage specified, but name is missing"),
    "vtpm": ("name", "vTPM usage specified, but name is missing"),
}

#: Beginnings of the names of chains.
_CHAINS: Final = ("mac", "vlan", "stp", "arp", "rarp", "ipv4", "ipv6")
_NO_CHAIN: Final = " and ".join(f"not(starts-with(@chain, '{name}'))" for name in _CHAINS)


@cache
def secrets() -> Rules:
    """The rules about a secret."""
    return Rules(
        conditions(
            ("usage", "internal", f"usage[@type='{kind}'][not(string({element}))]", words)
            for kind, (element, words) in _USAGES.items()
        )
    )


#: Pools that take their name from their source, and pools whose target is not a folder.
_NAMED: Final = ("logical", "rbd", "sheepdog", "gluster", "zfs", "vstorage")
_WITHOUT_TARGET: Final = (*("logical", "zfs"), *("rbd", "sheepdog", "gluster", "iscsi-direct"))


def _among(kinds: tuple[str, ...]) -> str:
    return "(" + " or ".join(f"@type='{kind}'" for kind in kinds) + ")"


@cache
def pools() -> Rules:
    """The rules about a pool."""
    return Rules(
        conditions(
            (
                (
                    "pool",
                    "xml",
                    f"not(string(name)) and not({_among(_NAMED)} and string(source/name))",
                    "missing pool source name element",
                ),
                (
                    "name",
                    "xml",
                    "contains(name, '/')",
                    "name {} cannot contain '/'",
                    "string(name)",
                ),
                (
                    "permissions",
                    "xml",
                    f"target[permissions][not(string(path))] and not({_among(_WITHOUT_TARGET)})",
                    "missing storage pool target path",
                ),
            )
        )
    )


@cache
def filters() -> Rules:
    """The rules about a network filter."""
    return Rules(
        conditions(
            (
                (
                    "filter",
                    "argument",
                    "@priority[. < -1000 or . > 1000]",
                    "Priority '{}' is outside valid range of [-1000,1000]",
                    "string(@priority)",
                ),
                (
                    "filter",
                    "argument",
                    f"@chain[. != 'root'] and {_NO_CHAIN}",
                    "Invalid chain name '{}'. Please use a chain name called 'root' or any of the"
                    f" following prefixes: {', '.join(_CHAINS)}",
                    "string(@chain)",
                ),
            )
        )
    )
