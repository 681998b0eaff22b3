"""The admin program's handlers: what they answer, what they change, and how each refuses."""

from __future__ import annotations

import asyncio
import errno
import grp
import os
import pwd
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.admin import dispatch as admin_dispatch
from aiovirt.admin import protocol
from aiovirt.rpc.client import Connection, ConnectionLost, connect_tcp, connect_unix
from aiovirt.rpc.logs import LogControl, SinkPaths
from aiovirt.rpc.server import Client, ServerOptions
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, ErrorLevel, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, ParamValue, TypedParam, string, to_dict, uint
from tests.unit.house import (
    PATIENCE,
    STUBBORN,
    WAIT,
    House,
    MakeHouse,
    Number,
    Wire,
    call,
    eventually,
)

MAIN, NOBODY = protocol.ServerRef("main"), protocol.ServerRef("nobody")
UINT_MAX = 0xFFFFFFFF


class Office(House):
    """A house with a server `admin` and a connection to it."""

    admin: Connection

    async def ask(self, procedure: Any, args: Any = None) -> Any:
        return await asyncio.wait_for(self.admin.call(procedure, args), PATIENCE)

    async def pool(self, server: str = "main") -> dict[str, Any]:
        args = protocol.ServerArgs(protocol.ServerRef(server), 0)
        return to_dict((await self.ask(protocol.SERVER_GET_THREADPOOL_PARAMETERS, args)).params)

    async def limits(self, server: str = "main") -> dict[str, Any]:
        args = protocol.ServerArgs(protocol.ServerRef(server), 0)
        return to_dict((await self.ask(protocol.SERVER_GET_CLIENT_LIMITS, args)).params)

    async def info(self, client_id: int) -> list[TypedParam]:
        args = protocol.ClientArgs(reference(client_id), 0)
        found: protocol.ClientInfo = await self.ask(protocol.CLIENT_GET_INFO, args)
        return found.params


def reference(client_id: int, server: protocol.ServerRef = MAIN) -> protocol.ClientRef:
    """A client, with the parts that nobody looks at wrong."""
    return protocol.ClientRef(server, client_id, -7, 99)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    one = Office(str(tmp_path / "sock"))
    admin = one.daemon.add_server(ServerOptions("admin"))
    admin.add_program(admin_dispatch.handlers(one.daemon))
    path = str(tmp_path / "admin-sock")
    admin.listen_unix(path)
    await one.open()
    one.admin = await connect_unix(path)
    yield one
    one.admin.abort()
    await one.close()


@pytest.fixture
async def logged(office: Office, tmp_path: Path) -> AsyncIterator[Office]:
    """The same with logging that can be changed."""
    control = LogControl(
        "test",
        default="3:stderr",
        outputs=f"1:file:{tmp_path}/first",
        paths=SinkPaths(syslog="/nowhere", journal="/nowhere"),
    )
    office.daemon.logging = control
    yield office
    control.close()


def long_name(length: int) -> TypedParam:
    # Not by `uint`, which makes no parameter that cannot travel.
    return TypedParam("x" * length, ParamValue(ParamType.UINT, 1))


def of_kind(name: str, kind: ParamType, content: Any) -> TypedParam:
    return TypedParam(name, ParamValue(kind, content))


def pool(*params: TypedParam, server: protocol.ServerRef = MAIN, flags: int = 0) -> Any:
    return protocol.SERVER_SET_THREADPOOL_PARAMETERS, protocol.ServerParamsArgs(
        server, list(params), flags
    )


def limits(*params: TypedParam, server: protocol.ServerRef = MAIN, flags: int = 0) -> Any:
    return protocol.SERVER_SET_CLIENT_LIMITS, protocol.ServerParamsArgs(server, list(params), flags)


