"""Every transport of a URI, to libvirtd and to virtd."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aiovirt.admin.ssh import SshFailed
from aiovirt.daemons.virtd.client import ConnectionLost, connect
from tests import harness
from tests.certificates_maker import GOOD, make
from tests.interop.test_virsh import Site
from tests.sshd import hosts


class Place:
    """A daemon with all its doors open."""

    def __init__(self, site: Site, port: int, daemon: harness.RunningDaemon) -> None:
        self.site = site
        self.port = port
        self.daemon = daemon


@pytest.fixture(scope="module", params=["libvirtd", "virtd"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    site = Site(tmp_path_factory.mktemp("site"))
    port = harness.free_port()
    settings = {
        **site.settings(),
        "auth_tls": "none",
        "listen_tcp": 1,
        "tcp_port": str(port),
        "auth_tcp": "none",
    }
    arguments = ["--listen"] if request.param == "libvirtd" else []
    with harness.running(request.param, settings, arguments) as daemon:
        yield Place(site, port, daemon)


async def hostname(uri: str, **options: bool) -> str:
    """What the daemon at a URI says of itself."""
    async with connect(uri, timeout=harness.PATIENCE, **options) as host:
        return await host.hostname()


@pytest.mark.parametrize("readonly", [False, True])
async def test_a_unix_socket(place: Place, readonly: bool) -> None:
    uri = f"test+unix:///default?socket={place.daemon.socket}"
    assert await hostname(uri, readonly=readonly) == socket.gethostname()


async def test_tcp(place: Place) -> None:
    assert await hostname(f"test+tcp://127.0.0.1:{place.port}/default") == socket.gethostname()


async def test_tls(place: Place) -> None:
    site = place.site
    uri = site.client("ours", make(replace(GOOD, name="client ours"), site.ca))
    for plain in (uri, uri.replace("+tls", "")):
        async with connect(plain.replace("qemu", "test").replace("/system", "/default")) as host:
            assert await host.remote_uri() == "test:///default"
            assert host.rpc.peer_certificate


async def test_a_stranger_is_kept_out(place: Place) -> None:
    uri = place.site.client("stranger", make(replace(GOOD, name="stranger"), place.site.ca))
    with pytest.raises(ConnectionLost):
        await hostname(uri)


async def test_another_name_of_the_server_needs_no_verify(place: Place) -> None:
    uri = place.site.client("mine", make(replace(GOOD, name="client"), place.site.ca))
    uri = uri.replace("localhost", "127.0.0.1").replace("qemu", "test").replace("system", "default")
    with pytest.raises(ConnectionLost):
        await hostname(uri)
    assert await hostname(f"{uri}&no_verify=1&no_sanity=1") == socket.gethostname()


async def test_ssh(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with hosts() as far:
        far.start("near")
        for name, value in far.environment.items():
            monkeypatch.setenv(name, value)
        uri = f"test+ssh://near/default?socket={place.daemon.socket}"
        assert await hostname(uri) == socket.gethostname()
        async with connect(uri) as host, host.events(reconnect=True) as events:
            host.rpc.abort()
            assert (await anext(events)).object is None
            assert await host.type() == "TEST"
        with pytest.raises(SshFailed):
            await hostname(f"test+ssh://nowhere.invalid/default?socket={place.daemon.socket}")
