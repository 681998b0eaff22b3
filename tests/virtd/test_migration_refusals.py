"""Guests that cannot leave, and migrations that virtd does not have, in libvirt's words and order.

Texts are those of two libvirtds of 9.0.0 with QEMU 7.2, asked by `virsh migrate --live`, or of libvirt's
src/qemu/qemu_migration.c where this machine could not start such a guest.
"""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol as p
from aiovirt.daemons.virtd.constants.domain_events import DomainEventIOErrorAction
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import incidents
from aiovirt.rpc.wire import typedparams
from aiovirt.rpc.wire.errors import RpcError
from tests.virtd.conftest import DOMAIN, MakeVirtd
from tests.virtd.migrating import LIVE, NAME, NOWHERE, RAN_ALL_TIME, Pair

SHMEM = "<shmem name='s' {role}><model type='{model}'/><size unit='M'>1</size></shmem>"
DISK = "<disk type='file'><source file='{file}'/><target dev='vdb'/>{more}</disk>"
PCI = "<source><address domain='0' bus='1' slot='0' function='0'/></source>"
HOSTDEV = "<hostdev mode='subsystem' type='{type}'>{more}</hostdev>"
INVTSC = "<cpu mode='custom'><model>qemu64</model><feature policy='require' name='invtsc'/></cpu>"
VFIO = "cannot migrate domain: VFIO device doesn't support migration"


@pytest.fixture
async def pair(make_virtd: MakeVirtd) -> Pair:
    """One with a guest that runs."""
    made = Pair(await make_virtd(), await make_virtd())
    await made.begin()
    return made


async def begin(pair: Pair, device: str = "", other: str = "", flags: int = LIVE) -> str:
    """Begin the migration of a guest with a device: the error, "" without one."""
    text = DOMAIN.format(title="kvm", name="odd").replace(
        "</devices>", f"{device}</devices>{other}"
    )
    dom = (await pair.at_source.call(p.DOMAIN_CREATE_XML, p.XmlDescFlagsArgs(text, 0))).dom
    return await begun(pair, dom, flags)


async def begun(pair: Pair, dom: p.NonnullDomain, flags: int) -> str:
    """Begin a migration: the error, "" without one."""
    try:
        args = p.DomainMigrateBegin3Args(dom, None, flags, None, 0)
        await pair.at_source.call(p.DOMAIN_MIGRATE_BEGIN3, args)
    except RpcError as error:
        return str(error).partition(": ")[2]
    return ""


@pytest.mark.parametrize(
    ("device", "words"),
    [
        (
            SHMEM.format(role="", model="ivshmem-plain"),
            "cannot migrate domain: Migration is disabled when using feature 'peer mode' in device "
            "'ivshmem'",
        ),
        (SHMEM.format(role="role='master'", model="ivshmem-plain"), ""),
        (HOSTDEV.format(type="pci", more=PCI), VFIO),
        (
            HOSTDEV.format(type="pci", more=PCI + "<teaming type='transient' persistent='ua-n'/>"),
            "",
        ),
        (
            HOSTDEV.format(
                type="usb",
                more=PCI.replace("domain='0' ", "").replace("slot='0' function='0'", "device='2'"),
            ),
            "",
        ),
        (
            "<interface type='hostdev'><source><address type='pci' bus='1'/></source></interface>",
            VFIO,
        ),
        (
            "<interface type='vdpa'><source dev='/dev/vhost-vdpa-0'/></interface>",
            "cannot migrate domain: Migration disabled: vhost lacks VHOST_F_LOG_ALL feature.",
        ),
        (
            DISK.format(file="/d/b.img", more="<transient/>"),
            "migration with transient disk is not supported",
        ),
        (DISK.format(file="/d/b.img", more=""), ""),
    ],
)
async def test_a_guest_with_a_device_that_cannot_be_moved_stays(
    pair: Pair, device: str, words: str
) -> None:
    assert await begin(pair, device) == words


async def test_a_guest_with_a_shared_folder_stays(pair: Pair) -> None:
    device = (
        "<filesystem type='mount'><driver type='virtiofs'/><source dir='/x'/><target dir='x'/>"
        "<address type='pci' domain='0' bus='0' slot='0xb' function='1'/></filesystem>"
    )
    words = "cannot migrate domain: non-migratable device: 0000:00:0b.1/vhost-user-fs"
    other = "<memoryBacking><access mode='shared'/></memoryBacking>"
    assert await begin(pair, device, other) == words


async def test_several_devices_are_told_together(pair: Pair) -> None:
    devices = HOSTDEV.format(type="pci", more=PCI) + SHMEM.format(role="", model="ivshmem-plain")
    assert (await begin(pair, devices)).count("; ") == 1


async def test_a_guest_with_an_invariant_clock_needs_its_frequency(pair: Pair) -> None:
    words = "domain has 'invtsc' CPU feature but TSC frequency is not specified"
    assert await begin(pair, other=INVTSC) == words


