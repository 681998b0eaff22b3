"""Virtual networks: the record of one, and its life.

Source: libvirt's src/network/bridge_driver.c and, for the test driver, src/test/test_driver.c.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.constants.network import NetworkEventID, NetworkEventLifecycleType
from aiovirt.daemons.virtd.host import standing
from aiovirt.daemons.virtd.host.documents import Definition, cached
from aiovirt.daemons.virtd.host.events import Family
from aiovirt.daemons.virtd.host.standing import Standing, StandingRecord
from aiovirt.daemons.virtd.xml.completion.networks import BRIDGED
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add, assign
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host

#: Bridges that are looked at for a free name.
_BRIDGES_MAX: Final = 4096


class NetworkRecord(StandingRecord, frozen=True, kw_only=True, dict=True):
    """A network. leases: addresses by hardware address, as its DHCP server gave them; ports: their
    documents by UUID."""

    leases: dict[str, str] = msgspec.field(default_factory=dict)
    ports: dict[str, str] = msgspec.field(default_factory=dict)


class Network(Standing[NetworkRecord]):
    """A network of a host."""

    kind: ClassVar[str] = "network"
    record_type = NetworkRecord
    noun = "network"
    family = Family.NETWORK
    document = "network"
    domain = ErrorDomain.NETWORK

    @property
    def root(self) -> etree._Element:
        """The document in force, which is not to be changed."""
        return cached("network", self.record.text).root

    @property
    def bridge(self) -> str | None:
        """The name of its bridge."""
        found = self.root.find("bridge")
        return None if found is None else found.get("name")

    def lifecycle(self, event: NetworkEventLifecycleType) -> None:
        """Tell of a change of its life."""
        self.emit(NetworkEventID.LIFECYCLE, event, 0)


def _completed(host: Host, text: str) -> Definition:
    """Read a client's document; qemu's network driver adds a bridge's name and hardware address."""
    if host.name == "test":
        return host.documents.define("network", text)
    return host.documents.define("network", text, lambda root: _equip(host, root))


def _equip(host: Host, root: etree._Element) -> None:
    rules = KINDS["network"].rules
    forward = root.find("forward")
    mode = None if forward is None else forward.get("mode")
    bridge = root.find("bridge")
    if bridge is None or (mode is not None and mode not in BRIDGED):
        return
    name, own = bridge.get("name"), root.findtext("name")
    taken = {one.bridge for one in host.networks if one.name != own}
    if name is None or "%d" in name:
        pattern = name or "virbr%d"
        names = (pattern.replace("%d", str(number)) for number in range(_BRIDGES_MAX))
        assign(bridge, rules.below("bridge"), "name", next(n for n in names if n not in taken))
    elif name in taken:
        detail = f"bridge name '{name}' already in use."
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.NETWORK)
    if root.find("mac") is None:
        tail = ":".join(f"{byte:02x}" for byte in os.urandom(3))
        add(root, rules, "mac", address=f"52:54:00:{tail}")


def define(host: Host, text: str) -> Network:
    """Define a network, or change a definition; an active network keeps its document until it is
    started again.

    Args:
        host: where.
        text: the document.

    Raises:
        RpcError: as `standing.assign`, and XML_ERROR and others for the document.
    """
    network = standing.assign(host.networks, Network, _completed(host, text), live=False)
    network.lifecycle(NetworkEventLifecycleType.DEFINED)
    return network


def create(host: Host, text: str) -> Network:
    """Start a network from a document, which is not kept. Raises RpcError as `define`."""
    network = standing.assign(host.networks, Network, _completed(host, text), live=True)
    network.lifecycle(NetworkEventLifecycleType.STARTED)
    return network


def start(network: Network) -> None:
    """Start a network that is defined. Raises RpcError OPERATION_INVALID for an active one."""
    if network.is_active:
        if network.host.name == "test":
            detail = f"Network '{network.name}' is already running"
            raise network.invalid(detail, ErrorDomain.TEST)
        raise network.invalid("network is already active")
    network.change(live=network.record.config)
    network.lifecycle(NetworkEventLifecycleType.STARTED)


def destroy(network: Network) -> None:
    """Stop a network. Raises RpcError OPERATION_INVALID if it is inactive; test's may be."""
    if not network.is_active and network.host.name != "test":
        raise network.invalid(f"network '{network.name}' is not active")
    kept = {}
    if network.host.name == "test" and network.is_persistent:
        kept["config"] = network.record.text  # test's have one document, running or not
    standing.stop(network.host.networks, network, leases={}, ports={}, **kept)
    network.lifecycle(NetworkEventLifecycleType.STOPPED)


def undefine(network: Network) -> None:
    """Remove a definition. Raises RpcError OPERATION_INVALID when the driver does not allow it."""
    if network.host.name == "test":
        if network.is_active:
            detail = f"Network '{network.name}' is still running"
            raise network.invalid(detail, ErrorDomain.TEST)
    elif not network.is_persistent:
        raise network.invalid("can't undefine transient network")
    standing.forget(network.host.networks, network)
    network.lifecycle(NetworkEventLifecycleType.UNDEFINED)


def set_autostart(network: Network, wanted: bool) -> None:
    """Have a network started with the daemon, or not.

    Args:
        network: the network.
        wanted: whether it is to be started.

    Raises:
        RpcError: OPERATION_INVALID for a transient network of qemu's driver.
    """
    if network.host.name != "test" and not network.is_persistent:
        raise network.invalid("cannot set autostart for transient network")
    network.change(autostart=wanted)


def bridge_name(network: Network) -> str:
    """Return the name of its bridge. Raises RpcError INTERNAL_ERROR if it has none."""
    found = network.bridge
    if found is None:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR,
            f"network '{network.name}' does not have a bridge name.",
            domain=network.host.flavour.network,
        )
    return found
