"""A guest of qemu's driver starts only with what it needs; the texts are libvirt 9.0.0's.

`interop/stories/starting.txt` compares 78 documents with libvirtd. Here a guest starts after what it
lacked is there, or lacks what libvirtd would have to make on the machine.
"""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.virtd.conftest import Client, Virtd

URI = "qemu:///system"
UUID = "11111111-0000-4000-8000-0000000000ee"
SECRET = f"<secret><uuid>{UUID}</uuid><usage type='ceph'><name>c</name></usage></secret>"


async def defined(client: Client, name: str, devices: str) -> protocol.DomainArgs:
    text = (
        f"<domain type='kvm'><name>{name}</name><memory>65536</memory><os><type arch='x86_64'"
        f" machine='pc'>hvm</type></os><devices>{devices}</devices></domain>"
    )
    made = await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    return protocol.DomainArgs(made.dom)


async def refused(client: Client, guest: protocol.DomainArgs) -> RpcError:
    return await client.refused(protocol.DOMAIN_CREATE, guest)


async def test_a_port_of_a_display_belongs_to_one_guest_at_a_time(virtd: Virtd) -> None:
    client = await virtd.connect(URI)
    screen = "<graphics type='vnc' port='5950' autoport='no' listen='127.0.0.1'/>"
    first, second = [await defined(client, name, screen) for name in ("one", "two")]
    await client.call(protocol.DOMAIN_CREATE, first)
    error = await refused(client, second)
    assert error.code == ErrorCode.INTERNAL_ERROR
    assert "Failed to reserve port 5950" in str(error)
    await client.call(protocol.DOMAIN_DESTROY, first)
    await client.call(protocol.DOMAIN_CREATE, second)


async def test_a_secret_of_a_disk_exists_is_of_its_kind_and_has_a_value(virtd: Virtd) -> None:
    client = await virtd.connect(URI)
    disk = (
        f"<disk type='network'><auth username='a'><secret type='ceph' uuid='{UUID}'/></auth>"
        "<source protocol='rbd' name='p/i'><host name='h'/></source><target dev='vda'/></disk>"
    )
    guest = await defined(client, "guest", disk)
    assert "no secret with matching uuid" in str(await refused(client, guest))
    text = protocol.XmlFlagsArgs(SECRET, 0)
    secret = (await client.call(protocol.SECRET_DEFINE_XML, text)).secret
    error = await refused(client, guest)
    assert error.code == ErrorCode.NO_SECRET
    assert "does not have a value" in str(error)
    await client.call(protocol.SECRET_SET_VALUE, protocol.SecretSetValueArgs(secret, b"v", 0))
    await client.call(protocol.DOMAIN_CREATE, guest)
    encrypted = (
        f"<disk type='file'><source file='/x'/><target dev='vda'/><encryption format='luks'>"
        f"<secret type='passphrase' uuid='{UUID}'/></encryption></disk>"
    )
    error = await refused(client, await defined(client, "luks", encrypted))
    assert error.code == ErrorCode.INVALID_ARG
    assert "is of type 'ceph' not expected 'volume' type" in str(error)


@pytest.mark.parametrize(
    ("interface", "words"),
    [
        ("<vlan><tag id='7'/></vlan>", "vlan tag not supported for this connection type"),
        (
            "<virtualport type='openvswitch'/>",
            "<virtualport type='openvswitch'> not supported for network 'default' which uses IP",
        ),
        (
            "<bandwidth><inbound average='100' floor='50'/></bandwidth>",
            "network 'default' has no inbound QoS set",
        ),
    ],
)
async def test_a_network_of_libvirts_own_bridge_has_no_such_connections(
    virtd: Virtd, interface: str, words: str
) -> None:
    client = await virtd.connect(URI)
    text = f"<interface type='network'><source network='default'/>{interface}</interface>"
    assert words in str(await refused(client, await defined(client, "guest", text)))


async def test_a_network_that_lends_its_devices_has_one_for_each_interface(virtd: Virtd) -> None:
    client = await virtd.connect(URI)
    text = (
        "<network><name>lend</name><forward mode='passthrough'><interface dev='eth7'/></forward>"
        "</network>"
    )
    await client.call(protocol.NETWORK_CREATE_XML, protocol.XmlArgs(text))
    nic = "<interface type='network'><source network='lend'/></interface>"
    first, second = [await defined(client, name, nic) for name in ("one", "two")]
    await client.call(protocol.DOMAIN_CREATE, first)
    error = await refused(client, second)
    assert "'lend' requires exclusive access to interfaces, but none are available" in str(error)
    await client.call(protocol.DOMAIN_DESTROY, first)
    await client.call(protocol.DOMAIN_CREATE, second)
