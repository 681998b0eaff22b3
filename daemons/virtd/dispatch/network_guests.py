"""Guests on networks: their leases, their ports, and the addresses of a guest.

Source: libvirt's src/network/bridge_driver.c, src/qemu/qemu_driver.c (qemuDomainInterfaceAddresses) and
src/test/test_driver.c (testDomainInterfaceAddresses).
"""

from __future__ import annotations

import ipaddress
import uuid as uuids
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainInterfaceAddressesSource as Source
from aiovirt.daemons.virtd.constants.network import IPAddrType, NetworkPortCreateFlags
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.listing import check_flags
from aiovirt.daemons.virtd.dispatch.networks import find_network, network_ref
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import agent_asking, leases, network_ports
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

#: A hardware address.
_MAC: Final = pattern(r"[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){5}")


def _check(session: Session, flags: int, supported: int, function: str) -> None:
    check_flags(session, session.host.flavour.network, flags, supported, function)


def _family(address: leases.Address) -> IPAddrType:
    return IPAddrType.IPV4 if address.version == 4 else IPAddrType.IPV6


def _wire(lease: leases.Lease) -> protocol.NetworkDhcpLease:
    v6 = lease.address.version == 6
    client = f"00:03:00:01:{lease.mac}" if v6 else f"01:{lease.mac}"
    iaid = str(int(lease.mac.replace(":", "")[-6:] or "0", 16)) if v6 else None
    return protocol.NetworkDhcpLease(
        lease.bridge,
        lease.expiry,
        _family(lease.address),
        lease.mac,
        iaid,
        str(lease.address),
        lease.prefix,
        lease.hostname,
        client,
    )


class NetworkGuests:
    """Serves leases and addresses of guests."""

    @answers(protocol.NETWORK_GET_DHCP_LEASES)
    def leases(
        self, session: Session, args: protocol.NetworkGetDhcpLeasesArgs
    ) -> protocol.NetworkGetDhcpLeasesRet:
        _check(session, args.flags, 0, "NetworkGetDHCPLeases")
        network = find_network(session, args.net)
        if args.mac is not None and _MAC.fullmatch(args.mac) is None:
            raise RpcError.of(ErrorCode.INVALID_MAC, args.mac, domain=ErrorDomain.NETWORK)
        found = [_wire(one) for one in leases.leases(network, args.mac)]
        return protocol.NetworkGetDhcpLeasesRet(found if args.need_results else [], len(found))

    @answers(protocol.DOMAIN_INTERFACE_ADDRESSES)
    def addresses(
        self, session: Session, args: protocol.DomainInterfaceAddressesArgs
    ) -> protocol.DomainInterfaceAddressesRet:
        flavour = session.host.flavour
        flavour.check_flags(args.flags, 0, "DomainInterfaceAddresses")
        domain = find_domain(session, args.dom)
        if session.host.name != "test":
            domain.require_active()
        if args.source not in set(Source):
            detail = f"Unknown IP address data source {args.source}"
            raise RpcError.of(ErrorCode.ARGUMENT_UNSUPPORTED, detail, domain=flavour.domain)
        if session.host.name == "test":
            domain.require_active()
            return protocol.DomainInterfaceAddressesRet(_of_test(domain))
        if args.source == Source.AGENT:
            return protocol.DomainInterfaceAddressesRet(_of_agent(domain))
        return protocol.DomainInterfaceAddressesRet(_of_qemu(domain, Source(args.source)))


def _address(address: leases.Address, prefix: int) -> protocol.DomainIpAddr:
    return protocol.DomainIpAddr(_family(address), str(address), prefix)


def _of_agent(domain: Domain) -> list[protocol.DomainInterface]:
    """The interfaces as the guest has them. Raises RpcError if no agent answers."""
    return [
        protocol.DomainInterface(
            one["name"],
            one["hardware-address"],
            [
                _address(ipaddress.ip_address(each["ip-address"]), each["prefix"])
                for each in one["ip-addresses"]
            ],
        )
        for one in agent_asking.ask(domain, "guest-network-get-interfaces")
    ]


