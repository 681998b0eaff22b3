"""SASL: verifiers, exchanges, and what the remote program makes of them."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.parser import LineWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.daemons.virtd import protocol as remote
from aiovirt.daemons.virtd.client import authenticate, open_driver
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.protocol.limits import AUTH_SASL_DATA_MAX
from aiovirt.daemons.virtd.sasl import SaslDispatch
from aiovirt.rpc.client import Connection, ConnectionLost, connect_unix
from aiovirt.rpc.security.sasl import (
    MECHANISMS,
    ClientExchange,
    Passwords,
    SaslError,
    ServerExchange,
    Verifier,
)
from aiovirt.rpc.server import Access, Daemon, ServerOptions
from aiovirt.rpc.server import server as server_module
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from tests.unit.house import PATIENCE


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with two names; making verifiers takes a while."""
    path = tmp_path_factory.mktemp("sasl") / "passwords"
    passwords = Passwords(str(path))
    passwords.set("joe", "secret")
    passwords.set("jürgen", "pässwort")
    passwords.write()
    return path


# Files -------------------------------------------------------------------------------------------


def test_what_is_written_can_be_read_and_no_password_is_in_it(written: Path) -> None:
    assert written.stat().st_mode & 0o777 == 0o600
    again = Passwords(str(written))
    assert again.names() == ["joe", "jürgen"]
    assert all(again.find("joe", one) for one in MECHANISMS)
    assert again.find("joe", "PLAIN") is None
    text = written.read_text()
    assert "secret" not in text
    assert "pässwort" not in text


def test_a_name_is_taken_out(written: Path, tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.write_bytes(b"# ours\n\n" + written.read_bytes())
    passwords = Passwords(str(path))
    assert passwords.remove("joe")
    assert not passwords.remove("joe")
    passwords.write()
    assert Passwords(str(path)).names() == ["jürgen"]


def test_a_link_stays_a_link_and_its_file_is_written(written: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "elsewhere" / "real", tmp_path / "passwords"
    real.parent.mkdir()
    real.write_bytes(written.read_bytes())
    link.symlink_to("elsewhere/real")
    passwords = Passwords(str(link))
    passwords.remove("joe")
    passwords.write()
    assert link.is_symlink()
    assert Passwords(str(real)).names() == ["jürgen"]
    assert os.listdir(real.parent) == ["real"]


def test_a_link_to_a_file_that_is_yet_to_come_makes_it(tmp_path: Path) -> None:
    link = tmp_path / "passwords"
    link.symlink_to("real")
    Passwords(str(link)).write()
    assert link.is_symlink()
    assert (tmp_path / "real").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o400])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "passwords"
    path.touch()
    path.chmod(mode)
    Passwords(str(path)).write()
    assert path.stat().st_mode & 0o7777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_keeps_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    path.touch()
    os.chown(path, 12, 34)
    Passwords(str(path)).write()
    assert (path.stat().st_uid, path.stat().st_gid) == (12, 34)


def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    passwords = Passwords(str(path))
    os.mkfifo(path)
    with pytest.raises(OSError, match="not a regular file"):
        passwords.write()
    assert path.is_fifo()
    assert sorted(os.listdir(tmp_path)) == ["passwords"]


def test_no_file_is_nobody(tmp_path: Path) -> None:
    assert Passwords(str(tmp_path / "none")).names() == []


@pytest.mark.parametrize(
    "line",
    [
        "joe",
        "joe:secret",
        "joe:PLAIN$1:c2FsdA==$YQ==:YQ==",
        "joe:SCRAM-SHA-256$4096:c2FsdA==$YQ==:YQ==",
        "joe:SCRAM-SHA-256$many:MTIzNDU2Nzg5MDEy$YQ==:YQ==",
        ":SCRAM-SHA-256$4096:MTIzNDU2Nzg5MDEy$YQ==:YQ==",
        "joe:SCRAM-SHA-256$4096:*$*:*",
    ],
)
def test_a_line_that_is_not_understood_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "passwords"
    path.write_text(f"# fine\n{line}\n")
    with pytest.raises(ValueError, match="line 2"):
        Passwords(str(path))


