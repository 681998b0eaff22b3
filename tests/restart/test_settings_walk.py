"""Every setting of every daemon: changed live with an effect that is seen from outside, saved, kept."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from aiovirt.admin import pki
from aiovirt.admin.client import Connection, connect
from aiovirt.admin.settings import Effect, Origin
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.virtd.constants.connect import Feature
from aiovirt.daemons.virtd.protocol.auth import AUTH_LIST
from aiovirt.daemons.virtd.protocol.connect import (
    CONNECT_SUPPORTS_FEATURE,
    ConnectSupportsFeatureArgs,
)
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness
from tests.restart.conftest import Restarted
from tests.unit.house import call

KINDS = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)

#: Randomly chosen changes of one run.
CHANGES = int(os.environ.get("AIOVIRT_RANDOM_CHANGES", "240"))


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two folders, `one` and `other`, each with a CA, a server and a client."""
    folder = tmp_path_factory.mktemp("pki")
    for name in ("one", "other"):
        pki.create(folder / name, hosts=["localhost"])
    return folder


def tls_files(folder: Path) -> dict[str, str]:
    """The settings of the TLS files in a folder."""
    return {
        "ca_file": f"{folder}/cacert.pem",
        "crl_file": f"{folder}/cacrl.pem",
        "cert_file": f"{folder}/servercert.pem",
        "key_file": f"{folder}/private/serverkey.pem",
    }


class Subject:
    """A running daemon, and an administrator's connection to it."""

    def __init__(self, daemon: harness.RunningDaemon, admin: Connection) -> None:
        self.daemon = daemon
        self.admin = admin

    async def set(self, **values: str | int) -> None:
        await self.admin.settings.set(values)
        found = await self.admin.settings.get(*values)
        assert {one.bare_name: one.in_force for one in found} == {
            name: shown(value) for name, value in values.items()
        }
        assert {one.origin for one in found} == {Origin.ADMINISTRATOR}

    async def file(self, suffix: str) -> os.stat_result:
        return os.stat(self.daemon.folder / f"{self.daemon.name}{suffix}")


def shown(value: str | int) -> str:
    """A value as a settings file has it."""
    if isinstance(value, int):
        return str(value)
    return value if value.startswith("[") else f'"{value}"'


