"""Arguments that once failed inside the daemon or kept it busy, as `tests.fuzz virtd` found them."""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.typedparams import ullong
from tests.virtd.conftest import Client, Virtd

COPY = "<disk type='file'><source file='/d/copy.img'/></disk>"


@pytest.fixture
async def client(virtd: Virtd) -> Client:
    """A client of the qemu driver."""
    return await virtd.connect("qemu:///system")


@pytest.fixture
async def domain(client: Client) -> protocol.NonnullDomain:
    """A running guest."""
    domain = await client.define()
    await client.start(domain)
    return domain


async def test_no_range_of_processors_begins_below_zero(
    client: Client, domain: protocol.NonnullDomain
) -> None:
    args = protocol.DomainGetCpuStatsArgs(domain, 2, -(1 << 31), 1, 0)
    error = await client.refused(protocol.DOMAIN_GET_CPU_STATS, args)
    assert error.code == ErrorCode.INVALID_ARG
    assert error.message == "start_cpu in virDomainGetCPUStats must be zero or greater"


@pytest.mark.parametrize("procedure", ["DOMAIN_BLOCK_PULL", "DOMAIN_BLOCK_JOB_SET_SPEED"])
async def test_a_bandwidth_is_at_most_what_libvirt_takes(
    client: Client, domain: protocol.NonnullDomain, procedure: str
) -> None:
    args = protocol.DomainBandwidthArgs(domain, "vda", (1 << 64) - 1, 0)
    error = await client.refused(getattr(protocol, procedure), args)
    assert error.code == ErrorCode.OVERFLOW
    assert error.message.endswith("bandwidth must be less than 8796093022207")


async def test_the_bandwidth_of_a_copy_is_bounded(
    client: Client, domain: protocol.NonnullDomain
) -> None:
    params = [ullong("bandwidth", 1 << 63)]
    args = protocol.DomainBlockCopyArgs(domain, "vda", COPY, params, 0)
    error = await client.refused(protocol.DOMAIN_BLOCK_COPY, args)
    assert error.code == ErrorCode.INVALID_ARG


@pytest.mark.parametrize("path", ["/d/\udcff", "/d/\udc80.img"])
async def test_a_path_that_is_not_utf8_is_refused(
    client: Client, domain: protocol.NonnullDomain, path: str
) -> None:
    args = protocol.DomainSaveArgs(domain, path)
    error = await client.refused(protocol.DOMAIN_SAVE, args)
    assert error.code == ErrorCode.INVALID_ARG
    assert "is not in UTF-8" in error.message


@pytest.mark.parametrize("name", ["a\x01b", "a\udcffb"])
async def test_a_name_that_no_document_can_have_is_refused(client: Client, name: str) -> None:
    domain = await client.define()
    args = protocol.DomainRenameArgs(domain, name, 0)
    error = await client.refused(protocol.DOMAIN_RENAME, args)
    assert error.code == ErrorCode.INVALID_ARG
    assert "character that XML forbids" in error.message


@pytest.mark.parametrize(
    ("key", "uri"), [("xml", "urn:a"), ("a b", "urn:a"), ("a", "a b"), ("a", ""), ("a", "}")]
)
async def test_a_namespace_that_cannot_be_declared_is_refused(
    client: Client, domain: protocol.NonnullDomain, key: str, uri: str
) -> None:
    args = protocol.DomainSetMetadataArgs(domain, 2, "<x/>", key, uri, 1)
    error = await client.refused(protocol.DOMAIN_SET_METADATA, args)
    assert error.code == ErrorCode.INTERNAL_ERROR
    assert "XML namespace" in error.message


async def test_a_password_may_be_any_bytes(client: Client, domain: protocol.NonnullDomain) -> None:
    args: Any = protocol.DomainSetUserPasswordArgs(domain, "root", "\udcff", 0)
    error = await client.refused(protocol.DOMAIN_SET_USER_PASSWORD, args)
    assert error.code == ErrorCode.ARGUMENT_UNSUPPORTED  # no agent is configured
