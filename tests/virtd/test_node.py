"""The machine of a host, and what it can do.

Test's numbers are those that libvirt 9.0.0's test driver answers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.host import node, processors
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Client, MakeVirtd, Virtd

QEMU = "qemu:///system"
TEST = "test:///default"
BOTH = pytest.mark.parametrize("uri", [TEST, QEMU])


async def capabilities_of(client: Client) -> etree._Element:
    answer = await client.call(protocol.CONNECT_GET_CAPABILITIES)
    return etree.fromstring(answer.capabilities)


async def guests_of(client: Client, *args: str | None) -> etree._Element:
    wanted = protocol.ConnectGetDomainCapabilitiesArgs(*args, 0)
    answer = await client.call(protocol.CONNECT_GET_DOMAIN_CAPABILITIES, wanted)
    return etree.fromstring(answer.capabilities)


@BOTH
async def test_the_numbers_of_a_machine_fit_together(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    info = await client.call(protocol.NODE_GET_INFO)
    assert info.nodes * info.sockets * info.cores * info.threads == info.cpus
    root = await capabilities_of(client)
    assert root.findtext("host/cpu/arch") == info.model.rstrip(b"\0").decode()
    assert len(root.findall("host/topology/cells/cell/cpus/cpu")) == info.cpus
    args = protocol.NodeGetCellsFreeMemoryArgs(0, 64)
    cells = (await client.call(protocol.NODE_GET_CELLS_FREE_MEMORY, args)).cells
    assert len(cells) == info.nodes


async def test_the_test_drivers_machine(virtd: Virtd) -> None:
    client = await virtd.connect()
    info = await client.call(protocol.NODE_GET_INFO)
    assert (info.memory, info.cpus, info.mhz) == (3145728, 16, 1400)
    assert (await client.call(protocol.NODE_GET_FREE_MEMORY)).freeMem == 3145728
    args = protocol.ConnectGetMaxVcpusArgs(None)
    assert (await client.call(protocol.CONNECT_GET_MAX_VCPUS, args)).max_vcpus == 32
    found = await client.call(protocol.NODE_GET_CPU_MAP, protocol.NodeGetCpuMapArgs(1, 1, 0))
    assert (found.cpumap, found.online, found.ret) == (b"\x15", 3, 8)
    stats = await client.call(protocol.NODE_GET_CPU_STATS, protocol.NodeGetCpuStatsArgs(-1, 4, 0))
    assert stats.params[0] == protocol.NodeGetCpuStats("user", 9797400000)


async def test_running_guests_take_memory_of_the_host(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    before = (await client.call(protocol.NODE_GET_FREE_MEMORY)).freeMem
    await client.start(await client.define())
    after = (await client.call(protocol.NODE_GET_FREE_MEMORY)).freeMem
    assert before - after == 512 << 20
    args = protocol.NodeGetMemoryStatsArgs(4, -1, 0)
    stats = (await client.call(protocol.NODE_GET_MEMORY_STATS, args)).params
    assert {one.field: one.value for one in stats}["free"] == after // 1024


@pytest.mark.parametrize(
    ("procedure", "kind"),
    [
        (protocol.NODE_GET_CPU_STATS, protocol.NodeGetCpuStatsArgs),
        (protocol.NODE_GET_MEMORY_STATS, protocol.NodeGetMemoryStatsArgs),
    ],
)
async def test_a_client_that_asks_for_the_number_of_values_gets_it(
    virtd: Virtd, procedure: Any, kind: Any
) -> None:
    client = await virtd.connect(QEMU)
    args = kind(-1, 0, 0) if kind is protocol.NodeGetCpuStatsArgs else kind(0, -1, 0)
    found = await client.call(procedure, args)
    assert (found.params, found.nparams) == ([], 4)


async def test_times_of_processors_grow_with_the_clock_of_the_host(virtd: Virtd) -> None:
    host = virtd.host("qemu")
    host.clock.set(rate=0)
    before = node.cpu_times(host, -1)
    host.clock.set(host.clock.now() + 10_000_000_000)
    after = node.cpu_times(host, -1)
    assert sum(after.values()) - sum(before.values()) == 10_000_000_000 * node.QEMU.cpus


async def test_times_of_processors_are_those_of_a_host_that_has_run_for_an_hour(
    make_virtd: MakeVirtd, tmp_path: Path
) -> None:
    """Also after a restart, and after its clock was set back."""
    host = (await make_virtd(str(tmp_path / "store"))).host("qemu")
    host.set_clock(None, 0)
    hour = 3600 * 10**9
    total = sum(node.cpu_times(host, -1).values())
    assert hour <= total / node.QEMU.cpus < hour + 60 * 10**9
    each = sum(sum(node.cpu_times(host, one).values()) for one in range(node.QEMU.cpus))
    assert abs(total - each) < 100
    host.set_clock(10**9, None)
    assert sum(node.cpu_times(host, -1).values()) == total
    again = (await make_virtd(str(tmp_path / "store"))).host("qemu")
    assert sum(node.cpu_times(again, -1).values()) == total
    memory = node.memory_stats(host, -1)
    assert memory["free"] + memory["buffers"] + memory["cached"] < memory["total"]


async def test_the_uuid_of_a_machine_stays(make_virtd: MakeVirtd, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    client = await (await make_virtd(store)).connect(QEMU)
    uuid = (await capabilities_of(client)).findtext("host/uuid")
    again = await (await make_virtd(store)).connect(QEMU)
    assert (await capabilities_of(again)).findtext("host/uuid") == uuid
    args = protocol.NameFlagsArgs("computer", 0)
    assert uuid in (await again.call(protocol.NODE_DEVICE_GET_XML_DESC, args)).xml
    other = await (await make_virtd(str(tmp_path / "other"))).connect(QEMU)
    assert (await capabilities_of(other)).findtext("host/uuid") != uuid


async def test_qemus_host_has_the_emulators_and_machines_that_clients_look_for(
    virtd: Virtd,
) -> None:
    root = await capabilities_of(await virtd.connect(QEMU))
    (arch,) = root.findall("guest/arch[@name='x86_64']")
    assert arch.findtext("emulator") == "/usr/bin/qemu-system-x86_64"
    assert [one.get("type") for one in arch.findall("domain")] == ["qemu", "kvm"]
    names = {one.text: one.get("canonical") for one in arch.findall("machine")}
    assert names["pc"] == "pc-i440fx-7.2"
    assert names["q35"] == "pc-q35-7.2"


async def test_a_guest_can_have_what_its_machine_has(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    root = await guests_of(client, None, None, None, None)
    assert (root.findtext("domain"), root.findtext("machine")) == ("kvm", "pc-i440fx-7.2")
    root = await guests_of(client, None, "x86_64", "q35", "qemu")
    assert (root.findtext("domain"), root.findtext("machine")) == ("qemu", "pc-q35-7.2")
    assert root.find("cpu/mode[@name='host-passthrough']").get("supported") == "no"  # type: ignore[union-attr]  # it exists
    values = [one.text for one in root.findall("devices/disk/enum[@name='bus']/value")]
    assert "ide" not in values


UNKNOWN = [
    ((None, None, None, "foo"), "unknown virttype: foo"),
    ((None, "foo", None, None), "unknown architecture: foo"),
    ((None, "s390x", None, None), "unable to find any emulator to serve 's390x' architecture"),
    (
        ("/usr/bin/qemu-system-i386", "x86_64", None, None),
        "architecture from emulator 'i686' doesn't match given architecture 'x86_64'",
    ),
    (
        (None, None, "foo", None),
        "the machine 'foo' is not supported by emulator '/usr/bin/qemu-system-x86_64'",
    ),
]


@pytest.mark.parametrize(("args", "text"), UNKNOWN)
async def test_what_no_guest_can_have_is_refused_in_libvirts_words(
    virtd: Virtd, args: tuple[str | None, ...], text: str
) -> None:
    client = await virtd.connect(QEMU)
    wanted = protocol.ConnectGetDomainCapabilitiesArgs(*args, 0)
    error = await client.refused(protocol.CONNECT_GET_DOMAIN_CAPABILITIES, wanted)
    assert (error.code, error.domain) == (ErrorCode.INVALID_ARG, ErrorDomain.QEMU)
    assert error.message == f"invalid argument: {text}"


async def test_a_host_can_run_what_its_own_description_says(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    cpu = (await capabilities_of(client)).find("host/cpu")
    text = etree.tostring(cpu, encoding="unicode")  # type: ignore[arg-type]  # it exists
    args = protocol.XmlFlagsArgs(text, 0)
    assert (await client.call(protocol.CONNECT_COMPARE_CPU, args)).result == 1
    found = await client.call(
        protocol.CONNECT_BASELINE_CPU, protocol.ConnectBaselineCpuArgs([text], 0)
    )
    assert etree.fromstring(found.cpu).findtext("model") == processors.HOST_MODEL


def cpu_text(model: str, *features: str) -> str:
    names = "".join(f"<feature name='{one}'/>" for one in features)
    return f"<cpu><arch>x86_64</arch><model>{model}</model>{names}</cpu>"


@BOTH
async def test_a_baseline_is_what_processors_have_in_common(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    texts = [cpu_text("Penryn", "vmx", "ss"), cpu_text("Nehalem", "vmx")]
    args = protocol.ConnectBaselineCpuArgs(texts, 0)
    root = etree.fromstring((await client.call(protocol.CONNECT_BASELINE_CPU, args)).cpu)
    assert root.findtext("model") == "Penryn"
    assert [one.get("name") for one in root.findall("feature")] == ["vmx"]
    unknown = protocol.ConnectBaselineCpuArgs([cpu_text("Foo")], 0)
    error = await client.refused(protocol.CONNECT_BASELINE_CPU, unknown)
    assert error.message == "internal error: Unknown CPU model Foo"


@pytest.mark.parametrize(("model", "result"), [("EPYC", 0), ("Penryn", 2), ("Snowridge", 0)])
async def test_a_later_model_is_not_for_this_host(virtd: Virtd, model: str, result: int) -> None:
    client = await virtd.connect(QEMU)
    args = protocol.XmlFlagsArgs(cpu_text(model), 0)
    assert (await client.call(protocol.CONNECT_COMPARE_CPU, args)).result == result
    if not result:
        args = protocol.XmlFlagsArgs(cpu_text(model), 1)
        error = await client.refused(protocol.CONNECT_COMPARE_CPU, args)
        assert error.code == ErrorCode.CPU_INCOMPATIBLE


@BOTH
async def test_models_are_known_by_architecture(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    args = protocol.ConnectGetCpuModelNamesArgs("x86_64", 1, 0)
    models = (await client.call(protocol.CONNECT_GET_CPU_MODEL_NAMES, args)).models
    assert models[0] == "486"
    assert "EPYC-Rome" in models
    args = protocol.ConnectGetCpuModelNamesArgs("foo", 1, 0)
    error = await client.refused(protocol.CONNECT_GET_CPU_MODEL_NAMES, args)
    assert error.message == "invalid argument: cannot find architecture foo"


async def test_the_kinds_of_pool_are_those_that_can_be_defined(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    args = protocol.FlagsArgs(0)
    answer = await client.call(protocol.CONNECT_GET_STORAGE_POOL_CAPABILITIES, args)
    root = etree.fromstring(answer.capabilities)
    kinds = [one.get("type") for one in root.findall("pool[@supported='yes']")]
    assert {"dir", "fs", "netfs", "logical", "iscsi"} <= set(kinds)
    test = await virtd.connect()
    error = await test.refused(protocol.CONNECT_GET_STORAGE_POOL_CAPABILITIES, args)
    assert error.code == ErrorCode.NO_SUPPORT
