"""Making and changing storage volumes.

Source: libvirt's src/storage/storage_driver.c, storage_util.c, and src/test/test_driver.c.
"""

from __future__ import annotations

import uuid as uuids
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.constants.storage import StorageVolCreateFlags, StorageVolType
from aiovirt.daemons.virtd.host.pool import Pool
from aiovirt.daemons.virtd.host.volume import Volume, VolumeRecord
from aiovirt.daemons.virtd.host.volume_images import (
    blocks,
    describe_backing,
    empty_qcow2,
    look_again,
)
from aiovirt.daemons.virtd.xml.documents import Document, read
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: The kinds of pool whose volumes are files, and those whose volumes are on the network.
_FILES: Final = ("dir", "fs", "netfs", "vstorage")
_NETWORK: Final = ("sheepdog", "iscsi-direct", "gluster", "rbd")
#: The kinds of pool that have units which nobody makes, and the size of such a unit.
_UNITS: Final = {"iscsi": "unit:0:0:1", "iscsi-direct": "unit:0:0:1", "scsi": "unit:0:0:0"}
_UNIT_SIZE: Final = 10 << 30
_FIXED: Final = (*_UNITS, "mpath", "gluster")
#: Bytes of a cluster of qcow2, and clusters that one of its tables describes.
_CLUSTER: Final = 65_536
_TABLE: Final = 8192
#: Bytes of the largest volume: a file of Linux has no more.
_CAPACITY_MAX: Final = (1 << 63) - 1


def kind_of(pool: Pool) -> StorageVolType:
    """Return the kind of the volumes of a pool."""
    if pool.type in _FILES:
        return StorageVolType.FILE
    return StorageVolType.NETWORK if pool.type in _NETWORK else StorageVolType.BLOCK


def create(
    pool: Pool,
    text: str,
    *,
    source: Volume | None = None,
    preallocated: bool = False,
    reflink: bool = False,
) -> Volume:
    """Make a volume in an active pool.

    Args:
        pool: the pool.
        text: the document.
        source: a volume to begin as; its content is copied by the caller.
        preallocated: an image of qcow2 has its tables from the beginning, and all its room if its
            allocation is its capacity.
        reflink: the content is to be shared with that of the source.

    Raises:
        RpcError: as the pool's driver refuses: a second volume of a name, too little space, a kind of
            pool that makes no volumes.
    """
    pool.need_active()
    host, test = pool.host, pool.host.name == "test"
    document = read("volume", text)
    _capacity(pool, document.root, source)
    document.complete(host.documents.defaults)
    name = document.root.findtext("name") or ""
    if host.volumes.in_pool(pool.record.uuid, name) is not None:
        raise _second(pool, name, cloned=source is not None)
    if not test and pool.type in _FIXED:
        detail = "storage pool does not support volume creation"
        raise RpcError.of(ErrorCode.NO_SUPPORT, detail, domain=ErrorDomain.STORAGE)
    if "/" in name and not test:
        raise pool.invalid(f"volume name '{name}' cannot contain '/'")
    if name in (".", "..") and not test:
        raise pool.invalid(f"volume target path '{pool.folder}/{name}' already exists")
    if not test and pool.type in _FILES:
        _require_maker(document.root, source, preallocated=preallocated, reflink=reflink)
    _sizes(document.root, source, test=test, preallocated=preallocated)
    if int(document.root.findtext("capacity") or 0) > _CAPACITY_MAX:
        detail = f"a volume has at most {_CAPACITY_MAX} bytes"
        raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=host.flavour.storage)
    allocation = int(document.root.findtext("allocation") or 0)
    if test and allocation > pool.sizes[2]:
        detail = f"Not enough free space in pool for volume '{name}'"
        raise RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.TEST)
    if allocation > pool.sizes[2]:
        text = (
            f"cannot allocate {allocation} bytes in file '{pool.folder}/{name}':"
            " No space left on device"
        )
        raise RpcError(ErrorCode.SYSTEM_ERROR, text, domain=ErrorDomain.STORAGE)
    return _add(pool, document, name)


def _require_maker(
    root: etree._Element, source: Volume | None, *, preallocated: bool, reflink: bool
) -> None:
    """A raw volume is written by libvirt, all others by qemu-img: neither can do everything.

    Source: libvirt's src/storage/storage_util.c (virStorageBackendGetBuildVolFromFunction).
    """
    form = root.find("target/format")
    raw = form is None or form.get("type") in (None, "raw")
    if raw and (source is None or source.format == "raw"):
        if preallocated:
            detail = "metadata preallocation is not supported for raw volumes"
            raise RpcError.of(ErrorCode.CONFIG_UNSUPPORTED, detail, domain=ErrorDomain.STORAGE)
    elif reflink:
        flag = int(StorageVolCreateFlags.REFLINK)
        detail = f"unsupported flags (0x{flag:x}) in function storageBackendCreateQemuImg"
        raise RpcError(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.STORAGE)


def _second(pool: Pool, name: str, *, cloned: bool) -> RpcError:
    if pool.host.name == "test":
        detail = "storage vol already exists"
        return RpcError.of(ErrorCode.OPERATION_FAILED, detail, domain=ErrorDomain.TEST)
    if cloned:
        detail = f"storage volume name '{name}' already in use."
        return RpcError.of(ErrorCode.INTERNAL_ERROR, detail, domain=ErrorDomain.STORAGE)
    text = f"storage volume '{name}' exists already"
    return RpcError(ErrorCode.STORAGE_VOL_EXIST, text, domain=ErrorDomain.STORAGE)


