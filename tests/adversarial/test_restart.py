"""Ten scenarios that try to have a restart lose something or hang. docs/restart.md has the findings."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin import protocol as admin
from aiovirt.daemons.lockd import protocol as locks
from aiovirt.daemons.logd.client import LogAdmin
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.message import Message, Type, frame
from aiovirt.rpc.wire.typedparams import to_dict
from tests import harness
from tests.restart.conftest import SETTINGS, Restarted, gated  # noqa: F401  # a fixture
from tests.restart.gated import HANG
from tests.restart.gates import Start
from tests.restart.kernel import locked
from tests.restart.wire import open_log

VERSION = admin.CONNECT_GET_LIB_VERSION


@pytest.fixture
def started() -> Iterator[Callable[[str], Restarted]]:
    """Starts a daemon by its name."""
    from contextlib import ExitStack

    with ExitStack() as stack:
        yield lambda name: Restarted(stack.enter_context(harness.running(name, SETTINGS)))


def _link(path: str) -> socket.socket:
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    link.connect(path)
    return link


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


def _call(serial: int) -> bytes:
    return frame(VERSION.key, Type.CALL, serial, 0, b"")


async def _until_end(link: socket.socket) -> list[Message]:
    framer, found = Framer(), []
    while True:
        async with asyncio.timeout(harness.PATIENCE):
            data = await asyncio.get_running_loop().sock_recv(link, 65536)
        if not data:
            return found
        found += framer.feed(data)


async def _hold(path: str, disk: Path) -> Connection:
    connection = await connect_unix(path)
    owner = locks.Owner(b"\1" * 16, "guest", 1, 0x7000_0001)
    await connection.call(locks.REGISTER, locks.RegisterArgs(owner, 0))
    await connection.call(locks.ACQUIRE_RESOURCE, locks.ResourceArgs("", str(disk), 0))
    return connection


async def test_clients_that_say_good_bye_in_the_middle_get_all_their_replies(
    started: Callable[[str], Restarted],
) -> None:
    virtd = started("virtd")
    loop = asyncio.get_running_loop()
    calls = 3000

    async def client() -> None:
        with _link(virtd.daemon.admin_socket) as link:
            data = b"".join(map(_call, range(1, calls + 1)))
            sending = asyncio.create_task(loop.sock_sendall(link, data))
            sending.add_done_callback(lambda _: link.shutdown(socket.SHUT_WR))
            replies = await _until_end(link)
            assert [reply.serial for reply in replies] == list(range(1, calls + 1))

    for _ in range(3):
        clients = [asyncio.create_task(client()) for _ in range(8)]
        await asyncio.sleep(0)
        await virtd.restart()
        await asyncio.gather(*clients)


async def test_a_client_that_goes_while_the_document_is_written_is_gone_afterwards(
    gated: Start,  # noqa: F811  # the fixture
) -> None:
    lockd = gated("lockd")
    client = await connect_unix(lockd.daemon.socket)
    saving = await lockd.reach_saving()
    client.abort()
    os.close(saving)
    await lockd.wait_for(lambda: "took over" in lockd.said)
    await lockd.wait_for(lambda: "client gone server=lockd client=1" in lockd.said)


async def test_settings_that_are_broken_after_the_rehearsal_cost_only_the_settings(
    gated: Start,  # noqa: F811  # the fixture
) -> None:
    virtd = gated("virtd")
    async with connect_unix(virtd.daemon.admin_socket) as connection:
        await connection.call(VERSION, None)
        saving = await virtd.reach_saving()
        virtd.daemon.conf.write_text("max_clients = 'many'\nno toml at all")
        os.close(saving)
        await virtd.wait_for(lambda: "took over" in virtd.said)
        await connection.call(VERSION, None, timeout=harness.PATIENCE)
        assert "settings not read again" in virtd.said
        harness.write_settings(virtd.daemon.conf, {**SETTINGS, "max_clients": 77})
        os.kill(virtd.pid, signal.SIGHUP)
        args = admin.SERVER_GET_CLIENT_LIMITS.args(admin.ServerRef("virtd"), 0)
        async with asyncio.timeout(harness.PATIENCE):
            while True:
                limits = await connection.call(admin.SERVER_GET_CLIENT_LIMITS, args)
                if to_dict(limits.params)["nclients_max"] == 77:
                    break
        virtd.times = 1
        await virtd.restart()


async def test_without_a_free_descriptor_the_restart_is_refused_in_one_line(
    started: Callable[[str], Restarted],
) -> None:
    virtd = started("virtd")
    async with connect_unix(virtd.daemon.admin_socket) as connection:
        await connection.call(VERSION, None)
        soft, hard = resource.prlimit(virtd.pid, resource.RLIMIT_NOFILE)
        highest = max(map(int, os.listdir(f"/proc/{virtd.pid}/fd")))
        resource.prlimit(virtd.pid, resource.RLIMIT_NOFILE, (highest + 1, hard))
        virtd.signal()
        await virtd.wait_for(lambda: "everything goes on as before" in virtd.said)
        assert "Traceback" not in virtd.said
        await connection.call(VERSION, None, timeout=harness.PATIENCE)
        resource.prlimit(virtd.pid, resource.RLIMIT_NOFILE, (soft, hard))
        await virtd.restart()
        await connection.call(VERSION, None, timeout=harness.PATIENCE)


async def test_a_rehearsal_that_is_killed_refuses_the_restart(
    gated: Start,  # noqa: F811  # the fixture
) -> None:
    virtd = gated("virtd")
    gate = await virtd.reach_gate()
    for child in _proc(virtd.pid, f"task/{virtd.pid}/children").split():
        os.kill(int(child), signal.SIGKILL)
    os.close(gate)
    await virtd.wait_for(lambda: "restart refused" in virtd.said)
    await virtd.restart()


async def test_a_storm_of_signals_while_a_call_hangs_ends_in_a_daemon_that_serves(
    gated: Start,  # noqa: F811  # the fixture
) -> None:
    virtd = gated("virtd", "threads", grace=0.2)
    async with (
        connect_unix(virtd.daemon.socket) as stuck,
        connect_unix(virtd.daemon.admin_socket) as other,
    ):
        hanging = asyncio.create_task(stuck.call(HANG, None))
        for _ in range(100):
            os.kill(virtd.pid, signal.SIGUSR1)
            os.kill(virtd.pid, signal.SIGHUP)
            await other.call(VERSION, None, timeout=harness.PATIENCE)
        with pytest.raises(RpcError) as answer:
            await asyncio.wait_for(hanging, harness.PATIENCE)
        assert answer.value.code == ErrorCode.OPERATION_ABORTED
        await virtd.wait_for(lambda: "took over" in virtd.said)
    assert await asyncio.to_thread(virtd.daemon.kill) == 0


async def test_clients_that_drip_and_go_in_the_middle_of_a_frame_leave_nothing(
    started: Callable[[str], Restarted],
) -> None:
    virtd = started("virtd")
    loop = asyncio.get_running_loop()
    async with connect_unix(virtd.daemon.admin_socket) as watching:
        links = [_link(virtd.daemon.admin_socket) for _ in range(60)]
        for number in range(20):
            for link in links:
                await loop.sock_sendall(link, _call(7)[number : number + 1])
            if number in (5, 10, 15):
                await virtd.restart()
        for each, link in enumerate(links):
            if each % 2:
                link.shutdown(socket.SHUT_WR)
            else:
                link.close()
        await virtd.restart()
        for link in links[1::2]:
            assert await _until_end(link) == []
        args = admin.SERVER_LIST_CLIENTS.args(admin.ServerRef("admin"), 16384, 0)
        async with asyncio.timeout(harness.PATIENCE):
            while len((await watching.call(admin.SERVER_LIST_CLIENTS, args)).clients) > 1:
                pass


async def test_a_follower_that_does_not_read_holds_up_no_restart(
    started: Callable[[str], Restarted], tmp_path: Path
) -> None:
    logd = started("logd")
    path = tmp_path / "guest.log"
    pipe = await open_log(logd.daemon.socket, str(path))
    async with admin_client.connect(logd.daemon.uri) as connection:
        following = LogAdmin(connection).follow(str(path))
        async with following as lines:
            iterator = aiter(lines)
            os.write(pipe, b"first\n")
            assert await anext(iterator)
            for _ in range(100):
                await asyncio.to_thread(os.write, pipe, b"x" * 50_000 + b"\n")
            await logd.restart()
            os.write(pipe, b"last\n")
            got = b""
            async with asyncio.timeout(harness.PATIENCE):
                while not got.endswith(b"last\n"):
                    got += await anext(iterator)
            assert got.count(b"x") == 100 * 50_000
    os.close(pipe)


async def test_restarts_in_a_row_leak_neither_descriptors_nor_memory(
    started: Callable[[str], Restarted],
) -> None:
    virtd = started("virtd")
    loop = asyncio.get_running_loop()
    call = frame(VERSION.key, Type.CALL, 77, 0, os.urandom(2 << 20))
    links = [_link(virtd.daemon.admin_socket) for _ in range(10)]
    for link in links:
        await loop.sock_sendall(link, call[:-1])
    found = []
    for _ in range(5):
        await virtd.restart()
        memory = int(_proc(virtd.pid, "status").split("VmRSS:")[1].split()[0]) >> 10
        found.append((len(os.listdir(f"/proc/{virtd.pid}/fd")), memory))
    assert found[0][0] == found[-1][0]
    assert found[-1][1] - found[0][1] < 8  # MiB, of the 20 that are handed over each time
    for link in links:
        await loop.sock_sendall(link, call[-1:])
        async with asyncio.timeout(harness.PATIENCE):
            assert len(await loop.sock_recv(link, 100)) == 36
        link.close()


async def test_files_that_were_removed_under_the_daemon_are_not_needed(
    started: Callable[[str], Restarted], tmp_path: Path
) -> None:
    lockd = started("lockd")
    (tmp_path / "disk").touch()
    holder = await _hold(lockd.daemon.socket, tmp_path / "disk")
    for name in ("lockd.pid", "lockd-sock"):
        (lockd.daemon.folder / name).unlink()
    await lockd.restart()
    await lockd.restart()
    assert await asyncio.to_thread(locked, tmp_path) == {"disk"}
    await holder.call(
        locks.RELEASE_RESOURCE, locks.ResourceArgs("", str(tmp_path / "disk"), 0), timeout=5
    )
    assert await asyncio.to_thread(locked, tmp_path) == set()
    await holder.close()
    assert await asyncio.to_thread(lockd.daemon.kill) == 0
