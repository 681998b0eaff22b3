"""Displays that are reached by a descriptor, limits of ports, and settings of the machine."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from aiovirt.rpc.wire.typedparams import string, to_dict, uint
from tests.virtd.conftest import Client, Virtd

GRAPHICS = "<graphics type='vnc'/><graphics type='spice'/><graphics type='sdl'/>"
PORT = """
<networkport>
  <uuid>11111111-1111-4111-8111-111111111111</uuid>
  <owner><name>x</name><uuid>11111111-1111-4111-8111-111111111112</uuid></owner>
  <mac address='52:54:00:00:00:01'/>
  <bandwidth><inbound average='100' peak='200'/></bandwidth>
</networkport>
"""


@pytest.fixture
async def client(virtd: Virtd) -> Client:
    """A client of the qemu driver."""
    return await virtd.connect("qemu:///system")


@pytest.fixture
async def guest(client: Client) -> protocol.NonnullDomain:
    """A running guest with a display of each kind."""
    domain = await client.define()
    text = (await client.xml(domain)).replace("</devices>", f"{GRAPHICS}</devices>")
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    await client.start(domain)
    return domain


async def refusal(connection: socket.socket, version: bytes) -> bytes:
    """The bytes that a server of a display sends to a client of a version, until it closes."""
    connection.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=connection)
    greeting = await asyncio.wait_for(reader.readexactly(12), 10)
    assert greeting == b"RFB 003.008\n"
    writer.write(version)
    found = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return found


@pytest.mark.parametrize(
    ("version", "kinds"), [(b"RFB 003.008\n", b"\0"), (b"RFB 003.003\n", bytes(4))]
)
async def test_a_display_greets_and_refuses_with_a_reason(
    client: Client, guest: protocol.NonnullDomain, version: bytes, kinds: bytes
) -> None:
    args = protocol.DomainGraphicsArgs(guest, 0, 0)
    _, (descriptor,) = await client.rpc.call_for_descriptors(protocol.DOMAIN_OPEN_GRAPHICS_FD, args)
    answer = await refusal(socket.socket(fileno=descriptor), version)
    assert answer == kinds + b"\0\0\0\x19a toy guest draws nothing"


async def test_a_client_brings_its_own_socket(
    client: Client, guest: protocol.NonnullDomain
) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        await client.rpc.call(
            protocol.DOMAIN_OPEN_GRAPHICS,
            protocol.DomainGraphicsArgs(guest, 0, 0),
            descriptors=[theirs.fileno()],
        )
    assert (await refusal(ours, b"RFB 003.008\n")).endswith(b"a toy guest draws nothing")


async def test_a_display_that_has_no_server_is_refused(
    client: Client, guest: protocol.NonnullDomain
) -> None:
    spice = protocol.DomainGraphicsArgs(guest, 1, 0)
    procedure = protocol.DOMAIN_OPEN_GRAPHICS_FD
    _, (descriptor,) = await client.rpc.call_for_descriptors(procedure, spice)
    with socket.socket(fileno=descriptor) as connection:
        connection.settimeout(10)
        assert connection.recv(1) == b""
    for number, code in ((2, ErrorCode.CONFIG_UNSUPPORTED), (3, ErrorCode.INTERNAL_ERROR)):
        args = protocol.DomainGraphicsArgs(guest, number, 0)
        error = await client.refused(protocol.DOMAIN_OPEN_GRAPHICS, args)
        assert (error.code, error.domain) == (code, ErrorDomain.QEMU)
    args = protocol.DomainGraphicsArgs(guest, 0, 0)
    error = await client.refused(protocol.DOMAIN_OPEN_GRAPHICS, args)
    assert error.message == "internal error: No FD available at slot 0"


async def test_a_pipe_is_no_display_and_is_closed(
    client: Client, guest: protocol.NonnullDomain
) -> None:
    reading, writing = os.pipe()
    args = protocol.DomainGraphicsArgs(guest, 0, 0)
    with pytest.raises(Exception, match="a display needs a stream socket"):
        await client.rpc.call(protocol.DOMAIN_OPEN_GRAPHICS, args, descriptors=[writing])
    os.close(writing)
    assert os.read(reading, 1) == b""  # virtd has closed its own
    os.close(reading)


async def test_descriptors_for_a_disk_are_closed(
    client: Client, guest: protocol.NonnullDomain
) -> None:
    reading, writing = os.pipe()
    args = protocol.DomainNameFlagsArgs(guest, "group", 0)
    await client.rpc.call(protocol.DOMAIN_FD_ASSOCIATE, args, descriptors=[writing])
    os.close(writing)
    assert os.read(reading, 1) == b""
    os.close(reading)


async def test_limits_of_a_port_are_replaced_together(client: Client) -> None:
    net = (await client.call(protocol.NETWORK_LOOKUP_BY_NAME, protocol.NameArgs("default"))).net
    made = protocol.NetworkPortCreateXmlArgs(net, PORT, 0)
    port = (await client.call(protocol.NETWORK_PORT_CREATE_XML, made)).port

    async def limits() -> dict[str, object]:
        args = protocol.NetworkPortGetParametersArgs(port, 0, 0)
        answer = await client.call(protocol.NETWORK_PORT_GET_PARAMETERS, args)
        return to_dict(answer.params)

    assert await limits() == {
        "inbound.average": 100,
        "inbound.peak": 200,
        "inbound.floor": 0,
        "inbound.burst": 0,
    }
    params = [uint("outbound.average", 5), uint("inbound.peak", 9)]
    change = protocol.NetworkPortSetParametersArgs(port, params, 0)
    await client.call(protocol.NETWORK_PORT_SET_PARAMETERS, change)
    assert await limits() == {"outbound.average": 5, "outbound.peak": 0, "outbound.burst": 0}
    change = protocol.NetworkPortSetParametersArgs(port, [string("inbound.average", "x")], 0)
    error = await client.refused(protocol.NETWORK_PORT_SET_PARAMETERS, change)
    assert error.code == ErrorCode.INVALID_ARG


async def test_settings_of_shared_pages_are_kept(client: Client) -> None:
    change = protocol.NodeSetMemoryParametersArgs([uint("shm_pages_to_scan", 7)], 0)
    await client.call(protocol.NODE_SET_MEMORY_PARAMETERS, change)
    answer = await client.call(protocol.NODE_GET_MEMORY_PARAMETERS, protocol.ParamsArgs(0, 0))
    assert (answer.nparams, answer.params) == (8, [])
    answer = await client.call(protocol.NODE_GET_MEMORY_PARAMETERS, protocol.ParamsArgs(8, 0))
    found = to_dict(answer.params)
    assert (found["shm_pages_to_scan"], found["shm_sleep_millisecs"]) == (7, 20)
    wrong = protocol.NodeSetMemoryParametersArgs([uint("shm_full_scans", 7)], 0)
    error = await client.refused(protocol.NODE_SET_MEMORY_PARAMETERS, wrong)
    assert error.code == ErrorCode.ARGUMENT_UNSUPPORTED


@pytest.mark.parametrize(
    ("target", "code", "text"),
    [
        (0, ErrorCode.ARGUMENT_UNSUPPORTED, "argument unsupported: Suspend-to-RAM"),
        (2, ErrorCode.ARGUMENT_UNSUPPORTED, "argument unsupported: Hybrid-Suspend"),
        (9, ErrorCode.INVALID_ARG, "invalid argument: Invalid suspend target"),
    ],
)
async def test_the_machine_does_not_sleep(
    client: Client, target: int, code: ErrorCode, text: str
) -> None:
    args = protocol.NodeSuspendForDurationArgs(target, 60, 0)
    error = await client.refused(protocol.NODE_SUSPEND_FOR_DURATION, args)
    assert (error.code, error.message) == (code, text)