def _capacity(pool: Pool, root: etree._Element, source: Volume | None) -> None:
    """A volume that begins as another one, or lies over one, may leave its capacity to that one, except
    with the test driver."""
    if root.find("capacity") is not None:
        return
    if pool.host.name == "test":
        detail = "missing capacity element"
        raise RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.STORAGE)
    below = source or pool.host.volumes.by_path(root.findtext("backingStore/path") or "")
    if below is not None:
        add(root, KINDS["volume"].rules, "capacity", str(below.capacity), unit="bytes")


def _sizes(root: etree._Element, source: Volume | None, *, test: bool, preallocated: bool) -> None:
    """Complete the sizes: a clone is at least as large as its source; an image of qcow2 is small."""
    capacity, allocation = root.find("capacity"), root.find("allocation")
    if capacity is None or allocation is None:
        return
    if source is not None and not test and int(capacity.text or 0) < source.capacity:
        capacity.text = str(source.capacity)
    form = root.find("target/format")
    if not test and form is not None and form.get("type") == "qcow2":
        taken = source.allocation if source is not None else empty_qcow2(int(capacity.text or 0))
        if preallocated and source is None:
            clusters = -(-int(capacity.text or 0) // _CLUSTER)
            taken += -(-clusters // _TABLE) * _CLUSTER
            if int(allocation.text or 0) >= int(capacity.text or 0):
                taken += clusters * _CLUSTER
        allocation.text = str(blocks(taken))


def _add(pool: Pool, document: Document, name: str) -> Volume:
    host, root = pool.host, document.root
    rules = KINDS["volume"].rules
    # The document of test's volumes says nothing else, whatever the kind of pool.
    root.set("type", "file" if host.name == "test" else kind_of(pool).name.lower())
    path = f"{pool.folder}/{name}"
    target = root.find("target")
    if target is None:
        target = add(root, rules, "target")
    found = target.find("path")
    if found is None:
        found = add(target, rules.below("target"), "path")
    found.text = path
    key = root.find("key")
    if key is None:
        key = add(root, rules, "key")
    key.text = path
    if pool.type in _FILES and target.find("format") is None:
        add(target, rules.below("target"), "format", type="raw")
    if host.name == "qemu":
        _equip(pool, root, target)
    document.changed()
    record = VolumeRecord(
        uuid=str(uuids.uuid4()),
        name=name,
        pool=pool.record.uuid,
        text=document.text(secure=True),
        made=host.clock.now(),
    )
    volume = Volume(host, record)
    host.volumes.add(volume)
    return volume


def _equip(pool: Pool, root: etree._Element, target: etree._Element) -> None:
    """Add what qemu's storage driver reads of a volume that exists."""
    rules = KINDS["volume"].rules
    below = rules.below("target")
    form = target.find("format")
    is_image = form is not None and form.get("type") != "raw"
    if root.find("physical") is None:  # the bytes of its file
        size = root.findtext("allocation" if is_image else "capacity") or "0"
        if form is not None and form.get("type") == "qcow2":
            empty = empty_qcow2(int(root.findtext("capacity") or 0))
            size = str(empty if int(size) <= blocks(empty) else size)
        add(root, rules, "physical", size, unit="bytes")
    if target.find("permissions") is None:
        permissions = add(target, below, "permissions")
        for tag, text in (("mode", "0600"), ("owner", "0"), ("group", "0")):
            etree.SubElement(permissions, tag).text = text
    seconds, nanoseconds = divmod(pool.host.clock.now(), 1_000_000_000)
    if target.find("timestamps") is None:
        times = add(target, below, "timestamps")
        for tag in ("atime", "mtime", "ctime"):
            etree.SubElement(times, tag).text = f"{seconds}.{nanoseconds:09d}"
        etree.SubElement(times, "btime").text = "0"  # libvirt asks Linux for no time of birth
    describe_backing(pool.host, root)


def discover(pool: Pool) -> None:
    """Find what a pool that starts has already: the volumes of an earlier pool in its place, and the
    unit of a kind of pool that makes no volumes."""
    if pool.host.name == "test":
        return
    for volume in pool.host.volumes.of_pool(""):
        if volume.record.path.rpartition("/")[0] == pool.folder:
            pool.host.volumes.move(volume, pool.record.uuid)
    look_again(pool)
    name = _UNITS.get(pool.type)
    if name is None or pool.volumes:
        return
    text = (
        f"<volume><name>{name}</name><capacity>{_UNIT_SIZE}</capacity>"
        f"<allocation>{_UNIT_SIZE}</allocation></volume>"
    )
    document = read("volume", text)
    document.complete(pool.host.documents.defaults)
    _add(pool, document, name)


def resize(volume: Volume, pool: Pool, capacity: int, *, shrink: bool, allocate: bool) -> None:
    """Change the capacity of a volume.

    Args:
        volume: the volume.
        pool: its pool.
        capacity: the new one, in bytes.
        shrink: it may become smaller.
        allocate: the space is taken now.

    Raises:
        RpcError: INVALID_ARG for a smaller one, OPERATION_FAILED for too little space.
    """
    detail, code = "", ErrorCode.INVALID_ARG
    if capacity > _CAPACITY_MAX:
        detail = f"a volume has at most {_CAPACITY_MAX} bytes, not {capacity}"
    elif capacity < volume.allocation:
        detail = "can't shrink capacity below existing allocation"
    elif capacity < volume.capacity and not shrink:
        detail = (
            "Can't shrink capacity below current capacity unless shrink flag explicitly specified"
        )
    elif allocate and capacity - volume.allocation > pool.sizes[2]:
        detail, code = "Not enough space left in storage pool", ErrorCode.OPERATION_FAILED
    if detail:
        raise RpcError.of(code, detail, domain=ErrorDomain.STORAGE)
    allocation = capacity if allocate else None
    text = volume.resize(capacity=capacity, allocation=allocation)
    volume.change(text=text, reserved=volume.record.reserved if allocation is None else allocation)