FLAG = protocol.FlagsArgs(1)
GET_POOL = protocol.SERVER_GET_THREADPOOL_PARAMETERS
GET_LIMITS = protocol.SERVER_GET_CLIENT_LIMITS
TLS = protocol.SERVER_UPDATE_TLS_FILES
LOOKUP = protocol.SERVER_LOOKUP_CLIENT
INFO = protocol.CLIENT_GET_INFO
CLOSE = protocol.CLIENT_CLOSE
BAD_FLAG = (ErrorCode.INVALID_ARG, ErrorDomain.ADMIN)
NO_SERVER_RPC = (ErrorCode.NO_SERVER, ErrorDomain.RPC)
NO_SERVER_ADMIN = (ErrorCode.NO_SERVER, ErrorDomain.ADMIN)
NO_CLIENT_RPC = (ErrorCode.NO_CLIENT, ErrorDomain.RPC)
NO_CLIENT_ADMIN = (ErrorCode.NO_CLIENT, ErrorDomain.ADMIN)
BAD_PARAM = (ErrorCode.INVALID_ARG, ErrorDomain.NONE)
UNKNOWN_PARAM = (ErrorCode.ARGUMENT_UNSUPPORTED, ErrorDomain.NONE)
LONG_NAME = (ErrorCode.INTERNAL_ERROR, ErrorDomain.NONE)

# Where several things are wrong at once, the expected answer says which of them libvirt looks at first.
REFUSALS: list[tuple[Any, Any, tuple[ErrorCode, ErrorDomain]]] = [
    (protocol.CONNECT_OPEN, FLAG, BAD_FLAG),
    (protocol.CONNECT_LIST_SERVERS, protocol.ListServersArgs(1, 1), BAD_FLAG),
    (protocol.CONNECT_LOOKUP_SERVER, protocol.LookupServerArgs("nobody", 0), NO_SERVER_RPC),
    (protocol.CONNECT_LOOKUP_SERVER, protocol.LookupServerArgs("MAIN", 0), NO_SERVER_RPC),
    (GET_POOL, protocol.ServerArgs(NOBODY, 1), NO_SERVER_RPC),
    (GET_POOL, protocol.ServerArgs(MAIN, 1), BAD_FLAG),
    (*pool(long_name(80), server=NOBODY, flags=1), NO_SERVER_ADMIN),
    (*pool(long_name(80), flags=1), LONG_NAME),
    (*pool(long_name(79), flags=1), BAD_FLAG),
    (*pool(long_name(79)), UNKNOWN_PARAM),
    (*pool(uint("nWorkers", 1)), UNKNOWN_PARAM),
    (*pool(uint("freeWorkers", 1)), UNKNOWN_PARAM),
    (*pool(uint("maxworkers", 1)), UNKNOWN_PARAM),
    (*pool(uint("minWorkers", 1), uint("minWorkers", 1)), BAD_PARAM),
    (*pool(of_kind("minWorkers", ParamType.INT, 1)), BAD_PARAM),
    (*pool(of_kind("minWorkers", ParamType.ULLONG, 1)), BAD_PARAM),
    (*pool(string("minWorkers", "1")), BAD_PARAM),
    (*pool(string("maxWorkers", "1"), uint("unknown", 1)), BAD_PARAM),
    (*pool(string("maxWorkers", "1"), uint("another", 1)), UNKNOWN_PARAM),
    (*pool(uint("minWorkers", 21)), BAD_PARAM),
    (*pool(uint("maxWorkers", 4)), BAD_PARAM),
    (*pool(uint("maxWorkers", 0)), BAD_PARAM),
    (*pool(uint("maxWorkers", 0), uint("minWorkers", 0)), BAD_PARAM),
    (protocol.SERVER_LIST_CLIENTS, protocol.ListClientsArgs(NOBODY, 1, 1), NO_SERVER_RPC),
    (protocol.SERVER_LIST_CLIENTS, protocol.ListClientsArgs(MAIN, 1, 1), BAD_FLAG),
    (LOOKUP, protocol.LookupClientArgs(NOBODY, 1, 1), NO_SERVER_RPC),
    (LOOKUP, protocol.LookupClientArgs(MAIN, 777, 1), BAD_FLAG),
    (LOOKUP, protocol.LookupClientArgs(MAIN, 777, 0), NO_CLIENT_RPC),
    (LOOKUP, protocol.LookupClientArgs(MAIN, (1 << 64) - 1, 0), NO_CLIENT_RPC),
    (INFO, protocol.ClientArgs(reference(777, NOBODY), 1), NO_SERVER_ADMIN),
    (INFO, protocol.ClientArgs(reference(777), 1), NO_CLIENT_ADMIN),
    (INFO, protocol.ClientArgs(reference(1), 1), BAD_FLAG),
    (CLOSE, protocol.ClientArgs(reference(777, NOBODY), 1), NO_SERVER_RPC),
    (CLOSE, protocol.ClientArgs(reference(777), 1), NO_CLIENT_RPC),
    (CLOSE, protocol.ClientArgs(reference(1), 1), BAD_FLAG),
    (GET_LIMITS, protocol.ServerArgs(NOBODY, 1), NO_SERVER_RPC),
    (GET_LIMITS, protocol.ServerArgs(MAIN, 1), BAD_FLAG),
    (*limits(long_name(80), server=NOBODY, flags=1), NO_SERVER_ADMIN),
    (*limits(long_name(80), flags=1), LONG_NAME),
    (*limits(uint("nclients", 1), flags=1), BAD_FLAG),
    (*limits(uint("nclients", 1)), UNKNOWN_PARAM),
    (*limits(uint("nclients_unauth", 1)), UNKNOWN_PARAM),
    (*limits(uint("nclients_max", 30), uint("nclients_max", 30)), BAD_PARAM),
    (*limits(of_kind("nclients_max", ParamType.LLONG, 30)), BAD_PARAM),
    (*limits(uint("nclients_max", 19)), (ErrorCode.INVALID_ARG, ErrorDomain.RPC)),
    (*limits(uint("nclients_unauth_max", 5001)), (ErrorCode.INVALID_ARG, ErrorDomain.RPC)),
    (protocol.CONNECT_GET_LOGGING_OUTPUTS, FLAG, BAD_FLAG),
    (protocol.CONNECT_GET_LOGGING_FILTERS, FLAG, BAD_FLAG),
    (protocol.CONNECT_SET_LOGGING_OUTPUTS, protocol.SetLoggingArgs("rubbish", 1), BAD_FLAG),
    (protocol.CONNECT_SET_LOGGING_OUTPUTS, protocol.SetLoggingArgs("9:stderr", 0), BAD_PARAM),
    (
        protocol.CONNECT_SET_LOGGING_OUTPUTS,
        protocol.SetLoggingArgs("1:file:/nowhere/at/all", 0),
        (ErrorCode.SYSTEM_ERROR, ErrorDomain.NONE),
    ),
    (protocol.CONNECT_SET_LOGGING_FILTERS, protocol.SetLoggingArgs("rubbish", 1), BAD_FLAG),
    (protocol.CONNECT_SET_LOGGING_FILTERS, protocol.SetLoggingArgs("rubbish", 0), BAD_PARAM),
    (TLS, protocol.ServerArgs(NOBODY, 1), NO_SERVER_RPC),
    (TLS, protocol.ServerArgs(MAIN, 1), BAD_FLAG),
    (TLS, protocol.ServerArgs(MAIN, 0), (ErrorCode.INTERNAL_ERROR, ErrorDomain.RPC)),
    (protocol.CONNECT_SET_DAEMON_TIMEOUT, protocol.SetTimeoutArgs(5, 1), BAD_FLAG),
    (protocol.CONNECT_DAEMON_SHUTDOWN, protocol.FlagsArgs(2), BAD_FLAG),
    (protocol.CONNECT_DAEMON_SHUTDOWN, protocol.FlagsArgs(3), BAD_FLAG),
]


