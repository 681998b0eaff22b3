"""Networks: which ones exist, what they are, and their life.

Source: libvirt's src/network/bridge_driver.c and src/test/test_driver.c.
"""

from __future__ import annotations

import uuid as uuids
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.network import (
    ConnectListAllNetworksFlags,
    NetworkUpdateFlags,
    NetworkXMLFlags,
)
from aiovirt.daemons.virtd.dispatch.listing import STANDING, check_flags, chosen
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import leases, network, network_sections
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.network import Network

_FILTERS: Final = int(sum(ConnectListAllNetworksFlags))
_UPDATE: Final = int(sum(NetworkUpdateFlags))
_VALIDATE: Final = 1


def no_network(session: Session, what: str) -> RpcError:
    """Make the error for a network that does not exist.

    Args:
        session: whose driver says so.
        what: kind and value of what was looked for: "name 'x'".
    """
    detail = f"no network with matching {what}"
    return RpcError.of(ErrorCode.NO_NETWORK, detail, domain=session.host.flavour.network)


def find_network(
    session: Session, wanted: protocol.NonnullNetwork, *, told_by_name: bool = True
) -> Network:
    """Return the network that a call names, by its UUID.

    Args:
        session: whose driver is asked.
        wanted: the network.
        told_by_name: the test driver misses it by name, as in most of its functions.

    Raises:
        RpcError: NO_NETWORK.
    """
    found = session.host.networks.by_uuid(wanted.uuid)
    if found is None:
        text = str(uuids.UUID(bytes=wanted.uuid))
        if session.host.name == "qemu":
            raise no_network(session, f"uuid '{text}' ({wanted.name})")
        raise no_network(session, f"name '{wanted.name}'" if told_by_name else f"uuid '{text}'")
    return found


def network_ref(found: Network) -> protocol.NonnullNetwork:
    """Return a network as answers name it."""
    return protocol.NonnullNetwork(found.name, found.uuid)


def _check(session: Session, flags: int, supported: int, function: str) -> None:
    check_flags(session, session.host.flavour.network, flags, supported, function)


