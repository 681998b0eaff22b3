"""Typed parameters of domains: what is set is in the document, and is what is got."""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.typedparams import (
    STRING_OKAY,
    TypedParam,
    boolean,
    int_,
    llong,
    string,
    to_dict,
    uint,
    ullong,
)
from tests.virtd.conftest import Client, Virtd

BOTH = pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])
CONFIG = 2
MAC = "52:54:00:00:00:01"

#: Of each kind: how it is set and got, with what device, which parameters, and what the document says.
KINDS: dict[str, tuple[Any, Any, tuple[str, ...], list[TypedParam], str]] = {
    "memory": (
        protocol.DOMAIN_SET_MEMORY_PARAMETERS,
        protocol.DOMAIN_GET_MEMORY_PARAMETERS,
        (),
        [ullong("hard_limit", 1 << 20), ullong("swap_hard_limit", 1 << 21)],
        "<hard_limit unit='KiB'>1048576</hard_limit>",
    ),
    "numa": (
        protocol.DOMAIN_SET_NUMA_PARAMETERS,
        protocol.DOMAIN_GET_NUMA_PARAMETERS,
        (),
        [int_("numa_mode", 2), string("numa_nodeset", "0-1")],
        "<memory mode='interleave' nodeset='0-1'/>",
    ),
    "blkio": (
        protocol.DOMAIN_SET_BLKIO_PARAMETERS,
        protocol.DOMAIN_GET_BLKIO_PARAMETERS,
        (),
        [uint("weight", 300), string("device_weight", "/dev/sda,200")],
        "<path>/dev/sda</path>",
    ),
    "bandwidth": (
        protocol.DOMAIN_SET_INTERFACE_PARAMETERS,
        protocol.DOMAIN_GET_INTERFACE_PARAMETERS,
        (MAC,),
        [uint("inbound.average", 100), uint("inbound.peak", 200)],
        "<inbound average='100' peak='200'/>",
    ),
    "iotune": (
        protocol.DOMAIN_SET_BLOCK_IO_TUNE,
        protocol.DOMAIN_GET_BLOCK_IO_TUNE,
        ("vda",),
        [ullong("total_bytes_sec", 1000), ullong("total_bytes_sec_max", 2000)],
        "<total_bytes_sec>1000</total_bytes_sec>",
    ),
}


async def defined(client: Client) -> protocol.NonnullDomain:
    """A domain whose interface has the address MAC."""
    domain = await client.define()
    text = await client.xml(domain)
    begin = text.index("<mac address='") + len("<mac address='")
    args = protocol.XmlArgs(text[:begin] + MAC + text[begin + len(MAC) :])
    await client.call(protocol.DOMAIN_DEFINE_XML, args)
    return domain


@BOTH
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_set_is_got(virtd: Virtd, uri: str, kind: str) -> None:
    client = await virtd.connect(uri)
    domain = await defined(client)
    setter, getter, device, params, said = KINDS[kind]
    before = await client.xml(domain)
    await client.call(setter, setter.args(domain, *device, params, CONFIG))
    assert said in await client.xml(domain)
    flags = CONFIG | STRING_OKAY
    number = (await client.call(getter, getter.args(domain, *device, 0, flags))).nparams
    answer = await client.call(getter, getter.args(domain, *device, number, flags))
    assert len(answer.params) == number
    found = to_dict(answer.params)
    assert to_dict(params).items() <= found.items()
    unknown = setter.args(domain, *device, [uint("no_such", 1)], CONFIG)
    assert (await client.refused(setter, unknown)).code == ErrorCode.ARGUMENT_UNSUPPORTED
    assert await client.xml(domain) != before


