"""The life of storage pools.

Source: libvirt's src/storage/storage_driver.c and, for the test driver, src/test/test_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.storage import (
    StoragePoolBuildFlags,
    StoragePoolEventID,
    StoragePoolEventLifecycleType,
)
from aiovirt.daemons.virtd.host import standing
from aiovirt.daemons.virtd.host.documents import Definition, cached
from aiovirt.daemons.virtd.host.pool import Pool
from aiovirt.daemons.virtd.host.volume_images import look_again
from aiovirt.daemons.virtd.host.volume_making import discover
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.host import Host

#: The kinds of pool whose building can be told to overwrite, or not to overwrite, what is there.
_OVERWRITING: Final = ("fs", "disk", "logical")
#: The kinds of pool that can be deleted.
_DELETED: Final = ("dir", "fs", "netfs", "logical", "zfs", "vstorage")


def _completed(host: Host, text: str) -> Definition:
    """Read a client's document. Raises RpcError for the source of another pool."""
    made = host.documents.define("pool", text)
    place = _place(cached("pool", made.text).root)
    for pool in host.pools:
        other = made.uuid != pool.record.uuid and made.name != pool.name
        if place is not None and other and _place(pool.root) == place:
            detail = f"Storage source conflict with pool: '{pool.name}'"
            raise RpcError.of(ErrorCode.OPERATION_FAILED, detail, domain=ErrorDomain.STORAGE)
    return made


def _place(root: etree._Element) -> tuple[str, ...] | None:
    """Return the place that a pool takes for itself; None for kinds of which several may share it."""
    kind = root.get("type") or ""
    if kind == "dir":
        return kind, root.findtext("target/path") or ""
    if kind in ("fs", "disk", "logical"):
        devices = [str(one.get("path")) for one in root.findall("source/device")]
        return ("device", *devices) if devices else None
    if kind == "netfs":
        host, folder = root.find("source/host"), root.find("source/dir")
        if host is not None and folder is not None:
            return kind, str(host.get("name")), str(folder.get("path"))
    return None


def define(host: Host, text: str) -> Pool:
    """Define a pool, or change its definition. Raises RpcError as `standing.assign` does."""
    made = _completed(host, text)
    pool = standing.assign(host.pools, Pool, made, live=False)
    pool.lifecycle(StoragePoolEventLifecycleType.DEFINED)
    return pool


def create(host: Host, text: str) -> Pool:
    """Start a pool from a document, which is not kept. Raises RpcError as `standing.assign` does."""
    made = _completed(host, text)
    pool = standing.assign(host.pools, Pool, made, live=True)
    discover(pool)
    pool.lifecycle(StoragePoolEventLifecycleType.STARTED)
    return pool


def start(pool: Pool) -> None:
    """Start a pool that is defined. Raises RpcError OPERATION_INVALID if it is active."""
    pool.need_inactive("already active")
    pool.change(live=pool.record.config)
    discover(pool)
    pool.lifecycle(StoragePoolEventLifecycleType.STARTED)


def destroy(pool: Pool) -> None:
    """Stop a pool; its volumes stay. Raises RpcError OPERATION_INVALID if it is inactive."""
    pool.need_active()
    host = pool.host
    if pool.is_persistent:
        standing.stop(host.pools, pool)
    else:
        _remove(pool)
    pool.lifecycle(StoragePoolEventLifecycleType.STOPPED)


def _remove(pool: Pool) -> None:
    """Remove a pool. The volumes of a folder stay in it, for a pool that is made there later."""
    host = pool.host
    keeps = host.name == "qemu" and pool.folder
    with host.store.batch():
        for volume in pool.volumes:
            if keeps:
                host.volumes.move(volume, "")
            else:
                host.volumes.remove(volume)
        host.pools.remove(pool)


def undefine(pool: Pool) -> None:
    """Remove a definition. Raises RpcError OPERATION_INVALID for an active pool."""
    pool.need_inactive()
    _remove(pool)
    pool.lifecycle(StoragePoolEventLifecycleType.UNDEFINED)


def build(pool: Pool, flags: int) -> None:
    """Build what a pool stands on.

    Args:
        pool: the pool, inactive.
        flags: StoragePoolBuildFlags.

    Raises:
        RpcError: OPERATION_INVALID if it is active, INVALID_ARG for flags that exclude each other.
    """
    pool.need_inactive("already active")
    if pool.host.name == "qemu":
        both = StoragePoolBuildFlags.OVERWRITE | StoragePoolBuildFlags.NO_OVERWRITE
        if flags & both == both:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                "Overwrite and no overwrite flags are mutually exclusive",
                domain=ErrorDomain.STORAGE,
            )
        if flags & both and pool.type == "dir":
            raise pool.invalid(f"No source device specified when formatting pool '{pool.name}'")
        if flags & both and pool.type not in _OVERWRITING:
            detail = f"unsupported flags (0x{flags & both:x}) in function"
            text = f"{detail} virStorageBackendBuildLocal"
            raise RpcError(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.STORAGE)
    pool.lifecycle(StoragePoolEventLifecycleType.CREATED)


def delete(pool: Pool) -> None:
    """Delete what a pool stands on; its definition stays, its volumes do not.

    Raises RpcError OPERATION_INVALID if it is active, NO_SUPPORT for a kind that cannot be deleted,
    SYSTEM_ERROR for a folder that is not empty.
    """
    pool.need_inactive()
    if pool.host.name == "qemu" and pool.type not in _DELETED:
        detail = "pool does not support pool deletion"
        raise RpcError.of(ErrorCode.NO_SUPPORT, detail, domain=ErrorDomain.STORAGE)
    if pool.host.name == "qemu" and pool.type == "dir" and pool.volumes:
        text = f"failed to remove pool '{pool.target}': Directory not empty"
        raise RpcError(ErrorCode.SYSTEM_ERROR, text, domain=ErrorDomain.STORAGE)
    with pool.host.store.batch():
        for volume in pool.volumes:
            pool.host.volumes.remove(volume)
    pool.lifecycle(StoragePoolEventLifecycleType.DELETED)


def refresh(pool: Pool) -> None:
    """Look again at what a pool has. Raises RpcError OPERATION_INVALID if it is inactive."""
    pool.need_active()
    if pool.host.name == "qemu":
        look_again(pool)
    pool.emit(StoragePoolEventID.REFRESH)


def set_autostart(pool: Pool, wanted: bool) -> None:
    """Have a pool started with the daemon, or not.

    Args:
        pool: the pool.
        wanted: whether it is to be started.

    Raises:
        RpcError: for a transient pool: INVALID_ARG, INTERNAL_ERROR of qemu.
    """
    if not pool.is_persistent:
        test = pool.host.name == "test"
        code = ErrorCode.INVALID_ARG if test else ErrorCode.INTERNAL_ERROR
        raise RpcError.of(code, "pool has no config file", domain=pool.host.flavour.storage)
    pool.change(autostart=wanted)
