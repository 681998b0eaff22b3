"""Jobs on disks of running guests, as libvirt's qemu driver tells of them."""

from __future__ import annotations

from typing import Any

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import DomainBlockJobType as Type
from aiovirt.daemons.virtd.constants.domain_events import (
    ConnectDomainEventBlockJobStatus as Status,
)
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotCreateFlags as Create
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import Client, Virtd

COPY = "<disk type='file'><source file='/d/copy.img'/><driver name='qemu' type='qcow2'/></disk>"

#: VIR_DOMAIN_BLOCK_COPY_TRANSIENT_JOB
TRANSIENT = 4


class Jobs:
    """A running guest, and what its client has heard of jobs."""

    def __init__(self, client: Client, domain: protocol.NonnullDomain) -> None:
        self.client = client
        self.domain = domain
        self.seen: list[tuple[str, Type, Status]] = []

    async def info(self) -> Any:
        """The job of the disk."""
        args = protocol.DomainPathFlagsArgs(self.domain, "vda", 0)
        return await self.client.call(protocol.DOMAIN_GET_BLOCK_JOB_INFO, args)

    async def abort(self, flags: int = 0) -> None:
        """End the job of the disk."""
        args = protocol.DomainPathFlagsArgs(self.domain, "vda", flags)
        await self.client.call(protocol.DOMAIN_BLOCK_JOB_ABORT, args)

    async def external_snapshot(self) -> None:
        """Give the disk a backing file."""
        text = "<domainsnapshot><name>one</name></domainsnapshot>"
        args = protocol.DomainXmlDescFlagsArgs(self.domain, text, Create.DISK_ONLY)
        await self.client.call(protocol.DOMAIN_SNAPSHOT_CREATE_XML, args)


async def jobs_of(virtd: Virtd, seconds: float = 0.0) -> Jobs:
    """A running guest whose jobs take so long."""
    virtd.host("qemu").pace.block = seconds
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    found = Jobs(client, domain)
    client.rpc.on_event(
        protocol.DOMAIN_EVENT_BLOCK_JOB_2,
        lambda one: found.seen.append((one.dst, Type(one.type), Status(one.status))),
    )
    args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(DomainEventID.BLOCK_JOB_2, None)
    await client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    return found


async def test_a_pull_takes_the_backing_away(virtd: Virtd) -> None:
    jobs = await jobs_of(virtd)
    await jobs.external_snapshot()
    args = protocol.DomainBandwidthArgs(jobs.domain, "vda", 0, 0)
    await jobs.client.call(protocol.DOMAIN_BLOCK_PULL, args)
    assert (await jobs.info()).found == 0
    assert jobs.seen == [("vda", Type.PULL, Status.COMPLETED)]
    text = await jobs.client.xml(jobs.domain)
    assert "/d/guest.one" in text
    assert "/d/guest.img" not in text


async def test_a_copy_is_ready_and_waits_to_be_pivoted_to(virtd: Virtd) -> None:
    jobs = await jobs_of(virtd)
    args = protocol.DomainBlockCopyArgs(jobs.domain, "vda", COPY, [], 0)
    error = await jobs.client.refused(protocol.DOMAIN_BLOCK_COPY, args)
    assert error.message.endswith("domain is not transient")
    args = protocol.DomainBlockCopyArgs(jobs.domain, "vda", COPY, [], TRANSIENT)
    await jobs.client.call(protocol.DOMAIN_BLOCK_COPY, args)
    info = await jobs.info()
    assert (info.found, info.type, info.cur) == (1, Type.COPY, info.end)
    assert "ready='yes'" in await jobs.client.xml(jobs.domain)
    error = await jobs.client.refused(protocol.DOMAIN_BLOCK_COPY, args)
    assert error.code == ErrorCode.BLOCK_COPY_ACTIVE
    await jobs.abort(2)
    assert "<source file='/d/copy.img' index='2'/>" in await jobs.client.xml(jobs.domain)
    assert "<source file='/d/copy.img'/>" in await jobs.client.xml(jobs.domain, 2)
    assert jobs.seen == [
        ("vda", Type.COPY, Status.READY),
        ("vda", Type.COPY, Status.COMPLETED),
    ]