@BOTH
async def test_limits_that_contradict_each_other_are_refused(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await client.define()
    setter = protocol.DOMAIN_SET_BLOCK_IO_TUNE
    both = [
        ullong(f"{which}_bytes_sec{tail}", 1000)
        for which in ("total", "read")
        for tail in ("", "_max")
    ]
    error = await client.refused(setter, setter.args(domain, "vda", both, CONFIG))
    assert error.code == ErrorCode.INVALID_ARG
    assert "cannot be set at the same time" in error.message
    limits = [ullong("hard_limit", 2000), ullong("swap_hard_limit", 1000)]
    args = protocol.DomainSetMemoryParametersArgs(domain, limits, CONFIG)
    error = await client.refused(protocol.DOMAIN_SET_MEMORY_PARAMETERS, args)
    assert "lower than or equal to swap_hard_limit" in error.message


async def test_the_scheduler_of_a_running_guest_is_tuned_with_an_event(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    seen: list[dict[str, Any]] = []
    client.rpc.on_event(
        protocol.DOMAIN_EVENT_CALLBACK_TUNABLE, lambda one: seen.append(to_dict(one.params))
    )
    args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(DomainEventID.TUNABLE, None)
    await client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    kind = await client.call(protocol.DOMAIN_GET_SCHEDULER_TYPE, protocol.DomainArgs(domain))
    assert (kind.type, kind.nparams) == ("posix", 9)
    await client.call(
        protocol.DOMAIN_SET_SCHEDULER_PARAMETERS,
        protocol.DomainSetSchedulerParametersArgs(
            domain, [ullong("cpu_shares", 500), llong("vcpu_quota", 20000)]
        ),
    )
    answer = await client.call(
        protocol.DOMAIN_GET_SCHEDULER_PARAMETERS,
        protocol.DomainGetSchedulerParametersArgs(domain, 9),
    )
    found = to_dict(answer.params)
    assert (found["cpu_shares"], found["vcpu_quota"], found["vcpu_period"]) == (500, 20000, 100000)
    assert seen == [{"cputune.cpu_shares": 500, "cputune.vcpu_quota": 20000}]
    args = protocol.DomainSetSchedulerParametersArgs(domain, [ullong("vcpu_period", 5)])
    error = await client.refused(protocol.DOMAIN_SET_SCHEDULER_PARAMETERS, args)
    assert error.code == ErrorCode.INVALID_ARG


@BOTH
async def test_counted_events_periods_and_ends_are_settings_of_the_document(
    virtd: Virtd, uri: str
) -> None:
    client = await virtd.connect(uri)
    domain = await client.define()
    await client.call(
        protocol.DOMAIN_SET_PERF_EVENTS,
        protocol.DomainSetPerfEventsArgs(domain, [boolean("mbmt", True)], CONFIG),
    )
    found = await client.call(
        protocol.DOMAIN_GET_PERF_EVENTS, protocol.DomainFlagsArgs(domain, CONFIG)
    )
    assert [one.field for one in found.params if one.value.content] == ["mbmt"]
    period = protocol.DomainSetMemoryStatsPeriodArgs(domain, 7, CONFIG)
    if uri.startswith("qemu"):
        await client.call(protocol.DOMAIN_SET_MEMORY_STATS_PERIOD, period)
        assert "<stats period='7'/>" in await client.xml(domain)
    else:  # its guests have no balloon unless their definition says so
        error = await client.refused(protocol.DOMAIN_SET_MEMORY_STATS_PERIOD, period)
        assert error.code == ErrorCode.INTERNAL_ERROR
    action = protocol.DomainSetLifecycleActionArgs(domain, 0, 1, CONFIG)
    await client.call(protocol.DOMAIN_SET_LIFECYCLE_ACTION, action)
    text = await client.xml(domain)
    assert "<event name='mbmt' enabled='yes'/>" in text
    assert "<on_poweroff>restart</on_poweroff>" in text
    action = protocol.DomainSetLifecycleActionArgs(domain, 0, 5, CONFIG)
    error = await client.refused(protocol.DOMAIN_SET_LIFECYCLE_ACTION, action)
    assert error.code == ErrorCode.CONFIG_UNSUPPORTED
