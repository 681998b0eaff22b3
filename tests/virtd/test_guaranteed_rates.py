"""Rates that networks guarantee to interfaces (`floor`): what libvirt's network driver refuses.

Codes, domains and texts are those of libvirt 9.0.0; a story of tests/virtd/interop compares documents.
"""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from aiovirt.rpc.wire.typedparams import uint
from tests.virtd.conftest import Client, Virtd

QEMU = "qemu:///system"
NETWORK = "<network><name>{name}</name><bridge name='br-{name}'/>{more}</network>"
GUEST = """
<domain type='qemu'><name>{name}</name><memory>65536</memory><os><type arch='x86_64'>hvm</type></os>
<devices>{devices}</devices></domain>
"""
MAC = "52:54:00:11:11:{:02x}"
LIVE = 1


def interface(network: str, number: int, floor: int = 0) -> str:
    rate = f"<bandwidth><inbound average='1' floor='{floor}'/></bandwidth>" if floor else ""
    return (
        f"<interface type='network'><mac address='{MAC.format(number)}'/>"
        f"<source network='{network}'/>{rate}</interface>"
    )


async def started_network(client: Client, name: str, inbound: str = "", forward: str = "") -> None:
    more = f"<bandwidth><inbound {inbound}/></bandwidth>" if inbound else ""
    text = NETWORK.format(name=name, more=forward + more)
    await client.call(protocol.NETWORK_CREATE_XML, protocol.XmlArgs(text))


async def defined(client: Client, name: str, devices: str) -> Any:
    args = protocol.XmlFlagsArgs(GUEST.format(name=name, devices=devices), 0)
    return (await client.call(protocol.DOMAIN_DEFINE_XML_FLAGS, args)).dom


async def start(client: Client, guest: Any) -> None:
    await client.call(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))


async def test_a_network_without_a_rate_guarantees_none(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    await started_network(client, "net")
    guest = await defined(client, "one", interface("net", 1, 2000))
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))
    assert (error.code, error.domain) == (ErrorCode.OPERATION_UNSUPPORTED, ErrorDomain.NETWORK)
    assert error.message == (
        "Operation not supported: Invalid use of 'floor' on interface with MAC address"
        " 52:54:00:11:11:01 - network 'net' has no inbound QoS set"
    )


async def test_a_network_of_another_kind_guarantees_none(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    await started_network(client, "net", "average='1000'", "<forward mode='bridge'/>")
    guest = await defined(client, "one", interface("net", 1, 500))
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))
    assert error.code == ErrorCode.OPERATION_UNSUPPORTED
    assert "'floor' is only supported for interface type 'network'" in error.message


@pytest.mark.parametrize(
    ("inbound", "said"),
    [
        ("average='1000' peak='5000'", "peak=5000"),
        ("average='5000'", "average=5000"),
    ],
)
async def test_a_network_guarantees_no_more_than_it_has(
    virtd: Virtd, inbound: str, said: str
) -> None:
    client = await virtd.connect(QEMU)
    await started_network(client, "net", inbound)
    await start(client, await defined(client, "one", interface("net", 1, 3000)))
    two = await defined(client, "two", interface("net", 2, 2001))
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(two))
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.NETWORK)
    assert error.message == (
        "Requested operation is not valid: Cannot plug '52:54:00:11:11:02' interface into 'br-net'"
        f" because new combined inbound floor=5001 would overcommit {said} on network 'net'"
    )
    await start(client, await defined(client, "three", interface("net", 3, 2000)))
    both = interface("net", 4, 1) + interface("net", 5, 1)
    four = await defined(client, "four", both)
    assert (await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(four))).code == 55


async def test_the_interfaces_of_one_guest_share_the_rate(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    await started_network(client, "net", "average='1000'")
    devices = interface("net", 1, 600) + interface("net", 2, 600)
    guest = await defined(client, "one", devices)
    error = await client.refused(protocol.DOMAIN_CREATE, protocol.DomainArgs(guest))
    assert "'52:54:00:11:11:02'" in error.message
    assert "floor=1200 would overcommit average=1000" in error.message


async def test_a_running_interface_changes_within_the_rate(virtd: Virtd) -> None:
    """The steps of libvirt-tck's 400-guest-bandwidth."""
    client = await virtd.connect(QEMU)
    await started_network(client, "net", "average='1000' peak='5000'")
    guest = await defined(client, "one", interface("net", 1, 2000))
    await start(client, guest)

    def args(floor: int) -> protocol.DomainSetInterfaceParametersArgs:
        params = [uint("inbound.average", 1000), uint("inbound.floor", floor)]
        return protocol.DomainSetInterfaceParametersArgs(guest, MAC.format(1), params, LIVE)

    await client.call(protocol.DOMAIN_SET_INTERFACE_PARAMETERS, args(4000))
    await client.call(protocol.DOMAIN_SET_INTERFACE_PARAMETERS, args(5000))
    error = await client.refused(protocol.DOMAIN_SET_INTERFACE_PARAMETERS, args(40000))
    assert (error.code, error.domain) == (ErrorCode.OPERATION_INVALID, ErrorDomain.NETWORK)


async def test_an_attached_interface_is_plugged_like_that_of_a_new_guest(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    await started_network(client, "net", "average='1000'")
    guest = await defined(client, "one", interface("net", 1, 600))
    await start(client, guest)
    for number, network, floor, code in (
        (2, "net", 401, ErrorCode.OPERATION_INVALID),
        (3, "none", 0, ErrorCode.NO_NETWORK),
    ):
        text = interface(network, number, floor)
        args = protocol.DomainXmlFlagsArgs(guest, text, LIVE)
        error = await client.refused(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
        assert (error.code, error.domain) == (code, ErrorDomain.NETWORK)
    args = protocol.DomainXmlFlagsArgs(guest, interface("net", 2, 400), LIVE)
    await client.call(protocol.DOMAIN_ATTACH_DEVICE_FLAGS, args)
