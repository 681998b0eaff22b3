"""A host of its own for each client that opens `test:///path/file.xml`.

The answers are those of libvirtd 9.0.0, whose errors show a line of the file as well.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.faults.dispatch import FaultAdminDispatch
from aiovirt.daemons.virtd.faults.protocol import GuestEventArgs
from aiovirt.daemons.virtd.faults.striking import FaultRules
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import eventually
from tests.virtd.conftest import Client, Virtd

DOMAIN = """
<domain type='test'><name>{}</name><memory>1024</memory><os><type>hvm</type></os></domain>
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A file with two guests, one of them in a file beside it."""
    (tmp_path / "second.xml").write_text(DOMAIN.format("second"))
    path = tmp_path / "world.xml"
    path.write_text(f"<node>{DOMAIN.format('first')}<domain file='second.xml'/></node>")
    return path


async def names(client: Client) -> list[str]:
    """The names of all domains."""
    args = protocol.ListAllArgs(1, 0)
    return [
        one.name for one in (await client.call(protocol.CONNECT_LIST_ALL_DOMAINS, args)).domains
    ]


async def opened(virtd: Virtd, uri: str) -> RpcError | None:
    """The error for opening a URI, None if it is opened."""
    async with connect_unix(virtd.path) as connection:
        try:
            await connection.call(protocol.CONNECT_OPEN, protocol.ConnectOpenArgs(uri, 0))
        except RpcError as error:
            return error
    return None


async def test_each_client_has_a_host_of_its_own(virtd: Virtd, world: Path) -> None:
    uri = f"test://{world}"
    one, two = await virtd.connect(uri), await virtd.connect(uri)
    assert await names(one) == ["first", "second"]
    assert (await one.call(protocol.CONNECT_GET_URI)).uri == uri
    await one.define("third")
    assert await names(one) == ["first", "second", "third"]
    assert await names(two) == ["first", "second"]
    assert await names(await virtd.connect()) == ["test"]


async def test_events_reach_the_client_whose_host_it_is(virtd: Virtd, world: Path) -> None:
    clients = [await virtd.connect(f"test://{world}") for _ in range(2)]
    seen: list[list[str]] = [[], []]
    for client, mine in zip(clients, seen, strict=True):

        def note(one: protocol.DomainEventCallbackLifecycleMsg, mine: list[str] = mine) -> None:
            mine.append(one.msg.dom.name)

        client.rpc.on_event(protocol.DOMAIN_EVENT_CALLBACK_LIFECYCLE, note)
        args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(0, None)
        await client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    await clients[0].define("third")
    for client in clients:
        await client.call(protocol.CONNECT_GET_TYPE)
    assert seen == [["third"], []]


async def test_toml_is_a_world_as_well(virtd: Virtd, tmp_path: Path) -> None:
    path = tmp_path / "world.toml"
    path.write_text('[[domain]]\nname = "t"\n')
    assert await names(await virtd.connect(f"test://{path}")) == ["t"]


async def test_errors_name_the_file_and_show_nothing_of_it(virtd: Virtd, tmp_path: Path) -> None:
    missing = await opened(virtd, "test:///nowhere/x.xml")
    assert missing is not None
    assert (missing.code, missing.domain) == (ErrorCode.XML_ERROR, ErrorDomain.XML)
    assert missing.message == "XML error: failed to parse xml document '/nowhere/x.xml'"
    secret = tmp_path / "secret.xml"
    secret.write_text("password=sesame\n")
    error = await opened(virtd, f"test://{secret}")
    assert error is not None
    assert error.code == ErrorCode.XML_DETAIL
    assert error.message == f"({secret}):1: Start tag expected, '<' not found"
    other = tmp_path / "domain.xml"
    other.write_text(DOMAIN.format("x"))
    error = await opened(virtd, f"test://{other}")
    assert error is not None
    assert error.message == "XML error: expecting root element of 'node', not 'domain'"


async def test_a_pipe_is_not_waited_for(virtd: Virtd, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    error = await asyncio.wait_for(opened(virtd, f"test://{pipe}"), 30)
    assert error is not None
    assert error.code == ErrorCode.XML_ERROR


async def test_an_event_is_injected_into_the_guest_of_one_client(virtd: Virtd, world: Path) -> None:
    clients = [await virtd.connect(f"test://{world}") for _ in range(2)]
    names = list(virtd.dispatch.private_hosts())
    rules = FaultRules(virtd.server, virtd.dispatch)
    served = FaultAdminDispatch(rules, virtd.hosts.all, virtd.dispatch.private_hosts)
    admin = next(iter(virtd.server.registry))  # any client will do

    def inject(host: str, guest: str) -> None:
        served.guest_event(admin, GuestEventArgs(host, guest, "stop", [], flags=0))

    with pytest.raises(RpcError, match=f"exists on several hosts; name one of {', '.join(names)}"):
        inject("", "first")
    inject(names[1], "first")
    with pytest.raises(RpcError, match="domain is not running"):
        inject(names[1], "first")
    running = [
        len((await one.call(protocol.CONNECT_LIST_DOMAINS, protocol.ConnectListDomainsArgs(9))).ids)
        for one in clients
    ]
    assert running == [2, 1]
    await clients[1].rpc.close()
    await eventually(lambda: list(virtd.dispatch.private_hosts()) == names[:1])
    inject("", "first")
