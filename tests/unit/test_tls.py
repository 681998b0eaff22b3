"""TLS connections: who is let in, what is kept from whom, and files that change meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.admin import dispatch as admin_dispatch
from aiovirt.admin import protocol as admin
from aiovirt.admin.extension import dispatch as extension_dispatch
from aiovirt.rpc.client import Connection, ConnectionLost, connect_tls, connect_unix
from aiovirt.rpc.security.certificates import CertificateError, TlsFiles
from aiovirt.rpc.security.tls import ServerTls, TlsPolicy, client_context
from aiovirt.rpc.server import (
    Access,
    Client,
    Daemon,
    Handlers,
    ServerOptions,
    Stream,
    WithFds,
    WithStream,
    encryption,
)
from aiovirt.rpc.transport.tls import TlsFilter
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.program import Program
from aiovirt.rpc.wire.typedparams import to_dict
from tests.certificates_maker import (
    CASES,
    GOOD,
    GOOD_CA,
    Case,
    Made,
    key_pem,
    make,
    make_crl,
    pem,
)
from tests.unit.house import PATIENCE, eventually

TEST = Program("tls test", 0x7E577E60, 1)


@xdr.struct
class Data:
    """Some bytes."""

    data: Annotated[bytes, xdr.VarOpaque(1 << 24)]


LENDS = TEST.procedure(3, "LENDS", Data, Data, reply_fds=True)
ECHO = TEST.procedure(1, "ECHO", Data, Data)
SENDS = TEST.procedure(2, "SENDS", Data, Data, stream=True)

HOSTS = ("localhost",)


class Pki:
    """A folder with files for TLS."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.ca = make(GOOD_CA)
        self.own = make(replace(GOOD, name="the server", hosts=HOSTS), self.ca)
        self.guest = make(replace(GOOD, name="a client"), self.ca)
        self.write("ca", pem(self.ca))
        self.put("server", self.own)
        self.put("client", self.guest)

    def write(self, name: str, data: bytes) -> None:
        (self.folder / f"{name}.pem").write_bytes(data)

    def put(self, name: str, made: Made) -> None:
        self.write(name, pem(made))
        self.write(f"{name}-key", key_pem(made.key))

    def files(self, role: str) -> TlsFiles:
        path = f"{self.folder}/"
        return TlsFiles(
            f"{path}ca.pem", f"{path}{role}.pem", f"{path}{role}-key.pem", f"{path}crl.pem"
        )


class TlsHouse:
    """A daemon with a TLS service on loopback, and an admin server."""

    def __init__(self, folder: Path, files: TlsFiles, policy: TlsPolicy | None = None) -> None:
        self.daemon = Daemon("house", grace=5)
        self.server = self.daemon.add_server(ServerOptions("main", max_anonymous_clients=20))
        self.server.tls = ServerTls(files, policy or TlsPolicy())
        bound = Handlers(TEST)
        bound.bind(ECHO, lambda client, args: args)
        bound.bind(SENDS, self._sends)
        bound.bind(LENDS, lambda client, args: WithFds(args, [os.open(os.devnull, os.O_RDONLY)]))
        self.server.add_program(bound)
        (service,) = self.server.listen_tcp("127.0.0.1", 0, access=Access(tls=True))
        self.port: int = service.sock.getsockname()[1]
        keeper = self.daemon.add_server(ServerOptions("admin"))
        keeper.add_program(admin_dispatch.handlers(self.daemon))
        keeper.add_program(extension_dispatch.handlers(self.daemon))
        self.admin_socket = str(folder / "admin-sock")
        keeper.listen_unix(self.admin_socket)

    async def _sends(self, client: Client, args: Data) -> WithStream[Data]:
        async def serve(stream: Stream) -> None:
            for _ in range(50):
                await stream.send(args.data)

        return WithStream(args, serve)

    async def connect(self, files: TlsFiles, **more: bool) -> Connection:
        context = client_context(files, sanity=False, **more)
        return await connect_tls(
            "127.0.0.1", self.port, context, name="localhost", timeout=PATIENCE
        )


@contextlib.asynccontextmanager
async def open_house(
    folder: Path, files: TlsFiles, policy: TlsPolicy | None = None
) -> AsyncIterator[TlsHouse]:
    house = TlsHouse(folder, files, policy)
    ready = asyncio.Event()
    serving = asyncio.create_task(house.daemon.serve(ready.set))
    await ready.wait()
    yield house
    house.daemon.shutdown()
    house.daemon.shutdown()
    await serving


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path / "pki")