async def test_a_job_that_is_given_up_leaves_the_disk_as_it_was(virtd: Virtd) -> None:
    jobs = await jobs_of(virtd, 1000)
    before = await jobs.client.xml(jobs.domain)
    args = protocol.DomainBlockCopyArgs(jobs.domain, "vda", COPY, [], TRANSIENT)
    await jobs.client.call(protocol.DOMAIN_BLOCK_COPY, args)
    info = await jobs.info()
    assert 0 <= info.cur < info.end
    speed = protocol.DomainBandwidthArgs(jobs.domain, "vda", 7, 0)
    await jobs.client.call(protocol.DOMAIN_BLOCK_JOB_SET_SPEED, speed)
    assert (await jobs.info()).bandwidth == 7
    pivot = protocol.DomainPathFlagsArgs(jobs.domain, "vda", 2)
    error = await jobs.client.refused(protocol.DOMAIN_BLOCK_JOB_ABORT, pivot)
    assert (error.code, error.domain) == (ErrorCode.BLOCK_COPY_ACTIVE, ErrorDomain.QEMU)
    await jobs.abort()
    assert await jobs.client.xml(jobs.domain) == before
    assert jobs.seen == [("vda", Type.COPY, Status.CANCELED)]
    error = await jobs.client.refused(
        protocol.DOMAIN_BLOCK_JOB_ABORT, protocol.DomainPathFlagsArgs(jobs.domain, "vda", 0)
    )
    assert error.message.endswith("disk vda does not have an active block job")


async def test_the_active_file_is_committed_and_left(virtd: Virtd) -> None:
    jobs = await jobs_of(virtd)
    await jobs.external_snapshot()
    args = protocol.DomainBlockCommitArgs(jobs.domain, "vda", None, None, 0, 0)
    error = await jobs.client.refused(protocol.DOMAIN_BLOCK_COMMIT, args)
    assert error.code == ErrorCode.INVALID_ARG
    args = protocol.DomainBlockCommitArgs(jobs.domain, "vda", None, None, 0, 4)
    await jobs.client.call(protocol.DOMAIN_BLOCK_COMMIT, args)
    await jobs.abort(2)
    assert "<source file='/d/guest.img' index='1'/>" in await jobs.client.xml(jobs.domain)
    assert jobs.seen[-1] == ("vda", Type.ACTIVE_COMMIT, Status.COMPLETED)


async def test_a_disk_has_the_size_that_it_was_given(virtd: Virtd) -> None:
    jobs = await jobs_of(virtd)
    args = protocol.DomainBlockResizeArgs(jobs.domain, "vda", 20 << 30, 1)
    await jobs.client.call(protocol.DOMAIN_BLOCK_RESIZE, args)
    wanted = protocol.DomainPathFlagsArgs(jobs.domain, "vda", 0)
    info = await jobs.client.call(protocol.DOMAIN_GET_BLOCK_INFO, wanted)
    assert info.capacity == 20 << 30


async def test_backups_are_refused_by_name(virtd: Virtd) -> None:
    jobs = await jobs_of(virtd)
    args = protocol.DomainBackupBeginArgs(jobs.domain, "<domainbackup/>", None, 0)
    error = await jobs.client.refused(protocol.DOMAIN_BACKUP_BEGIN, args)
    assert (error.code, error.domain) == (ErrorCode.OPERATION_UNSUPPORTED, ErrorDomain.QEMU)
    flags = protocol.DomainFlagsArgs(jobs.domain, 0)
    error = await jobs.client.refused(protocol.DOMAIN_BACKUP_GET_XML_DESC, flags)
    assert error.code == ErrorCode.NO_DOMAIN_BACKUP
