"""Networks, as libvirt's test driver and its network driver have them.

Codes, domains and texts are those that libvirt 9.0.0 answers.
"""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainInterfaceAddressesSource as Source
from aiovirt.daemons.virtd.constants.network import (
    NetworkEventLifecycleType,
    NetworkUpdateCommand,
    NetworkUpdateFlags,
    NetworkUpdateSection,
)
from aiovirt.daemons.virtd.host import leases
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import DOMAIN, Client, MakeVirtd, Virtd

BOTH = pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])
NETWORK = """
<network>
  <name>{name}</name>
  <forward mode='nat'/>
  <ip address='10.1.2.1' netmask='255.255.255.0'>
    <dhcp><range start='10.1.2.10' end='10.1.2.11'/></dhcp>
  </ip>
</network>
"""
DEFAULT = "192.168.122.0/24"


async def named(client: Client, name: str = "default") -> protocol.NonnullNetwork:
    args = protocol.NameArgs(name)
    return (await client.call(protocol.NETWORK_LOOKUP_BY_NAME, args)).net


async def defined(client: Client, name: str = "net") -> protocol.NonnullNetwork:
    args = protocol.XmlArgs(NETWORK.format(name=name))
    return (await client.call(protocol.NETWORK_DEFINE_XML, args)).net


async def text_of(client: Client, net: protocol.NonnullNetwork, flags: int = 0) -> str:
    args = protocol.NetworkGetXmlDescArgs(net, flags)
    return str((await client.call(protocol.NETWORK_GET_XML_DESC, args)).xml)


