"""Processors and threads of guests, and the places where they may run."""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.host import cpumaps
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Virtd

BOTH = pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])


def test_sets_are_read_and_written() -> None:
    assert cpumaps.parse("0-3,^2,7") == {0, 1, 3, 7}
    assert cpumaps.text_of({7, 0, 1, 3}) == "0-1,3,7"
    assert cpumaps.text_of(()) == ""
    assert cpumaps.bits({0, 9, 99}, 2) == b"\x01\x02"
    assert cpumaps.numbers_of(b"\x01\x02") == {0, 9}
    for broken in ("", "a", "3-1", "-1", "0-99999999"):
        with pytest.raises(ValueError, match=r"range|int"):
            cpumaps.parse(broken)


@BOTH
async def test_a_pinned_processor_is_in_the_document_and_in_the_answers(
    virtd: Virtd, uri: str
) -> None:
    client = await virtd.connect(uri)
    domain = await client.define()
    await client.start(domain)
    for number, cpus in ((1, b"\x01"), (0, b"\x02")):
        await client.call(
            protocol.DOMAIN_PIN_VCPU, protocol.DomainPinVcpuArgs(domain, number, cpus)
        )
    text = await client.xml(domain)
    assert text.index("<vcpupin vcpu='0' cpuset='1'/>") < text.index("<vcpupin vcpu='1'")
    pins = await client.call(
        protocol.DOMAIN_GET_VCPU_PIN_INFO, protocol.DomainGetVcpuPinInfoArgs(domain, 9, 1, 0)
    )
    assert (pins.num, pins.cpumaps) == (2, b"\x02\x01")
    seen = await client.call(protocol.DOMAIN_GET_VCPUS, protocol.DomainGetVcpusArgs(domain, 9, 1))
    assert [(one.number, one.state, one.cpu) for one in seen.info] == [(0, 1, 1), (1, 1, 0)]
    assert seen.cpumaps == b"\x02\x01"
    args = protocol.DomainPinVcpuArgs(domain, 7, b"\x01")
    assert (await client.refused(protocol.DOMAIN_PIN_VCPU, args)).code == ErrorCode.INVALID_ARG


@BOTH
async def test_a_guest_that_is_shut_off_has_no_processors_to_list(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    args = protocol.DomainGetVcpusArgs(await client.define(), 2, 1)
    error = await client.refused(protocol.DOMAIN_GET_VCPUS, args)
    assert error.code == ErrorCode.OPERATION_INVALID
    assert "inactive domain" in error.message


async def test_maps_that_no_message_can_hold_are_refused(virtd: Virtd) -> None:
    client = await virtd.connect()
    domain = await client.define()
    for args in ((20_000, 1), (16_000, 2_000_000), (-1, 1)):
        error = await client.refused(
            protocol.DOMAIN_GET_VCPUS, protocol.DomainGetVcpusArgs(domain, *args)
        )
        assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.RPC)


@BOTH
async def test_the_emulator_and_threads_are_pinned(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await client.define()
    args = protocol.DomainPinEmulatorArgs(domain, b"\x01", 2)
    await client.call(protocol.DOMAIN_PIN_EMULATOR, args)
    seen = await client.call(
        protocol.DOMAIN_GET_EMULATOR_PIN_INFO,
        protocol.DomainGetEmulatorPinInfoArgs(domain, 1, 2),
    )
    assert (seen.ret, seen.cpumaps) == (1, b"\x01")
    thread = protocol.DomainIothreadArgs(domain, 2, 2)
    await client.call(protocol.DOMAIN_ADD_IOTHREAD, thread)
    assert (await client.refused(protocol.DOMAIN_ADD_IOTHREAD, thread)).code == (
        ErrorCode.INVALID_ARG
    )
    await client.call(
        protocol.DOMAIN_PIN_IOTHREAD, protocol.DomainPinIothreadArgs(domain, 2, b"\x02", 2)
    )
    text = await client.xml(domain)
    assert "<iothread id='2'/>" in text
    assert "<iothreadpin iothread='2' cpuset='1'/>" in text
    found = await client.call(
        protocol.DOMAIN_GET_IOTHREAD_INFO, protocol.DomainFlagsArgs(domain, 2)
    )
    assert [(one.iothread_id, one.cpumap[:1]) for one in found.info] == [(2, b"\x02")]
    await client.call(protocol.DOMAIN_DEL_IOTHREAD, thread)
    assert "iothread" not in await client.xml(domain)


async def test_single_processors_are_switched_off(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    args = protocol.DomainCpumapStateArgs(domain, "1", 0, 2)
    await client.call(protocol.DOMAIN_SET_VCPU, args)
    assert "<vcpu id='1' enabled='no' hotpluggable='yes'/>" in await client.xml(domain)
    args = protocol.DomainCpumapStateArgs(domain, "0", 0, 2)
    assert (await client.refused(protocol.DOMAIN_SET_VCPU, args)).code == ErrorCode.INVALID_ARG
