"""The mistakes of docs/advisories.md that no other test looks for, and the document itself.

Each test is named there beside the advisories whose class of mistake it would find.
"""

from __future__ import annotations

import ast
import asyncio
import configparser
import contextlib
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from aiovirt.admin import dispatch as admin_dispatch
from aiovirt.admin import protocol as admin
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.virtd import protocol as remote
from aiovirt.daemons.virtd.constants.connect import Feature
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.sasl import SaslDispatch
from aiovirt.rpc.client import ConnectionLost, connect_unix
from aiovirt.rpc.security.identity import root_or_self
from aiovirt.rpc.security.tls import TlsPolicy
from aiovirt.rpc.server import Access, Client, Handlers, run_blocking
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.keepalive import KEEPALIVE, PING_FRAME
from aiovirt.rpc.wire.message import Message
from aiovirt.rpc.wire.program import Program
from aiovirt.rpc.wire.typedparams import uint
from tests.conftest import StartDaemon
from tests.property.wire_values import programs
from tests.unit.house import (
    ECHO,
    HOOK,
    HOOK_LATER,
    PATIENCE,
    TEST,
    WAIT,
    House,
    MakeHouse,
    Number,
    Text,
    Wire,
    call,
    eventually,
    failure,
    result,
)
from tests.unit.log_house import open_log_house
from tests.unit.test_tls import ECHO as TLS_ECHO
from tests.unit.test_tls import Data, Pki
from tests.unit.test_tls import open_house as open_tls_house

ROOT: Final = Path(__file__).parents[2]
NOBODY: Final = 65534
"""The user id of somebody else."""

OWN = Program("advisories", 0x7E577E70, 1)
FAIL = OWN.procedure(1, "FAIL", Number, xdr.Void)

MAIN = admin.ServerRef("main")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


# The document ------------------------------------------------------------------------------------


_PARTS: Final = ("Mistake", "Class", "Prevention")


def _entries() -> list[str]:
    """The text of each advisory's section in the first part of the document."""
    text = (ROOT / "docs/advisories.md").read_text()
    part = text.partition("\n## Advisories of our layers\n")[2].partition("\n## ")[0]
    return part.split("\n### ")[1:]


def _advisories(entry: str) -> list[str]:
    return re.findall(r"CVE-\d{4}-\d{4,7}|LSN-\d{4}-\d{4}", entry.partition("- Mistake:")[0])


def _tests(entry: str) -> list[str]:
    return re.findall(r"^  - `(tests/[^`]+)`$", entry, re.MULTILINE)