@BOTH
async def test_a_host_begins_with_the_active_network_default(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    listed = await client.call(protocol.CONNECT_LIST_ALL_NETWORKS, protocol.ListAllArgs(1, 2))
    assert [one.name for one in listed.nets] == ["default"]
    args = protocol.NetworkArgs(await named(client))
    assert (await client.call(protocol.NETWORK_GET_BRIDGE_NAME, args)).name == "virbr0"
    assert (await client.call(protocol.NETWORK_IS_PERSISTENT, args)).persistent == 1
    autostart = (await client.call(protocol.NETWORK_GET_AUTOSTART, args)).autostart
    assert autostart == (uri == "qemu:///system")


@BOTH
async def test_a_networks_life_and_its_events(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    events: asyncio.Queue[Any] = asyncio.Queue()
    client.rpc.on_event(protocol.NETWORK_EVENT_LIFECYCLE, events.put_nowait)
    register = protocol.ConnectNetworkEventRegisterAnyArgs(0, None)
    await client.call(protocol.CONNECT_NETWORK_EVENT_REGISTER_ANY, register)
    net = await defined(client)
    args = protocol.NetworkArgs(net)
    assert (await client.call(protocol.NETWORK_IS_ACTIVE, args)).active == 0
    await client.call(protocol.NETWORK_CREATE, args)
    assert (await client.call(protocol.NETWORK_IS_ACTIVE, args)).active == 1
    await client.call(protocol.NETWORK_DESTROY, args)
    await client.call(protocol.NETWORK_UNDEFINE, args)
    kinds = NetworkEventLifecycleType
    for kind in (kinds.DEFINED, kinds.STARTED, kinds.STOPPED, kinds.UNDEFINED):
        event = await events.get()
        assert (event.net, event.event) == (net, kind)
    error = await client.refused(protocol.NETWORK_IS_ACTIVE, args)
    assert error.code == ErrorCode.NO_NETWORK


@BOTH
async def test_a_transient_network_is_gone_when_it_stops(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    args = protocol.XmlArgs(NETWORK.format(name="net"))
    net = (await client.call(protocol.NETWORK_CREATE_XML, args)).net
    listed = await client.call(protocol.CONNECT_LIST_ALL_NETWORKS, protocol.ListAllArgs(1, 8))
    assert listed.nets == [net]
    await client.call(protocol.NETWORK_DESTROY, protocol.NetworkArgs(net))
    error = await client.refused(protocol.NETWORK_LOOKUP_BY_NAME, protocol.NameArgs("net"))
    domain = ErrorDomain.TEST if uri.startswith("test") else ErrorDomain.NETWORK
    text = "Network not found: no network with matching name 'net'"
    assert (error.code, error.domain, error.message) == (ErrorCode.NO_NETWORK, domain, text)


REFUSED = [
    ("test", protocol.NETWORK_CREATE, ErrorDomain.TEST, "Network 'default' is already running"),
    ("test", protocol.NETWORK_UNDEFINE, ErrorDomain.TEST, "Network 'default' is still running"),
    ("qemu", protocol.NETWORK_CREATE, ErrorDomain.NETWORK, "network is already active"),
]


@pytest.mark.parametrize(("driver", "procedure", "domain", "text"), REFUSED)
async def test_an_active_network_refuses_in_its_drivers_words(
    virtd: Virtd, driver: str, procedure: Any, domain: ErrorDomain, text: str
) -> None:
    client = await virtd.connect("test:///default" if driver == "test" else "qemu:///system")
    error = await client.refused(procedure, protocol.NetworkArgs(await named(client)))
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, domain)
    assert error.message == f"Requested operation is not valid: {text}"


async def test_two_networks_have_neither_one_name_nor_one_bridge(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    net = await defined(client)
    assert "<bridge name='virbr1' stp='on' delay='0'/>" in await text_of(client, net)
    other = "<network><name>net</name><uuid>11111111-1111-1111-1111-111111111111</uuid></network>"
    error = await client.refused(protocol.NETWORK_DEFINE_XML, protocol.XmlArgs(other))
    assert (error.code, error.domain) == (ErrorCode.OPERATION_FAILED, ErrorDomain.NETWORK)
    assert "network 'net' already exists with uuid" in error.message
    other = "<network><name>other</name><bridge name='virbr0'/></network>"
    error = await client.refused(protocol.NETWORK_DEFINE_XML, protocol.XmlArgs(other))
    assert error.message == "internal error: bridge name 'virbr0' already in use."


async def leases_of(client: Client, mac: str | None = None) -> list[protocol.NetworkDhcpLease]:
    args = protocol.NetworkGetDhcpLeasesArgs(await named(client), mac, 1, 0)
    return list((await client.call(protocol.NETWORK_GET_DHCP_LEASES, args)).leases)


async def test_a_running_guest_has_an_address_and_keeps_it(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    guest = await client.define()
    assert await leases_of(client) == []
    await client.start(guest)
    (lease,) = await leases_of(client)
    assert ipaddress.ip_address(lease.ipaddr) in ipaddress.ip_network(DEFAULT)
    assert (lease.iface, lease.prefix, lease.hostname) == ("virbr0", 24, "guest")
    assert await leases_of(client, lease.mac) == [lease]
    assert await leases_of(client, "52:54:00:00:00:00") == []
    assert "<network connections='1'>" in await text_of(client, await named(client))
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(guest))
    assert await leases_of(client) == []
    await client.start(guest)
    assert [one.ipaddr for one in await leases_of(client)] == [lease.ipaddr]


async def test_a_full_network_is_looked_through_once_for_all_interfaces(
    virtd: Virtd, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await virtd.connect("qemu:///system")
    # PCI has not so many places as USB.
    one = "<interface type='network'><source network='default'/><model type='usb-net'/></interface>"
    guests = []
    for name in ("first", "second"):
        text = DOMAIN.format(title="qemu", name=name).replace(
            "</devices>", 300 * one + "</devices>"
        )
        made = await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
        guests.append(made.dom)
    await client.start(guests[0])
    looked: list[str] = []
    free = leases._Server.free

    def counted(server: leases._Server, mac: str, taken: set[str]) -> leases.Address | None:
        looked.append(mac)
        return free(server, mac, taken)

    monkeypatch.setattr(leases._Server, "free", counted)
    held = await leases_of(client)
    assert len({one.ipaddr for one in held}) == len(held) == 253
    assert len(looked) == 253 + 2  # and once more when the addresses of other guests are free
    looked.clear()
    args = protocol.DomainInterfaceAddressesArgs(guests[0], Source.LEASE, 0)
    found = (await client.call(protocol.DOMAIN_INTERFACE_ADDRESSES, args)).ifaces
    assert [one.addrs[0].addr for one in found] == [one.ipaddr for one in held]
    assert len(looked) == 2
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(guests[0]))
    await client.start(guests[1])
    assert len(await leases_of(client)) == 253


async def test_the_first_entry_of_a_network_for_a_guest_counts(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    net, guest = await named(client), await client.define()
    await client.start(guest)
    (lease,) = await leases_of(client)
    section, both = NetworkUpdateSection.IP_DHCP_HOST, 3
    add = NetworkUpdateCommand.ADD_LAST
    for entry in (
        "<host mac='52:54:00:00:00:01' ip='192.168.122.70'/>",
        "<host name='guest' ip='192.168.122.71'/>",
        f"<host mac='{lease.mac}' ip='192.168.122.72'/>",
    ):
        await client.call(protocol.NETWORK_UPDATE, change(net, add, section, entry, both))
    assert [one.ipaddr for one in await leases_of(client)] == ["192.168.122.71"]


async def test_a_guest_starts_only_on_active_networks(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    guest = await client.define()
    args = protocol.NetworkArgs(await named(client))
    await client.call(protocol.NETWORK_DESTROY, args)
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.NETWORK)
    assert error.message.endswith("network 'default' is not active")
    await client.call(protocol.NETWORK_UNDEFINE, args)
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))
    assert (error.code, error.domain) == (ErrorCode.NO_NETWORK, ErrorDomain.NETWORK)


@pytest.mark.parametrize(("source", "prefix"), [(Source.LEASE, 24), (Source.ARP, 0)])
async def test_a_guests_addresses_are_its_leases(virtd: Virtd, source: Source, prefix: int) -> None:
    client = await virtd.connect("qemu:///system")
    guest = await client.define()
    args = protocol.DomainInterfaceAddressesArgs(guest, source, 0)
    error = await client.refused(protocol.DOMAIN_INTERFACE_ADDRESSES, args)
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.DOMAIN)
    await client.start(guest)
    (lease,) = await leases_of(client)
    (found,) = (await client.call(protocol.DOMAIN_INTERFACE_ADDRESSES, args)).ifaces
    assert found.hwaddr == lease.mac
    assert [(one.addr, one.prefix) for one in found.addrs] == [(lease.ipaddr, prefix)]


async def test_a_guest_without_an_agent_has_none_to_ask(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    guest = await client.define()
    await client.start(guest)
    args = protocol.DomainInterfaceAddressesArgs(guest, Source.AGENT, 0)
    error = await client.refused(protocol.DOMAIN_INTERFACE_ADDRESSES, args)
    assert (error.code, error.domain) == (ErrorCode.ARGUMENT_UNSUPPORTED, ErrorDomain.QEMU)


async def test_the_test_drivers_guest_has_the_address_that_libvirt_gives_it(virtd: Virtd) -> None:
    client = await virtd.connect()
    listed = await client.call(protocol.CONNECT_LIST_ALL_DOMAINS, protocol.ListAllArgs(1, 0))
    args = protocol.DomainInterfaceAddressesArgs(listed.domains[0], Source.LEASE, 0)
    (found,) = (await client.call(protocol.DOMAIN_INTERFACE_ADDRESSES, args)).ifaces
    assert [(one.addr, one.prefix) for one in found.addrs] == [("192.168.122.3", 24)]


def change(
    net: protocol.NonnullNetwork, command: int, section: int, text: str, flags: int = 0
) -> protocol.NetworkUpdateArgs:
    return protocol.NetworkUpdateArgs(net, command, section, -1, text, flags)


async def test_a_host_entry_decides_on_a_guests_address(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    guest = await client.define()
    await client.start(guest)
    (lease,) = await leases_of(client)
    text = f"<host mac='{lease.mac}' name='fixed' ip='192.168.122.77'/>"
    both = NetworkUpdateFlags.AFFECT_LIVE | NetworkUpdateFlags.AFFECT_CONFIG
    section = NetworkUpdateSection.IP_DHCP_HOST
    net = await named(client)
    add = change(net, NetworkUpdateCommand.ADD_LAST, section, text, both)
    await client.call(protocol.NETWORK_UPDATE, add)
    (found,) = await leases_of(client)
    assert (found.ipaddr, found.hostname) == ("192.168.122.77", "fixed")
    assert text in await text_of(client, net, 1)
    error = await client.refused(protocol.NETWORK_UPDATE, add)
    assert "there is an existing dhcp host entry in network 'default'" in error.message
    moved = f"<host mac='{lease.mac}' ip='192.168.122.78'/>"
    modify = change(net, NetworkUpdateCommand.MODIFY, section, moved)
    await client.call(protocol.NETWORK_UPDATE, modify)
    assert [one.ipaddr for one in await leases_of(client)] == ["192.168.122.78"]
    assert text in await text_of(client, net, 1)
    delete = change(net, NetworkUpdateCommand.DELETE, section, f"<host mac='{lease.mac}'/>", both)
    await client.call(protocol.NETWORK_UPDATE, delete)
    assert "<host" not in await text_of(client, net)
    error = await client.refused(protocol.NETWORK_UPDATE, delete)
    assert "couldn't locate a matching dhcp host entry" in error.message


SECTIONS = [
    (NetworkUpdateSection.DNS_HOST, "<host ip='10.1.2.3'><hostname>a</hostname></host>"),
    (NetworkUpdateSection.DNS_TXT, "<txt name='a' value='b'/>"),
    (NetworkUpdateSection.DNS_SRV, "<srv service='a' protocol='tcp' target='b'/>"),
    (NetworkUpdateSection.IP_DHCP_RANGE, "<range start='10.1.2.20' end='10.1.2.30'/>"),
    (NetworkUpdateSection.PORTGROUP, "<portgroup name='a'/>"),
]


@BOTH
@pytest.mark.parametrize(("section", "text"), SECTIONS)
async def test_an_entry_comes_and_goes(virtd: Virtd, uri: str, section: int, text: str) -> None:
    client = await virtd.connect(uri)
    net = await defined(client)
    before = await text_of(client, net)
    await client.call(
        protocol.NETWORK_UPDATE, change(net, NetworkUpdateCommand.ADD_FIRST, section, text)
    )
    assert await text_of(client, net) != before
    await client.call(
        protocol.NETWORK_UPDATE, change(net, NetworkUpdateCommand.DELETE, section, text)
    )
    assert await text_of(client, net) == before
    error = await client.refused(
        protocol.NETWORK_UPDATE, change(net, NetworkUpdateCommand.DELETE, section, text)
    )
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.NETWORK)


async def test_a_full_range_gives_no_second_guest_the_same_address(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    net = await defined(client, "small")
    await client.call(protocol.NETWORK_CREATE, protocol.NetworkArgs(net))
    guests = []
    for number in range(4):
        guest = await client.define(f"g{number}")
        text = (await client.xml(guest)).replace("network='default'", "network='small'")
        await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
        await client.start(guest)
        guests.append(guest)
    args = protocol.NetworkGetDhcpLeasesArgs(net, None, 1, 0)
    found = (await client.call(protocol.NETWORK_GET_DHCP_LEASES, args)).leases
    assert sorted(one.ipaddr for one in found) == ["10.1.2.10", "10.1.2.11"]
    served = {one.hostname for one in found}
    for guest in guests:
        if guest.name in served:
            await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(guest))
    found = (await client.call(protocol.NETWORK_GET_DHCP_LEASES, args)).leases
    assert len(found) == 2
    assert served.isdisjoint(one.hostname for one in found)


async def test_networks_and_leases_outlive_the_process(
    make_virtd: MakeVirtd, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    client = await (await make_virtd(store)).connect("qemu:///system")
    net = await defined(client)
    await client.start(await client.define())
    (lease,) = await leases_of(client)
    again = await (await make_virtd(store)).connect("qemu:///system")
    listed = await again.call(protocol.CONNECT_LIST_ALL_NETWORKS, protocol.ListAllArgs(1, 0))
    assert net in listed.nets
    assert [one.ipaddr for one in await leases_of(again)] == [lease.ipaddr]


async def test_a_port_is_made_shown_and_deleted(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    net = await named(client)
    uuid = "11111111-1111-1111-1111-111111111111"
    owner = f"<owner><name>g</name><uuid>{uuid}</uuid></owner>"
    text = f"<networkport>{owner}<mac address='52:54:00:00:00:01'/></networkport>"
    create = protocol.NetworkPortCreateXmlArgs(net, text, 0)
    port = (await client.call(protocol.NETWORK_PORT_CREATE_XML, create)).port
    listed = protocol.NetworkListAllPortsArgs(net, 1, 0)
    assert (await client.call(protocol.NETWORK_LIST_ALL_PORTS, listed)).ports == [port]
    args = protocol.NetworkPortFlagsArgs(port, 0)
    assert "bridge='virbr0'" in (await client.call(protocol.NETWORK_PORT_GET_XML_DESC, args)).xml
    await client.call(protocol.NETWORK_PORT_DELETE, args)
    error = await client.refused(protocol.NETWORK_PORT_GET_XML_DESC, args)
    assert error.code == ErrorCode.NO_NETWORK_PORT