@pytest.mark.parametrize(
    ("procedure", "args", "expected"),
    REFUSALS,
    ids=[f"{number}-{refusal[0].name}" for number, refusal in enumerate(REFUSALS)],
)
async def test_each_refusal_has_libvirts_code_and_domain_and_changes_nothing(
    logged: Office, procedure: Any, args: Any, expected: tuple[ErrorCode, ErrorDomain]
) -> None:
    await logged.connect()  # somebody has the id 1
    assert logged.daemon.logging is not None
    before = await logged.pool(), await logged.limits(), logged.daemon.logging.outputs_text()
    with pytest.raises(RpcError) as caught:
        await logged.ask(procedure, args)
    error = caught.value
    assert ((error.code, error.domain), error.level) == (expected, ErrorLevel.ERROR)
    after = await logged.pool(), await logged.limits(), logged.daemon.logging.outputs_text()
    assert (after, logged.daemon.timeout, len(logged.server.registry)) == (before, 0, 1)


class TestServers:
    async def test_the_version_is_the_libvirt_that_is_followed(self, office: Office) -> None:
        await office.ask(protocol.CONNECT_OPEN, protocol.FlagsArgs(0))
        got = await office.ask(protocol.CONNECT_GET_LIB_VERSION)
        assert got == protocol.LibVersion(9_000_000)

    async def test_they_are_listed_or_only_counted(self, office: Office) -> None:
        for need in (1, UINT_MAX):
            got = await office.ask(protocol.CONNECT_LIST_SERVERS, protocol.ListServersArgs(need, 0))
            assert (sorted(one.name for one in got.servers), got.count) == (["admin", "main"], 2)
        got = await office.ask(protocol.CONNECT_LIST_SERVERS, protocol.ListServersArgs(0, 0))
        assert got == protocol.ServerList([], 2)

    async def test_a_server_is_found_whatever_the_flags(self, office: Office) -> None:
        args = protocol.LookupServerArgs("main", 0xFFFF)
        got = await office.ask(protocol.CONNECT_LOOKUP_SERVER, args)
        assert got == protocol.LookupServerResult(MAIN)

    async def test_a_name_of_the_greatest_length_is_refused_in_good_order(
        self, office: Office
    ) -> None:
        args = protocol.LookupServerArgs("x" * 4194304, 0)
        with pytest.raises(RpcError) as caught:
            await office.ask(protocol.CONNECT_LOOKUP_SERVER, args)
        assert (caught.value.code, caught.value.domain) == NO_SERVER_RPC
        await office.ask(protocol.CONNECT_OPEN, protocol.FlagsArgs(0))


