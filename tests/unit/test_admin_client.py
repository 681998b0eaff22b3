"""The admin API of `admin.client`, against a daemon that answers as told."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin import protocol
from aiovirt.admin.client import (
    Client,
    ClientInfo,
    ClientLimits,
    ConnectFailed,
    RpcError,
    Server,
    ThreadPoolParameters,
    UriError,
    connect,
)
from aiovirt.admin.uri import AdminUri
from aiovirt.rpc.client import ConnectionLost
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.typedparams import string, to_dict, uint
from tests.unit.scripted_daemon import IDENTITY, LIMITS, POOL, HangUp, raising, scripted_daemon


async def test_a_connection_opens_and_takes_leave() -> None:
    async with scripted_daemon() as daemon:
        async with connect(daemon.uri) as conn:
            assert conn.alive
            assert str(conn.uri) == daemon.uri
        assert not conn.alive
        await conn.close()
    assert [name for name, _ in daemon.calls] == ["CONNECT_OPEN", "CONNECT_CLOSE"]


async def test_a_connection_can_be_awaited_and_takes_a_parsed_uri() -> None:
    async with scripted_daemon() as daemon:
        conn = await connect(AdminUri.parse(daemon.uri))
        assert await conn.lib_version() == 9_001_002
        await conn.close()


async def test_servers_are_listed_and_looked_up() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        assert [server.name for server in await conn.list_servers()] == ["admin", "main"]
        assert (await conn.lookup_server("x")).name == "x"
    assert daemon.called(protocol.CONNECT_LIST_SERVERS) == [protocol.ListServersArgs(1, 0)]


async def test_the_worker_pool_is_read_and_changed() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        server = await conn.lookup_server("main")
        assert await server.get_threadpool_parameters() == ThreadPoolParameters(
            5, 20, 6, 4, 5, 1, tuple(POOL)
        )
        await server.set_threadpool_parameters(min_workers=1, prio_workers=0)
        await server.set_threadpool_parameters(max_workers=9)
    first, second = daemon.called(protocol.SERVER_SET_THREADPOOL_PARAMETERS)
    assert first.server.name == "main"
    assert to_dict(first.params) == {"minWorkers": 1, "prioWorkers": 0}
    assert second.params == [uint("maxWorkers", 9)]


async def test_client_limits_are_read_and_changed() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        server = await conn.lookup_server("main")
        assert await server.get_client_limits() == ClientLimits(5000, 2, 20, 1, tuple(LIMITS))
        await server.set_client_limits(max_clients=8, max_unauth_clients=7)
    (args,) = daemon.called(protocol.SERVER_SET_CLIENT_LIMITS)
    assert to_dict(args.params) == {"nclients_max": 8, "nclients_unauth_max": 7}


async def test_clients_are_listed_described_and_closed() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        server = await conn.lookup_server("main")
        (client,) = await server.list_clients()
        assert (client.id, client.timestamp, client.transport) == (3, 86_400, 0)
        info = await client.get_info()
        assert (info.readonly, info.unix_user_id, info.unix_user_name) == (True, 7, "seven")
        assert info.sock_addr is None
        assert info.received == tuple(IDENTITY)
        found = await server.lookup_client(2**64 - 1)
        await found.close()
    (args,) = daemon.called(protocol.CLIENT_CLOSE)
    assert (args.client.server.name, args.client.id) == ("main", 2**64 - 1)


def test_what_a_newer_daemon_tells_is_kept() -> None:
    told = [uint("maxWorkers", 1), string("news", "x")]
    assert ThreadPoolParameters.from_params(told).received == tuple(told)
    assert ThreadPoolParameters.from_params(told).min_workers is None
    assert ClientInfo.from_params([string("news", "x")]).received == (string("news", "x"),)


async def test_what_is_printed_of_an_answer_is_short() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as connection:
        assert repr(connection) == f"<Connection {daemon.uri}>"
        server = await connection.lookup_server("main")
        limits = await server.get_client_limits()
        assert repr(limits) == (
            "ClientLimits(max_clients=5000, clients=2, max_unauth_clients=20, unauth_clients=1)"
        )
        assert limits.received
        assert "received" not in repr(await server.get_threadpool_parameters())
        assert "received" not in repr(await (await server.lookup_client(3)).get_info())


async def test_logging_is_read_and_changed() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        assert await conn.get_logging_outputs() == "1:file:/a 3:stderr"
        assert await conn.get_logging_filters() == ""
        await conn.set_logging_outputs(None)
        await conn.set_logging_filters("1:x")
    assert daemon.called(protocol.CONNECT_SET_LOGGING_OUTPUTS) == [protocol.SetLoggingArgs(None, 0)]
    assert daemon.called(protocol.CONNECT_SET_LOGGING_FILTERS) == [
        protocol.SetLoggingArgs("1:x", 0)
    ]


async def test_a_daemon_is_timed_and_shut_down() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        await conn.set_daemon_timeout(30)
        await conn.daemon_shutdown()
        await conn.daemon_shutdown(preserve=True)
        await (await conn.lookup_server("main")).update_tls_files()
    assert daemon.called(protocol.CONNECT_SET_DAEMON_TIMEOUT) == [protocol.SetTimeoutArgs(30, 0)]
    assert [args.flags for args in daemon.called(protocol.CONNECT_DAEMON_SHUTDOWN)] == [0, 1]
    assert daemon.called(protocol.SERVER_UPDATE_TLS_FILES)[0].server.name == "main"


async def test_calls_of_many_tasks_share_a_connection() -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        names = [f"s{at}" for at in range(50)]
        found = await asyncio.gather(*(conn.lookup_server(name) for name in names))
    assert [server.name for server in found] == names


async def test_a_refusal_carries_code_and_message() -> None:
    refusal = RpcError(ErrorCode.NO_SERVER, "there is no such thing")
    async with (
        scripted_daemon({protocol.CONNECT_LOOKUP_SERVER: raising(refusal)}) as daemon,
        connect(daemon.uri) as conn,
    ):
        with pytest.raises(RpcError, match="no such thing") as refused:
            await conn.lookup_server("x")
        assert refused.value.code is ErrorCode.NO_SERVER
        assert conn.alive


async def test_a_refused_opening_is_an_error_and_closes() -> None:
    refusal = RpcError(ErrorCode.ACCESS_DENIED, "not you")
    async with scripted_daemon({protocol.CONNECT_OPEN: raising(refusal)}) as daemon:
        with pytest.raises(RpcError, match="not you"):
            await connect(daemon.uri)


async def test_a_daemon_that_hangs_up_is_a_lost_connection() -> None:
    async with scripted_daemon({protocol.CONNECT_LIST_SERVERS: raising(HangUp())}) as daemon:
        conn = await connect(daemon.uri)
        with pytest.raises(ConnectionError):
            await conn.list_servers()
        assert await conn.wait_lost()
        assert not conn.alive
        await conn.close()


async def test_leaving_does_not_depend_on_the_daemon() -> None:
    async with scripted_daemon({protocol.CONNECT_CLOSE: raising(HangUp())}) as daemon:
        async with connect(daemon.uri) as conn:
            pass
        assert not conn.alive


async def test_nobody_at_the_socket_is_said_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConnectFailed) as failed:
        await connect(f"virtd:///session?socket={tmp_path}/none")
    assert isinstance(failed.value, ConnectionError)
    assert failed.value.path == f"{tmp_path}/none"
    assert str(failed.value) == (
        f"Failed to connect socket to '{tmp_path}/none': No such file or directory"
    )


async def test_a_path_that_no_socket_can_have_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConnectFailed, match="AF_UNIX path too long"):
        await connect(f"virtd:///session?socket={tmp_path}/{'x' * 200}")


async def test_a_bad_uri_is_no_connection() -> None:
    with pytest.raises(UriError):
        await connect("foo:///bar")


@pytest.mark.parametrize("name", ["tls_x509_dname", "x509_dname"])
def test_a_certificates_name_is_read_from_libvirt_and_from_our_older_daemons(name: str) -> None:
    assert ClientInfo.from_params([string(name, "CN=x")]).x509_dname == "CN=x"


async def test_a_shutdown_that_ends_without_a_reply_is_success() -> None:
    script = {protocol.CONNECT_DAEMON_SHUTDOWN: raising(HangUp())}
    async with scripted_daemon(script) as daemon, connect(daemon.uri) as conn:
        await conn.daemon_shutdown()
        assert not conn.alive
        with pytest.raises(ConnectionLost):  # the second one reaches nobody
            await conn.daemon_shutdown()


async def test_a_shutdown_given_up_here_is_no_success(silent: str) -> None:
    conn = await _opened_silence(silent)
    call = asyncio.create_task(conn.daemon_shutdown())
    await asyncio.sleep(0)
    conn.abort()
    with pytest.raises(ConnectionLost):
        await call


@pytest.mark.parametrize(
    ("shown", "read"),
    [
        ("1:*rpc* ", "1:rpc"),
        ("1:**rpc** 4:*util.a* ", "1:*rpc* 4:util.a"),
        ("1:*** ", "1:*"),
        ("2:*a*b* ", "2:a*b"),
        ("3:rpc", "3:rpc"),
        ("3:*", "3:*"),
        ("3:**", "3:**"),
        ("", ""),
    ],
)
async def test_filters_are_read_as_they_can_be_set_again(shown: str, read: str) -> None:
    answer = protocol.LoggingFilters(shown or None, len(shown.split()))
    script = {protocol.CONNECT_GET_LOGGING_FILTERS: lambda args: answer}
    async with scripted_daemon(script) as daemon, connect(daemon.uri) as conn:
        assert await conn.get_logging_filters() == read
        assert await conn.get_logging_filters_text() == shown


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """The URI of a daemon that takes connections and never answers."""
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(f"{tmp_path}/sock")
        listener.listen()
        yield f"libvirtd:///session?socket={tmp_path}/sock"


async def _opened_silence(uri: str, timeout: float | None = None) -> Any:
    """A connection to a daemon that answers nothing, with the opening left out."""
    from aiovirt.admin.client import Connection
    from aiovirt.rpc.client import connect_unix

    parsed = AdminUri.parse(uri)
    return Connection(parsed, await connect_unix(parsed.socket_path()), timeout)


async def test_a_daemon_that_is_silent_cannot_hold_up_the_connecting(silent: str) -> None:
    with pytest.raises(TimeoutError, match=r"sock: no answer to the connection within 0\.02 s"):
        await connect(silent, timeout=0.02)


async def test_a_full_backlog_is_bounded_too(tmp_path: Path) -> None:
    path = f"{tmp_path}/sock"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(path)
        listener.listen(0)
        full = False
        while not full:
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.setblocking(False)
            try:
                one.connect(path)
            except BlockingIOError:
                full = True
        with pytest.raises(TimeoutError, match="no answer to the connection"):
            await connect(f"libvirtd:///session?socket={path}", timeout=0.02)


async def test_a_silent_daemon_is_named_with_the_call_and_gets_no_goodbye(silent: str) -> None:
    async with await _opened_silence(silent, 0.02) as conn:
        with pytest.raises(TimeoutError, match=r"sock: no answer to CONNECT_LIST_SERVERS within"):
            await conn.list_servers()
        sent = conn.rpc.unsent
    assert not conn.alive
    assert sent == 0


async def test_a_daemon_that_does_not_even_read_cannot_hold_up_the_end(silent: str) -> None:
    conn = await _opened_silence(silent, 0.02)
    with pytest.raises(TimeoutError):
        await conn.set_logging_filters("1:x " * 500_000)  # more than a socket holds
    assert conn.rpc.unsent
    await conn.close()
    assert not conn.alive


async def test_an_opening_that_is_cancelled_leaves_nothing_open(silent: str) -> None:
    opening = asyncio.ensure_future(connect(silent)._open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening


Mistake = Callable[[Any, Any], Awaitable[Any]]


@pytest.mark.parametrize(
    ("mistake", "kind", "text"),
    [
        (lambda conn, server: conn.lookup_server(None), TypeError, "a str, not None"),
        (lambda conn, server: conn.lookup_server(b"main"), TypeError, "a str, not b'main'"),
        (lambda conn, server: conn.lookup_server("a\0b"), ValueError, "NUL"),
        (lambda conn, server: conn.set_logging_filters(["1:x"]), TypeError, "a str, not"),
        (lambda conn, server: conn.set_logging_outputs(3), TypeError, "a str, not 3"),
        (lambda conn, server: conn.set_daemon_timeout("5"), TypeError, "whole number, not '5'"),
        (lambda conn, server: conn.set_daemon_timeout(True), TypeError, "whole number, not True"),
        (lambda conn, server: conn.set_daemon_timeout(-1), ValueError, "from 0 to 4294967295"),
        (lambda conn, server: conn.set_daemon_timeout(2**32), ValueError, "from 0 to 4294967295"),
        (lambda conn, server: server.lookup_client("3"), TypeError, "client's id is a whole"),
        (lambda conn, server: server.lookup_client(2**64), ValueError, "client's id is 1844674"),
        (lambda conn, server: Client(server, None, 0, 0).close(), TypeError, "client's id"),
        (lambda conn, server: Server(conn, 7).list_clients(), TypeError, "server's name"),
        (
            lambda conn, server: server.set_client_limits(max_clients=1.5),
            TypeError,
            "1.5, not a whole number",
        ),
        (
            lambda conn, server: server.set_threadpool_parameters(max_workers=-1),
            ValueError,
            "0 to 4294967295",
        ),
        (lambda conn, server: conn.call("x", None), TypeError, "a procedure of a program's table"),
        (
            lambda conn, server: conn.call(protocol.CONNECT_LOOKUP_SERVER, "main"),
            TypeError,
            "takes a LookupServerArgs, not a str",
        ),
        (
            lambda conn, server: conn.open_stream(protocol.CONNECT_GET_LIB_VERSION, None),
            TypeError,
            "is called with call",
        ),
    ],
)
async def test_what_no_daemon_could_take_is_refused_before_it_is_sent(
    mistake: Mistake, kind: type[Exception], text: str
) -> None:
    async with scripted_daemon() as daemon, connect(daemon.uri) as conn:
        server = await conn.lookup_server("main")
        sent = len(daemon.calls)
        with pytest.raises(kind, match=text):
            await mistake(conn, server)
        assert len(daemon.calls) == sent
        assert await conn.lib_version()


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        ({"uri": 1}, TypeError, "not int"),
        ({"uri": Path("/x")}, TypeError, "not PosixPath"),
        ({"timeout": "3"}, TypeError, "not '3'"),
        ({"timeout": True}, TypeError, "not True"),
        ({"timeout": 0}, ValueError, "positive number of seconds or None, not 0"),
        ({"timeout": float("nan")}, ValueError, "not nan"),
        ({"timeout": float("inf")}, ValueError, "not inf"),
    ],
)
def test_connect_refuses_what_it_cannot_mean(
    arguments: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        connect(**arguments)


async def test_one_connect_is_one_connection_at_a_time() -> None:
    async with scripted_daemon() as daemon:
        connecting = connect(daemon.uri)
        async with connecting as conn:
            with pytest.raises(RuntimeError, match="in use"):
                await connecting.__aenter__()
            assert conn.alive
        async with connecting as conn:
            assert conn.alive


def test_a_connection_belongs_to_its_loop() -> None:
    async def make() -> Any:
        async with scripted_daemon() as daemon:
            return await connect(daemon.uri)

    async def use(conn: Any) -> None:
        with pytest.raises(RuntimeError, match="belongs to the event loop"):
            await conn.list_servers()

    conn = asyncio.run(make())
    asyncio.run(use(conn))
