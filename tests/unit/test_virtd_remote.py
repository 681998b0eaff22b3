"""The front door of the remote program as a client meets it: what may be opened, and by whom.

Codes and domains are those that libvirtd 9.0.0 answered with, unless a test says otherwise.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import AuthType, ConnectFlags, Feature
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.dispatch.serving import SESSION
from aiovirt.daemons.virtd.dispatch.uris import find_driver
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.protocol import ConnectOpenArgs, ConnectSupportsFeatureArgs
from aiovirt.daemons.virtd.sasl import SaslDispatch
from aiovirt.daemons.virtd.state import RemoteState, restore, save
from aiovirt.rpc.client import Connection, ConnectionLost, connect_unix
from aiovirt.rpc.server import Access, Client, Daemon, ServerOptions
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.program import Procedure
from tests.unit.house import eventually

NEED_A_CONNECTION: list[tuple[Procedure[Any, Any], Any]] = [
    (protocol.CONNECT_GET_TYPE, None),
    (protocol.CONNECT_GET_VERSION, None),
    (protocol.CONNECT_GET_HOSTNAME, None),
    (protocol.CONNECT_GET_URI, None),
    (protocol.CONNECT_IS_SECURE, None),
    (protocol.CONNECT_GET_LIB_VERSION, None),
    (protocol.CONNECT_REGISTER_CLOSE_CALLBACK, None),
    (protocol.CONNECT_UNREGISTER_CLOSE_CALLBACK, None),
    (protocol.CONNECT_SUPPORTS_FEATURE, ConnectSupportsFeatureArgs(Feature.REMOTE_EVENT_CALLBACK)),
]


class RemoteHouse:
    """A daemon with the program, on three sockets: for all, for readers, for those with a name."""

    def __init__(self, folder: Path) -> None:
        self.daemon = Daemon("virtd")
        self.server = self.daemon.add_server(ServerOptions("virtd"))
        self.service = RemoteDispatch(
            SaslDispatch(str(folder / "passwords"), None), Hosts(None).all
        )
        self.service.serve_on(self.server)
        self.socket, self.socket_ro, self.socket_sasl = (
            str(folder / name) for name in ("sock", "sock-ro", "sock-sasl")
        )
        self.server.listen_unix(self.socket)
        self.server.listen_unix(self.socket_ro, access=Access(readonly=True))
        self.server.listen_unix(self.socket_sasl, access=Access(auth="sasl"))

    async def seat(self, path: str) -> tuple[Connection, Client]:
        """A connection, and the server's side of it."""
        known = {client.id for client in self.server.registry}
        connection = await connect_unix(path)
        await connection.call(protocol.AUTH_LIST, None)
        (client,) = (one for one in self.server.registry if one.id not in known)
        return connection, client


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[RemoteHouse]:
    house = RemoteHouse(tmp_path)
    ready = asyncio.Event()
    serving = asyncio.create_task(house.daemon.serve(ready.set))
    await ready.wait()
    yield house
    house.daemon.shutdown()
    await serving


@pytest.fixture
async def connection(house: RemoteHouse) -> AsyncIterator[Connection]:
    async with connect_unix(house.socket) as connection:
        yield connection


@contextmanager
def _refused(code: ErrorCode, domain: ErrorDomain = ErrorDomain.RPC) -> Iterator[None]:
    with pytest.raises(RpcError) as refusal:
        yield
    assert (refusal.value.code, refusal.value.domain) == (code, domain), refusal.value.message


async def _open(connection: Connection, name: str | None, flags: int = 0) -> None:
    await connection.call(protocol.CONNECT_OPEN, ConnectOpenArgs(name, flags))


# What is opened ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("procedure", "args"), NEED_A_CONNECTION, ids=str)
async def test_nothing_is_answered_before_something_is_open(
    connection: Connection, procedure: Procedure[Any, Any], args: Any
) -> None:
    with _refused(ErrorCode.INTERNAL_ERROR):
        await connection.call(procedure, args)
    await _open(connection, "test:///default")
    await connection.call(procedure, args)


@pytest.mark.parametrize(
    ("name", "kind", "version"),
    [
        ("qemu:///system", "QEMU", 7_002_000),
        ("qemu:///session", "QEMU", 7_002_000),
        ("test:///default", "TEST", 2),
    ],
)
async def test_a_driver_says_what_libvirts_own_says(
    connection: Connection, name: str, kind: str, version: int
) -> None:
    await _open(connection, name)
    answers: list[tuple[Procedure[Any, Any], Any]] = [
        (protocol.CONNECT_GET_TYPE, protocol.TypeRet(kind)),
        (protocol.CONNECT_GET_VERSION, protocol.ConnectGetVersionRet(version)),
        (protocol.CONNECT_GET_LIB_VERSION, protocol.ConnectGetLibVersionRet(9_000_000)),
        (protocol.CONNECT_GET_HOSTNAME, protocol.HostnameRet(socket.gethostname())),
        (protocol.CONNECT_GET_URI, protocol.ConnectGetUriRet(name)),
        (protocol.CONNECT_IS_SECURE, protocol.ConnectIsSecureRet(1)),
    ]
    for procedure, expected in answers:
        assert await connection.call(procedure, None) == expected