class TestThreadPool:
    async def test_its_numbers_are_unsigned_and_in_libvirts_order(self, office: Office) -> None:
        args = protocol.ServerArgs(MAIN, 0)
        got = await office.ask(protocol.SERVER_GET_THREADPOOL_PARAMETERS, args)
        assert got.params == [
            uint("minWorkers", 5),
            uint("maxWorkers", 20),
            uint("nWorkers", 5),
            uint("freeWorkers", 5),
            uint("prioWorkers", 5),
            uint("jobQueueDepth", 0),
        ]

    async def test_the_asking_call_is_one_busy_worker_of_its_server(self, office: Office) -> None:
        numbers = await office.pool("admin")
        assert (numbers["nWorkers"], numbers["freeWorkers"]) == (5, 4)

    async def test_it_counts_busy_workers_and_waiting_calls(self, office: Office) -> None:
        await office.ask(*pool(uint("minWorkers", 1), uint("maxWorkers", 2)))
        wire = await office.wire()
        await wire.send(*(call(WAIT, Number(n), n) for n in (1, 2, 3, 4)))
        await wire.ping()
        numbers = await office.pool()
        assert (numbers["nWorkers"], numbers["freeWorkers"], numbers["jobQueueDepth"]) == (2, 0, 2)

    async def test_what_is_set_is_in_force_and_the_rest_stays(self, office: Office) -> None:
        await office.ask(*pool(uint("prioWorkers", 0)))
        await office.ask(*pool(uint("maxWorkers", UINT_MAX), uint("minWorkers", 7)))
        numbers = await office.pool()
        assert [numbers[key] for key in ("minWorkers", "maxWorkers", "prioWorkers")] == [
            7,
            UINT_MAX,
            0,
        ]
        await office.ask(*pool())
        assert await office.pool() == numbers


