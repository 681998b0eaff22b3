"""Pools and volumes, with their contents."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import libvirt
from telling import attempt, names, quietly, tell

NAME = "walkpool"
UUID = "11111111-2222-3333-4444-000000000003"
POOL = """
<pool type='dir'>
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <target><path>{path}</path></target>
</pool>
"""
VOLUME = """
<volume>
  <name>{name}</name>
  <capacity unit='KiB'>{capacity}</capacity>
  <allocation>0</allocation>
  <target><format type='{format}'/>{compat}</target>
</volume>
"""
OVERLAY = """
<volume>
  <name>five.qcow2</name>
  <target><format type='qcow2'/></target>
  <backingStore><path>{path}</path><format type='qcow2'/></backingStore>
</volume>
"""
CONTENT = bytes(range(256)) * 512


def volume_document(name: str, capacity: int = 128, form: str = "raw") -> str:
    """A volume. capacity: in KiB."""
    compat = "<compat>1.1</compat>" if form == "qcow2" else ""
    return VOLUME.format(name=name, capacity=capacity, format=form, compat=compat)


@contextmanager
def one_pool(host: libvirt.virConnect, name: str, uuid: str) -> Iterator[libvirt.virStoragePool]:
    """A pool of its own, for disks; its volumes go with it."""
    with tempfile.TemporaryDirectory(prefix="av-walk-") as folder:
        os.chmod(folder, 0o755)
        pool = host.storagePoolCreateXML(POOL.format(name=name, uuid=uuid, path=folder))
        try:
            yield pool
        finally:
            for volume in pool.listAllVolumes():
                quietly(volume.delete)
            pool.destroy()


def walk(host: libvirt.virConnect) -> None:
    """Go through the functions of a pool and its volumes."""
    with tempfile.TemporaryDirectory(prefix="av-walk-") as folder:
        os.chmod(folder, 0o755)
        path = f"{folder}/pool"
        pool = host.storagePoolDefineXML(POOL.format(name=NAME, uuid=UUID, path=path))
        try:
            found(host, pool, path)
            defined(pool)
            active(host, pool, path)
            volumes(host, pool, path)
            contents(host, pool)
            attempt("destroy", pool.destroy)
            attempt("destroy again", pool.destroy)
            attempt("refresh", pool.refresh)
            attempt("volumes", pool.numOfVolumes)
        finally:
            quietly(pool.destroy)
            quietly(pool.undefine)
        attempt("gone", pool.info)


def found(host: libvirt.virConnect, pool: libvirt.virStoragePool, path: str) -> None:
    """The ways to find a pool, and those to define one that is there."""
    tell("by name", host.storagePoolLookupByName(NAME))
    tell("by uuid", host.storagePoolLookupByUUIDString(UUID))
    tell("by bytes", host.storagePoolLookupByUUID(pool.UUID()))
    attempt("by path", host.storagePoolLookupByTargetPath, path)
    attempt("no name", host.storagePoolLookupByName, "nobody")
    attempt("no uuid", host.storagePoolLookupByUUIDString, "99999999-2222-3333-4444-000000000003")
    attempt("no path", host.storagePoolLookupByTargetPath, "/nowhere/at/all")
    other = "11111111-2222-3333-4444-000000000009"
    attempt(
        "same name", host.storagePoolDefineXML, POOL.format(name=NAME, uuid=other, path="/other")
    )
    attempt(
        "same uuid", host.storagePoolDefineXML, POOL.format(name="other", uuid=UUID, path="/other")
    )
    attempt("broken", host.storagePoolDefineXML, "<pool")
    attempt("wrong root", host.storagePoolDefineXML, "<nothing/>")
    tell("inactive", NAME in host.listDefinedStoragePools())
    inactive = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_INACTIVE
    tell("all inactive", NAME in names(host.listAllStoragePools(inactive)))
    logical = libvirt.VIR_CONNECT_LIST_STORAGE_POOLS_LOGICAL
    tell("all logical", NAME in names(host.listAllStoragePools(logical)))


def defined(pool: libvirt.virStoragePool) -> None:
    """A pool that is not active."""
    tell("name", pool.name())
    tell("uuid", pool.UUIDString())
    tell("flags", [pool.isActive(), pool.isPersistent()])
    tell("autostart", pool.autostart())
    attempt("set autostart", pool.setAutostart, 1)
    tell("autostart", pool.autostart())
    pool.setAutostart(0)
    attempt("info", pool.info)
    attempt("volumes", pool.listVolumes)
    attempt("number of volumes", pool.numOfVolumes)
    attempt("all volumes", pool.listAllVolumes)
    attempt("refresh", pool.refresh)
    attempt("make one", pool.createXML, volume_document("early"), 0)
    attempt("build", pool.build)


def active(host: libvirt.virConnect, pool: libvirt.virStoragePool, path: str) -> None:
    """A pool that is active."""
    attempt("start", pool.create)
    attempt("start again", pool.create)
    tell("flags", [pool.isActive(), pool.isPersistent()])
    tell("state", pool.info()[0])
    tell("volumes", [pool.listVolumes(), pool.numOfVolumes(), pool.listAllVolumes()])
    attempt("undefine", pool.undefine)
    attempt("refresh", pool.refresh)
    attempt("strange refresh", pool.refresh, 64)
    attempt("by path", host.storagePoolLookupByTargetPath, path)
    attempt("active", lambda: NAME in host.listStoragePools())


def volumes(host: libvirt.virConnect, pool: libvirt.virStoragePool, path: str) -> None:
    """Volumes: making, finding, cloning, changing their size, wiping, deleting."""
    volume = pool.createXML(volume_document("one"), 0)
    tell("name", volume.name())
    tell("key", volume.key().replace(path, "PATH"))
    tell("path", volume.path().replace(path, "PATH"))
    tell("info", volume.info()[:2])
    tell("volumes", [pool.listVolumes(), pool.numOfVolumes(), names(pool.listAllVolumes())])
    attempt("same name", pool.createXML, volume_document("one"), 0)
    attempt("broken", pool.createXML, "<volume", 0)
    attempt("wrong root", pool.createXML, "<nothing/>", 0)
    attempt("by name", pool.storageVolLookupByName, "one")
    attempt("by path", host.storageVolLookupByPath, volume.path())
    attempt("by key", host.storageVolLookupByKey, volume.key())
    attempt("pool", volume.storagePoolLookupByVolume)
    attempt("no name", pool.storageVolLookupByName, "nobody")
    attempt("no path", host.storageVolLookupByPath, "/nowhere/at/all")
    attempt("no key", host.storageVolLookupByKey, "/nowhere/at/all")
    copy = attempt("clone", pool.createXMLFrom, volume_document("two"), volume, 0)
    attempt("resize", volume.resize, 1 << 20)
    attempt("shrink", volume.resize, 4096)
    attempt("shrink on purpose", volume.resize, 8192, libvirt.VIR_STORAGE_VOL_RESIZE_SHRINK)
    tell("capacity", volume.info()[1])
    attempt("wipe", volume.wipe)
    attempt("wipe pattern", volume.wipePattern, 99, 0)
    image = attempt("image", pool.createXML, volume_document("three.qcow2", 4096, "qcow2"), 0)
    tell("image info", image.info()[:2])
    bare = "<volume><name>four</name></volume>"
    attempt("without a size", pool.createXML, bare, 0)
    small = attempt("clone without a size", pool.createXMLFrom, bare, volume, 0)
    overlay = attempt("overlay", pool.createXML, OVERLAY.format(path=image.path()), 0)
    for one in filter(None, (small, overlay)):
        tell("size of it", one.info()[1])
    for one in (volume, copy, image, small, overlay):
        if one is not None:
            attempt("delete", one.delete)
    attempt("delete again", volume.delete)
    attempt("info of none", volume.info)


def contents(host: libvirt.virConnect, pool: libvirt.virStoragePool) -> None:
    """Contents of a volume sent and received, wholly and in part."""
    volume = pool.createXML(volume_document("content"), 0)
    stream = host.newStream()
    if attempt("upload", volume.upload, stream, 0, len(CONTENT)) is None:
        volume.delete(0)
        return
    stream.sendAll(feed, [CONTENT])
    attempt("finish", stream.finish)
    tell("same", received(host, volume, 0, 0) == CONTENT)
    tell("part", received(host, volume, 256, 512) == CONTENT[256:768])
    middle = host.newStream()
    volume.upload(middle, 1024, 4)
    middle.send(b"abcd")
    attempt("finish part", middle.finish)
    tell("changed", received(host, volume, 1020, 12))
    attempt("past the end", received, host, volume, 1 << 30, 4)
    aborted = host.newStream()
    volume.download(aborted, 0, 0)
    attempt("abort", aborted.abort)
    much = host.newStream()
    volume.upload(much, 0, 4)
    attempt("too much", lambda: (much.send(b"abcdefgh"), much.finish()))
    quietly(much.abort)
    attempt("delete", volume.delete)


def feed(stream: libvirt.virStream, count: int, parts: list[bytes]) -> bytes:
    """Give the next piece of what is sent."""
    del stream
    piece, parts[0] = parts[0][:count], parts[0][count:]
    return piece


def received(host: libvirt.virConnect, volume: Any, offset: int, length: int) -> bytes:
    """The content of a volume."""
    stream = host.newStream()
    volume.download(stream, offset, length)
    found: list[bytes] = []
    stream.recvAll(lambda stream, data, opaque: found.append(data), None)
    stream.finish()
    return b"".join(found)
