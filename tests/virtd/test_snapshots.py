"""Snapshots and checkpoints: a tree that is kept, gone back to and cut, as libvirt has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import (
    DomainPausedReason,
    DomainRunningReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotCreateFlags as Create
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotDeleteFlags as Delete
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotListFlags as Listed
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotRevertFlags as Revert
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Client, MakeVirtd, Virtd

QCOW2 = ("<driver name='qemu' type='raw'/>", "<driver name='qemu' type='qcow2'/>")
BOTH = pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])


async def defined(client: Client) -> protocol.NonnullDomain:
    """A domain whose disk can hold snapshots."""
    domain = await client.define()
    text = (await client.xml(domain)).replace(*QCOW2)
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    return domain


async def take(
    client: Client, domain: protocol.NonnullDomain, name: str, flags: int = 0, inner: str = ""
) -> protocol.NonnullDomainSnapshot:
    """Take a snapshot."""
    text = f"<domainsnapshot><name>{name}</name>{inner}</domainsnapshot>"
    args = protocol.DomainXmlDescFlagsArgs(domain, text, flags)
    answer = await client.call(protocol.DOMAIN_SNAPSHOT_CREATE_XML, args)
    found: protocol.NonnullDomainSnapshot = answer.snap
    return found


async def names(client: Client, domain: protocol.NonnullDomain, flags: int = 0) -> list[str]:
    """The names of the snapshots that flags ask for."""
    args = protocol.DomainListAllArgs(domain, 1, flags)
    answer = await client.call(protocol.DOMAIN_LIST_ALL_SNAPSHOTS, args)
    return [one.name for one in answer.snapshots]


@BOTH
async def test_each_snapshot_is_a_child_of_the_one_before(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await defined(client)
    first = await take(client, domain, "first")
    await client.start(domain)
    second = await take(client, domain, "second", inner="<description>words</description>")
    assert await names(client, domain) == ["first", "second"]
    assert await names(client, domain, Listed.ROOTS) == ["first"]
    assert await names(client, domain, Listed.LEAVES) == ["second"]
    assert await names(client, domain, Listed.INACTIVE) == ["first"]
    assert await names(client, domain, Listed.NO_METADATA) == []
    parent = await client.call(
        protocol.DOMAIN_SNAPSHOT_GET_PARENT, protocol.SnapshotFlagsArgs(second, 0)
    )
    assert parent.snap.name == "first"
    error = await client.refused(
        protocol.DOMAIN_SNAPSHOT_GET_PARENT, protocol.SnapshotFlagsArgs(first, 0)
    )
    assert error.code == ErrorCode.NO_DOMAIN_SNAPSHOT
    text = (
        await client.call(
            protocol.DOMAIN_SNAPSHOT_GET_XML_DESC, protocol.SnapshotFlagsArgs(second, 0)
        )
    ).xml
    lines = [line.strip() for line in text.splitlines()]
    assert lines[:6] == [
        "<domainsnapshot>",
        "<name>second</name>",
        "<description>words</description>",
        "<state>running</state>",
        "<parent>",
        "<name>first</name>",
    ]
    assert "<memory snapshot='internal'/>" in lines
    assert "<disk name='vda' snapshot='internal'/>" in lines
    assert any(line.startswith("<domain type=") and "id=" not in line for line in lines)


@BOTH
async def test_going_back_brings_state_and_document_back(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await defined(client)
    first = await take(client, domain, "first")
    await client.start(domain)
    second = await take(client, domain, "second")
    await client.call(
        protocol.DOMAIN_SET_VCPUS_FLAGS, protocol.DomainSetVcpusFlagsArgs(domain, 1, 2)
    )
    await client.call(protocol.DOMAIN_REVERT_TO_SNAPSHOT, protocol.SnapshotFlagsArgs(first, 0))
    assert await client.state(domain) == (
        DomainState.SHUTOFF,
        DomainShutoffReason.FROM_SNAPSHOT,
    )
    assert "current='1'" not in await client.xml(domain)
    args = protocol.SnapshotFlagsArgs(second, Revert.PAUSED)
    await client.call(protocol.DOMAIN_REVERT_TO_SNAPSHOT, args)
    assert await client.state(domain) == (DomainState.PAUSED, DomainPausedReason.FROM_SNAPSHOT)
    args = protocol.SnapshotFlagsArgs(second, 0)
    await client.call(protocol.DOMAIN_REVERT_TO_SNAPSHOT, args)
    assert await client.state(domain) == (DomainState.RUNNING, DomainRunningReason.FROM_SNAPSHOT)
    current = await client.call(
        protocol.DOMAIN_SNAPSHOT_CURRENT, protocol.DomainFlagsArgs(domain, 0)
    )
    assert current.snap.name == "second"


async def test_deleting_one_hands_its_children_to_its_parent(virtd: Virtd) -> None:
    client = await virtd.connect()
    domain = await defined(client)
    taken = [await take(client, domain, name) for name in ("a", "b", "c", "d")]
    await client.call(protocol.DOMAIN_SNAPSHOT_DELETE, protocol.SnapshotFlagsArgs(taken[1], 0))
    children = await client.call(
        protocol.DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES,
        protocol.DomainSnapshotListChildrenNamesArgs(taken[0], 9, 0),
    )
    assert children.names == ["c"]
    args = protocol.SnapshotFlagsArgs(taken[2], Delete.CHILDREN)
    await client.call(protocol.DOMAIN_SNAPSHOT_DELETE, args)
    assert await names(client, domain) == ["a"]
    flags = protocol.DomainFlagsArgs(domain, 0)
    assert (await client.call(protocol.DOMAIN_SNAPSHOT_CURRENT, flags)).snap.name == "a"
    error = await client.refused(protocol.DOMAIN_UNDEFINE, protocol.DomainArgs(domain))
    assert "cannot delete inactive domain with 1 snapshots" in error.message
    await client.call(protocol.DOMAIN_UNDEFINE_FLAGS, protocol.DomainFlagsArgs(domain, 2))
    again = await defined(client)
    assert await names(client, again) == []


async def test_snapshots_survive_the_process(make_virtd: MakeVirtd, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    client = await (await make_virtd(store)).connect()
    domain = await defined(client)
    for name in ("b", "a"):
        await take(client, domain, name)
    client = await (await make_virtd(store)).connect()
    assert await names(client, domain) == ["b", "a"]
    flags = protocol.DomainFlagsArgs(domain, 0)
    assert (await client.call(protocol.DOMAIN_SNAPSHOT_CURRENT, flags)).snap.name == "a"


async def test_an_external_snapshot_gives_disks_new_files(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    taken = await take(client, domain, "one", Create.DISK_ONLY)
    running = await client.xml(domain)
    assert "<source file='/d/guest.one' index='2'/>" in running
    assert running.index("<backingStore type='file' index='1'>") < running.index("/d/guest.img")
    assert "/d/guest.one" in await client.xml(domain, 2)
    for procedure in (protocol.DOMAIN_REVERT_TO_SNAPSHOT, protocol.DOMAIN_SNAPSHOT_DELETE):
        error = await client.refused(procedure, protocol.SnapshotFlagsArgs(taken, 0))
        assert error.code == ErrorCode.CONFIG_UNSUPPORTED
    args = protocol.SnapshotFlagsArgs(taken, Delete.METADATA_ONLY)
    await client.call(protocol.DOMAIN_SNAPSHOT_DELETE, args)


async def test_a_snapshot_described_in_full_is_taken_as_it_is(virtd: Virtd) -> None:
    client = await virtd.connect()
    domain = await defined(client)
    taken = await take(client, domain, "one")
    args = protocol.SnapshotFlagsArgs(taken, 0)
    text = (await client.call(protocol.DOMAIN_SNAPSHOT_GET_XML_DESC, args)).xml
    await client.call(protocol.DOMAIN_SNAPSHOT_DELETE, args)
    again = protocol.DomainXmlDescFlagsArgs(domain, text, Create.REDEFINE | Create.CURRENT)
    await client.call(protocol.DOMAIN_SNAPSHOT_CREATE_XML, again)
    assert (await client.call(protocol.DOMAIN_SNAPSHOT_GET_XML_DESC, args)).xml == text


CHECKPOINT = "<domaincheckpoint><name>{}</name></domaincheckpoint>"


async def make_checkpoint(client: Client, domain: Any, name: str) -> Any:
    """Make a checkpoint."""
    args = protocol.DomainXmlDescFlagsArgs(domain, CHECKPOINT.format(name), 0)
    return (await client.call(protocol.DOMAIN_CHECKPOINT_CREATE_XML, args)).checkpoint


@BOTH
async def test_checkpoints_are_a_tree_of_a_running_guest(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await defined(client)
    args = protocol.DomainXmlDescFlagsArgs(domain, CHECKPOINT.format("early"), 0)
    error = await client.refused(protocol.DOMAIN_CHECKPOINT_CREATE_XML, args)
    assert error.code == ErrorCode.OPERATION_UNSUPPORTED
    await client.start(domain)
    first = await make_checkpoint(client, domain, "first")
    second = await make_checkpoint(client, domain, "second")
    listed = await client.call(
        protocol.DOMAIN_LIST_ALL_CHECKPOINTS, protocol.DomainListAllArgs(domain, 1, 0)
    )
    assert [one.name for one in listed.checkpoints] == ["first", "second"]
    parent = await client.call(
        protocol.DOMAIN_CHECKPOINT_GET_PARENT, protocol.CheckpointFlagsArgs(second, 0)
    )
    assert parent.parent.name == "first"
    text = await client.call(
        protocol.DOMAIN_CHECKPOINT_GET_XML_DESC, protocol.CheckpointFlagsArgs(second, 2 | 4)
    )
    assert "<disk name='vda' checkpoint='bitmap' bitmap='second'" in text.xml
    assert ("size=" in text.xml) == uri.startswith("qemu")
    assert "<domain " not in text.xml
    args = protocol.DomainXmlDescFlagsArgs(domain, "<domainsnapshot/>", 0)
    error = await client.refused(protocol.DOMAIN_SNAPSHOT_CREATE_XML, args)
    assert error.message.endswith("cannot create snapshot while checkpoint exists")
    await client.call(protocol.DOMAIN_CHECKPOINT_DELETE, protocol.CheckpointFlagsArgs(first, 0))
    error = await client.refused(
        protocol.DOMAIN_CHECKPOINT_GET_PARENT, protocol.CheckpointFlagsArgs(second, 0)
    )
    speaker = ErrorDomain.TEST if uri.startswith("test") else ErrorDomain.QEMU
    assert (error.code, error.domain) == (ErrorCode.NO_DOMAIN_CHECKPOINT, speaker)