@pytest.mark.parametrize("name", ["", "a:b", "a\nb", "#a", "x" * 257, "a\0"])
def test_what_cannot_be_a_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name"):
        Passwords(str(tmp_path / "none")).set(name, "secret")


def test_an_empty_password_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="empty"):
        Passwords(str(tmp_path / "none")).set("joe", "")


def test_a_file_that_is_too_long_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "passwords"
    with path.open("wb") as file:
        file.truncate((4 << 20) + 1)
    with pytest.raises(ValueError, match="longer than"):
        Passwords(str(path))


# Exchanges ---------------------------------------------------------------------------------------


def _exchange(
    written: Path, name: str, password: str, offered: str
) -> tuple[ServerExchange, ClientExchange]:
    client = ClientExchange(offered, name, password)
    server = ServerExchange(Passwords(str(written)))
    answer = server.start(client.mechanism, client.first())
    assert client.step(server.step(client.step(answer))) == b""
    return server, client


@pytest.mark.parametrize("offered", [*MECHANISMS, "PLAIN,SCRAM-SHA-256 GSSAPI"])
@pytest.mark.parametrize(("name", "password"), [("joe", "secret"), ("jürgen", "pässwort")])
def test_who_knows_the_password_comes_in(
    written: Path, name: str, password: str, offered: str
) -> None:
    server, client = _exchange(written, name, password, offered)
    assert (server.complete, client.complete, server.name) == (True, True, name)


@pytest.mark.parametrize(
    ("name", "password"), [("joe", "Secret"), ("joe", "pässwort"), ("nobody", "secret")]
)
def test_who_does_not_is_refused(written: Path, name: str, password: str) -> None:
    with pytest.raises(SaslError):
        _exchange(written, name, password, "SCRAM-SHA-256")


def test_a_name_that_is_not_there_looks_like_one_that_is(written: Path) -> None:
    def first_answer(name: str) -> dict[str, str]:
        client = ClientExchange("SCRAM-SHA-256", name, "x")
        server = ServerExchange(Passwords(str(written)))
        answer = server.start(client.mechanism, client.first()).decode()
        return dict(part.split("=", 1) for part in answer.split(","))  # type: ignore[misc]

    there, not_there, again = map(first_answer, ("joe", "nobody", "nobody"))
    assert there["i"] == not_there["i"]
    assert len(there["s"]) == len(not_there["s"])
    assert not_there["s"] == again["s"], "a salt that changes gives it away"


def test_a_server_that_does_not_know_the_password_is_not_believed(written: Path) -> None:
    client = ClientExchange("SCRAM-SHA-256", "joe", "secret")
    server = ServerExchange(Passwords(str(written)))
    client.step(server.start(client.mechanism, client.first()))
    with pytest.raises(SaslError):
        client.step(b"v=" + b"A" * 43 + b"=")
    assert not client.complete


@pytest.mark.parametrize("offered", ["", "PLAIN", "SCRAM-SHA-1", "EXTERNAL,ANONYMOUS"])
def test_nothing_weaker_is_used(offered: str) -> None:
    with pytest.raises(SaslError, match="offers"):
        ClientExchange(offered, "joe", "secret")


@pytest.mark.parametrize(
    "words",
    [b"", b"\xff\xfe", b"n,,n=joe", b"p=tls-unique,,n=joe,r=abc", b"n,,r=abc,n=joe", b"x" * 60000],
)
def test_nonsense_is_refused(written: Path, words: bytes) -> None:
    server = ServerExchange(Passwords(str(written)))
    with pytest.raises(SaslError):
        server.start("SCRAM-SHA-256", words)
    assert not server.complete


