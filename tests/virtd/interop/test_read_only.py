"""A client of a read-only connection is refused in the same words by libvirtd and by virtd."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import ConnectFlags
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.wire.errors import RpcError
from tests import harness
from tests.virtd.conftest import Virtd

Answer = tuple[int, int, str] | None


@pytest.fixture(scope="module")
def libvirtd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The socket of a libvirtd."""
    harness.require("libvirtd")
    if os.geteuid() != 0:
        pytest.skip("a libvirtd of its own needs root")
    daemon = harness.start("libvirtd", Path(tmp_path_factory.mktemp("libvirtd")))
    yield daemon.socket
    daemon.kill()


@pytest.fixture
async def sides(libvirtd: str, virtd: Virtd) -> AsyncIterator[list[Connection]]:
    """A client of each daemon that has opened the test driver for reading only."""
    async with connect_unix(libvirtd) as theirs, connect_unix(virtd.path) as ours:
        for one in (theirs, ours):
            args = protocol.ConnectOpenArgs("test:///default", int(ConnectFlags.RO))
            await one.call(protocol.CONNECT_OPEN, args)
        yield [theirs, ours]


async def answer(connection: Connection, procedure: Any, args: Any) -> Answer:
    """The error for a call, None if it is answered."""
    try:
        await connection.call(procedure, args)
    except RpcError as error:
        return int(error.code), int(error.domain), error.message
    return None


def calls(domain: protocol.NonnullDomain) -> list[tuple[Any, Any]]:
    """Calls of a client that may only read, of which some are refused by their arguments."""
    flags = protocol.DomainFlagsArgs
    snapshot = protocol.NonnullDomainSnapshot("s", domain)
    checkpoint = protocol.NonnullDomainCheckpoint("c", domain)
    return [
        (protocol.DOMAIN_GET_XML_DESC, flags(domain, 0)),
        (protocol.DOMAIN_GET_XML_DESC, flags(domain, 1)),
        (protocol.DOMAIN_GET_XML_DESC, flags(domain, 8)),
        (protocol.DOMAIN_GET_XML_DESC, flags(domain, 1 | 1 << 20)),
        (protocol.DOMAIN_MANAGED_SAVE_GET_XML_DESC, flags(domain, 0)),
        (protocol.DOMAIN_MANAGED_SAVE_GET_XML_DESC, flags(domain, 1)),
        (protocol.DOMAIN_SNAPSHOT_GET_XML_DESC, protocol.SnapshotFlagsArgs(snapshot, 1)),
        (protocol.DOMAIN_CHECKPOINT_GET_XML_DESC, protocol.CheckpointFlagsArgs(checkpoint, 1)),
        (protocol.DOMAIN_GET_VCPUS_FLAGS, flags(domain, 0)),
        (protocol.DOMAIN_GET_VCPUS_FLAGS, flags(domain, 8)),
        (
            protocol.DOMAIN_INTERFACE_ADDRESSES,
            protocol.DomainInterfaceAddressesArgs(domain, 0, 0),
        ),
        (
            protocol.DOMAIN_INTERFACE_ADDRESSES,
            protocol.DomainInterfaceAddressesArgs(domain, 1, 0),
        ),
        (
            protocol.DOMAIN_SAVE_IMAGE_GET_XML_DESC,
            protocol.DomainSaveImageGetXmlDescArgs("/x", 0),
        ),
        (protocol.DOMAIN_DESTROY, protocol.DomainArgs(domain)),
        (protocol.NETWORK_LOOKUP_BY_NAME, protocol.NameArgs("default")),
        (protocol.STORAGE_POOL_DEFINE_XML, protocol.XmlFlagsArgs("<pool/>", 0)),
        (protocol.SECRET_GET_VALUE, protocol.SecretFlagsArgs(_SECRET, 0)),
        (protocol.DOMAIN_MONITOR_COMMAND, protocol.DomainMonitorCommandArgs(domain, "{}", 0)),
        (protocol.DOMAIN_AGENT_COMMAND, protocol.DomainAgentCommandArgs(domain, "{}", -1, 0)),
    ]


_SECRET = protocol.NonnullSecret(bytes(16), 0, "")


async def test_refusals_are_the_same(sides: list[Connection]) -> None:
    looked_up = [
        await one.call(protocol.DOMAIN_LOOKUP_BY_NAME, protocol.NameArgs("test")) for one in sides
    ]
    theirs, ours = (calls(one.dom) for one in looked_up)
    refused = 0
    for (procedure, libvirts), (_, virtds) in zip(theirs, ours, strict=True):
        expected = await answer(sides[0], procedure, libvirts)
        assert await answer(sides[1], procedure, virtds) == expected, procedure
        refused += expected is not None and expected[0] == 29
    assert refused >= 12
