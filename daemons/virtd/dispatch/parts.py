"""The parts of the dispatch: a class for each group of procedures, listed once."""

from __future__ import annotations

from aiovirt.daemons.virtd.dispatch.checkpoints import Checkpoints
from aiovirt.daemons.virtd.dispatch.domain_blocks import DomainBlocks
from aiovirt.daemons.virtd.dispatch.domain_console import DomainConsole
from aiovirt.daemons.virtd.dispatch.domain_descriptors import DomainDescriptors
from aiovirt.daemons.virtd.dispatch.domain_devices import DomainDevices
from aiovirt.daemons.virtd.dispatch.domain_facts import DomainFacts
from aiovirt.daemons.virtd.dispatch.domain_guest import DomainGuest
from aiovirt.daemons.virtd.dispatch.domain_jobs import DomainJobs
from aiovirt.daemons.virtd.dispatch.domain_life import DomainLife
from aiovirt.daemons.virtd.dispatch.domain_lists import DomainLists
from aiovirt.daemons.virtd.dispatch.domain_native import DomainNative
from aiovirt.daemons.virtd.dispatch.domain_pinning import DomainPinning
from aiovirt.daemons.virtd.dispatch.domain_power import DomainPower
from aiovirt.daemons.virtd.dispatch.domain_resources import DomainResources
from aiovirt.daemons.virtd.dispatch.domain_saving import DomainSaving
from aiovirt.daemons.virtd.dispatch.domain_statistics import DomainStatistics
from aiovirt.daemons.virtd.dispatch.domain_subscriptions import DomainSubscriptions
from aiovirt.daemons.virtd.dispatch.domain_tuning import DomainTuning
from aiovirt.daemons.virtd.dispatch.interfaces import Interfaces
from aiovirt.daemons.virtd.dispatch.migration_settings import MigrationSettings
from aiovirt.daemons.virtd.dispatch.migrations import Migrations
from aiovirt.daemons.virtd.dispatch.network_guests import NetworkGuests, NetworkPorts
from aiovirt.daemons.virtd.dispatch.networks import NetworkFacts, NetworkLife, NetworkLists
from aiovirt.daemons.virtd.dispatch.node import Capabilities, Node, Processors
from aiovirt.daemons.virtd.dispatch.node_devices import NodeDevices
from aiovirt.daemons.virtd.dispatch.node_settings import NodeSettings
from aiovirt.daemons.virtd.dispatch.nwfilters import NwFilterBindings, NwFilters
from aiovirt.daemons.virtd.dispatch.object_subscriptions import ObjectSubscriptions
from aiovirt.daemons.virtd.dispatch.qemu_program import QemuAgent, QemuMonitor
from aiovirt.daemons.virtd.dispatch.secrets import Secrets
from aiovirt.daemons.virtd.dispatch.snapshots import Snapshots
from aiovirt.daemons.virtd.dispatch.storage_pools import (
    StoragePoolFacts,
    StoragePoolLife,
    StoragePoolLists,
)
from aiovirt.daemons.virtd.dispatch.storage_transfers import StorageTransfers
from aiovirt.daemons.virtd.dispatch.storage_volumes import (
    StorageVolFacts,
    StorageVolLife,
    StorageVolLists,
)

PARTS = (
    DomainLists,
    DomainFacts,
    DomainLife,
    DomainNative,
    DomainPower,
    DomainResources,
    DomainSaving,
    DomainSubscriptions,
    NetworkLists,
    NetworkFacts,
    NetworkLife,
    NetworkGuests,
    NetworkPorts,
    ObjectSubscriptions,
    StoragePoolLists,
    StoragePoolFacts,
    StoragePoolLife,
    StorageVolLists,
    StorageVolFacts,
    StorageVolLife,
    StorageTransfers,
    Secrets,
    NodeDevices,
    Interfaces,
    NwFilters,
    NwFilterBindings,
    DomainDevices,
    DomainDescriptors,
    MigrationSettings,
    Migrations,
    DomainStatistics,
    DomainPinning,
    DomainTuning,
    Node,
    NodeSettings,
    Capabilities,
    Processors,
    DomainGuest,
    DomainConsole,
    DomainJobs,
    Snapshots,
    Checkpoints,
    DomainBlocks,
)
"""The classes whose methods serve procedures of the remote program."""
QEMU_PARTS = (QemuAgent, QemuMonitor)
"""The classes whose methods serve procedures of the QEMU program."""


def parts() -> list[object]:
    """Make one of each part."""
    return [part() for part in PARTS]