@pytest.fixture
async def subject(request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
    """A daemon that logs to its own file, named by the test's parameter `kind`."""
    kind = request.getfixturevalue("kind") if "kind" in request.fixturenames else None
    name = kind.name if kind is not None else "virtd"
    with harness.running(name, {"log_level": 2, "log_outputs": "2:stderr"}) as daemon:
        async with connect(daemon.uri) as admin:
            yield Subject(daemon, admin)


async def limits(subject: Subject, server: str) -> tuple[int, int]:
    found = await (await subject.admin.lookup_server(server)).get_client_limits()
    return found.max_clients, found.max_unauth_clients


async def pool(subject: Subject, server: str) -> tuple[int, int, int]:
    found = await (await subject.admin.lookup_server(server)).get_threadpool_parameters()
    return found.min_workers, found.max_workers, found.prio_workers


# Seen from outside -------------------------------------------------------------------------------


@KINDS
async def test_limits_and_workers_are_what_libvirts_own_program_says(
    subject: Subject, kind: DaemonKind
) -> None:
    await subject.set(max_clients=77, max_anonymous_clients=66)
    await subject.set(min_workers=4, max_workers=6, prio_workers=3)
    await subject.set(admin_max_clients=55)
    await subject.set(admin_min_workers=7, admin_max_workers=8, admin_prio_workers=9)
    await subject.set(max_client_requests=8, admin_max_client_requests=9)
    assert await limits(subject, kind.name) == (77, 66)
    assert (await limits(subject, "admin"))[0] == 55
    assert await pool(subject, kind.name) == (4, 6, 3)
    assert await pool(subject, "admin") == (7, 8, 9)


@KINDS
async def test_logging_follows(subject: Subject, kind: DaemonKind, tmp_path: Path) -> None:
    log = tmp_path / "log"
    await subject.set(log_outputs=f"1:file:{log}", log_format="json")
    await subject.set(log_filters="1:rpc.server.call")
    assert await subject.admin.get_logging_outputs() == f"1:file:{log}"
    assert await subject.admin.get_logging_filters() == "1:rpc.server.call"
    await subject.admin.settings.set_log_level(1)
    assert await subject.admin.settings.get_log_level() == 1
    await Restarted(subject.daemon).wait_for(lambda: "GET_LOG_LEVEL" in log.read_text())
    for line in log.read_text().splitlines():
        json.loads(line)


@KINDS
async def test_the_files_of_sockets_get_their_modes_and_their_group(
    subject: Subject, kind: DaemonKind
) -> None:
    sockets = {"-sock": "unix_sock_rw_perms", "-admin-sock": "unix_sock_admin_perms"}
    if "unix_sock_ro_perms" in kind.settings():
        sockets["-sock-ro"] = "unix_sock_ro_perms"
    for at, (suffix, name) in enumerate(sockets.items()):
        await subject.set(**{name: f"070{at + 1}"})
        assert stat.S_IMODE((await subject.file(suffix)).st_mode) == 0o701 + at
    if os.geteuid() == 0:
        await subject.set(unix_sock_group="1")
        assert {(await subject.file(suffix)).st_gid for suffix in sockets} == {1}
        await subject.admin.settings.reset(["unix_sock_group"])
        assert {(await subject.file(suffix)).st_gid for suffix in sockets} == {os.getegid()}
    modes = [stat.S_IMODE((await subject.file(suffix)).st_mode) for suffix in sockets]
    assert modes == [0o701 + at for at in range(len(sockets))]


async def test_keepalive_counts_for_new_connections(subject: Subject) -> None:
    await subject.set(keepalive_interval=1, keepalive_count=0)
    await subject.set(admin_keepalive_interval=9, admin_keepalive_count=3)
    reader, writer = await asyncio.open_unix_connection(subject.daemon.socket)
    asks = ConnectSupportsFeatureArgs(Feature.PROGRAM_KEEPALIVE)
    writer.write(call(CONNECT_SUPPORTS_FEATURE, asks))
    async with asyncio.timeout(harness.PATIENCE):
        assert await reader.read()  # to the end: no ping was answered, and none may be missing
    writer.close()


def reachable(port: int) -> bool:
    """Whether anybody listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_tcp_comes_moves_and_goes_and_its_clients_stay(subject: Subject) -> None:
    first, second = harness.free_port(), harness.free_port()
    await subject.set(listen_addr="127.0.0.1", tcp_port=str(first), listen_tcp=1)
    assert reachable(first)
    reader, writer = await asyncio.open_connection("127.0.0.1", first)
    await subject.set(tcp_port=str(second))
    assert (reachable(first), reachable(second)) == (False, True)
    await subject.set(listen_addr="localhost")
    assert reachable(second)
    await subject.set(listen_addr="0.0.0.0")
    assert reachable(second)
    await subject.admin.settings.reset(["listen_tcp"])
    assert not reachable(second)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.01)  # it has not been closed
    writer.close()


async def test_a_port_that_is_taken_changes_nothing(subject: Subject) -> None:
    port = harness.free_port()
    await subject.set(listen_addr="127.0.0.1", tcp_port=str(port), listen_tcp=1)
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = other.getsockname()[1]
        with pytest.raises(RpcError, match="Address already in use") as error:
            await subject.admin.settings.set({"max_workers": 9, "tcp_port": str(taken)})
    assert error.value.code == ErrorCode.INVALID_ARG
    assert reachable(port)
    assert (await pool(subject, "virtd"))[1] == 20


def subject_of_server(port: int, trusted: Path, client: Path | None = None) -> str:
    """The result of a TLS handshake: the serial of the server's certificate, or "refused"."""
    context = ssl.create_default_context(cafile=str(trusted / "cacert.pem"))
    if client is not None:
        context.load_cert_chain(client / "clientcert.pem", client / "private" / "clientkey.pem")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), harness.PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as link,
        ):
            if link.recv(1) != b"\1":
                return "refused"
            certificate = link.getpeercert()
            assert certificate is not None
            return str(certificate["serialNumber"])
    except OSError:
        return "refused"