async def test_a_guest_with_an_invariant_clock_and_its_frequency_leaves(pair: Pair) -> None:
    clock = "<clock><timer name='tsc' frequency='1000000'/></clock>"
    assert await begin(pair, other=INVTSC + clock) == ""


@pytest.mark.parametrize(
    ("flags", "words"),
    [(LIVE, "Migration without shared storage is unsafe"), (LIVE | Flags.UNSAFE, "")],
)
async def test_a_disk_on_a_local_file_system_is_moved_only_as_unsafe(
    pair: Pair, flags: int, words: str
) -> None:
    pool = (
        "<pool type='fs'><name>local</name><source><device path='/dev/sdb1'/></source>"
        "<target><path>/local</path></target></pool>"
    )
    await pair.at_source.call(p.STORAGE_POOL_DEFINE_XML, p.XmlFlagsArgs(pool, 0))
    assert await begin(pair, DISK.format(file="/local/b.img", more=""), flags=flags) == words


async def test_a_guest_with_a_job_on_a_disk_stays(pair: Pair) -> None:
    pair.here.pace.block = 600.0
    copy = "<disk type='file'><source file='/copy'/></disk>"
    args = p.DomainBlockCopyArgs(pair.guest, "vda", copy, [], 4)
    await pair.at_source.call(p.DOMAIN_BLOCK_COPY, args)
    assert await begun(pair, pair.guest, LIVE) == "domain has active block job"


async def test_a_guest_paused_by_an_error_of_a_disk_stays_if_that_counts(pair: Pair) -> None:
    found = pair.here.domains.by_name(NAME)
    assert found is not None
    incidents.io_error(found, "", DomainEventIOErrorAction.PAUSE, "")
    flags = LIVE | Flags.ABORT_ON_ERROR
    assert await begun(pair, pair.guest, flags) == "cannot migrate domain with I/O error"
    assert await begun(pair, pair.guest, LIVE) == ""


async def test_snapshots_count_first_and_without_a_guest_too(pair: Pair) -> None:
    args = p.DomainXmlDescFlagsArgs(
        pair.guest, "<domainsnapshot><name>s</name></domainsnapshot>", 16
    )
    await pair.at_source.call(p.DOMAIN_SNAPSHOT_CREATE_XML, args)
    for flags in (LIVE | Flags.POSTCOPY, Flags.OFFLINE):
        assert await begun(pair, pair.guest, flags) == "cannot migrate domain with 1 snapshots"


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (Flags.POSTCOPY, "post-copy migration is not supported with non-live or paused migration"),
        (LIVE | Flags.POSTCOPY_RESUME, "domain 'guest' is not being migrated"),
        (LIVE | Flags.ZEROCOPY, "zero-copy is only available for parallel migration"),
        (LIVE | Flags.TUNNELLED, "tunnelled migration is not supported by virtd"),
        (LIVE | Flags.TLS, "Unable to access credentials /etc/pki/qemu/ca-cert.pem"),
        (Flags.OFFLINE, "must be specified with the persistent flag set"),
        (
            Flags.OFFLINE | Flags.PERSIST_DEST | Flags.NON_SHARED_INC,
            "offline migration cannot handle non-shared storage",
        ),
        (1 << 40, "unsupported flags"),
    ],
)
async def test_a_migration_that_virtd_does_not_have_is_refused(
    pair: Pair, flags: int, words: str
) -> None:
    with pytest.raises(RpcError, match=words):
        await pair.prepare(flags)
    assert pair.states == (RAN_ALL_TIME, NOWHERE)


@pytest.mark.parametrize(
    ("flags", "param", "words"),
    [
        (LIVE, ("compression", "nix"), "Unsupported compression method 'nix'"),
        (LIVE, ("auto_converge.initial", 10), "Turn auto convergence on to tune it"),
        (LIVE, ("parallel.connections", 2), "Turn parallel migration on to tune it"),
        (LIVE, ("compression.mt.level", 2), "Turn multithread compression on to tune it"),
        (LIVE | Flags.PARALLEL, ("parallel.connections", 0), "'multifd_channels' .* 1 and 255"),
        (
            LIVE | Flags.AUTO_CONVERGE,
            ("auto_converge.initial", 200),
            "'cpu_throttle_initial' .* 1 to 99",
        ),
        (LIVE | Flags.NON_SHARED_DISK, ("migrate_disks", "vdz"), "disk target vdz not found"),
    ],
)
async def test_a_parameter_that_does_not_fit_is_refused(
    pair: Pair, flags: int, param: tuple[str, Any], words: str
) -> None:
    name, value = param
    made = typedparams.string(name, value) if isinstance(value, str) else typedparams.int_(*param)
    args = p.DomainMigrateBegin3ParamsArgs(pair.guest, [made], flags)
    with pytest.raises(RpcError, match=words):
        await pair.at_source.call(p.DOMAIN_MIGRATE_BEGIN3_PARAMS, args)