def test_a_proof_is_good_once(written: Path) -> None:
    """What was overheard opens nothing: the next exchange has another nonce."""
    passwords = Passwords(str(written))
    client = ClientExchange("SCRAM-SHA-256", "joe", "secret")
    first, one = client.first(), ServerExchange(passwords)
    proof = client.step(one.start("SCRAM-SHA-256", first))
    one.step(proof)
    other = ServerExchange(passwords)
    other.start("SCRAM-SHA-256", first)
    with pytest.raises(SaslError):
        other.step(proof)


def test_verifiers_differ_for_the_same_password() -> None:
    assert Verifier.of("SCRAM-SHA-256", "x").salt != Verifier.of("SCRAM-SHA-256", "x").salt


# The remote program ------------------------------------------------------------------------------


class SaslHouse:
    """A virtd with a service that wants SASL."""

    def __init__(self, folder: Path, passwords: Path, allowed: tuple[str, ...] | None) -> None:
        self.daemon = Daemon("virtd", grace=5)
        self.server = self.daemon.add_server(ServerOptions("virtd"))
        self.sasl = SaslDispatch(str(passwords), allowed)
        RemoteDispatch(self.sasl, Hosts(None).all).serve_on(self.server)
        self.socket = str(folder / "sock")
        self.server.listen_unix(self.socket, access=Access(auth="sasl"))

    async def connect(self) -> Connection:
        return await connect_unix(self.socket)


@pytest.fixture
async def house(
    tmp_path: Path, written: Path, request: pytest.FixtureRequest
) -> AsyncIterator[SaslHouse]:
    house = SaslHouse(tmp_path, written, getattr(request, "param", None))
    ready = asyncio.Event()
    serving = asyncio.create_task(house.daemon.serve(ready.set))
    await ready.wait()
    yield house
    house.daemon.shutdown()
    house.daemon.shutdown()
    await serving


async def test_a_client_authenticates_and_works(house: SaslHouse) -> None:
    async with await house.connect() as connection:
        with pytest.raises(RpcError, match="authentication required"):
            await open_driver(connection, "test:///default")
        assert house.server.registry.anonymous == 1
        mechanism = await authenticate(connection, name="joe", password="secret")
        assert mechanism == MECHANISMS[0]
        assert house.server.registry.anonymous == 0
        (client,) = house.server.registry
        assert client.sasl_name == "joe"
        await open_driver(connection, "test:///default", readonly=True)
        assert (await connection.call(remote.CONNECT_GET_TYPE, None)).type == "TEST"
        assert await authenticate(connection) is None


async def test_a_wrong_password_is_refused_without_a_reason_and_may_be_corrected(
    house: SaslHouse,
) -> None:
    async with await house.connect() as connection:
        for name, password in (("joe", "wrong"), ("nobody", "secret")):
            with pytest.raises(RpcError) as refusal:
                await authenticate(connection, name=name, password=password)
            assert refusal.value.code == ErrorCode.AUTH_FAILED
            assert refusal.value.domain == ErrorDomain.RPC
            assert refusal.value.message == "authentication failed"
        await authenticate(connection, name="joe", password="secret")


async def test_who_guesses_too_often_is_cut_off(house: SaslHouse) -> None:
    connection = await house.connect()
    for _ in range(5):
        with pytest.raises(RpcError):
            await authenticate(connection, name="joe", password="guess")
    await asyncio.wait_for(connection.wait_closed(), PATIENCE)
    with pytest.raises(ConnectionLost):
        await authenticate(connection, name="joe", password="secret")


async def test_who_says_nothing_is_cut_off(
    house: SaslHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_module, "AUTHENTICATION_TIME", 0.05)
    connection = await house.connect()
    await asyncio.wait_for(connection.wait_closed(), PATIENCE)
    monkeypatch.setattr(server_module, "AUTHENTICATION_TIME", 60.0)
    other = await house.connect()
    await authenticate(other, name="joe", password="secret")
    assert len(house.server.registry) == 1
    await other.close()


