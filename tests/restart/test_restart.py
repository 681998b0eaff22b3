"""SIGUSR1: a new program takes over, and nobody who is connected can tell."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin import protocol as admin
from aiovirt.daemons.logd.client import LogAdmin
from aiovirt.daemons.virtd import protocol as remote
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.wire import typedparams
from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.message import Message, Type, frame
from tests import harness
from tests.restart.conftest import SETTINGS, Restarted
from tests.restart.wire import open_log

VERSION = admin.CONNECT_GET_LIB_VERSION


async def _clients(connection: Connection, server: str) -> list[tuple[int, int]]:
    found = await connection.call(
        admin.SERVER_LIST_CLIENTS,
        admin.SERVER_LIST_CLIENTS.args(admin.ServerRef(server), 16384, 0),
    )
    return [(client.id, client.timestamp) for client in found.clients]


async def test_connections_and_their_ids_survive(any_daemon: Restarted) -> None:
    daemon = any_daemon.daemon
    async with (
        connect_unix(daemon.admin_socket) as one,
        connect_unix(daemon.socket) as two,
    ):
        await one.call(VERSION, None)
        before = [await _clients(one, name) for name in ("admin", daemon.name)]
        assert [len(clients) for clients in before] == [1, 1]
        await any_daemon.restart()
        assert [await _clients(one, name) for name in ("admin", daemon.name)] == before
        async with connect_unix(daemon.admin_socket) as three:
            await three.call(VERSION, None)
            (new,) = set(await _clients(one, "admin")) - set(before[0])
            assert new[0] == before[0][0][0] + 1, "ids go on where they were"
        assert not two.closed


async def test_a_call_in_the_middle_is_answered_by_the_new_program(any_daemon: Restarted) -> None:
    async with connect_unix(any_daemon.daemon.admin_socket) as connection:
        restarting = asyncio.create_task(any_daemon.restart())
        calls = 0
        while not restarting.done():
            await connection.call(VERSION, None, timeout=harness.PATIENCE)
            calls += 1
        await restarting
        assert calls


async def test_half_a_frame_is_kept(any_daemon: Restarted) -> None:
    loop = asyncio.get_running_loop()
    call = frame(VERSION.key, Type.CALL, 77, 0, b"")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as link:
        link.connect(any_daemon.daemon.admin_socket)
        await loop.sock_sendall(link, call + call[:13])
        await _replies(link, 1)  # so the half behind it was read
        await any_daemon.restart()
        await loop.sock_sendall(link, call[13:])
        (reply,) = await _replies(link, 1)
        assert (reply.type, reply.serial, reply.status) == (Type.REPLY, 77, 0)


async def _replies(link: socket.socket, count: int) -> list[Message]:
    framer, found = Framer(), []
    while len(found) < count:
        async with asyncio.timeout(harness.PATIENCE):
            data = await asyncio.get_running_loop().sock_recv(link, 65536)
        assert data, "cut off"
        found += framer.feed(data)
    return found


async def test_replies_that_were_not_taken_yet_are_not_lost(any_daemon: Restarted) -> None:
    loop = asyncio.get_running_loop()
    calls = 20_000
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as link:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(any_daemon.daemon.admin_socket)
        data = b"".join(frame(VERSION.key, Type.CALL, n, 0, b"") for n in range(1, calls + 1))
        sending = asyncio.create_task(loop.sock_sendall(link, data))
        await asyncio.sleep(0)
        await any_daemon.restart()
        replies = await _replies(link, calls)
        assert [reply.serial for reply in replies] == list(range(1, calls + 1))
        await sending


async def test_what_was_changed_while_running_stays(any_daemon: Restarted) -> None:
    daemon = any_daemon.daemon
    server = admin.ServerRef(daemon.name)
    limits = [typedparams.uint("nclients_max", 123), typedparams.uint("nclients_unauth_max", 12)]
    async with connect_unix(daemon.admin_socket) as connection:

        async def said() -> list[object]:
            return [
                await connection.call(
                    admin.SERVER_GET_CLIENT_LIMITS, admin.SERVER_GET_CLIENT_LIMITS.args(server, 0)
                ),
                await connection.call(
                    admin.CONNECT_GET_LOGGING_FILTERS, admin.CONNECT_GET_LOGGING_FILTERS.args(0)
                ),
            ]

        at_first = await said()
        await connection.call(
            admin.SERVER_SET_CLIENT_LIMITS,
            admin.SERVER_SET_CLIENT_LIMITS.args(server, limits, 0),
        )
        await connection.call(
            admin.CONNECT_SET_LOGGING_FILTERS,
            admin.CONNECT_SET_LOGGING_FILTERS.args("1:*restart* 3:wire", 0),
        )
        changed = await said()
        assert changed != at_first
        for _ in range(2):
            await any_daemon.restart()
            assert await said() == changed


async def test_what_was_changed_in_the_settings_file_counts(any_daemon: Restarted) -> None:
    daemon = any_daemon.daemon
    harness.write_settings(daemon.conf, {**SETTINGS, "max_clients": 77})
    async with connect_unix(daemon.admin_socket) as connection:
        await any_daemon.restart()
        limits = await connection.call(
            admin.SERVER_GET_CLIENT_LIMITS,
            admin.SERVER_GET_CLIENT_LIMITS.args(admin.ServerRef(daemon.name), 0),
        )
        assert typedparams.to_dict(limits.params)["nclients_max"] == 77


async def test_a_program_that_would_not_start_does_not_take_over(any_daemon: Restarted) -> None:
    daemon = any_daemon.daemon
    async with connect_unix(daemon.admin_socket) as connection:
        daemon.conf.write_text("max_clients = nonsense\n")
        any_daemon.signal()
        await any_daemon.wait_for(lambda: "restart refused" in any_daemon.said)
        assert "would not take over" in any_daemon.said
        assert str(daemon.conf) in any_daemon.said.rpartition("restart refused")[2]
        await connection.call(VERSION, None)
        harness.write_settings(daemon.conf, SETTINGS)
        await any_daemon.restart()
        await connection.call(VERSION, None)


async def test_it_ends_as_ever_afterwards(any_daemon: Restarted) -> None:
    daemon = any_daemon.daemon
    await any_daemon.restart()
    pid_file = daemon.folder / f"{daemon.name}.pid"
    assert int(pid_file.read_text()) == daemon.pid
    assert daemon.kill() == 0
    left = {path.name for path in daemon.folder.iterdir()}
    assert left - {"virtd.sqlite"} == {"log", daemon.conf.name}


async def test_signals_that_come_meanwhile_are_not_lost_and_harm_nobody(
    any_daemon: Restarted,
) -> None:
    daemon = any_daemon.daemon
    any_daemon.signal()
    sent = 0
    async with asyncio.timeout(harness.PATIENCE):
        while sent < 200 or "took over" not in any_daemon.said:
            os.kill(daemon.pid, signal.SIGUSR1)
            os.kill(daemon.pid, signal.SIGHUP)
            sent += 1
            await asyncio.sleep(0.005)
    os.kill(daemon.pid, signal.SIGTERM)
    assert await asyncio.to_thread(daemon.wait) == 0
    assert "took over" in any_daemon.said


async def test_nothing_is_opened_that_was_not_open_before(any_daemon: Restarted) -> None:
    descriptors = f"/proc/{any_daemon.pid}/fd"
    await any_daemon.restart()
    before = len(os.listdir(descriptors))
    for _ in range(3):
        await any_daemon.restart()
    assert len(os.listdir(descriptors)) == before


@pytest.mark.parametrize("what", ["nonsense", "take-over:x", "take-over:9999", "rehearse:0"])
def test_a_foreign_environment_variable_is_refused(what: str, tmp_path: Path) -> None:
    os.environ["AIOVIRT_RESTART"] = what
    try:
        with pytest.raises(harness.DaemonFailed, match="ended with 3"):
            harness.start("lockd", tmp_path)
    finally:
        del os.environ["AIOVIRT_RESTART"]


async def test_calls_in_flight_are_finished_first(any_daemon: Restarted) -> None:
    async with connect_unix(any_daemon.daemon.admin_socket) as connection:
        path = f"2:file:{any_daemon.daemon.folder}/other.log 2:stderr"
        any_daemon.signal()
        for _ in range(50):  # setting outputs takes a worker and a thread
            await connection.call(
                admin.CONNECT_SET_LOGGING_OUTPUTS,
                admin.CONNECT_SET_LOGGING_OUTPUTS.args(path, 0),
                timeout=harness.PATIENCE,
            )
        await any_daemon.wait_for(lambda: "took over" in any_daemon.said)


async def test_a_log_is_followed_through_restarts(logd: Restarted) -> None:
    path = str(logd.daemon.folder / "guest.log")
    pipe = await open_log(logd.daemon.socket, path)
    got = bytearray()
    async with (
        admin_client.connect(logd.daemon.uri) as connection,
        LogAdmin(connection).follow(path) as followed,
    ):

        async def take() -> None:
            async for data in followed:
                got.extend(data)

        taking = asyncio.create_task(take())
        for number in range(3):
            os.write(pipe, b"before %d\n" % number)
            await logd.restart()
            os.write(pipe, b"after %d\n" % number)
            await logd.wait_for(lambda number=number: got.endswith(b"after %d\n" % number))
        os.close(pipe)
        await taking
    assert bytes(got) == b"".join(b"before %d\nafter %d\n" % (n, n) for n in range(3))
    assert followed.gaps == 0


async def test_what_a_client_of_virtd_has_opened_stays_open() -> None:
    with harness.running("virtd", SETTINGS) as daemon:
        async with connect_unix(daemon.socket) as connection:
            await connection.call(remote.CONNECT_OPEN, remote.ConnectOpenArgs("test:///default", 1))
            await Restarted(daemon).restart()
            opened = await connection.call(remote.CONNECT_GET_URI, None)
            assert opened.uri == "test:///default"