@pytest.mark.parametrize(
    ("name", "known_as"),
    [
        ("qemu:/system", "qemu:///system"),
        ("qemu:///%73ystem", "qemu:///system"),
        ("qemu://:80/system", "qemu:///system"),
        ("qemu://user@/system", "qemu://user@/system"),
        ("qemu:///session?", "qemu:///session?"),
        ("qemu:///system?socket=/x", "qemu:///system?socket=/x"),
        ("test:///default?%ff=%00#x", "test:///default?%ff=%00#x"),
    ],
)
def test_a_uri_is_known_as_libvirt_writes_it(name: str, known_as: str) -> None:
    assert find_driver(name).uri == known_as


@pytest.mark.parametrize(("uid", "name"), [(0, "qemu:///system"), (1000, "qemu:///session")])
def test_an_empty_name_is_that_of_the_daemons_user(
    monkeypatch: pytest.MonkeyPatch, uid: int, name: str
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert find_driver("").uri == name


@pytest.mark.parametrize(
    ("code", "domain", "names"),
    [
        (
            ErrorCode.INTERNAL_ERROR,
            ErrorDomain.URI,
            [
                *(":", "::bad", " ", "1qemu:///system", "http://[::1", "qemu:///system?a=b c"),
                *("qemu:///system?a=%zz", "qemu:///system?a=ü", "qemu:///system?a=\udcff"),
                *("qemu:///sys\udcfftem", "qemu:///system?\x01"),
            ],
        ),
        (
            ErrorCode.NO_CONNECT,
            ErrorDomain.NONE,
            ["qemu", "///", "nope:///x", "xen:///system", "QEMU:///system", "qemu+unix:///system"],
        ),
        (
            ErrorCode.INTERNAL_ERROR,
            ErrorDomain.NONE,
            [
                *("qemu:", "qemu:///", "qemu:///nowhere", "qemu:///system/", "qemu:////system"),
                *("qemu:system", "qemu:///embed?root=/x"),
            ],
        ),
        (ErrorCode.INVALID_ARG, ErrorDomain.TEST, ["test:", "test://", "test:///"]),
    ],
)
def test_a_name_that_is_none(code: ErrorCode, domain: ErrorDomain, names: list[str]) -> None:
    for name in names:
        with _refused(code, domain):
            find_driver(name)


def test_names_that_libvirtd_takes_or_refuses_otherwise() -> None:
    with _refused(ErrorCode.NO_CONNECT, ErrorDomain.NONE):  # it would connect to that host
        find_driver("qemu://localhost/system")
    assert find_driver("test:///a%20b.xml").file == "/a b.xml"
    for name in ("test://", "test:///"):
        with _refused(ErrorCode.INVALID_ARG, ErrorDomain.TEST):
            find_driver(name)
    longest = "test:///default?".ljust(16384, "a")
    assert find_driver(longest).uri == longest
    with _refused(ErrorCode.INTERNAL_ERROR, ErrorDomain.URI):  # it has no limit
        find_driver(longest + "a")


async def test_a_name_that_is_refused_leaves_the_connection_to_another(
    connection: Connection,
) -> None:
    with _refused(ErrorCode.INTERNAL_ERROR):
        await _open(connection, None)
    with _refused(ErrorCode.NO_CONNECT, ErrorDomain.NONE):
        await _open(connection, "nope:///x")
    await _open(connection, "test:///default")


async def test_opening_a_second_time_closes_what_was_open(connection: Connection) -> None:
    await _open(connection, "test:///default")
    with _refused(ErrorCode.INTERNAL_ERROR):
        await _open(connection, "qemu:///system")
    with _refused(ErrorCode.INTERNAL_ERROR):
        await connection.call(protocol.CONNECT_GET_URI, None)
    await _open(connection, "qemu:///system")
    assert (await connection.call(protocol.CONNECT_GET_URI, None)).uri == "qemu:///system"


async def test_two_clients_have_each_their_own(house: RemoteHouse) -> None:
    async with (
        connect_unix(house.socket) as one,
        connect_unix(house.socket) as two,
    ):
        await _open(one, "test:///default")
        with _refused(ErrorCode.INTERNAL_ERROR):
            await two.call(protocol.CONNECT_GET_TYPE, None)
        await _open(two, "qemu:///system")
        assert (await one.call(protocol.CONNECT_GET_TYPE, None)).type == "TEST"


@pytest.mark.parametrize("name", ["test:///default", None])
async def test_a_good_bye_is_answered_and_ends_it(house: RemoteHouse, name: str | None) -> None:
    connection, _ = await house.seat(house.socket)
    if name is not None:
        await _open(connection, name)
    await connection.call(protocol.CONNECT_CLOSE, None)
    with pytest.raises(ConnectionLost):
        await connection.call(protocol.CONNECT_GET_TYPE, None)
    await eventually(lambda: not len(house.server.registry))


async def test_who_goes_without_a_word_is_forgotten(house: RemoteHouse) -> None:
    connection, client = await house.seat(house.socket)
    await _open(connection, "test:///default")
    assert SESSION.get(client)
    connection.abort()
    await eventually(lambda: SESSION.get(client) is None)


async def test_features(house: RemoteHouse) -> None:
    async with connect_unix(house.socket) as connection:
        await _open(connection, "test:///default")
        found = [
            (
                await connection.call(
                    protocol.CONNECT_SUPPORTS_FEATURE, ConnectSupportsFeatureArgs(number)
                )
            ).supported
            for number in range(-1, 18)
        ]
    assert [number - 1 for number, there in enumerate(found) if there] == [8, 9, 10, 14, 15, 16]


async def test_who_asks_for_keepalive_is_sent_pings_and_may_ask_before_opening(
    house: RemoteHouse,
) -> None:
    connection, client = await house.seat(house.socket)
    async with connection:
        assert not client.keeps_alive
        args = ConnectSupportsFeatureArgs(Feature.PROGRAM_KEEPALIVE)
        assert (await connection.call(protocol.CONNECT_SUPPORTS_FEATURE, args)).supported
        assert client.keeps_alive


# Who is let in -----------------------------------------------------------------------------------


async def test_a_reader_is_one_by_its_flag_or_by_its_socket(house: RemoteHouse) -> None:
    for path, flags, reader in (
        (house.socket, 0, False),
        (house.socket, ConnectFlags.RO, True),
        (house.socket, ConnectFlags.RO | 0x80000000, True),
        (house.socket, 2, False),
        (house.socket_ro, 0, True),
    ):
        connection, client = await house.seat(path)
        async with connection:
            await _open(connection, "test:///default", flags)
            assert client.readonly is reader


async def test_a_reader_stays_one(house: RemoteHouse) -> None:
    connection, client = await house.seat(house.socket)
    async with connection:
        await _open(connection, "test:///default", ConnectFlags.RO)
        with _refused(ErrorCode.INTERNAL_ERROR):
            await _open(connection, "test:///default")
        await _open(connection, "test:///default")
        assert client.readonly


async def test_who_must_say_a_name_first_is_told_so(house: RemoteHouse) -> None:
    connection, client = await house.seat(house.socket_sasl)
    async with connection:
        listed = await connection.call(protocol.AUTH_LIST, None)
        assert listed.types == [AuthType.SASL]
        calls: list[tuple[Procedure[Any, Any], Any]] = [
            (protocol.CONNECT_OPEN, ConnectOpenArgs("test:///default", 0)),
            (protocol.CONNECT_CLOSE, None),
            (
                protocol.CONNECT_SUPPORTS_FEATURE,
                ConnectSupportsFeatureArgs(Feature.PROGRAM_KEEPALIVE),
            ),
        ]
        for procedure, args in calls:
            with _refused(ErrorCode.RPC):
                await connection.call(procedure, args)
        house.server.registry.authenticated(client)
        listed = await connection.call(protocol.AUTH_LIST, None)
        assert listed.types == [AuthType.NONE]
        await _open(connection, "test:///default")


async def test_polkit_is_refused_and_the_connection_goes_on(house: RemoteHouse) -> None:
    for path in (house.socket, house.socket_sasl):
        async with connect_unix(path) as connection:
            with _refused(ErrorCode.AUTH_FAILED):
                await connection.call(protocol.AUTH_POLKIT, None)
            await connection.call(protocol.AUTH_LIST, None)


# Restart -----------------------------------------------------------------------------------------


async def test_a_host_of_one_client_is_written_down_and_read_back(
    house: RemoteHouse, tmp_path: Path
) -> None:
    (tmp_path / "world.xml").write_text(
        "<node><domain type='test'><name>a</name><memory>1024</memory>"
        "<os><type>hvm</type></os></domain></node>"
    )
    connection, client = await house.seat(house.socket)
    async with connection:
        await _open(connection, f"test://{tmp_path}/world.xml")
        document = msgspec.json.encode(save(house.service))
        assert SESSION.pop(client) is not None
        restore(house.service, msgspec.json.decode(document, type=RemoteState))
        answer = await connection.call(
            protocol.CONNECT_LIST_DOMAINS, protocol.ConnectListDomainsArgs(9)
        )
        assert answer.ids == [1]


async def test_what_is_open_is_written_down_and_read_back(house: RemoteHouse) -> None:
    connection, client = await house.seat(house.socket)
    async with connection:
        await _open(connection, "test:///default?%ff=1#x", ConnectFlags.RO)
        document = msgspec.json.encode(save(house.service))
        before = SESSION.pop(client)
        restore(house.service, msgspec.json.decode(document, type=RemoteState))
        after = SESSION.get(client)
        assert before is not None
        assert after is not None
        assert after.uri == before.uri == find_driver("test:///default?%ff=1#x").uri
        assert after.host is before.host