class TestClients:
    async def test_they_are_listed_or_only_counted(self, office: Office) -> None:
        seats = [await office.seat() for _ in range(3)]
        got = await office.ask(protocol.SERVER_LIST_CLIENTS, protocol.ListClientsArgs(MAIN, 1, 0))
        assert [(one.server, one.id, one.timestamp, one.transport) for one in got.clients] == [
            (MAIN, client.id, client.timestamp, protocol.Transport.UNIX) for _, client in seats
        ]
        assert got.count == 3
        got = await office.ask(protocol.SERVER_LIST_CLIENTS, protocol.ListClientsArgs(MAIN, 0, 0))
        assert got == protocol.ClientList([], 3)

    async def test_one_is_found_by_its_id(self, office: Office) -> None:
        _, client = await office.seat()
        got = await office.ask(LOOKUP, protocol.LookupClientArgs(MAIN, client.id, 0))
        assert (got.client.id, got.client.timestamp) == (client.id, client.timestamp)

    async def test_a_local_one_is_who_the_kernel_says(self, office: Office) -> None:
        _, client = await office.seat()
        params = await office.info(client.id)
        me, mine = os.getuid(), os.getgid()
        found = to_dict(params)
        found.pop("selinux_context", None)
        assert list(found.items()) == [
            ("readonly", False),
            ("unix_user_id", me),
            ("unix_user_name", pwd.getpwuid(me).pw_name),
            ("unix_group_id", mine),
            ("unix_group_name", grp.getgrgid(mine).gr_name),
            ("unix_process_id", os.getpid()),
        ]
        kinds = {param.field: param.value.kind for param in params}
        assert (kinds["readonly"], kinds["unix_user_id"]) == (ParamType.BOOLEAN, ParamType.INT)

    async def test_a_remote_one_is_an_address(self, office: Office) -> None:
        (service,) = office.server.listen_tcp("127.0.0.1", 0)
        service.update()
        async with connect_tcp(*service.sock.getsockname()) as remote:
            port = remote.sock.getsockname()[1]
            await eventually(lambda: len(office.server.registry) == 1)
            assert to_dict(await office.info(1)) == {
                "readonly": False,
                "sock_addr": f"127.0.0.1:{port}",
            }
            got = await office.ask(LOOKUP, protocol.LookupClientArgs(MAIN, 1, 0))
            assert got.client.transport == protocol.Transport.TCP

    async def test_one_that_goes_while_it_is_looked_at_is_no_client(
        self, office: Office, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (service,) = office.server.listen_tcp("127.0.0.1", 0)
        service.update()
        remote = await connect_tcp(*service.sock.getsockname())
        await eventually(lambda: len(office.server.registry) == 1)
        (client,) = office.server.registry

        def gone(self: Client) -> str:
            raise OSError(errno.ENOTCONN, "its reset has come, and was not read yet")

        monkeypatch.setattr(Client, "address", gone)
        with pytest.raises(RpcError) as caught:
            await office.info(client.id)
        assert (caught.value.code, caught.value.domain) == NO_CLIENT_ADMIN
        remote.abort()

    async def test_closing_one_cuts_it_off_and_frees_its_workers(self, office: Office) -> None:
        await office.ask(*pool(uint("minWorkers", 1), uint("maxWorkers", 1)))
        wire, client = await office.seat()
        await wire.send(call(STUBBORN, Number(1)))
        await eventually(lambda: office.stage.started == [1])
        await office.ask(CLOSE, protocol.ClientArgs(reference(client.id), 0))
        numbers = await office.pool()
        assert (numbers["freeWorkers"], len(office.server.registry)) == (1, 0)
        assert await wire.ended() == []

    async def test_who_closes_itself_is_gone_and_the_daemon_is_not(self, office: Office) -> None:
        own = protocol.ClientArgs(reference(1, protocol.ServerRef("admin")), 0)
        with pytest.raises(ConnectionLost):
            await office.ask(CLOSE, own)
        await (await office.wire()).ping()
        assert len(office.daemon.servers["admin"].registry) == 0

    async def test_good_bye_is_answered_before_the_end(self, office: Office) -> None:
        await office.ask(protocol.CONNECT_CLOSE)
        await asyncio.wait_for(office.admin.wait_closed(), PATIENCE)
        assert len(office.daemon.servers["admin"].registry) == 0


class TestClientLimits:
    async def test_they_are_unsigned_and_in_libvirts_order(self, office: Office) -> None:
        _, client = await office.seat()
        office.server.registry.remove(client)
        client.authenticated = False
        office.server.registry.add(client)
        got = await office.ask(GET_LIMITS, protocol.ServerArgs(MAIN, 0))
        assert got.params == [
            uint("nclients_max", 5000),
            uint("nclients", 1),
            uint("nclients_unauth_max", 20),
            uint("nclients_unauth", 1),
        ]

    async def test_they_are_in_force_at_once(self, office: Office) -> None:
        await office.ask(*limits(uint("nclients_unauth_max", 0), uint("nclients_max", 0)))
        wire: Wire = await office.wire()
        assert (await office.limits())["nclients"] == 0
        await office.ask(*limits(uint("nclients_max", 1)))
        await wire.ping()
        assert await office.limits() == {
            "nclients_max": 1,
            "nclients": 1,
            "nclients_unauth_max": 0,
            "nclients_unauth": 0,
        }


class TestLogging:
    async def test_outputs_are_shown_as_they_were_set(self, logged: Office, tmp_path: Path) -> None:
        text = f"1:file:{tmp_path}/a 4:stderr"
        await logged.ask(protocol.CONNECT_SET_LOGGING_OUTPUTS, protocol.SetLoggingArgs(text, 0))
        got = await logged.ask(protocol.CONNECT_GET_LOGGING_OUTPUTS, protocol.FlagsArgs(0))
        assert got == protocol.LoggingOutputs(text, 2)

    async def test_filters_are_shown_with_the_stars_that_they_have(self, logged: Office) -> None:
        args = protocol.SetLoggingArgs("1:rpc 4:admin.server", 0)
        await logged.ask(protocol.CONNECT_SET_LOGGING_FILTERS, args)
        got = await logged.ask(protocol.CONNECT_GET_LOGGING_FILTERS, protocol.FlagsArgs(0))
        assert got == protocol.LoggingFilters(
            "1:*rpc* 4:*admin.server* ", 2
        )  # the blank is libvirt's

    @pytest.mark.parametrize("nothing", [None, ""])
    async def test_nothing_restores_the_defaults(self, logged: Office, nothing: str | None) -> None:
        args = protocol.SetLoggingArgs("1:rpc", 0)
        await logged.ask(protocol.CONNECT_SET_LOGGING_FILTERS, args)
        args = protocol.SetLoggingArgs(nothing, 0)
        await logged.ask(protocol.CONNECT_SET_LOGGING_FILTERS, args)
        await logged.ask(protocol.CONNECT_SET_LOGGING_OUTPUTS, args)
        got = await logged.ask(protocol.CONNECT_GET_LOGGING_FILTERS, protocol.FlagsArgs(0))
        assert got == protocol.LoggingFilters(None, 0)
        got = await logged.ask(protocol.CONNECT_GET_LOGGING_OUTPUTS, protocol.FlagsArgs(0))
        assert got == protocol.LoggingOutputs("3:stderr", 1)

    async def test_a_daemon_without_log_control_says_so(self, office: Office) -> None:
        for procedure, args in (
            (protocol.CONNECT_GET_LOGGING_OUTPUTS, protocol.FlagsArgs(0)),
            (protocol.CONNECT_GET_LOGGING_FILTERS, protocol.FlagsArgs(0)),
            (protocol.CONNECT_SET_LOGGING_OUTPUTS, protocol.SetLoggingArgs(None, 0)),
            (protocol.CONNECT_SET_LOGGING_FILTERS, protocol.SetLoggingArgs(None, 0)),
        ):
            with pytest.raises(RpcError) as caught:
                await office.ask(procedure, args)
            assert caught.value.code == ErrorCode.OPERATION_UNSUPPORTED


class TestDaemon:
    async def test_the_timeout_is_set_and_taken_back(self, office: Office) -> None:
        for seconds in (5, UINT_MAX, 0):
            args = protocol.SetTimeoutArgs(seconds, 0)
            await office.ask(protocol.CONNECT_SET_DAEMON_TIMEOUT, args)
            assert office.daemon.timeout == seconds
        assert office.serving is not None
        assert not office.serving.done()

    @pytest.mark.parametrize("flags", [0, protocol.ShutdownFlags.PRESERVE])
    async def test_a_shutdown_is_answered_and_then_done(self, office: Office, flags: int) -> None:
        await office.ask(protocol.CONNECT_DAEMON_SHUTDOWN, protocol.FlagsArgs(flags))
        assert office.serving is not None
        await asyncio.wait_for(office.serving, PATIENCE)
        assert office.admin.closed


async def test_every_procedure_of_the_table_has_a_handler(office: Office) -> None:
    bound = {binding.procedure for binding in admin_dispatch.handlers(office.daemon).bindings()}
    assert bound == set(protocol.ADMIN)
    assert sorted(procedure.number for procedure in bound) == list(range(1, 21))


async def test_several_houses_do_not_disturb_each_other(make_house: MakeHouse) -> None:
    one, other = await make_house(), await make_house()
    wire = await other.wire()
    one.daemon.shutdown()
    assert one.serving is not None
    await asyncio.wait_for(asyncio.shield(one.serving), PATIENCE)
    await wire.ping()
