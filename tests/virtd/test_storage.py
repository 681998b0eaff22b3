"""Storage pools and volumes, as libvirt's test driver and its storage driver have them.

Codes, domains and texts are those that libvirt 9.0.0 answers.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.storage import (
    StoragePoolEventLifecycleType,
    StorageVolResizeFlags,
    StorageVolType,
)
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.stream import Hole
from tests.virtd.conftest import Client, MakeVirtd, Virtd

BOTH = pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])
QEMU = "qemu:///system"
POOL = "<pool type='{type}'><name>{name}</name>{source}<target><path>{path}</path></target></pool>"
MIB = 1 << 20


async def defined(
    client: Client, name: str = "pool", *, kind: str = "dir", source: str = ""
) -> protocol.NonnullStoragePool:
    text = POOL.format(type=kind, name=name, source=source, path=f"/pools/{name}")
    args = protocol.XmlFlagsArgs(text, 0)
    return (await client.call(protocol.STORAGE_POOL_DEFINE_XML, args)).pool


async def started(client: Client, name: str = "pool", **more: str) -> protocol.NonnullStoragePool:
    pool = await defined(client, name, **more)
    await client.call(protocol.STORAGE_POOL_CREATE, protocol.StoragePoolFlagsArgs(pool, 0))
    return pool


def volume_text(name: str, size: int = MIB, allocation: int = 0, form: str = "raw") -> str:
    return (
        f"<volume><name>{name}</name><capacity>{size}</capacity>"
        f"<allocation>{allocation}</allocation><target><format type='{form}'/></target></volume>"
    )


async def made(
    client: Client, pool: protocol.NonnullStoragePool, name: str = "vol", **more: Any
) -> protocol.NonnullStorageVol:
    args = protocol.StorageVolCreateXmlArgs(pool, volume_text(name, **more), 0)
    return (await client.call(protocol.STORAGE_VOL_CREATE_XML, args)).vol


async def info_of(client: Client, volume: protocol.NonnullStorageVol) -> tuple[int, int, int]:
    answer = await client.call(protocol.STORAGE_VOL_GET_INFO, protocol.StorageVolArgs(volume))
    return answer.type, answer.capacity, answer.allocation


async def sizes_of(client: Client, pool: protocol.NonnullStoragePool) -> tuple[int, int, int]:
    answer = await client.call(protocol.STORAGE_POOL_GET_INFO, protocol.StoragePoolArgs(pool))
    return answer.capacity, answer.allocation, answer.available


async def test_each_driver_begins_with_its_pools(virtd: Virtd) -> None:
    for uri, names in (("test:///default", ["default-pool"]), (QEMU, [])):
        client = await virtd.connect(uri)
        args = protocol.ListAllArgs(1, 0)
        listed = await client.call(protocol.CONNECT_LIST_ALL_STORAGE_POOLS, args)
        assert [one.name for one in listed.pools] == names


@BOTH
async def test_a_pools_life_and_its_events(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    events: asyncio.Queue[Any] = asyncio.Queue()
    client.rpc.on_event(protocol.STORAGE_POOL_EVENT_LIFECYCLE, events.put_nowait)
    register = protocol.ConnectStoragePoolEventRegisterAnyArgs(0, None)
    await client.call(protocol.CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY, register)
    pool = await defined(client)
    with_flags, plain = protocol.StoragePoolFlagsArgs(pool, 0), protocol.StoragePoolArgs(pool)
    await client.call(protocol.STORAGE_POOL_BUILD, with_flags)
    await client.call(protocol.STORAGE_POOL_CREATE, with_flags)
    assert (await client.call(protocol.STORAGE_POOL_IS_ACTIVE, plain)).active == 1
    await client.call(protocol.STORAGE_POOL_DESTROY, plain)
    await client.call(protocol.STORAGE_POOL_DELETE, with_flags)
    await client.call(protocol.STORAGE_POOL_UNDEFINE, plain)
    kinds = StoragePoolEventLifecycleType
    expected = (
        kinds.DEFINED,
        kinds.CREATED,
        kinds.STARTED,
        kinds.STOPPED,
        kinds.DELETED,
        kinds.UNDEFINED,
    )
    assert [(await events.get()).event for _ in expected] == list(expected)
    error = await client.refused(protocol.STORAGE_POOL_LOOKUP_BY_NAME, protocol.NameArgs(pool.name))
    domain = ErrorDomain.STORAGE if uri == QEMU else ErrorDomain.TEST
    assert (error.code, error.domain) == (ErrorCode.NO_STORAGE_POOL, domain)
    assert error.message == "Storage pool not found: no storage pool with matching name 'pool'"


@BOTH
async def test_two_pools_do_not_share_a_folder(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    await defined(client)
    text = POOL.format(type="dir", name="other", source="", path="/pools/pool")
    error = await client.refused(protocol.STORAGE_POOL_DEFINE_XML, protocol.XmlFlagsArgs(text, 0))
    assert (error.code, error.domain) == (ErrorCode.OPERATION_FAILED, ErrorDomain.STORAGE)
    assert error.message == "operation failed: Storage source conflict with pool: 'pool'"


@BOTH
async def test_an_inactive_pool_has_no_volumes_to_show(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    pool = await defined(client)
    error = await client.refused(
        protocol.STORAGE_POOL_NUM_OF_VOLUMES, protocol.StoragePoolArgs(pool)
    )
    assert error.code == ErrorCode.OPERATION_INVALID
    assert error.message.endswith("storage pool 'pool' is not active")


@BOTH
async def test_the_sizes_of_a_pool_add_up(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    pool = await started(client)
    capacity, allocation, available = await sizes_of(client, pool)
    assert (allocation, available) == (0, capacity)
    first = await made(client, pool, "a", size=10 * MIB, allocation=2 * MIB)
    await made(client, pool, "b", size=10 * MIB, allocation=3 * MIB)
    assert await sizes_of(client, pool) == (capacity, 5 * MIB, capacity - 5 * MIB)
    assert await info_of(client, first) == (StorageVolType.FILE, 10 * MIB, 2 * MIB)
    await client.call(protocol.STORAGE_VOL_DELETE, protocol.StorageVolFlagsArgs(first, 0))
    assert await sizes_of(client, pool) == (capacity, 3 * MIB, capacity - 3 * MIB)


@BOTH
async def test_a_volume_is_found_by_name_path_and_key(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    pool = await started(client)
    volume = await made(client, pool)
    assert (volume.pool, volume.name, volume.key) == ("pool", "vol", "/pools/pool/vol")
    path = await client.call(protocol.STORAGE_VOL_GET_PATH, protocol.StorageVolArgs(volume))
    for procedure, args in (
        (protocol.STORAGE_VOL_LOOKUP_BY_PATH, protocol.PathArgs(path.name)),
        (protocol.STORAGE_VOL_LOOKUP_BY_KEY, protocol.StorageVolLookupByKeyArgs(volume.key)),
        (
            protocol.STORAGE_VOL_LOOKUP_BY_NAME,
            protocol.StorageVolLookupByNameArgs(pool, volume.name),
        ),
    ):
        assert (await client.call(procedure, args)).vol == volume
    found = await client.call(
        protocol.STORAGE_POOL_LOOKUP_BY_VOLUME, protocol.StorageVolArgs(volume)
    )
    assert found.pool == pool
    await client.call(protocol.STORAGE_POOL_DESTROY, protocol.StoragePoolArgs(pool))
    error = await client.refused(protocol.STORAGE_VOL_LOOKUP_BY_PATH, protocol.PathArgs(path.name))
    assert error.code == ErrorCode.NO_STORAGE_VOL


@pytest.mark.parametrize(
    ("uri", "code", "text"),
    [
        ("test:///default", ErrorCode.OPERATION_FAILED, "storage vol already exists"),
        (QEMU, ErrorCode.STORAGE_VOL_EXIST, "storage volume 'vol' exists already"),
    ],
)
async def test_a_second_volume_of_a_name_is_refused(
    virtd: Virtd, uri: str, code: ErrorCode, text: str
) -> None:
    client = await virtd.connect(uri)
    pool = await started(client)
    await made(client, pool)
    args = protocol.StorageVolCreateXmlArgs(pool, volume_text("vol"), 0)
    error = await client.refused(protocol.STORAGE_VOL_CREATE_XML, args)
    assert error.code == code
    assert error.message.endswith(text)


KINDS = [
    ("logical", "<source><device path='/dev/sdx'/><name>vg</name></source>", "/dev/vg/vol"),
    ("fs", "<source><device path='/dev/sdx1'/></source>", "/pools/pool/vol"),
    ("netfs", "<source><host name='h'/><dir path='/x'/></source>", "/pools/pool/vol"),
]


@pytest.mark.parametrize(("kind", "source", "path"), KINDS)
async def test_the_kind_of_pool_decides_on_paths(
    virtd: Virtd, kind: str, source: str, path: str
) -> None:
    client = await virtd.connect(QEMU)
    pool = await started(client, kind=kind, source=source)
    volume = await made(client, pool)
    found = await client.call(protocol.STORAGE_VOL_GET_PATH, protocol.StorageVolArgs(volume))
    assert found.name == path


async def test_a_pool_of_iscsi_has_a_unit_and_makes_no_volumes(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    source = "<source><host name='h'/><device path='iqn.2026'/></source>"
    pool = await started(client, kind="iscsi", source=source)
    args = protocol.StoragePoolListAllVolumesArgs(pool, 1, 0)
    listed = await client.call(protocol.STORAGE_POOL_LIST_ALL_VOLUMES, args)
    assert [one.name for one in listed.vols] == ["unit:0:0:1"]
    create = protocol.StorageVolCreateXmlArgs(pool, volume_text("vol"), 0)
    error = await client.refused(protocol.STORAGE_VOL_CREATE_XML, create)
    assert error.code == ErrorCode.NO_SUPPORT


async def test_what_is_in_a_folder_is_found_by_the_next_pool_there(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    pool = await started(client)
    volume = await made(client, pool)
    plain = protocol.StoragePoolArgs(pool)
    await client.call(protocol.STORAGE_POOL_DESTROY, plain)
    await client.call(protocol.STORAGE_POOL_UNDEFINE, plain)
    other = await started(client)
    assert other.uuid != pool.uuid
    args = protocol.StoragePoolListAllVolumesArgs(other, 1, 0)
    assert (await client.call(protocol.STORAGE_POOL_LIST_ALL_VOLUMES, args)).vols == [volume]


async def upload(
    client: Client,
    volume: protocol.NonnullStorageVol,
    data: bytes,
    offset: int = 0,
    length: int = 0,
) -> None:
    args = protocol.StorageVolRangeArgs(volume, offset, length, 0)
    stream = await client.rpc.open_stream(protocol.STORAGE_VOL_UPLOAD, args)
    await stream.send(data)
    await stream.finish()


async def download(
    client: Client, volume: protocol.NonnullStorageVol, *, flags: int = 0, offset: int = 0
) -> list[bytes | Hole]:
    args = protocol.StorageVolRangeArgs(volume, offset, 0, flags)
    stream = await client.rpc.open_stream(protocol.STORAGE_VOL_DOWNLOAD, args)
    items = []
    while (item := await stream.receive()) is not None:
        items.append(item)
    await stream.finish()
    return items


def joined(items: list[bytes | Hole]) -> bytes:
    return b"".join(one if isinstance(one, bytes) else bytes(one.length) for one in items)


async def test_what_was_uploaded_is_downloaded(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    volume = await made(client, await started(client), size=2 * MIB)
    data = bytes(range(256)) * 1200
    await upload(client, volume, data, offset=MIB)
    assert joined(await download(client, volume, offset=MIB))[: len(data)] == data
    assert joined(await download(client, volume)) == bytes(MIB) + data.ljust(MIB, b"\0")
    sparse = await download(client, volume, flags=1)
    assert joined(sparse) == bytes(MIB) + data.ljust(MIB, b"\0")
    assert isinstance(sparse[0], Hole)
    await client.call(protocol.STORAGE_VOL_WIPE, protocol.StorageVolFlagsArgs(volume, 0))
    assert [one.length for one in await download(client, volume, flags=1)] == [2 * MIB]  # type: ignore[union-attr]  # a hole


async def test_a_hole_reads_as_zeros_whatever_was_there(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    volume = await made(client, await started(client))
    await upload(client, volume, b"x" * 3000)
    args = protocol.StorageVolRangeArgs(volume, 0, 0, 1)
    stream = await client.rpc.open_stream(protocol.STORAGE_VOL_UPLOAD, args)
    await stream.send(b"y" * 1000)
    await stream.send_hole(1000)
    await stream.finish()
    # libvirtd's file ends where its client's last hole ends; it keeps what was in the hole.
    assert joined(await download(client, volume)) == b"y" * 1000 + bytes(1000)
    assert (await info_of(client, volume))[1] == 2000


async def test_a_volume_is_deleted_during_transfers(make_virtd: MakeVirtd, tmp_path: Path) -> None:
    """libvirtd lets a client do so while streams of others, or forgotten ones, are open."""
    client = await (await make_virtd(str(tmp_path / "store"))).connect(QEMU)
    volume = await made(client, await started(client), size=8 * MIB)
    await upload(client, volume, b"x" * MIB)
    args = protocol.StorageVolRangeArgs(volume, 0, 0, 0)
    up = await client.rpc.open_stream(protocol.STORAGE_VOL_UPLOAD, args)
    await up.send(b"y" * 1000)
    await client.call(protocol.STORAGE_VOL_DELETE, protocol.StorageVolFlagsArgs(volume, 0))
    await up.send(b"z" * MIB)
    await up.finish()
    assert list((tmp_path / "store-volumes").iterdir()) == []
    error = await client.refused(protocol.STORAGE_VOL_GET_INFO, protocol.StorageVolArgs(volume))
    assert error.code == ErrorCode.NO_STORAGE_VOL


async def test_deleting_a_pool_removes_its_contents(make_virtd: MakeVirtd, tmp_path: Path) -> None:
    client = await (await make_virtd(str(tmp_path / "store"))).connect(QEMU)
    source = "<source><device path='/dev/sdx'/><name>vg</name></source>"
    pool = await started(client, kind="logical", source=source)
    await upload(client, await made(client, pool), b"content")
    await client.call(protocol.STORAGE_POOL_DESTROY, protocol.StoragePoolArgs(pool))
    await client.call(protocol.STORAGE_POOL_DELETE, protocol.StoragePoolFlagsArgs(pool, 0))
    assert list((tmp_path / "store-volumes").iterdir()) == []


async def test_a_folder_that_is_not_empty_is_not_deleted(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    pool = await started(client)
    await made(client, pool)
    await client.call(protocol.STORAGE_POOL_DESTROY, protocol.StoragePoolArgs(pool))
    args = protocol.StoragePoolFlagsArgs(pool, 0)
    error = await client.refused(protocol.STORAGE_POOL_DELETE, args)
    assert (error.code, error.domain) == (ErrorCode.SYSTEM_ERROR, ErrorDomain.STORAGE)
    assert error.message == "failed to remove pool '/pools/pool': Directory not empty"


async def test_no_volume_takes_more_than_its_pool_has(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    pool = await started(client)
    text = volume_text("vol", 1 << 40, 1 << 40)
    args = protocol.StorageVolCreateXmlArgs(pool, text, 0)
    error = await client.refused(protocol.STORAGE_VOL_CREATE_XML, args)
    assert error.code == ErrorCode.SYSTEM_ERROR
    assert error.message.endswith("No space left on device")


async def test_an_upload_takes_no_more_than_there_is_room_for(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    volume = await made(client, await started(client))
    with pytest.raises(RpcError, match="No space left on device"):
        await upload(client, volume, bytes(4096), length=1024)
    with pytest.raises(RpcError, match="No space left on device"):
        await upload(client, volume, b"x", offset=1 << 60)


async def test_an_uploaded_image_says_how_large_its_disk_is(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    volume = await made(client, await started(client))
    head = b"QFI\xfb" + (3).to_bytes(4, "big") + bytes(16) + (5 << 30).to_bytes(8, "big")
    await upload(client, volume, head.ljust(65536, b"\1"))
    assert (await info_of(client, volume))[1] == 5 << 30
    args = protocol.StorageVolFlagsArgs(volume, 0)
    text = (await client.call(protocol.STORAGE_VOL_GET_XML_DESC, args)).xml
    assert "<format type='qcow2'/>" in text
    assert len(joined(await download(client, volume))) == MIB  # the file was as long before


async def test_a_clone_has_the_content_of_its_source(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    pool = await started(client)
    volume = await made(client, pool)
    await upload(client, volume, b"content")
    args = protocol.StorageVolCreateXmlFromArgs(pool, volume_text("clone", 1), volume, 0)
    clone = (await client.call(protocol.STORAGE_VOL_CREATE_XML_FROM, args)).vol
    assert (await info_of(client, clone))[1] == MIB
    await upload(client, volume, b"changed")
    assert joined(await download(client, clone))[:7] == b"content"


async def test_a_volume_is_resized_as_the_flags_allow(virtd: Virtd) -> None:
    client = await virtd.connect(QEMU)
    volume = await made(client, await started(client))
    resize, flags = protocol.StorageVolResizeArgs, StorageVolResizeFlags
    await client.call(protocol.STORAGE_VOL_RESIZE, resize(volume, MIB, flags.DELTA))
    assert (await info_of(client, volume))[1] == 2 * MIB
    error = await client.refused(protocol.STORAGE_VOL_RESIZE, resize(volume, MIB, 0))
    assert (error.code, error.domain) == (ErrorCode.INVALID_ARG, ErrorDomain.STORAGE)
    await client.call(protocol.STORAGE_VOL_RESIZE, resize(volume, MIB, flags.SHRINK))
    assert (await info_of(client, volume))[1:] == (MIB, 0)


async def test_pools_volumes_and_contents_outlive_the_process(
    make_virtd: MakeVirtd, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    client = await (await make_virtd(store)).connect(QEMU)
    pool = await started(client)
    volume = await made(client, pool)
    await upload(client, volume, b"content")
    again = await (await make_virtd(store)).connect(QEMU)
    listed = await again.call(
        protocol.STORAGE_POOL_LIST_ALL_VOLUMES, protocol.StoragePoolListAllVolumesArgs(pool, 1, 0)
    )
    assert listed.vols == [volume]
    assert joined(await download(again, volume))[:7] == b"content"
    await again.call(protocol.STORAGE_VOL_DELETE, protocol.StorageVolFlagsArgs(volume, 0))
    assert list((tmp_path / "store-volumes").iterdir()) == []