async def test_tls_is_turned_on_changed_and_turned_off(
    subject: Subject, certificates: Path
) -> None:
    port = harness.free_port()
    one, other = certificates / "one", certificates / "other"

    async def met(trusted: Path, client: Path | None) -> str:
        return await asyncio.to_thread(subject_of_server, port, trusted, client)

    with pytest.raises(RpcError, match="pki"):  # there are no such files
        await subject.admin.settings.set({"listen_tls": 1, "tls_port": str(port)})
    assert await met(one, one) == "refused"
    await subject.set(listen_tls=1, listen_addr="127.0.0.1", tls_port=str(port), **tls_files(one))
    first = await met(one, one)
    assert first != "refused"
    assert await met(one, None) == "refused"
    await subject.set(tls_no_verify_certificate=1)
    assert await met(one, None) == first
    await subject.set(tls_no_verify_certificate=0)
    await subject.set(tls_allowed_dn_list='["CN=nobody"]')
    assert await met(one, one) == "refused"
    await subject.admin.settings.reset(["tls_allowed_dn_list"])
    await subject.set(tls_priority="NORMAL:-VERS-TLS1.3", tls_no_sanity_certificate=1)
    await subject.set(**tls_files(other))
    with pytest.raises(RpcError, match="cannot be set together"):
        await subject.admin.settings.set({"key_file": "/x", "key_files": '["/x"]'})
    assert await met(one, one) == "refused"
    second = await met(other, other)
    assert second not in ("refused", first)
    with pytest.raises(RpcError, match="not changed"):
        await subject.admin.settings.set(tls_files(certificates / "nowhere"))
    assert await met(other, other) == second
    await subject.set(listen_tcp=1, tcp_port=str(beside := harness.free_port()))
    await subject.set(tls_port=str(beside), tcp_port=str(port))  # each gets the other's port
    assert await met(other, other) == "refused"
    port = beside
    assert await met(other, other) == second
    with pytest.raises(RpcError, match="Address already in use"):
        await subject.admin.settings.set({"tcp_port": str(port)})
    await subject.admin.settings.reset(["listen_tls"])
    assert await met(other, other) == "refused"


async def test_authentication_changes_for_new_connections(subject: Subject) -> None:
    async def asked(path: str) -> list[int]:
        async with connect_unix(path) as client:
            return list((await client.call(AUTH_LIST, None)).types)

    path = subject.daemon.socket
    async with connect_unix(path) as earlier:
        await earlier.call(AUTH_LIST, None)
        before = await asked(path)
        await subject.set(auth_unix_rw="sasl")
        assert await asked(path) != before
        assert await asked(f"{path}-ro") == before
        await subject.set(auth_unix_ro="sasl")
        assert await asked(f"{path}-ro") == await asked(path)
        await subject.admin.settings.reset(["auth_unix_rw", "auth_unix_ro"])
        assert await asked(path) == before
        assert not earlier.closed
    for values in ({"auth_tcp": "sasl"}, {"auth_unix_rw": "polkit"}):
        with pytest.raises(RpcError) as error:
            await subject.admin.settings.set(values)
        assert error.value.code == ErrorCode.INVALID_ARG


# All of them -------------------------------------------------------------------------------------


def others(kind: DaemonKind, certificates: Path, folder: Path) -> dict[str, str | int]:
    """A value for every setting of a daemon, possible together, and not the default."""
    numbers = {
        name: at + 30
        for at, name in enumerate(
            name
            for name, setting in kind.settings().items()
            if setting.kind.allowed.startswith("a whole number")
        )
    }
    numbers |= {"log_level": 2, "max_clients": 300, "max_backups": 7, "min_workers": 1}
    numbers |= {"admin_min_workers": 1, "max_anonymous_clients": 299}
    texts: dict[str, str | int] = {
        **tls_files(certificates / "one"),
        "key_files": f'["{certificates}/one/private/serverkey.pem"]',
        "cert_files": f'["{certificates}/one/servercert.pem"]',
        "log_filters": "2:rpc.wire",
        "log_outputs": f"2:file:{folder}/log",
        "log_format": "text file=json",
        "unix_sock_dir": str(folder),
        "unix_sock_group": "0" if os.geteuid() == 0 else str(os.getegid()),
        "unix_sock_rw_perms": "0701",
        "unix_sock_ro_perms": "0702",
        "unix_sock_admin_perms": "0703",
        "listen_tcp": 1,
        "listen_addr": "127.0.0.1",
        "tcp_port": str(harness.free_port()),
        "listen_tls": 1,
        "tls_port": str(harness.free_port()),
        "tls_no_verify_certificate": 1,
        "tls_no_sanity_certificate": 1,
        "tls_allowed_dn_list": '["CN=*"]',
        "tls_priority": "SECURE128",
        "auth_unix_rw": "sasl",
        "auth_unix_ro": "sasl",
        "auth_tls": "sasl",
        "auth_tcp": "none",
        "sasl_allowed_username_list": '["joe"]',
        "sasl_password_file": f"{folder}/passwords",
        "lock_manager": "lockd",
        "lockd_socket": f"{folder}/lockd",
        "file_lockspace_dir": "",
        "stdio_handler": "logd",
        "logd_socket": f"{folder}/logd",
        "guest_log_dir": f"{folder}/guests",
        "libvirt_version": "9.1.0",
        "log_root": str(folder),
        "max_size": 4096,
    }
    first_forms = {setting.instead_of for setting in kind.settings().values()}
    return {name: {**numbers, **texts}[name] for name in kind.settings() if name not in first_forms}


