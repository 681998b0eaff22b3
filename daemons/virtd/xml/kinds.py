"""The kinds of documents that virtd knows, each with its table, compiled when it is first used."""

from __future__ import annotations

from functools import cache, cached_property
from typing import Final

import msgspec

from aiovirt.daemons.virtd.xml.rules import Rule, compile_table
from aiovirt.daemons.virtd.xml.tables import (
    character_devices,
    domain,
    host_objects,
    moments,
    network,
    network_devices,
    screen_devices,
    shared,
    storage,
    storage_devices,
    storage_sources,
)
from aiovirt.rpc.wire.errors import ErrorDomain

_SHARED: Final = (shared.ADDRESSES, shared.SECRETS, shared.NETWORKING)
_DOMAIN: Final = (
    storage_sources.SOURCES,
    storage_devices.DISKS,
    storage_devices.CONTROLLERS,
    storage_devices.OTHERS,
    character_devices.CHARACTERS,
    network_devices.INTERFACES,
    network_devices.HOST_DEVICES,
    screen_devices.GRAPHICS,
    screen_devices.DESK,
    screen_devices.DEVICES,
    domain.TUNING,
    domain.FEATURES,
    domain.CPU,
    domain.BOOT,
    domain.DOMAIN,
)


class Kind(msgspec.Struct, frozen=True, dict=True):
    """One kind of document: the name of its root, libvirt's name for it in errors, and its tables."""

    root: str
    label: str
    domain: ErrorDomain
    tables: tuple[str, ...]

    @cached_property
    def rules(self) -> Rule:
        """The rule of the root."""
        return _compiled(self.tables)[self.root]


@cache
def _compiled(tables: tuple[str, ...]) -> dict[str, Rule]:
    return compile_table((*_SHARED, *tables))


@cache
def domain_rules() -> dict[str, Rule]:
    """The rules of guests and their devices, by name."""
    return _compiled(_DOMAIN)


#: All kinds, by the name that `documents.read` takes.
KINDS: Final[dict[str, Kind]] = {
    "domain": Kind("domain", "domain_definition", ErrorDomain.DOMAIN, _DOMAIN),
    "network": Kind("network", "network_definition", ErrorDomain.NETWORK, (network.NETWORK,)),
    "network-port": Kind(
        "networkport", "networkport_definition", ErrorDomain.NETWORK, (network.PORT,)
    ),
    "pool": Kind("pool", "storage_pool_definition", ErrorDomain.STORAGE, (storage.POOL,)),
    "volume": Kind(
        "volume", "storage_volume_definition", ErrorDomain.STORAGE, (storage.POOL, storage.VOLUME)
    ),
    "secret": Kind("secret", "definition_of_secret", ErrorDomain.SECRET, (host_objects.SECRETS,)),
    "interface": Kind(
        "interface", "interface_definition", ErrorDomain.INTERFACE, (host_objects.INTERFACE,)
    ),
    "nwfilter": Kind(
        "filter", "nwfilter_definition", ErrorDomain.NWFILTER, (host_objects.NWFILTER,)
    ),
    "node-device": Kind(
        "device", "node_device_definition", ErrorDomain.NODEDEV, (host_objects.NODE_DEVICE,)
    ),
    "snapshot": Kind(
        "domainsnapshot",
        "domain_snapshot",
        ErrorDomain.DOMAIN_SNAPSHOT,
        (storage_sources.SOURCES, moments.SNAPSHOT),
    ),
    "checkpoint": Kind(
        "domaincheckpoint",
        "domain_checkpoint",
        ErrorDomain.DOMAIN_CHECKPOINT,
        (moments.CHECKPOINT,),
    ),
    "backup": Kind("domainbackup", "domain_backup", ErrorDomain.DOMAIN, (moments.BACKUP,)),
}
