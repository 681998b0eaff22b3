"""The admin API of `admin.client`, against a daemon that answers as told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiovirt.admin import protocol
from aiovirt.admin.client import (
    ClientInfo,
    ClientLimits,
    ConnectFailed,
    RpcError,
    ThreadPoolParameters,
    UriError,
    connect,
)
from aiovirt.admin.uri import AdminUri
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
