"""Our client and libvirt's own libvirtd, over TLS and with SASL."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiovirt.daemons.virtd import protocol as remote
from aiovirt.daemons.virtd.client import authenticate, connect, open_driver
from aiovirt.rpc.client import Connection, ConnectionLost, connect_tls, connect_unix
from aiovirt.rpc.security.tls import TlsFiles, client_context
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests import harness
from tests.certificates_maker import GOOD, Made, key_pem, make, pem
from tests.interop.test_virsh import Site


@pytest.fixture(scope="module", params=["libvirtd", "virtd"])
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A daemon with TLS, which lets in names that begin with "client"."""
    site = Site(tmp_path_factory.mktemp("site"))
    arguments = ["--listen"] if request.param == "libvirtd" else []
    with harness.running(request.param, {**site.settings(), "auth_tls": "none"}, arguments):
        yield site


def files(site: Site, made: Made) -> TlsFiles:
    folder = site.folder
    (folder / "mine.pem").write_bytes(pem(made))
    (folder / "mine-key.pem").write_bytes(key_pem(made.key))
    return TlsFiles(
        f"{folder}/cacert.pem",
        f"{folder}/mine.pem",
        f"{folder}/mine-key.pem",
        f"{folder}/cacrl.pem",
    )


async def connect_site(site: Site, made: Made) -> Connection:
    context = client_context(files(site, made), sanity=False)
    return await connect_tls("localhost", site.port, context, timeout=harness.PATIENCE)


async def test_we_are_let_in_over_tls(site: Site) -> None:
    made = make(replace(GOOD, name="client ours"), site.ca)
    async with await connect_site(site, made) as connection:
        assert await authenticate(connection) is None
        await open_driver(connection, "test:///default")
        found = await connection.call(remote.CONNECT_GET_HOSTNAME, None)
        assert found.hostname == socket.gethostname()
        assert (await connection.call(remote.CONNECT_GET_TYPE, None)).type == "TEST"


@pytest.mark.parametrize("why", ["expired", "revoked", "not on the list", "another CA"])
async def test_we_are_refused(site: Site, why: str) -> None:
    good = replace(GOOD, name="client ours")
    shown = {
        "expired": lambda: make(replace(good, starts=-9, ends=-1), site.ca),
        "revoked": lambda: site.revoked,
        "not on the list": lambda: make(replace(good, name="stranger"), site.ca),
        "another CA": lambda: make(good),
    }[why]()
    with pytest.raises(ConnectionLost):
        await connect_site(site, shown)


# SASL: what libvirtd uses for it is read from /etc/sasl2, which has to be ours --------------------


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[harness.RunningDaemon]:
    """A libvirtd whose UNIX socket asks for a password, and joe's is secret."""
    if not Path("/etc/sasl2").is_dir():
        harness.missing("/etc/sasl2 does not exist: libvirt-daemon is not installed")
    folder = tmp_path_factory.mktemp("sasl")
    database, configuration = folder / "sasldb", folder / "etc"
    configuration.mkdir()
    (configuration / "libvirt.conf").write_text(
        f"mech_list: scram-sha-256\nsasldb_path: {database}\n"
    )
    subprocess.run(
        [harness.require("saslpasswd2"), "-p", "-a", "libvirt", "-f", str(database), "joe"],
        input="secret\n",
        text=True,
        check=True,
    )
    # Where it looks for its configuration can be said by the environment.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SASL_CONF_PATH", str(configuration))
        with harness.running("libvirtd", {"auth_unix_rw": "sasl"}) as daemon:
            yield daemon


@pytest.mark.parametrize(("password", "comes_in"), [("secret", True), ("wrong", False)])
async def test_sasl(guarded: harness.RunningDaemon, password: str, comes_in: bool) -> None:
    async with connect_unix(guarded.socket) as connection:
        if comes_in:
            used = await authenticate(connection, name="joe", password=password)
            assert used == "SCRAM-SHA-256"
            await open_driver(connection, "test:///default")
        else:
            with pytest.raises(RpcError) as refusal:
                await authenticate(connection, name="joe", password=password)
            assert refusal.value.code == ErrorCode.AUTH_FAILED


async def test_sasl_by_a_uri(guarded: harness.RunningDaemon) -> None:
    uri = f"test+unix:///default?socket={guarded.socket}"
    async with connect(uri, name="joe", password="secret") as host:
        assert host.mechanism == "SCRAM-SHA-256"
    with pytest.raises(RpcError) as refusal:
        await connect(uri, name="joe", password="wrong")
    assert refusal.value.code == ErrorCode.AUTH_FAILED