@cache
def _tests_in(path: str) -> set[str]:
    """The names of a file's test functions, those of a class behind the name of the class."""
    names = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        inside = node.body if isinstance(node, ast.ClassDef) else [node]
        before = f"{node.name}::" if isinstance(node, ast.ClassDef) else ""
        functions = (
            one for one in inside if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        names |= {before + one.name for one in functions if one.name.startswith("test_")}
    return names


@pytest.mark.parametrize("test", sorted({test for entry in _entries() for test in _tests(entry)}))
def test_a_test_that_the_document_names_is_there(test: str) -> None:
    path, _, name = test.partition("::")
    assert name in _tests_in(path)


def test_every_entry_of_the_document_is_whole_and_no_advisory_stands_twice() -> None:
    entries = _entries()
    assert len(entries) > 15
    for entry in entries:
        for part in _PARTS:
            assert re.search(rf"^- {part}: \S", entry, re.MULTILINE), entry
        assert _tests(entry), entry
        for path in re.findall(r"`((?:rpc|admin|daemons|conf)/[^`]+)`", entry):
            assert list(ROOT.glob(path)), path
    known = [one for entry in entries for one in _advisories(entry)]
    assert len(known) == len(set(known))


def test_every_test_of_this_file_is_in_the_document() -> None:
    here = "tests/unit/test_advisories.py"
    named = {test for entry in _entries() for test in _tests(entry)}
    about_the_document = {name for name in _tests_in(here) if "document" in name}
    assert {f"{here}::{name}" for name in _tests_in(here) - about_the_document} <= named


# Who gets in -------------------------------------------------------------------------------------


@contextlib.contextmanager
def _somebody_else() -> Iterator[None]:
    """Be an ordinary user for a moment: the kernel tells a peer the effective user of who connects."""
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def _answer_to_ping(path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        link.connect(path)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(PING_FRAME)
            return link.recv(100)
    return b""


@as_root
@pytest.mark.parametrize("name", ["virtd", "lockd", "logd"])
def test_another_user_is_turned_away_though_the_sockets_let_everybody(
    start_daemon: StartDaemon, name: str
) -> None:
    open_to_all = {"unix_sock_rw_perms": "0777", "unix_sock_admin_perms": "0777"}
    daemon = start_daemon(name, open_to_all)
    daemon.folder.chmod(0o755)
    sockets = [daemon.admin_socket, *([] if name == "virtd" else [daemon.socket])]
    for path in sockets:
        assert Path(path).stat().st_mode & 0o777 == 0o777
        with _somebody_else():
            assert _answer_to_ping(path) == b""
        assert len(_answer_to_ping(path)) == len(PING_FRAME)


def test_no_socket_is_open_to_others_unless_somebody_says_so() -> None:
    units = sorted((ROOT / "conf").glob("*.socket"))
    modes = {}
    for unit in units:
        section = configparser.ConfigParser()
        section.read(unit)
        if section["Socket"]["ListenStream"].startswith("/") and unit.name != "virtd-ro.socket":
            modes[unit.name] = int(section["Socket"].get("SocketMode", "0666"), 8)
    for kind in kinds():
        name = kind.name
        assert {f"{name}.socket", f"{name}-admin.socket"} <= set(modes)
        for setting, declared in kind.settings().items():
            if setting.startswith("unix_sock_") and setting.endswith("_perms"):
                default = declared.default
                assert isinstance(default, int)
                modes[f"{name}: {setting}"] = default
    assert {where for where, mode in modes.items() if mode & 0o077} == set()


@as_root
async def test_who_has_connected_stays_who_he_was(house: House) -> None:
    os.chmod(os.path.dirname(house.path), 0o755)
    os.chmod(house.path, 0o777)
    with _somebody_else():
        wire = await house.wire()
    # The process is root from here on, as one that has executed a setuid program.
    await wire.ping()
    (client,) = house.server.registry
    assert client.identity().uid == NOBODY
    assert not root_or_self(client.identity())


async def test_what_a_stranger_says_is_not_looked_at(house: House, tmp_path: Path) -> None:
    decoded: list[int] = []
    for procedure in (ECHO, HOOK_LATER):
        binding = house.server.table[procedure.key]

        def spy(data: xdr.Buffer, pos: int, end: int) -> tuple[Text, int]:
            decoded.append(pos)
            return Text(""), end

        def answer(client: Client, serial: int, data: xdr.Buffer, pos: int, end: int) -> bytes:
            decoded.append(pos)
            return b""

        binding.decode = spy
        binding.answer = answer
    house.path, usual = str(tmp_path / "asks"), house.path
    house.server.listen_unix(house.path, access=Access(auth="sasl")).update()
    wire = await house.wire()
    house.path = usual
    for serial, procedure in enumerate((ECHO, HOOK_LATER)):
        await wire.send(call(procedure, serial=serial, payload=b"\xff" * 100_000))
        assert "authentication required" in failure(await wire.receive()).message
    assert decoded == []
    assert house.stage.started == []


READING: Final = frozenset(
    line
    for line in (Path(__file__).parent / "remote_readers.txt").read_text().splitlines()
    if not line.startswith("#")
)
"""What a reader may call, listed a second time: a procedure is not opened to readers by one mistake."""


def test_what_may_be_called_by_a_reader_is_known() -> None:
    # No other program is on a server with read-only clients: see below.
    assert {one.name for one in remote.REMOTE if one.reads and not one.event} == READING


async def test_a_reader_calls_what_reads_and_nothing_else(house: House, tmp_path: Path) -> None:
    house.path, usual = str(tmp_path / "ro"), house.path
    house.server.listen_unix(house.path, access=Access(readonly=True)).update()
    wire, client = await house.seat()
    house.path = usual
    forbidden = [HOOK, HOOK_LATER, WAIT]
    calls = [call(procedure, Number(1), 2 * n) for n, procedure in enumerate(forbidden)]
    await wire.send(*(part for one in calls for part in (one, call(ECHO, Text("seen"), 99))))
    replies = await wire.replies(2 * len(calls))
    refused = [failure(reply) for reply in replies if reply.serial != 99]
    assert [error.code for error in refused] == [ErrorCode.OPERATION_DENIED] * len(forbidden)
    prefix = "operation forbidden: read only access prevents"
    assert [f"{prefix} {one.function}" for one in forbidden] == [one.message for one in refused]
    assert {result(ECHO, reply).text for reply in replies if reply.serial == 99} == {"seen"}
    assert house.stage.started == []
    # Whoever becomes a reader later, by a flag of his, is one from then on.
    wire, client = await house.seat()
    await wire.send(call(HOOK, Number(5)))
    assert result(HOOK, await wire.receive()) == Number(5)
    client.readonly = True
    await wire.send(call(HOOK, Number(6)))
    assert failure(await wire.receive()).code == ErrorCode.OPERATION_DENIED


def test_a_reader_finds_no_other_program(start_daemon: StartDaemon) -> None:
    daemon = start_daemon("virtd")
    others = [one for one in programs() if one not in (remote.REMOTE, remote.QEMU, KEEPALIVE)]
    assert admin.ADMIN in others
    asked = [procedure for program in others for procedure in program]
    framer = Framer()
    replies: list[Message] = []
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        link.connect(f"{daemon.socket}-ro")
        for procedure in asked:
            link.sendall(call(procedure, payload=b""))
            while len(replies) < asked.index(procedure) + 1:
                replies += framer.feed(link.recv(1 << 16))
    assert {"has no program" in failure(reply).message for reply in replies} == {True}


async def test_a_server_that_verifies_nobody_is_verified(tmp_path: Path) -> None:
    ours, other = Pki(tmp_path / "ours"), Pki(tmp_path / "other")
    policy = TlsPolicy(verify=False, sanity=False)
    async with open_tls_house(tmp_path, ours.files("server"), policy) as house:
        with pytest.raises(ConnectionLost):
            await house.connect(other.files("client"))
        trusting = replace(other.files("client"), ca=ours.files("client").ca)
        async with await house.connect(trusting) as connection:
            assert await connection.call(TLS_ECHO, Data(b"in")) == Data(b"in")


# What is made of a message -----------------------------------------------------------------------


async def test_a_number_that_no_procedure_has_is_refused(house: House) -> None:
    known = {procedure.number for procedure in TEST if not procedure.event}
    numbers = [*(set(range(-2, 100)) - known), -(1 << 31), (1 << 31) - 1]
    assert 50 in numbers, "an event"
    wire = await house.wire()
    for number in numbers:
        await wire.send(Message(TEST.number, TEST.version, number, serial=7).pack())
        error = failure(await wire.receive())
        assert (error.code, error.message) == (ErrorCode.RPC, f"unknown procedure: {number}")
    await wire.send(call(ECHO, Text("on")))
    assert result(ECHO, await wire.receive()) == Text("on")


@pytest.mark.parametrize(
    "count", [admin.PARAMS_MAX + 1, 0x10000001, 0x40000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
)
async def test_a_count_above_its_maximum_is_refused(house: House, count: int) -> None:
    house.server.add_program(admin_dispatch.handlers(house.daemon))
    there = xdr.encode(uint("maxWorkers", 7)) * min(count, 100)
    payload = xdr.encode(MAIN) + struct.pack(">I", count) + there + bytes(4)
    wire = await house.wire()
    for procedure in (admin.SERVER_SET_THREADPOOL_PARAMETERS, admin.SERVER_SET_CLIENT_LIMITS):
        await wire.send(call(procedure, payload=payload))
        error = failure(await wire.receive())
        assert (error.code, "maximum" in error.message) == (ErrorCode.RPC, True)
    assert house.server.workers.stats().maximum == 20


async def test_no_parameters_change_nothing(house: House) -> None:
    house.server.add_program(admin_dispatch.handlers(house.daemon))
    before = house.server.workers.stats().maximum, house.server.registry.max_clients
    wire = await house.wire()
    for procedure in (admin.SERVER_SET_THREADPOOL_PARAMETERS, admin.SERVER_SET_CLIENT_LIMITS):
        await wire.send(call(procedure, admin.ServerParamsArgs(MAIN, [], 0)))
        assert result(procedure, await wire.receive()) is None
    assert (house.server.workers.stats().maximum, house.server.registry.max_clients) == before


async def test_a_handler_never_sees_what_did_not_decode(house: House) -> None:
    wire = await house.wire()
    for procedure in (HOOK, HOOK_LATER, WAIT):
        for length in range(4):
            await wire.send(call(procedure, payload=bytes(length)))
            assert failure(await wire.receive()).code == ErrorCode.RPC
    assert house.stage.started == []
    (client,) = house.server.registry
    assert client.in_flight == 0


async def test_each_caller_gets_his_own_error(house: House) -> None:
    crowd = 8
    together = threading.Barrier(crowd)

    def fail(number: int) -> None:
        together.wait(PATIENCE)
        raise RpcError(ErrorCode.OPERATION_FAILED, f"this is the error of {number}")

    async def handler(client: Client, args: Number) -> None:
        await run_blocking(fail, args.value)

    bound = Handlers(OWN)
    bound.bind(FAIL, handler)
    house.server.add_program(bound)
    wires = [await house.wire() for _ in range(crowd)]
    for number, wire in enumerate(wires):
        await wire.send(call(FAIL, Number(number), serial=100 + number))
    for number, wire in enumerate(wires):
        reply = await wire.receive()
        assert reply.serial == 100 + number
        assert failure(reply).message == f"this is the error of {number}"


# Who goes ----------------------------------------------------------------------------------------


async def _left(house: House, clients: int) -> list[Client]:
    """Let clients ask for keepalives and leave without waiting for the answer; those who left."""
    gone: list[Client] = []
    house.server.on_client_gone.append(gone.append)
    asks = call(
        remote.CONNECT_SUPPORTS_FEATURE,
        remote.ConnectSupportsFeatureArgs(Feature.PROGRAM_KEEPALIVE),
    )
    for _ in range(clients):
        wire: Wire = await house.wire()
        wire.sock.send(asks)
        wire.close()
    await eventually(lambda: len(gone) == clients, "that all have left")
    return gone


async def test_registering_for_events_in_any_order_is_harmless_and_brings_only_what_was_asked_for(
    house: House, tmp_path: Path
) -> None:
    RemoteDispatch(SaslDispatch(str(tmp_path / "passwords"), None), Hosts(None).all).serve_on(
        house.server
    )
    register = remote.CONNECT_REGISTER_CLOSE_CALLBACK
    take_back = remote.CONNECT_UNREGISTER_CLOSE_CALLBACK
    order = [take_back, register, register, take_back, take_back, register]
    wires = [await house.wire() for _ in range(3)]
    for wire in wires:
        await wire.send(call(remote.CONNECT_OPEN, remote.ConnectOpenArgs("test:///default", 0)))
        assert result(remote.CONNECT_OPEN, await wire.receive()) is None
    listener, other, leaver = wires
    for serial, procedure in enumerate(order):
        await listener.send(call(procedure, serial=serial))
        assert (await listener.receive()).serial == serial
    await leaver.send(call(register))
    assert result(register, await leaver.receive()) is None
    leaver.close()
    await eventually(lambda: len(house.server.registry) == 2)
    # Whatever was sent unasked would come before the answer to a PING.
    for wire in (listener, other):
        await wire.ping()


async def test_who_asks_for_keepalives_and_leaves_at_once_leaves_nothing(
    make_house: MakeHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: failures.append(context))
    monkeypatch.setattr(Client, "_failed", lambda self, error: failures.append(error))
    house = await make_house(keepalive_interval=1)
    RemoteDispatch(SaslDispatch(str(tmp_path / "passwords"), None), Hosts(None).all).serve_on(
        house.server
    )
    gone = await _left(house, 50)
    assert house.server.calls_served == 50
    assert not any(client.keeps_alive for client in gone)
    assert len(house.server.registry) == 0
    assert failures == []


async def test_a_program_that_fails_at_a_client_s_end_keeps_others_from_nothing(
    house: House,
) -> None:
    gone: list[Client] = []

    def fails(client: Client) -> None:
        raise PermissionError("nobody may take this back")

    house.server.on_client_gone += [fails, gone.append]
    wire, client = await house.seat()
    await wire.send(call(WAIT, Number(1)))
    await eventually(lambda: house.stage.started == [1])
    client.abort("disconnected by the administrator")
    wire.close()
    await eventually(lambda: gone == [client])
    assert (len(house.server.registry), client.calls()) == (0, [])
    await eventually(lambda: house.stage.finished == [1])
    assert house.server.workers.stats().queue_depth == 0


async def test_calls_that_are_refused_keep_no_descriptor(tmp_path: Path) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with open_log_house(tmp_path) as house:
        async with connect_unix(house.socket):
            pass
        await eventually(lambda: not len(house.server.registry))
        before = descriptors()
        for _ in range(50):
            for path in (str(tmp_path), f"{tmp_path}/missing/guest.log", "x" * 5000):
                with pytest.raises(RpcError):
                    await house.open(path)
        await eventually(lambda: descriptors() <= before, "as many descriptors as before")