@KINDS
async def test_every_setting_is_listed_described_changed_saved_and_there_after_a_restart(
    kind: DaemonKind, subject: Subject, certificates: Path, tmp_path: Path
) -> None:
    settings = subject.admin.settings
    listed = await settings.list()
    assert [one.name for one in listed] == [f"{kind.name}.conf/{name}" for name in kind.settings()]
    for one in listed:
        assert one.allowed
        assert one.description
        assert bool(one.reason) == (one.effect is not Effect.AT_ONCE)
    wanted = others(kind, certificates, tmp_path)
    fixed = [one.bare_name for one in listed if one.effect is Effect.RESTART]
    for name in fixed:
        with pytest.raises(RpcError, match=f"{name} cannot change") as error:
            await settings.set({name: wanted[name]})
        assert error.value.code == ErrorCode.OPERATION_UNSUPPORTED
    await settings.set({name: value for name, value in wanted.items() if name not in fixed})
    live = {one.bare_name: one.in_force for one in await settings.list()}
    for name in wanted.keys() - set(fixed):
        assert live[name] == shown(wanted[name]), name
    await settings.reset([name for name in wanted if name not in fixed])
    again = {one.bare_name: one.in_force for one in await settings.list()}
    assert again == {one.bare_name: one.in_force for one in listed}
    await settings.set(wanted, live=False, config=True)
    in_file = {one.bare_name: one.in_file for one in await settings.list() if one.in_file}
    saved = {name: shown(value) for name, value in wanted.items()}
    assert in_file == {**saved, "log_level": "2"}
    await subject.admin.close()
    assert subject.daemon.kill() == 0
    with restarted_with(subject.daemon) as admin_uri:
        async with connect(admin_uri) as admin:
            found = await admin.settings.list()
    for one in found:
        if one.origin is not Origin.COMMAND_LINE and one.bare_name in wanted:  # --rundir
            assert (one.in_force, one.origin) == (shown(wanted[one.bare_name]), Origin.FILE)


def restarted_with(daemon: harness.RunningDaemon) -> Any:
    """The daemon once more, with the file as it is now."""
    import contextlib
    import subprocess
    import sys

    @contextlib.contextmanager
    def run() -> Any:
        command = [sys.executable, "-m", f"aiovirt.daemons.{daemon.name}"]
        command += ["--rundir", str(daemon.folder), "-f", str(daemon.conf)]
        with daemon.log.open("ab") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log, cwd=harness.ROOT)
        again = harness.RunningDaemon(
            daemon.name,
            daemon.folder,
            daemon.conf,
            daemon.log,
            daemon.socket,
            daemon.admin_socket,
            process,
        )
        try:
            again.wait_ready()
            yield again.uri
        finally:
            again.kill()

    return run()


