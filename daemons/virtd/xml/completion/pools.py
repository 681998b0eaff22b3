"""Complete a storage pool: names, formats and paths that follow from its type.

Source: libvirt's src/conf/storage_conf.c (virStoragePoolDefParseXML, virStoragePoolDefParseSource).
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add, need
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: The format of a source that names none, by the type of pool.
FORMATS: Final = {"fs": "auto", "netfs": "auto", "disk": "unknown", "logical": "lvm2"}
#: The types whose source has a name, which is the pool's own by default.
NAMED: Final = ("logical", "rbd", "sheepdog", "gluster", "zfs", "vstorage")
#: The types that need a host, a directory, or a device.
HOSTED: Final = ("netfs", "iscsi", "iscsi-direct", "rbd", "sheepdog", "gluster")
FOLDERED: Final = ("netfs", "gluster")
ON_DEVICE: Final = ("fs", "disk")
#: The folder of volumes that libvirt chooses itself, and the types that have none.
FOLDERS: Final = {"logical": "/dev/", "zfs": "/dev/zvol/"}
WITHOUT_TARGET: Final = ("rbd", "sheepdog", "gluster", "iscsi-direct")


def _refuse(detail: str, code: ErrorCode = ErrorCode.XML_ERROR) -> RpcError:
    return refusals.refused(code, detail, ErrorDomain.STORAGE)


def set_sizes(root: etree._Element, capacity: int, allocation: int, available: int) -> None:
    """Write what a pool has, in bytes.

    Args:
        root: the pool.
        capacity: all that it can hold.
        allocation: what its volumes take.
        available: what is free.
    """
    rules = KINDS["pool"].rules
    for tag, size in (("capacity", capacity), ("allocation", allocation), ("available", available)):
        element = root.find(tag)
        if element is None:
            element = add(root, rules, tag, unit="bytes")
        element.text = str(size)


def complete(root: etree._Element, flavour: Flavour) -> None:
    """Add everything that is missing; the sizes are those of a pool without volumes.

    Args:
        root: a pool in shape.
        flavour: the driver's defaults.

    Raises:
        RpcError: for a pool that libvirt refuses.
    """
    kind = root.get("type") or ""
    source = need(root, "source")
    _name(root, source, kind)
    set_sizes(root, flavour.pool_capacity, 0, flavour.pool_capacity)
    _source(source, kind)
    if kind not in WITHOUT_TARGET:
        _target(root, source, kind)


def _name(root: etree._Element, source: etree._Element, kind: str) -> None:
    rules = KINDS["pool"].rules
    name, inner = root.findtext("name"), source.findtext("name")
    if kind == "rbd" and inner is None:
        raise _refuse("element 'name' is mandatory for RBD pool")
    if name is None and kind in NAMED and inner is not None:
        name = inner
        add(root, rules, "name", name)
    if not name:
        raise _refuse("missing pool source name element")
    if "/" in name:
        raise _refuse(f"name {refusals.shown(name)} cannot contain '/'")
    if kind in NAMED and inner is None:
        add(source, rules.below("source"), "name", name)


def _source(source: etree._Element, kind: str) -> None:
    rules = KINDS["pool"].rules.below("source")
    if kind in HOSTED and source.find("host") is None:
        raise _refuse("missing storage pool source host name")
    if kind in FOLDERED and source.find("dir") is None:
        if kind != "gluster":
            raise _refuse("missing storage pool source path")
        add(source, rules, "dir", path="/")
    if kind in ON_DEVICE and source.find("device") is None:
        raise _refuse("missing storage pool source device name")
    if kind in FORMATS and source.find("format") is None:
        add(source, rules, "format", type=FORMATS[kind])
    if kind == "scsi" and source.find("adapter") is None:
        raise _refuse("missing storage pool source adapter")
    if kind == "iscsi-direct" and source.find("initiator/iqn") is None:
        raise _refuse("missing initiator IQN", ErrorCode.CONFIG_UNSUPPORTED)


def _target(root: etree._Element, source: etree._Element, kind: str) -> None:
    rules = KINDS["pool"].rules
    target = root.find("target")
    if kind in FOLDERS:
        if target is None:
            target = add(root, rules, "target")
        path = target.find("path")
        if path is None:
            path = add(target, rules.below("target"), "path")
        path.text = FOLDERS[kind] + (source.findtext("name") or "")
    elif target is None or not target.findtext("path"):
        raise _refuse("missing storage pool target path")
    target.text = None
