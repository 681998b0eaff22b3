"""Settings that wait for the next start: changed in the file, they do no harm at a restart."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.admin import pki
from aiovirt.admin import protocol as admin
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.settings.declaration import Fixed
from aiovirt.rpc.client import connect_unix
from tests import harness
from tests.restart.conftest import SETTINGS, Restarted
from tests.unit.test_lifecycle_systemd import LIKE_SYSTEMD

VERSION = admin.CONNECT_GET_LIB_VERSION


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files of a server and a client."""
    folder = tmp_path_factory.mktemp("pki")
    pki.create(folder, hosts=["localhost"])
    return folder


def _tls_settings(certificates: Path, port: int) -> dict[str, object]:
    found: dict[str, object] = dict(harness.tls_settings(str(certificates), port))
    found["key_file"] = str(certificates / "private" / "serverkey.pem")
    return found


def _let_in(certificates: Path, port: int) -> bool:
    """Whether a client with a certificate is let in through TLS. Blocks."""
    context = ssl.create_default_context(cafile=str(certificates / "cacert.pem"))
    context.load_cert_chain(
        certificates / "clientcert.pem", certificates / "private" / "clientkey.pem"
    )
    with (
        socket.create_connection(("127.0.0.1", port), harness.PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as link,
    ):
        return link.recv(1) == b"\1"


async def test_tls_ends_when_the_file_says_so_and_its_administrator_does_not_notice(
    certificates: Path,
) -> None:
    port = harness.free_port()
    settings = {**SETTINGS, **_tls_settings(certificates, port)}
    with harness.running("virtd", settings) as daemon:  # type: ignore[arg-type]  # values fit
        virtd = Restarted(daemon)
        async with connect_unix(daemon.admin_socket) as connection:
            await virtd.restart()
            assert await asyncio.to_thread(_let_in, certificates, port)
            harness.write_settings(daemon.conf, {**settings, "listen_tls": 0})  # type: ignore[dict-item]
            for _ in range(2):
                await virtd.restart()
                await connection.call(VERSION, None)
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.to_thread(_let_in, certificates, port)


@pytest.fixture
def passed(tmp_path: Path, certificates: Path) -> Iterator[tuple[Restarted, int]]:
    """A virtd that was passed an admin socket and one for TLS, and has `listen_tls = 0`; the port."""
    conf, log = tmp_path / "virtd.conf", tmp_path / "log"
    settings = {**SETTINGS, **_tls_settings(certificates, 0), "listen_tls": 0}
    conf.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in settings.items()))
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    path = str(tmp_path / "admin")
    unix.bind(path)
    unix.listen()
    descriptors = [tcp.fileno(), unix.fileno()]
    names = "virtd-tls.socket:virtd-admin.socket"
    command = [sys.executable, "-m", "aiovirt.daemons.virtd", "--rundir", str(tmp_path)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", LIKE_SYSTEMD, "2", names, *command, "-f", str(conf)],
            pass_fds=descriptors,
            stdout=output,
            stderr=output,
            cwd=harness.ROOT,
            env={**os.environ, "TEST_FDS": " ".join(map(str, descriptors))},
        )
    port: int = tcp.getsockname()[1]
    tcp.close()
    unix.close()
    daemon = harness.RunningDaemon("virtd", tmp_path, conf, log, "", path, process)
    try:
        daemon.wait_ready()
        yield Restarted(daemon), port
    finally:
        daemon.kill()


async def test_a_tls_socket_from_systemd_goes_on_whatever_listen_tls_says(
    passed: tuple[Restarted, int], certificates: Path
) -> None:
    virtd, port = passed
    async with connect_unix(virtd.daemon.admin_socket) as connection:
        assert await asyncio.to_thread(_let_in, certificates, port)
        for _ in range(2):
            await virtd.restart()
            await connection.call(VERSION, None)
            assert await asyncio.to_thread(_let_in, certificates, port)


#: Values for a file that are allowed and not in force.
OTHERS = {"unix_sock_dir": "/nowhere/at/all", "libvirt_version": "12.8.0"}


@pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)
async def test_every_setting_that_waits_for_the_next_start_waits_through_a_restart(
    kind: DaemonKind, certificates: Path
) -> None:
    settings: dict[str, object] = dict(SETTINGS)
    if "listen_tls" in kind.settings():
        settings |= _tls_settings(certificates, harness.free_port())
    with harness.running(kind.name, settings) as daemon:  # type: ignore[arg-type]  # as above
        restarted = Restarted(daemon)
        fixed = {
            name: OTHERS[name]
            for name, setting in kind.settings().items()
            if isinstance(setting.change, Fixed)
        }
        assert fixed
        async with (
            connect_unix(daemon.admin_socket) as one,
            connect_unix(daemon.socket) as two,
        ):
            harness.write_settings(daemon.conf, {**settings, **fixed})  # type: ignore[dict-item]
            for times in (1, 2):
                await restarted.restart()
                await one.call(VERSION, None)
                for name in fixed:
                    assert restarted.said.count(f"next start setting={name} ") == times
            assert not two.closed
            assert (daemon.folder / f"{kind.name}-sock").exists()
        assert daemon.kill() == 0
        left = [path for path in daemon.folder.iterdir() if path.is_socket()]
        assert [*left, *daemon.folder.glob("*.pid")] == []