@pytest.mark.parametrize("house", [("j*",), ("jo",), ()], indirect=True)
async def test_names_that_are_allowed(house: SaslHouse) -> None:
    async with await house.connect() as connection:
        if house.sasl.allowed == ("j*",):
            await authenticate(connection, name="joe", password="secret")
        else:
            with pytest.raises(RpcError, match="authentication failed"):
                await authenticate(connection, name="joe", password="secret")


async def test_who_is_not_known_gets_no_memory_for_large_frames(house: SaslHouse) -> None:
    reader, writer = await asyncio.open_unix_connection(house.socket)
    writer.write((320 * 1024 + 1).to_bytes(4, "big"))
    async with asyncio.timeout(PATIENCE):
        assert await reader.read() == b""
    writer.close()
    async with await house.connect() as connection:  # the longest step of SASL is heard
        await connection.call(remote.AUTH_SASL_INIT, None)
        longest = remote.AuthSaslStartArgs("SCRAM-SHA-256", 0, b"A" * AUTH_SASL_DATA_MAX)
        with pytest.raises(RpcError, match="authentication failed"):
            await connection.call(remote.AUTH_SASL_START, longest)


async def test_steps_out_of_order(house: SaslHouse) -> None:
    start = remote.AuthSaslStartArgs("SCRAM-SHA-256", 1, b"")
    step = remote.AuthSaslStepArgs(1, b"")
    async with await house.connect() as connection:
        for procedure, args in ((remote.AUTH_SASL_STEP, step), (remote.AUTH_SASL_START, start)):
            with pytest.raises(RpcError, match="authentication failed"):
                await connection.call(procedure, args)  # type: ignore[arg-type]
        await connection.call(remote.AUTH_SASL_INIT, None)
        with pytest.raises(RpcError, match="authentication failed"):
            await connection.call(remote.AUTH_SASL_INIT, None)
        with pytest.raises(RpcError, match="authentication failed"):
            await connection.call(remote.AUTH_SASL_STEP, step)


async def test_a_new_password_counts_at_once(
    house: SaslHouse, written: Path, tmp_path: Path
) -> None:
    path = tmp_path / "new"
    house.sasl.set({"sasl_password_file": str(path)})
    async with await house.connect() as connection:
        with pytest.raises(RpcError):
            await authenticate(connection, name="joe", password="secret")
        os.symlink(written, path)
        await authenticate(connection, name="joe", password="secret")


async def test_a_file_that_cannot_be_read_lets_nobody_in(house: SaslHouse, tmp_path: Path) -> None:
    house.sasl.set({"sasl_password_file": str(tmp_path)})
    async with await house.connect() as connection:
        with pytest.raises(RpcError, match="authentication failed"):
            await authenticate(connection, name="joe", password="secret")


# The command -------------------------------------------------------------------------------------


async def _virtadm(line: str, typed: str, monkeypatch: pytest.MonkeyPatch) -> tuple[bool, str, str]:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    table = command_table()
    session = AdminSession(table, Terminal("virtadm", out=out, err=err))
    succeeded = await session.run(parse(LineWords(line), table))
    return succeeded, out.getvalue(), err.getvalue()


async def test_the_command_sets_lists_and_removes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "passwords"
    option = f"--file {path}"
    succeeded, _, _ = await _virtadm(f"sasl-passwd joe {option}", "secret\n", monkeypatch)
    assert succeeded
    server, _ = _exchange(path, "joe", "secret", "SCRAM-SHA-256")
    assert server.complete
    assert await _virtadm(f"sasl-passwd {option}", "", monkeypatch) == (True, "joe\n\n", "")
    succeeded, _, _ = await _virtadm(f"sasl-passwd joe --delete {option}", "", monkeypatch)
    assert succeeded
    assert Passwords(str(path)).names() == []
    succeeded, _, err = await _virtadm(f"sasl-passwd joe --delete {option}", "", monkeypatch)
    assert not succeeded
    assert "is not in" in err
    succeeded, _, err = await _virtadm(f"sasl-passwd joe {option}", "\n", monkeypatch)
    assert not succeeded
    assert "an empty password" in err
