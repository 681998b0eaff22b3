"""Guests that cannot leave, in the order in which libvirt looks at them.

Some refusals are QEMU's, which knows the devices that cannot be moved. Disks are taken to be on storage
that both hosts share, except those that are local for certain.

Source: libvirt's src/qemu/qemu_migration.c (qemuMigrationSrcIsAllowed, qemuMigrationSrcIsSafe,
qemuMigrationSrcBeginPhase); the texts of QEMU are those of its 7.2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain import DomainPausedReason, DomainState
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import blockjobs
from aiovirt.daemons.virtd.host.migration import STORAGE
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.wire.errors import ErrorCode

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.migration import Request

_VFIO: Final = "VFIO device doesn't support migration"
_PEER: Final = "Migration is disabled when using feature 'peer mode' in device 'ivshmem'"
_VHOST: Final = "Migration disabled: vhost lacks VHOST_F_LOG_ALL feature."
_SCSI: Final = (
    "vhost-scsi does not support migration in all cases. When external environment supports it "
    "(Orchestrator migrates target SCSI device state or use shared storage over network), set "
    "'migratable' property to true to enable migration."
)
#: Kinds of host devices that QEMU does not move, with its reason.
_HOST_DEVICES: Final = {"pci": _VFIO, "mdev": _VFIO, "scsi_host": _SCSI}
#: Pools whose volumes are files that one host has.
_LOCAL: Final = "fs"


def check(domain: Domain, request: Request) -> None:
    """Refuse a guest that cannot leave.

    Args:
        domain: the guest.
        request: what is asked for.

    Raises:
        RpcError: OPERATION_INVALID; MIGRATE_UNSAFE for a disk that the other host does not have.
    """
    if domain.snapshots:
        raise _refused(domain, f"cannot migrate domain with {len(domain.snapshots)} snapshots")
    if request.has(Flags.OFFLINE):
        return
    reasons = "; ".join(_blockers(domain.record.facts.root))
    if reasons:
        raise _refused(domain, f"cannot migrate domain: {reasons}")
    record = domain.record
    is_failed = (record.state, record.reason) == (DomainState.PAUSED, DomainPausedReason.IOERROR)
    if request.has(Flags.ABORT_ON_ERROR) and is_failed:
        raise _refused(domain, "cannot migrate domain with I/O error")
    blockjobs.require_none(domain)
    why = _unmovable(record.facts.root)
    if why:
        raise _refused(domain, why)
    if not request.has(Flags.UNSAFE):
        _check_disks(domain, request)


def _refused(domain: Domain, text: str) -> Exception:
    return domain.refused(ErrorCode.OPERATION_INVALID, text)


def _blockers(root: etree._Element) -> Iterator[str]:
    """The reasons for which QEMU does not move a guest."""
    for one in root.iterfind("devices/hostdev"):
        is_transient = one.find("teaming[@type='transient']") is not None
        kind = one.get("type", "")
        if kind in _HOST_DEVICES and not (kind == "pci" and is_transient):
            yield _HOST_DEVICES[kind]
    for one in root.iterfind("devices/interface"):
        kind = one.get("type", "")
        if kind == "hostdev" and one.find("teaming[@type='transient']") is None:
            yield _VFIO
        elif kind == "vdpa":
            yield _VHOST
    for one in root.iterfind("devices/shmem"):
        if one.get("role") != "master" and devices.value(one, "model/@type") == "ivshmem-plain":
            yield _PEER
    for one in root.iterfind("devices/filesystem"):
        if devices.value(one, "driver/@type") == "virtiofs":
            yield f"non-migratable device: {_place(one)}/vhost-user-fs"


def _place(device: etree._Element) -> str:
    """The address of a device as QEMU writes it."""
    address = device.find("address[@type='pci']")
    if address is None:
        return ""
    parts = [int(address.get(name, "0"), 16) for name in ("domain", "bus", "slot", "function")]
    return "{:04x}:{:02x}:{:02x}.{:x}".format(*parts)


def _unmovable(root: etree._Element) -> str:
    """The reason for which libvirt itself does not move a guest, "" without one."""
    if root.find("cpu/feature[@name='invtsc'][@policy='require']") is not None and not any(
        int(one.get("frequency", 0)) for one in root.iterfind("clock/timer[@name='tsc']")
    ):
        return "domain has 'invtsc' CPU feature but TSC frequency is not specified"
    for one in root.iterfind("devices/memory[@model='dimm']"):
        if one.find("address[@type='dimm']") is None:
            return "domain's dimm info lacks slot ID or base address"
    for one in root.iterfind("devices/shmem"):
        if devices.value(one, "model/@type") == "ivshmem":
            return "migration with legacy shmem device is not supported"
        if one.get("role") != "master":
            return (
                f"shmem device '{one.get('name')}' cannot be migrated, only shmem with role='master' "
                "can be migrated"
            )
    if root.find("devices/disk/transient") is not None:
        return "migration with transient disk is not supported"
    return ""


def _check_disks(domain: Domain, request: Request) -> None:
    """Refuse a disk that is local for certain and is not copied. Raises RpcError MIGRATE_UNSAFE."""
    facts = domain.record.facts
    elements = facts.root.iterfind("devices/disk")
    for disk, one in zip(facts.disks, elements, strict=True):
        if (not disk.source and one.get("type") != "nvme") or one.find("readonly") is not None:
            continue
        if request.flags & STORAGE and is_copied(one, disk.target, request):
            continue
        if one.get("type") == "nvme" or (
            one.get("type") == "file" and _is_local(domain, disk.source)
        ):
            text = "Migration without shared storage is unsafe"
            raise domain.refused(ErrorCode.MIGRATE_UNSAFE, text)


def is_copied(disk: etree._Element, target: str, request: Request) -> bool:
    """Return whether a disk is one of those that are copied (qemuMigrationAnyCopyDisk).

    Args:
        disk: its element.
        target: its target.
        request: what is asked for.
    """
    if request.disks:
        return target in request.disks
    plain = disk.find("shareable") is None and disk.find("readonly") is None
    return plain and disk.find("source") is not None


def _is_local(domain: Domain, path: str) -> bool:
    """Return whether a file is on a file system that this host alone has: in a pool of type fs."""
    return any(
        pool.type == _LOCAL and pool.target and path.startswith(pool.target + "/")
        for pool in domain.host.pools
    )
