"""Counters of guests: they grow while a guest runs, and stand still while it is paused.

Names, order and the test driver's values are those of libvirt 9.0.0.
"""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_flags import (
    ConnectGetAllDomainStatsFlags,
    DomainStatsTypes,
)
from aiovirt.daemons.virtd.host.clock import Clock
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from aiovirt.rpc.wire.typedparams import to_dict
from tests.virtd.conftest import Client, Virtd

SECOND = 1_000_000_000


class Time:
    """A clock under the test's control, in nanoseconds."""

    def __init__(self, virtd: Virtd, driver: str = "qemu") -> None:
        self.value = 1_700_000_000 * SECOND
        virtd.host(driver).clock = Clock(lambda: self.value)

    def passes(self, seconds: int) -> None:
        """Let time pass."""
        self.value += seconds * SECOND


async def stats(client: Client, groups: int = 0, flags: int = 0) -> list[dict[str, Any]]:
    """All statistics, by name, of each domain."""
    args = protocol.ConnectGetAllDomainStatsArgs([], groups, flags)
    answer = await client.call(protocol.CONNECT_GET_ALL_DOMAIN_STATS, args)
    return [to_dict(one.params) for one in answer.retStats]


async def test_counters_grow_while_a_guest_runs_and_stand_still_while_it_is_paused(
    virtd: Virtd,
) -> None:
    time = Time(virtd)
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    time.passes(60)
    (first,) = await stats(client)
    time.passes(60)
    (second,) = await stats(client)
    growing = (
        "cpu.time",
        "vcpu.0.time",
        "net.0.rx.bytes",
        "net.0.tx.pkts",
        "block.0.rd.reqs",
        "block.0.wr.bytes",
    )
    assert all(first[name] < second[name] for name in growing)
    assert second["cpu.user"] + second["cpu.system"] == second["cpu.time"]
    assert second["cpu.time"] < 2 * 120 * SECOND
    await client.call(protocol.DOMAIN_SUSPEND, protocol.DomainArgs(domain))
    time.passes(600)
    (third,) = await stats(client)
    assert {name: third[name] for name in growing} == {name: second[name] for name in growing}


async def test_a_clock_that_is_set_back_takes_nothing_from_the_counters_and_does_not_stop_them(
    virtd: Virtd,
) -> None:
    time = Time(virtd)
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    time.passes(60)
    (first,) = await stats(client)
    virtd.host("qemu").clock.set(946_684_800 * SECOND)
    (second,) = await stats(client)
    time.passes(60)
    (third,) = await stats(client)
    for name in ("cpu.time", "net.0.rx.bytes", "block.0.rd.reqs"):
        assert first[name] == second[name] < third[name]


async def test_the_rate_of_writing_is_measured_though_the_clock_is_set_back(virtd: Virtd) -> None:
    time = Time(virtd)
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    args = protocol.DomainStartDirtyRateCalcArgs(domain, 2, 0)
    await client.call(protocol.DOMAIN_START_DIRTY_RATE_CALC, args)
    virtd.host("qemu").clock.set(946_684_800 * SECOND)
    seen = []
    for seconds in (1, 2):
        time.passes(seconds)
        (found,) = await stats(client)
        seen.append((found["dirtyrate.calc_status"], "dirtyrate.megabytes_per_second" in found))
    assert seen == [(1, False), (2, True)]