class NetworkLists:
    """Serves the lists of networks, and the looking up of one."""

    @answers(protocol.CONNECT_LIST_ALL_NETWORKS)
    def list_all(
        self, session: Session, args: protocol.ListAllArgs
    ) -> protocol.ConnectListAllNetworksRet:
        _check(session, args.flags, _FILTERS, "ConnectListAllNetworks")
        refs = [network_ref(one) for one in chosen(session.host.networks, args.flags, STANDING)]
        return protocol.ConnectListAllNetworksRet(refs if args.need_results else [], len(refs))

    @answers(protocol.CONNECT_NUM_OF_NETWORKS)
    def count(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(sum(one.is_active for one in session.host.networks))

    @answers(protocol.CONNECT_NUM_OF_DEFINED_NETWORKS)
    def count_inactive(self, session: Session, args: None) -> protocol.NumRet:
        return protocol.NumRet(sum(not one.is_active for one in session.host.networks))

    @answers(protocol.CONNECT_LIST_NETWORKS)
    def names(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListNetworksRet:
        names = [one.name for one in session.host.networks if one.is_active]
        return protocol.ConnectListNetworksRet(names[: max(0, args.maxnames)])

    @answers(protocol.CONNECT_LIST_DEFINED_NETWORKS)
    def names_inactive(
        self, session: Session, args: protocol.MaxNamesArgs
    ) -> protocol.ConnectListNetworksRet:
        names = [one.name for one in session.host.networks if not one.is_active]
        return protocol.ConnectListNetworksRet(names[: max(0, args.maxnames)])

    @answers(protocol.NETWORK_LOOKUP_BY_NAME)
    def by_name(self, session: Session, args: protocol.NameArgs) -> protocol.NetworkRet:
        found = session.host.networks.by_name(args.name)
        if found is None:
            raise no_network(session, f"name '{args.name}'")
        return protocol.NetworkRet(network_ref(found))

    @answers(protocol.NETWORK_LOOKUP_BY_UUID)
    def by_uuid(self, session: Session, args: protocol.UuidArgs) -> protocol.NetworkRet:
        found = session.host.networks.by_uuid(args.uuid)
        if found is None:
            raise no_network(session, f"uuid '{uuids.UUID(bytes=args.uuid)}'")
        return protocol.NetworkRet(network_ref(found))


class NetworkFacts:
    """Serves what clients ask of one network."""

    @answers(protocol.NETWORK_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.NetworkGetXmlDescArgs) -> protocol.XmlRet:
        supported = 0 if session.host.name == "test" else NetworkXMLFlags.INACTIVE
        _check(session, args.flags, supported, "NetworkGetXMLDesc")
        inactive = bool(args.flags & NetworkXMLFlags.INACTIVE)
        return protocol.XmlRet(leases.shown(find_network(session, args.net), inactive=inactive))

    @answers(protocol.NETWORK_GET_BRIDGE_NAME)
    def bridge(self, session: Session, args: protocol.NetworkArgs) -> protocol.NameRet:
        return protocol.NameRet(network.bridge_name(find_network(session, args.net)))

    @answers(protocol.NETWORK_IS_ACTIVE)
    def is_active(self, session: Session, args: protocol.NetworkArgs) -> protocol.ActiveRet:
        found = find_network(session, args.net, told_by_name=False)
        return protocol.ActiveRet(int(found.is_active))

    @answers(protocol.NETWORK_IS_PERSISTENT)
    def is_persistent(self, session: Session, args: protocol.NetworkArgs) -> protocol.PersistentRet:
        found = find_network(session, args.net, told_by_name=False)
        return protocol.PersistentRet(int(found.is_persistent))

    @answers(protocol.NETWORK_GET_AUTOSTART)
    def autostart(self, session: Session, args: protocol.NetworkArgs) -> protocol.AutostartRet:
        return protocol.AutostartRet(int(find_network(session, args.net).record.autostart))

    @answers(protocol.NETWORK_SET_AUTOSTART)
    def set_autostart(self, session: Session, args: protocol.NetworkSetAutostartArgs) -> None:
        network.set_autostart(find_network(session, args.net), bool(args.autostart))


class NetworkLife:
    """Serves the life of networks."""

    @answers(protocol.NETWORK_DEFINE_XML)
    def define(self, session: Session, args: protocol.XmlArgs) -> protocol.NetworkRet:
        return protocol.NetworkRet(network_ref(network.define(session.host, args.xml)))

    @answers(protocol.NETWORK_DEFINE_XML_FLAGS)
    def define_flags(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.NetworkRet:
        _check(session, args.flags, _VALIDATE, "NetworkDefineXMLFlags")
        return protocol.NetworkRet(network_ref(network.define(session.host, args.xml)))

    @answers(protocol.NETWORK_CREATE_XML)
    def create_xml(self, session: Session, args: protocol.XmlArgs) -> protocol.NetworkRet:
        return protocol.NetworkRet(network_ref(network.create(session.host, args.xml)))

    @answers(protocol.NETWORK_CREATE_XML_FLAGS)
    def create_flags(self, session: Session, args: protocol.XmlFlagsArgs) -> protocol.NetworkRet:
        _check(session, args.flags, _VALIDATE, "NetworkCreateXMLFlags")
        return protocol.NetworkRet(network_ref(network.create(session.host, args.xml)))

    @answers(protocol.NETWORK_CREATE)
    def create(self, session: Session, args: protocol.NetworkArgs) -> None:
        network.start(find_network(session, args.net))

    @answers(protocol.NETWORK_DESTROY)
    def destroy(self, session: Session, args: protocol.NetworkArgs) -> None:
        network.destroy(find_network(session, args.net))

    @answers(protocol.NETWORK_UNDEFINE)
    def undefine(self, session: Session, args: protocol.NetworkArgs) -> None:
        network.undefine(find_network(session, args.net))

    @answers(protocol.NETWORK_UPDATE)
    def update(self, session: Session, args: protocol.NetworkUpdateArgs) -> None:
        _check(session, args.flags, _UPDATE, "NetworkUpdate")
        found = find_network(session, args.net)
        network_sections.update(
            found, args.command, args.section, args.parentIndex, args.xml, args.flags
        )