@KINDS
async def test_live_values_survive_sigusr1_and_their_own_line_ends_them(
    kind: DaemonKind, subject: Subject, certificates: Path, tmp_path: Path
) -> None:
    settings = subject.admin.settings
    wanted = others(kind, certificates, tmp_path)
    quiet = {"log_outputs", "unix_sock_dir", "libvirt_version", "log_level"}
    wanted = {name: value for name, value in wanted.items() if name not in quiet}
    server = await subject.admin.lookup_server(kind.name)
    await settings.set(wanted)
    await server.set_client_limits(max_clients=301)
    before = await settings.list()
    virtd = Restarted(subject.daemon)
    for _ in range(2):
        await virtd.restart()
        assert await settings.list() == before
    with subject.daemon.conf.open("a") as conf:
        conf.write("prio_workers = 3\n")
    await virtd.restart()
    after = {one.bare_name: one for one in await settings.list()}
    assert (after["prio_workers"].in_force, after["prio_workers"].origin) == ("3", Origin.FILE)
    assert after["max_clients"].in_force == "301"
    for one in before:
        if one.bare_name != "prio_workers":
            assert after[one.bare_name] == one


# At random, under load ---------------------------------------------------------------------------


class Model:
    """The settings file as it should be: chosen at random, and noted when the daemon agrees."""

    GOOD: ClassVar[dict[str, Callable[[random.Random], int | str]]] = {
        "prio_workers": lambda r: r.randint(0, 9),
        "max_workers": lambda r: r.randint(5, 50),
        "max_client_requests": lambda r: r.randint(1, 9),
        "keepalive_interval": lambda r: r.randint(5, 9),
        "log_filters": lambda r: f"{r.randint(2, 4)}:rpc.wire",
        "log_format": lambda r: r.choice(["text", "json"]),
        "unix_sock_rw_perms": lambda r: r.choice(["0700", "0770"]),
        "tls_allowed_dn_list": lambda r: r.choice(['["a"]', '["a", "b"]']),
        "listen_tcp": lambda r: r.randint(0, 1),
        "max_anonymous_clients": lambda r: r.randint(10, 99),
    }
    BAD: ClassVar[dict[str, str]] = {
        "max_workers": "0",
        "log_format": "xml",
        "unix_sock_rw_perms": "0888",
        "max_anonymous_clients": "5001",
        "auth_tcp": "sasl",
        "no_such_setting": "1",
        "log_filters": "7:x",
    }

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.file: dict[str, str] = {}

    async def step(self, admin: Connection) -> None:
        names = self.random.sample(sorted(self.GOOD), self.random.randint(1, 3))
        values = {name: self.GOOD[name](self.random) for name in names}
        live, config = self.random.choice([(True, False), (False, True), (True, True)])
        if self.random.random() < 1 / 3:
            name = self.random.choice(sorted(self.BAD))
            values[name] = self.BAD[name]
            with pytest.raises(RpcError):
                await admin.settings.set(values, live=live, config=config)
            return
        if self.random.random() < 1 / 5:
            await admin.settings.reset(names, live=live, config=config)
            if config:
                for name in names:
                    self.file.pop(name, None)
            return
        await admin.settings.set(values, live=live, config=config)
        if config:
            self.file.update((name, shown(value)) for name, value in values.items())


async def _load(path: str, stop: asyncio.Event) -> int:
    """Call without a pause, several calls at a time; the number of calls that were answered."""
    answered = 0
    async with connect_unix(path) as client:
        while not stop.is_set():
            await asyncio.gather(*(client.call(AUTH_LIST, None) for _ in range(20)))
            answered += 20
    return answered


async def test_random_changes_under_load_lose_no_call_and_the_file_says_what_was_asked_for(
    subject: Subject,
) -> None:
    seed = random.randrange(1 << 30)
    print("seed", seed)
    model, stop = Model(seed), asyncio.Event()
    await subject.admin.settings.set(
        {"tcp_port": str(harness.free_port()), "listen_addr": "127.0.0.1"}, config=True
    )
    text = subject.daemon.conf.read_text()
    loads = [asyncio.create_task(_load(subject.daemon.socket, stop)) for _ in range(4)]
    try:
        for _ in range(CHANGES):
            await model.step(subject.admin)
    finally:
        stop.set()
    assert all(count > 0 for count in await asyncio.gather(*loads))
    subject.daemon.process.kill()
    subject.daemon.wait()
    assert subject.daemon.conf.read_text().startswith(text)
    lines = subject.daemon.conf.read_text()[len(text) :].splitlines()
    assert dict(line.split(" = ", 1) for line in lines) == model.file