async def test_groups_come_in_order_and_only_those_that_are_asked_for(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    (found,) = await stats(client)
    heads = list(dict.fromkeys(name.partition(".")[0] for name in found))
    assert heads == ["state", "cpu", "balloon", "vcpu", "net", "block", "dirtyrate"]
    assert found["net.count"] == found["block.count"] == 1
    assert (found["net.0.name"], found["block.0.name"]) == ("vnet0", "vda")
    assert found["block.0.path"] == "/d/guest.img"
    (found,) = await stats(client, DomainStatsTypes.VCPU | DomainStatsTypes.STATE)
    assert list(found)[:4] == ["state.state", "state.reason", "vcpu.current", "vcpu.maximum"]
    assert await stats(client, flags=ConnectGetAllDomainStatsFlags.INACTIVE) == []


async def test_the_test_driver_has_two_groups(virtd: Virtd) -> None:
    client = await virtd.connect()
    assert await stats(client) == [{"state.state": 1, "state.reason": 0}]
    assert await stats(client, DomainStatsTypes.VCPU) == [{}]
    enforced = protocol.ConnectGetAllDomainStatsArgs(
        [], DomainStatsTypes.VCPU, ConnectGetAllDomainStatsFlags.ENFORCE_STATS
    )
    error = await client.refused(protocol.CONNECT_GET_ALL_DOMAIN_STATS, enforced)
    assert (error.code, error.domain) == (ErrorCode.ARGUMENT_UNSUPPORTED, ErrorDomain.TEST)


async def test_single_counters_agree_with_all_of_them(virtd: Virtd) -> None:
    time = Time(virtd)
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    time.passes(100)
    (found,) = await stats(client)
    block = await client.call(
        protocol.DOMAIN_BLOCK_STATS, protocol.DomainBlockStatsArgs(domain, "vda")
    )
    assert (block.rd_req, block.wr_bytes) == (found["block.0.rd.reqs"], found["block.0.wr.bytes"])
    args = protocol.DomainBlockStatsFlagsArgs(domain, "vda", 0, 0)
    number = (await client.call(protocol.DOMAIN_BLOCK_STATS_FLAGS, args)).nparams
    args = protocol.DomainBlockStatsFlagsArgs(domain, "", number, 0)
    params = to_dict((await client.call(protocol.DOMAIN_BLOCK_STATS_FLAGS, args)).params)
    assert (len(params), params["rd_operations"]) == (8, block.rd_req)
    net = await client.call(
        protocol.DOMAIN_INTERFACE_STATS, protocol.DomainInterfaceStatsArgs(domain, "vnet0")
    )
    assert net.rx_bytes == found["net.0.rx.bytes"]
    info = await client.call(protocol.DOMAIN_GET_INFO, protocol.DomainArgs(domain))
    assert info.cpuTime == found["cpu.time"]
    memory = await client.call(
        protocol.DOMAIN_MEMORY_STATS, protocol.DomainMemoryStatsArgs(domain, 13, 0)
    )
    assert {one.tag: one.val for one in memory.stats}[6] == found["balloon.current"]


async def test_a_guest_that_has_just_started_has_not_reported_its_memory(virtd: Virtd) -> None:
    # libvirtd's answer until the balloon's driver runs in the guest; libvirt-rust's tests expect it.
    time = Time(virtd)
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    args = protocol.DomainMemoryStatsArgs(domain, 13, 0)
    stats_of = [one.tag for one in (await client.call(protocol.DOMAIN_MEMORY_STATS, args)).stats]
    assert stats_of == [6, 9, 7]
    time.passes(5)
    assert len((await client.call(protocol.DOMAIN_MEMORY_STATS, args)).stats) > 10


@pytest.mark.parametrize(
    ("procedure", "args", "code"),
    [
        (protocol.DOMAIN_BLOCK_STATS, ("sdz",), ErrorCode.INVALID_ARG),
        (protocol.DOMAIN_INTERFACE_STATS, ("vnet9",), ErrorCode.INVALID_ARG),
        (protocol.DOMAIN_GET_BLOCK_INFO, ("sdz", 0), ErrorCode.INVALID_ARG),
        (protocol.DOMAIN_MEMORY_STATS, (13, 1), ErrorCode.INVALID_ARG),
    ],
)
async def test_unknown_devices_are_refused(
    virtd: Virtd, procedure: Any, args: tuple[Any, ...], code: ErrorCode
) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    error = await client.refused(procedure, procedure.args(domain, *args))
    # libvirt looks for an interface in its code for documents.
    speaker = ErrorDomain.DOMAIN if args == ("vnet9",) else ErrorDomain.QEMU
    assert (error.code, error.domain) == (code, speaker)