@pytest.fixture
async def house(tmp_path: Path, pki: Pki) -> AsyncIterator[TlsHouse]:
    async with open_house(tmp_path, pki.files("server")) as house:
        yield house


# Traffic -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 100, 65536, 1 << 20, (1 << 24) - 8])
async def test_calls_of_any_size(house: TlsHouse, pki: Pki, size: int) -> None:
    async with await house.connect(pki.files("client")) as connection:
        data = Data(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
        assert await connection.call(ECHO, data) == data
        assert connection.peer_certificate["subject"][0][0] == ("commonName", "the server")


async def test_many_calls_at_once(house: TlsHouse, pki: Pki) -> None:
    async with await house.connect(pki.files("client")) as connection:
        wanted = [Data(b"%d" % number * 50) for number in range(3000)]
        assert await asyncio.gather(*(connection.call(ECHO, one) for one in wanted)) == wanted


async def test_streams(house: TlsHouse, pki: Pki) -> None:
    async with await house.connect(pki.files("client")) as connection:
        async with await connection.open_stream(SENDS, Data(b"z" * 30_000)) as stream:
            assert sum([len(data) async for data in stream if isinstance(data, bytes)]) == 1_500_000
        assert await connection.call(ECHO, Data(b"after")) == Data(b"after")


async def test_a_client_that_reads_nothing_is_not_read_and_loses_nothing(
    house: TlsHouse, pki: Pki
) -> None:
    async with await house.connect(pki.files("client")) as connection:
        (client,) = house.server.registry
        data = Data(b"q" * 60_000)
        calls = [asyncio.create_task(connection.call(ECHO, data)) for _ in range(200)]
        connection._loop.remove_reader(connection.sock.fileno())
        await eventually(lambda: client._paused)
        connection._watch_socket()
        assert await asyncio.gather(*calls) == [data] * 200


async def test_descriptors_do_not_travel(house: TlsHouse, pki: Pki) -> None:
    async with await house.connect(pki.files("client")) as connection:
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(ConnectionLost):
            await connection.call_for_descriptors(LENDS, Data(b""))
        await eventually(lambda: not len(house.server.registry))
        assert len(os.listdir("/proc/self/fd")) < before


async def test_bytes_that_come_one_by_one(house: TlsHouse, pki: Pki) -> None:
    """Through a relay that cuts everything to pieces."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection("127.0.0.1", house.port)

        async def pass_on(take: asyncio.StreamReader, give: asyncio.StreamWriter) -> None:
            while piece := await take.read(1):
                give.write(piece)
                await give.drain()
            give.close()

        await asyncio.gather(pass_on(reader, there[1]), pass_on(there[0], writer))

    server = await asyncio.start_server(relay, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    context = client_context(pki.files("client"))
    async with connect_tls("127.0.0.1", port, context, name="localhost") as connection:
        assert await connection.call(ECHO, Data(b"slowly")) == Data(b"slowly")
    server.close()


# Who is let in -----------------------------------------------------------------------------------

#: What concerns the own file of CAs, which is checked when it is loaded, and not in a handshake.
OF_THE_FILE = {
    "a CA without constraints",
    "a second CA that has expired",
    "a second CA that is none",
}
#: Where OpenSSL, in the handshake, refuses what the rules for a peer let pass.
STRICTER = {
    "a CA with purposes",
    "any purpose",
    "any purpose, not critical",
    "a client's purpose, not critical",
    "a server's purpose, not critical",
    "a foreign purpose, not critical",
}


def _is_refused(case: Case) -> bool:
    if case.about == "no signature, not critical":
        return case.role == "client"  # OpenSSL: a server could do with encipherment
    return case.about in STRICTER or (bool(case.rule) and case.about not in OF_THE_FILE)


def _case_files(folder: Path, role: str) -> TlsFiles:
    return TlsFiles(
        f"{folder}/cacert.pem", f"{folder}/{role}cert.pem", f"{folder}/{role}key.pem", ""
    )


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.role == "client"], ids=lambda case: case.about
)
async def test_a_client_s_certificate(case: Case, tmp_path: Path, pki: Pki) -> None:
    case.write(pki.folder)
    # The server trusts the case's CA, and is itself from another one.
    policy = TlsPolicy(sanity=False)
    files = replace(pki.files("server"), ca=str(pki.folder / "cacert.pem"))
    shown = replace(_case_files(pki.folder, "client"), ca=str(pki.folder / "ca.pem"))
    async with open_house(tmp_path, files, policy) as house:
        if _is_refused(case):
            with pytest.raises((ConnectionLost, ValueError)):
                await house.connect(shown)
            await eventually(lambda: not len(house.server.registry))
        else:
            async with await house.connect(shown) as connection:
                assert await connection.call(ECHO, Data(b"in")) == Data(b"in")


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.role == "server"], ids=lambda case: case.about
)
async def test_a_server_s_certificate(case: Case, tmp_path: Path, pki: Pki) -> None:
    case = replace(case, own=replace(case.own, hosts=HOSTS))
    case.write(pki.folder)
    files = replace(_case_files(pki.folder, "server"), ca=str(pki.folder / "ca.pem"))
    shown = replace(pki.files("client"), ca=str(pki.folder / "cacert.pem"))
    if case.about in ("no use at all", "a short RSA key", "a short EC key"):
        with pytest.raises(CertificateError) as refused:
            ServerTls(files, TlsPolicy(sanity=False))
        assert refused.value.file == files.cert
        return
    async with open_house(tmp_path, files, TlsPolicy(sanity=False)) as house:
        if _is_refused(case):
            with pytest.raises(ConnectionLost):
                await house.connect(shown)
        else:
            async with await house.connect(shown) as connection:
                assert await connection.call(ECHO, Data(b"in")) == Data(b"in")


async def test_a_client_without_a_certificate_is_refused(house: TlsHouse, pki: Pki) -> None:
    files = replace(pki.files("client"), cert="", key="")
    with pytest.raises(ConnectionLost):
        await house.connect(files)


async def test_a_client_without_a_certificate_is_let_in_where_that_is_wished(
    tmp_path: Path, pki: Pki
) -> None:
    files = replace(pki.files("client"), cert="", key="")
    async with (
        open_house(tmp_path, pki.files("server"), TlsPolicy(verify=False)) as house,
        await house.connect(files) as connection,
    ):
        assert await connection.call(ECHO, Data(b"in")) == Data(b"in")


async def test_a_revoked_client_is_refused(tmp_path: Path, pki: Pki) -> None:
    pki.write("crl", pem(make_crl(pki.ca, [pki.guest])))
    async with open_house(tmp_path, pki.files("server")) as house:
        with pytest.raises(ConnectionLost, match="refused us"):
            await house.connect(replace(pki.files("client"), crl=""))
        pki.put("client", make(replace(GOOD, name="another"), pki.ca))
        async with await house.connect(replace(pki.files("client"), crl="")) as connection:
            assert await connection.call(ECHO, Data(b"in")) == Data(b"in")


@pytest.mark.parametrize(
    ("allowed", "comes_in"),
    [
        (("CN=a client",), True),
        (("CN=nobody", "CN=a*"), True),
        (("*cl?ent",), True),
        (("CN=a clien",), False),
        (("CN=A CLIENT",), False),
        ((), False),
        (("",), False),
    ],
)
async def test_names(tmp_path: Path, pki: Pki, allowed: tuple[str, ...], comes_in: bool) -> None:
    async with open_house(tmp_path, pki.files("server"), TlsPolicy(allowed=allowed)) as house:
        if comes_in:
            await (await house.connect(pki.files("client"))).close()
        else:
            with pytest.raises(ConnectionLost, match="refused us"):
                await house.connect(pki.files("client"))


async def test_the_wrong_host(house: TlsHouse, pki: Pki) -> None:
    context = client_context(pki.files("client"))
    with pytest.raises(ConnectionLost, match="Hostname mismatch"):
        await connect_tls("127.0.0.1", house.port, context, name="elsewhere.example")
    with pytest.raises(ConnectionLost, match="IP address mismatch"):
        await connect_tls("127.0.0.1", house.port, context)
    context = client_context(pki.files("client"), verify=False)
    await (await connect_tls("127.0.0.1", house.port, context)).close()


async def test_client_info_says_who_it_is(house: TlsHouse, pki: Pki) -> None:
    async with (
        await house.connect(pki.files("client")),
        connect_unix(house.admin_socket) as keeper,
    ):
        listed = await keeper.call(
            admin.SERVER_LIST_CLIENTS,
            admin.SERVER_LIST_CLIENTS.args(admin.ServerRef("main"), 16384, 0),
        )
        (client,) = listed.clients
        assert client.transport == admin.Transport.TLS
        info = await keeper.call(admin.CLIENT_GET_INFO, admin.ClientArgs(client, 0))
        found = to_dict(info.params)
        assert found["tls_x509_dname"] == "CN=a client"
        assert str(found["sock_addr"]).startswith("127.0.0.1:")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions(house: TlsHouse, pki: Pki, version: ssl.TLSVersion) -> None:
    context = client_context(pki.files("client"))
    context.minimum_version = context.maximum_version = version
    connection = await connect_tls("127.0.0.1", house.port, context, name="localhost")
    assert isinstance(connection.filter, TlsFilter)
    assert connection.filter.engine.version() == version.name.replace("_", ".")
    assert await connection.call(ECHO, Data(b"in")) == Data(b"in")
    await connection.close()


async def test_priority(tmp_path: Path, pki: Pki) -> None:
    policy = TlsPolicy(priority="SECURE128:-VERS-TLS1.2")
    async with open_house(tmp_path, pki.files("server"), policy) as house:
        context = client_context(pki.files("client"))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ConnectionLost):
            await connect_tls("127.0.0.1", house.port, context, name="localhost")
        await (await house.connect(pki.files("client"))).close()


@pytest.mark.parametrize(
    "priority", ["FAST", "NORMAL:-VERS-TLS1.2:-VERS-TLS1.3", "NORMAL:+ARCFOUR-128", "NORMAL:"]
)
def test_a_priority_that_is_not_understood(pki: Pki, priority: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each says something else
        ServerTls(pki.files("server"), TlsPolicy(priority=priority))


# Handshakes that go wrong ------------------------------------------------------------------------


async def test_what_is_no_tls_is_cut_off(house: TlsHouse) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    writer.write(b"\0\0\0\x1c" + bytes(24))
    await writer.drain()
    async with asyncio.timeout(PATIENCE):
        await reader.read()  # an alert, then the end
    await eventually(lambda: not len(house.server.registry))
    writer.close()


async def test_a_handshake_that_hangs_is_ended_and_counts_as_anonymous(
    house: TlsHouse, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "HANDSHAKE_TIME", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
    await eventually(lambda: house.server.registry.anonymous == 1)
    async with await house.connect(pki.files("client")) as connection:
        assert await connection.call(ECHO, Data(b"in")) == Data(b"in")
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
        assert house.server.registry.anonymous == 0
    writer.close()


async def test_hanging_handshakes_do_not_keep_others_out_for_ever(
    house: TlsHouse, pki: Pki, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encryption, "HANDSHAKE_TIME", 0.2)
    hanging = [socket.create_connection(("127.0.0.1", house.port)) for _ in range(60)]
    await eventually(lambda: house.server.registry.anonymous == 20)
    async with await house.connect(pki.files("client")) as connection:
        assert await connection.call(ECHO, Data(b"in")) == Data(b"in")
    for one in hanging:
        one.close()


async def test_nothing_is_served_before_the_handshake_is_done(house: TlsHouse) -> None:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    # By TLS 1.3 a client may send before it knows whether its certificate, none here, was accepted.
    reader, writer = await asyncio.open_connection("127.0.0.1", house.port, ssl=context)
    served = house.server.calls_served
    writer.write(b"\0\0\0\x20" + bytes(28))
    with pytest.raises(ssl.SSLError):
        await reader.read()
    await eventually(lambda: not len(house.server.registry))
    assert house.server.calls_served == served
    writer.close()


# Files that change -------------------------------------------------------------------------------


async def _update(house: TlsHouse) -> None:
    async with connect_unix(house.admin_socket) as keeper:
        await keeper.call(
            admin.SERVER_UPDATE_TLS_FILES,
            admin.SERVER_UPDATE_TLS_FILES.args(admin.ServerRef("main"), 0),
        )


def _server_name(connection: Connection) -> str:
    return str(connection.peer_certificate["subject"][0][0][1])


async def test_new_files_are_for_new_connections(house: TlsHouse, pki: Pki) -> None:
    async with await house.connect(pki.files("client")) as old:
        pki.put("server", make(replace(GOOD, name="the new one", hosts=HOSTS), pki.ca))
        async with await house.connect(pki.files("client")) as between:
            assert _server_name(between) == "the server"
        await _update(house)
        async with await house.connect(pki.files("client")) as new:
            assert _server_name(new) == "the new one"
        assert await old.call(ECHO, Data(b"still")) == Data(b"still")
        assert _server_name(old) == "the server"


@pytest.mark.parametrize(
    ("name", "content", "text"),
    [
        ("server", b"nonsense", "cannot be used"),
        ("server-key", b"", "cannot be used"),
        ("ca", b"", "cannot be used"),
        ("crl", b"nonsense", "cannot be used"),
        ("server-key", key_pem(make(GOOD).key), "is not the key"),
        ("server", None, "missing"),
    ],
)
async def test_bad_files_change_nothing(
    house: TlsHouse, pki: Pki, name: str, content: bytes | None, text: str
) -> None:
    path = pki.folder / f"{name}.pem"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    before = house.server.tls and house.server.tls.context
    with pytest.raises(RpcError, match=text) as refusal:
        await _update(house)
    assert refusal.value.code == ErrorCode.SYSTEM_ERROR
    assert str(path) in refusal.value.message
    assert house.server.tls is not None
    assert house.server.tls.context is before


async def test_an_expired_certificate_is_not_taken(house: TlsHouse, pki: Pki) -> None:
    pki.put("server", make(replace(GOOD, hosts=HOSTS, starts=-9, ends=-1), pki.ca))
    with pytest.raises(RpcError, match="expired"):
        await _update(house)
    async with await house.connect(pki.files("client")) as connection:
        assert _server_name(connection) == "the server"


@pytest.mark.parametrize(("hours", "warned"), [(24 * 29, True), (24 * 31, False)])
def test_an_end_that_is_near_is_warned_about(pki: Pki, hours: float, warned: bool) -> None:
    pki.write("ca", pem(ca := make(replace(GOOD_CA, ends=24 * 365))))
    pki.put("server", make(replace(GOOD, hosts=HOSTS, ends=hours), ca))
    told: list[str] = []
    security = ServerTls(pki.files("server"), TlsPolicy(), told.append)
    security.warn_of_end()
    assert len(told) == 2 * warned
    assert all("in 28 days" in one and "server-update-tls" in one for one in told)


async def test_what_is_in_force_can_be_asked_for(house: TlsHouse, pki: Pki) -> None:
    pki.write("crl", pem(make_crl(pki.ca, [pki.guest])))
    await _update(house)
    async with admin_client.connect(f"virtd:///x?socket={house.admin_socket}") as connection:
        server = await connection.lookup_server("main")
        info = await server.get_tls()
        assert [one.subject for one in info.own] == ["CN=the server"]
        assert [one.subject for one in info.authorities] == ["CN=the CA"]
        assert info.own[0].not_after == int(pki.own.certificate.not_valid_after_utc.timestamp())
        assert [(one.issuer, one.revoked) for one in info.revocations] == [("CN=the CA", 1)]
        assert info.cert_file == f"{pki.folder}/server.pem"
        other = await connection.lookup_server("admin")
        with pytest.raises(RpcError, match="no TLS service"):
            await other.get_tls()


async def test_a_revocation_counts_from_the_update_on(house: TlsHouse, pki: Pki) -> None:
    files = replace(pki.files("client"), crl="")
    async with await house.connect(files) as old:
        pki.write("crl", pem(make_crl(pki.ca, [pki.guest])))
        await _update(house)
        with pytest.raises(ConnectionLost, match="refused us"):
            await house.connect(files)
        assert await old.call(ECHO, Data(b"still")) == Data(b"still")


async def test_a_server_without_tls_says_so(house: TlsHouse) -> None:
    async with connect_unix(house.admin_socket) as keeper:
        with pytest.raises(RpcError, match="no TLS service"):
            await keeper.call(
                admin.SERVER_UPDATE_TLS_FILES,
                admin.SERVER_UPDATE_TLS_FILES.args(admin.ServerRef("admin"), 0),
            )
