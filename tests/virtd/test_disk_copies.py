"""Disks that are copied to a host that does not share their storage (`--copy-storage-all`).

Volumes, events, numbers and refusals are those of two libvirtds of 9.0.0 with a qcow2 file in a
folder that each had for itself.
"""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol as p
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host.events import Event
from aiovirt.rpc.wire import typedparams
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.virtd.conftest import DOMAIN, Client, MakeVirtd
from tests.virtd.migrating import HAS_LEFT, LIVE, NAME, NOWHERE, RAN_ALL_TIME, RUNS_THERE, Pair

ALL, INCREMENTAL = LIVE | Flags.NON_SHARED_DISK, LIVE | Flags.NON_SHARED_INC
POOL = "<pool type='dir'><name>im</name><target><path>/d</path></target></pool>"
VOLUME = (
    "<volume><name>guest.img</name><capacity>10485760</capacity><allocation>4096</allocation>"
    "<target><format type='qcow2'/></target></volume>"
)


async def make_pool(client: Client, *, volume: bool = False) -> None:
    """Make the pool, with the volume of the guest's disk if that is wanted."""
    pool = (await client.call(p.STORAGE_POOL_CREATE_XML, p.XmlFlagsArgs(POOL, 0))).pool
    if volume:
        args = p.StorageVolCreateXmlArgs(pool, VOLUME, 0)
        await client.call(p.STORAGE_VOL_CREATE_XML, args)


@pytest.fixture
async def pair(make_virtd: MakeVirtd) -> Pair:
    """One with a guest whose disk is a volume of 10 MiB."""
    made = Pair(await make_virtd(), await make_virtd())
    made.at_source, made.at_target = [await one.connect("qemu:///system") for one in made.virtds]
    await make_pool(made.at_source, volume=True)
    disk = "<disk type='file' device='disk'>"
    text = DOMAIN.format(title="kvm", name=NAME)
    text = text.replace(disk, f"{disk}<driver name='qemu' type='qcow2'/>")
    made.guest = (await made.at_source.call(p.DOMAIN_DEFINE_XML, p.XmlArgs(text))).dom
    await made.at_source.start(made.guest)
    return made


def volumes(pair: Pair) -> list[tuple[str, int, str]]:
    """The volumes on the other side: path, capacity, format."""
    return [(one.record.path, one.capacity, one.format) for one in pair.there.volumes]


@pytest.mark.parametrize("peer", [False, True])
async def test_a_volume_that_is_missing_is_made(pair: Pair, peer: bool) -> None:
    await make_pool(pair.at_target)
    if peer:
        await pair.peer(ALL | Flags.PEER2PEER)
    else:
        await pair.phases(4, ALL)
    assert pair.states == (HAS_LEFT, RUNS_THERE)
    assert volumes(pair) == [("/d/guest.img", 10485760, "qcow2")]


@pytest.mark.parametrize("flags", [ALL, INCREMENTAL])
async def test_a_volume_that_exists_is_used(pair: Pair, flags: int) -> None:
    await make_pool(pair.at_target, volume=True)
    await pair.phases(4, flags)
    assert pair.states == (HAS_LEFT, RUNS_THERE)


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (ALL, ErrorCode.NO_STORAGE_POOL, "no storage pool with matching target path '/d'"),
        (
            INCREMENTAL,
            ErrorCode.OPERATION_UNSUPPORTED,
            "pre-creation of storage targets for incremental storage migration is not supported",
        ),
    ],
)
async def test_a_volume_that_cannot_be_made_keeps_the_guest(
    pair: Pair, flags: int, code: ErrorCode, words: str
) -> None:
    with pytest.raises(RpcError, match=words) as caught:
        await pair.prepare(flags)
    assert caught.value.code == code
    assert pair.states == (RAN_ALL_TIME, NOWHERE)


async def test_copies_are_told_as_jobs_on_disks_and_counted(pair: Pair) -> None:
    await make_pool(pair.at_target)
    told: list[tuple[Any, ...]] = []

    def hear(event: Event) -> None:
        told.append((event.number, *event.details))

    pair.here.events.receive(hear)
    await pair.phases(4, ALL)
    iteration, suspended = int(DomainEventID.MIGRATION_ITERATION), int(DomainEventID.LIFECYCLE)
    order = [one[0] for one in told[:-1]]
    jobs = [int(DomainEventID.BLOCK_JOB), int(DomainEventID.BLOCK_JOB_2)]
    assert order == [*jobs, iteration, suspended, *jobs, iteration, suspended]
    assert [one[1:] for one in told if one[0] in jobs] == [
        ("/d/guest.img", 2, 3),  # a copy is ready
        ("vda", 2, 3),
        ("/d/guest.img", 2, 0),  # completed
        ("vda", 2, 0),
    ]
    for client, disk in ((pair.at_source, 10485760), (pair.at_target, 0)):
        args = p.DomainFlagsArgs(pair.guest, 1)
        found = await client.call(p.DOMAIN_GET_JOB_STATS, args)
        numbers = {one.field: one.value.content for one in found.params}
        assert numbers["disk_total"] == numbers["disk_processed"] == disk
        assert numbers["data_total"] == numbers["memory_total"] + disk


async def test_a_disk_that_was_not_chosen_is_not_copied(pair: Pair) -> None:
    params = [typedparams.string("migrate_disks", "vda")]
    args = p.DomainMigrateBegin3ParamsArgs(pair.guest, params, ALL)
    begun = await pair.at_source.call(p.DOMAIN_MIGRATE_BEGIN3_PARAMS, args)
    assert b'<nbd port="0"><disk target="vda" capacity="10485760"/></nbd>' in begun.cookie_out
    plain = p.DomainMigrateBegin3Args(pair.guest, None, LIVE, None, 0)
    begun = await pair.at_source.call(p.DOMAIN_MIGRATE_BEGIN3, plain)
    assert b"<nbd" not in begun.cookie_out


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'capacity="', b'capacity="-', "disk capacity: '-10485760'"),
        (b'"vda"', b'""', "disk target"),
    ],
)
async def test_a_message_with_garbled_disks_is_refused(
    pair: Pair, old: bytes, new: bytes, words: str
) -> None:
    begin = p.DomainMigrateBegin3Args(pair.guest, None, ALL, None, 0)
    begun = await pair.at_source.call(p.DOMAIN_MIGRATE_BEGIN3, begin)
    cookie = begun.cookie_out.replace(old, new)
    args = p.DomainMigratePrepare3Args(cookie, None, ALL, None, 0, begun.xml)
    with pytest.raises(RpcError, match=f"Malformed {words}"):
        await pair.at_target.call(p.DOMAIN_MIGRATE_PREPARE3, args)
    assert pair.states == (RAN_ALL_TIME, NOWHERE)
