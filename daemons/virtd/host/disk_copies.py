"""Disks that are copied while a guest moves to a host that does not share their storage.

Nothing is copied: the source tells of the copies, and the destination makes the volumes that are
missing. A file that is a volume of a pool exists; no other file does.

Source: libvirt's src/qemu/qemu_migration.c (qemuMigrationSrcNBDStorageCopy,
qemuMigrationDstPrecreateStorage, qemuMigrationDstPrecreateDisk).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

from lxml import etree

from aiovirt.daemons.virtd.constants.domain import DomainBlockJobType
from aiovirt.daemons.virtd.constants.domain_events import (
    ConnectDomainEventBlockJobStatus as Status,
)
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import blockjobs, machine, volume_making
from aiovirt.daemons.virtd.host.migration import STORAGE
from aiovirt.daemons.virtd.host.migration_refusals import is_copied
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.host.migration import Request
    from aiovirt.daemons.virtd.host.pool import Pool

_COPY: Final = int(DomainBlockJobType.COPY)


def capacities(domain: Domain, request: Request) -> dict[str, int]:
    """Return the capacities of the disks that are copied, in bytes by target.

    Args:
        domain: the guest that leaves.
        request: what is asked for.

    Raises:
        RpcError: INVALID_ARG for a disk that the guest does not have.
    """
    return {target: sizes.capacity for target, sizes in _copied(domain, request).items()}


def amount(domain: Domain, request: Request) -> int:
    """Return the bytes that are copied: the capacities, or what is allocated of incremental copies.

    Args:
        domain: the guest that leaves.
        request: what is asked for.
    """
    incremental = request.has(Flags.NON_SHARED_INC)
    found = _copied(domain, request).values()
    return sum(one.allocation if incremental else one.capacity for one in found)


def _copied(domain: Domain, request: Request) -> dict[str, machine.Sizes]:
    if not request.flags & STORAGE:
        return {}
    facts = domain.record.facts
    elements = facts.root.iterfind("devices/disk")
    disks = {disk.target: (disk, one) for disk, one in zip(facts.disks, elements, strict=True)}
    for name in request.disks:
        if name not in disks:
            raise domain.refused(ErrorCode.INVALID_ARG, f"disk target {name} not found")
    return {
        target: machine.sizes(domain, disk)
        for target, (disk, one) in disks.items()
        if is_copied(one, target, request)
    }


def tell(domain: Domain, request: Request, *, done: bool) -> None:
    """Tell that the disks that are copied are ready, or that their copies are done.

    Args:
        domain: the guest that leaves.
        request: what is asked for.
        done: whether the guest is about to run on the other side.
    """
    status = Status.COMPLETED if done else Status.READY
    for target in _copied(domain, request):
        blockjobs.tell(domain, target, _COPY, status)


# The other side --------------------------------------------------------------------------------------


def make_missing(
    host: Host, disks: Iterable[etree._Element], request: Request, sizes: Mapping[str, int]
) -> None:
    """Make the volumes that are copied and do not exist.

    Args:
        host: where the guest arrives.
        disks: its disks.
        request: what is asked for.
        sizes: the capacities of its disks on the side that it leaves, by target.

    Raises:
        RpcError: OPERATION_UNSUPPORTED for incremental copies, NO_STORAGE_POOL, or as volumes are made.
    """
    for one in disks:
        target = devices.value(one, "target/@dev") or ""
        if target not in sizes or not is_copied(one, target, request):
            continue
        missing = _missing(host, one)
        if missing is None:
            continue
        if request.has(Flags.NON_SHARED_INC):
            text = (
                "pre-creation of storage targets for incremental storage migration is not supported"
            )
            raise RpcError.of(ErrorCode.OPERATION_UNSUPPORTED, text, domain=ErrorDomain.QEMU)
        volume_making.create(_pool(host, missing), _volume(missing.name, sizes[target], one))


class _Missing(NamedTuple):
    """A volume to make. name: of it; key, value: what its pool is found by."""

    name: str
    key: str
    value: str


def _missing(host: Host, disk: etree._Element) -> _Missing | None:
    """The volume to make for a disk, None for one that exists or needs none."""
    source = disk.find("source")
    if source is None:
        return None
    if disk.get("type") == "volume":
        pool, name = source.get("pool", ""), source.get("volume", "")
        uuids = [one.record.uuid for one in host.pools if one.name == pool]
        exists = any(host.volumes.in_pool(uuid, name) is not None for uuid in uuids)
        return None if exists else _Missing(name, "name", pool)
    path = source.get("file", "")
    if disk.get("type") != "file" or host.volumes.by_path(path) is not None:
        return None
    folder, _, name = path.rpartition("/")
    return _Missing(name, "target path", folder)


def _pool(host: Host, missing: _Missing) -> Pool:
    """The active pool for a volume. Raises RpcError NO_STORAGE_POOL."""
    for pool in host.pools:
        if pool.is_active and missing.value == (
            pool.name if missing.key == "name" else pool.target
        ):
            return pool
    text = f"no storage pool with matching {missing.key} '{missing.value}'"
    raise RpcError.of(ErrorCode.NO_STORAGE_POOL, text, domain=ErrorDomain.STORAGE)


def _volume(name: str, capacity: int, disk: etree._Element) -> str:
    """The document of a volume for a disk."""
    root = etree.Element("volume")
    etree.SubElement(root, "name").text = name
    etree.SubElement(root, "capacity").text = str(capacity)
    form = devices.value(disk, "driver/@type") or "raw"
    target = etree.SubElement(root, "target")
    etree.SubElement(target, "format", type=form)
    if form == "qcow2":
        etree.SubElement(target, "compat").text = "1.1"
    return etree.tostring(root, encoding="unicode")