def _of_qemu(domain: Domain, source: Source) -> list[protocol.DomainInterface]:
    """The interfaces that have an address; of ARP no prefix is known."""
    found = []
    for interface, given in leases.of_guest(domain):
        addresses = [
            _address(one.address, 0 if source == Source.ARP else one.prefix) for one in given
        ]
        if addresses:
            found.append(protocol.DomainInterface(interface.target, interface.mac, addresses))
    return found


def _of_test(domain: Domain) -> list[protocol.DomainInterface]:
    """The test driver's addresses, which depend on the order of interfaces and the guest's id."""
    found = []
    for number, interface in enumerate(leases.interfaces(domain.record)):
        address: leases.Address = ipaddress.ip_address(f"192.168.0.{(1 + number) % 256}")
        prefix = 24
        if interface.kind == "network":
            network = domain.host.networks.by_name(interface.network)
            if network is None:
                detail = f"no network with matching name '{interface.network}'"
                raise RpcError.of(ErrorCode.NO_NETWORK, detail, domain=ErrorDomain.TEST)
            first, prefix = leases.first(network)
            offset = 20 * (domain.record.number - 1) + number + 1
            address = type(first)((int(first) + offset) % (1 << first.max_prefixlen))
        target = interface.target
        found.append(protocol.DomainInterface(target, interface.mac, [_address(address, prefix)]))
    return found


class NetworkPorts:
    """Serves the ports of networks."""

    @answers(protocol.NETWORK_LIST_ALL_PORTS)
    def list_all(
        self, session: Session, args: protocol.NetworkListAllPortsArgs
    ) -> protocol.NetworkListAllPortsRet:
        _check(session, args.flags, 0, "NetworkListAllPorts")
        network = network_ports.active(find_network(session, args.network))
        ref = network_ref(network)
        refs = [
            protocol.NonnullNetworkPort(ref, uuids.UUID(one).bytes) for one in network.record.ports
        ]
        return protocol.NetworkListAllPortsRet(refs if args.need_results else [], len(refs))

    @answers(protocol.NETWORK_PORT_LOOKUP_BY_UUID)
    def lookup(
        self, session: Session, args: protocol.NetworkPortLookupByUuidArgs
    ) -> protocol.NetworkPortRet:
        network = find_network(session, args.network)
        network_ports.text(network, args.uuid)
        return protocol.NetworkPortRet(protocol.NonnullNetworkPort(network_ref(network), args.uuid))

    @answers(protocol.NETWORK_PORT_CREATE_XML)
    def create(
        self, session: Session, args: protocol.NetworkPortCreateXmlArgs
    ) -> protocol.NetworkPortRet:
        _check(session, args.flags, int(sum(NetworkPortCreateFlags)), "NetworkPortCreateXML")
        network = find_network(session, args.network)
        reclaim = bool(args.flags & NetworkPortCreateFlags.RECLAIM)
        uuid = network_ports.create(network, args.xml, reclaim=reclaim)
        return protocol.NetworkPortRet(protocol.NonnullNetworkPort(network_ref(network), uuid))

    @answers(protocol.NETWORK_PORT_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.NetworkPortFlagsArgs) -> protocol.XmlRet:
        _check(session, args.flags, 0, "NetworkPortGetXMLDesc")
        network = find_network(session, args.port.net)
        return protocol.XmlRet(network_ports.text(network, args.port.uuid))

    @answers(protocol.NETWORK_PORT_DELETE)
    def delete(self, session: Session, args: protocol.NetworkPortFlagsArgs) -> None:
        _check(session, args.flags, 0, "NetworkPortDelete")
        network_ports.delete(find_network(session, args.port.net), args.port.uuid)

    @answers(protocol.NETWORK_PORT_GET_PARAMETERS)
    def parameters(
        self, session: Session, args: protocol.NetworkPortGetParametersArgs
    ) -> protocol.NetworkPortGetParametersRet:
        _check(session, args.flags, 0, "NetworkPortGetParameters")
        network = find_network(session, args.port.net)
        found = network_ports.parameters(network, args.port.uuid)
        return protocol.NetworkPortGetParametersRet(found, len(found))

    @answers(protocol.NETWORK_PORT_SET_PARAMETERS)
    def set_parameters(self, session: Session, args: protocol.NetworkPortSetParametersArgs) -> None:
        _check(session, args.flags, 0, "NetworkPortSetParameters")
        network = find_network(session, args.port.net)
        network_ports.set_parameters(network, args.port.uuid, args.params)
