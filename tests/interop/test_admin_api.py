"""The Python API at libvirt's daemons and at ours: what it reads is true, and can be set again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiovirt.admin import client as admin
from aiovirt.admin.protocol import Transport
from aiovirt.daemons.virtd.client import authenticate
from tests import harness
from tests.certificates_maker import GOOD, make
from tests.interop.test_our_client import connect_site
from tests.interop.test_virsh import Site


@pytest.mark.parametrize("name", [*harness.REAL, *harness.OURS])
async def test_filters_and_outputs_that_were_read_can_be_set_again(name: str) -> None:
    with harness.running(name) as daemon:
        async with admin.connect(daemon.uri, timeout=harness.PATIENCE) as conn:
            await conn.set_logging_filters("1:rpc 2:*util* 3:+a?b 4:***")
            filters = await conn.get_logging_filters()
            assert filters == "1:rpc 2:*util* 3:a?b 4:***"
            shown = await conn.get_logging_filters_text()
            await conn.set_logging_filters(filters)
            assert await conn.get_logging_filters() == filters
            assert await conn.get_logging_filters_text() == shown
            outputs = await conn.get_logging_outputs()
            await conn.set_logging_outputs(outputs)
            assert await conn.get_logging_outputs() == outputs


@pytest.fixture(params=["libvirtd", "virtd"])
def tls_daemon(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[tuple[Site, harness.RunningDaemon]]:
    site = Site(tmp_path)
    arguments = ["--listen"] if request.param == "libvirtd" else []
    settings = {**site.settings(), "auth_tls": "none"}
    with harness.running(request.param, settings, arguments) as daemon:
        yield site, daemon


async def test_the_name_in_a_tls_clients_certificate(
    tls_daemon: tuple[Site, harness.RunningDaemon],
) -> None:
    site, daemon = tls_daemon
    async with (
        await connect_site(site, make(replace(GOOD, name="client one"), site.ca)) as guest,
        admin.connect(daemon.uri) as conn,
    ):
        await authenticate(guest)  # libvirtd knows a client from its first call on
        server = await conn.lookup_server(daemon.name)
        (client,) = await server.list_clients()
        assert client.transport == Transport.TLS
        info = await client.get_info()
        assert info.x509_dname == "CN=client one"
        assert "tls_x509_dname" in [param.field for param in info.received]
