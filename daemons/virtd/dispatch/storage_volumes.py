"""Storage volumes: which ones exist, what they are, making and changing them.

Source: libvirt's src/storage/storage_driver.c and src/test/test_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.storage import (
    StorageVolCreateFlags,
    StorageVolDeleteFlags,
    StorageVolInfoFlags,
    StorageVolResizeFlags,
    StorageVolWipeAlgorithm,
)
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.dispatch.storage_pools import (
    check_storage_flags,
    find_pool,
    no_pool,
    sanitized,
)
from aiovirt.daemons.virtd.host import volume_making
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.pool import Pool
    from aiovirt.daemons.virtd.host.volume import Volume

_CREATE: Final = int(sum(StorageVolCreateFlags))
_VALIDATE: Final = int(StorageVolCreateFlags.VALIDATE)


def no_volume(session: Session, what: str) -> RpcError:
    """Make the error for a volume that does not exist.

    Args:
        session: whose driver says so.
        what: kind and value of what was looked for: "name 'x'".
    """
    detail = f"no storage vol with matching {what}"
    return RpcError.of(ErrorCode.NO_STORAGE_VOL, detail, domain=session.host.flavour.storage)


def find_volume(session: Session, wanted: protocol.NonnullStorageVol) -> tuple[Pool, Volume]:
    """Return the volume that a call names, and its pool, which has to be active.

    Args:
        session: whose host has it.
        wanted: as the call names it.

    Raises:
        RpcError: NO_STORAGE_POOL, OPERATION_INVALID for an inactive pool, NO_STORAGE_VOL.
    """
    pool = session.host.pools.by_name(wanted.pool)
    if pool is None:
        raise no_pool(session, f"name '{wanted.pool}'")
    pool.need_active()
    found = session.host.volumes.in_pool(pool.record.uuid, wanted.name)
    if found is None:
        raise no_volume(session, f"name '{wanted.name}'")
    return pool, found


def volume_ref(pool: Pool, volume: Volume) -> protocol.NonnullStorageVol:
    """Return a volume as answers name it.

    Args:
        pool: its pool.
        volume: the volume.
    """
    return protocol.NonnullStorageVol(pool.name, volume.name, volume.key)


class StorageVolLists:
    """Serves the lists of volumes, and the looking up of one."""

    @answers(protocol.STORAGE_POOL_LIST_ALL_VOLUMES)
    def list_all(
        self, session: Session, args: protocol.StoragePoolListAllVolumesArgs
    ) -> protocol.StoragePoolListAllVolumesRet:
        check_storage_flags(session, args.flags, 0, "StoragePoolListAllVolumes")
        pool = find_pool(session, args.pool)
        if session.host.name == "test" and not pool.is_active:
            raise pool.invalid("storage pool is not active", ErrorDomain.TEST)
        refs = [volume_ref(pool, one) for one in pool.need_active().volumes]
        return protocol.StoragePoolListAllVolumesRet(refs if args.need_results else [], len(refs))

    @answers(protocol.STORAGE_POOL_NUM_OF_VOLUMES)
    def count(self, session: Session, args: protocol.StoragePoolArgs) -> protocol.NumRet:
        return protocol.NumRet(len(find_pool(session, args.pool).need_active().volumes))

    @answers(protocol.STORAGE_POOL_LIST_VOLUMES)
    def names(
        self, session: Session, args: protocol.StoragePoolListVolumesArgs
    ) -> protocol.StoragePoolListVolumesRet:
        names = [one.name for one in find_pool(session, args.pool).need_active().volumes]
        return protocol.StoragePoolListVolumesRet(names[: max(0, args.maxnames)])

    @answers(protocol.STORAGE_VOL_LOOKUP_BY_NAME)
    def by_name(
        self, session: Session, args: protocol.StorageVolLookupByNameArgs
    ) -> protocol.StorageVolRet:
        pool = find_pool(session, args.pool).need_active()
        found = session.host.volumes.in_pool(pool.record.uuid, args.name)
        if found is None:
            raise no_volume(session, f"name '{args.name}'")
        return protocol.StorageVolRet(volume_ref(pool, found))

    @answers(protocol.STORAGE_VOL_LOOKUP_BY_KEY)
    def by_key(
        self, session: Session, args: protocol.StorageVolLookupByKeyArgs
    ) -> protocol.StorageVolRet:
        found = _by_path(session, args.key)
        if found is None:
            key = f"'{args.key}'" if session.host.name == "test" else args.key
            raise no_volume(session, f"key {key}")
        return found

    @answers(protocol.STORAGE_VOL_LOOKUP_BY_PATH)
    def by_path(self, session: Session, args: protocol.PathArgs) -> protocol.StorageVolRet:
        path = args.path
        if session.host.name == "qemu":
            path = sanitized(path)
        found = _by_path(session, path)
        if found is None:
            more = "" if path == args.path else f" ({path})"
            raise no_volume(session, f"path '{args.path}'{more}")
        return found


def _by_path(session: Session, path: str) -> protocol.StorageVolRet | None:
    """The volume with a path, which is its key, too, of an active pool."""
    volume = session.host.volumes.by_path(path)
    if volume is None or not volume.record.pool:
        return None
    pool = session.host.pools.by_uuid(bytes.fromhex(volume.record.pool.replace("-", "")))
    if pool is None or not pool.is_active:
        return None
    return protocol.StorageVolRet(volume_ref(pool, volume))


class StorageVolFacts:
    """Serves what clients ask of one volume."""

    @answers(protocol.STORAGE_VOL_GET_INFO)
    def info(self, session: Session, args: protocol.StorageVolArgs) -> protocol.StorageVolInfoRet:
        pool, volume = find_volume(session, args.vol)
        return protocol.StorageVolInfoRet(
            volume_making.kind_of(pool), volume.capacity, volume.allocation
        )

    @answers(protocol.STORAGE_VOL_GET_INFO_FLAGS)
    def info_flags(
        self, session: Session, args: protocol.StorageVolFlagsArgs
    ) -> protocol.StorageVolInfoRet:
        supported = int(StorageVolInfoFlags.GET_PHYSICAL)
        check_storage_flags(session, args.flags, supported, "StorageVolGetInfoFlags")
        pool, volume = find_volume(session, args.vol)
        physical = args.flags & StorageVolInfoFlags.GET_PHYSICAL
        size = volume.physical if physical else volume.allocation
        return protocol.StorageVolInfoRet(volume_making.kind_of(pool), volume.capacity, size)

    @answers(protocol.STORAGE_VOL_GET_XML_DESC)
    def xml(self, session: Session, args: protocol.StorageVolFlagsArgs) -> protocol.XmlRet:
        check_storage_flags(session, args.flags, 0, "StorageVolGetXMLDesc")
        _, volume = find_volume(session, args.vol)
        return protocol.XmlRet(volume.document.text())

    @answers(protocol.STORAGE_VOL_GET_PATH)
    def path(self, session: Session, args: protocol.StorageVolArgs) -> protocol.NameRet:
        return protocol.NameRet(find_volume(session, args.vol)[1].record.path)


class StorageVolLife:
    """Serves the making, changing and deleting of volumes."""

    @answers(protocol.STORAGE_VOL_CREATE_XML)
    def create(
        self, session: Session, args: protocol.StorageVolCreateXmlArgs
    ) -> protocol.StorageVolRet:
        supported = _VALIDATE if session.host.name == "test" else _CREATE
        check_storage_flags(session, args.flags, supported, "StorageVolCreateXML")
        pool = find_pool(session, args.pool)
        preallocated = bool(args.flags & StorageVolCreateFlags.PREALLOC_METADATA)
        volume = volume_making.create(pool, args.xml, preallocated=preallocated)
        return protocol.StorageVolRet(volume_ref(pool, volume))

    @answers(protocol.STORAGE_VOL_CREATE_XML_FROM)
    async def clone(
        self, session: Session, args: protocol.StorageVolCreateXmlFromArgs
    ) -> protocol.StorageVolRet:
        supported = _VALIDATE if session.host.name == "test" else _CREATE
        check_storage_flags(session, args.flags, supported, "StorageVolCreateXMLFrom")
        pool = find_pool(session, args.pool).need_active()
        wanted = args.clonevol
        if session.host.name == "test":  # it looks for the source in the pool of the clone
            wanted = protocol.NonnullStorageVol(pool.name, wanted.name, wanted.key)
        _, source = find_volume(session, wanted)
        source.need_idle()
        volume = volume_making.create(
            pool,
            args.xml,
            source=source,
            preallocated=bool(args.flags & StorageVolCreateFlags.PREALLOC_METADATA),
            reflink=bool(args.flags & StorageVolCreateFlags.REFLINK),
        )
        contents = session.host.contents
        if source.record.has_content:
            source.busy += 1
            volume.busy += 1
            try:
                await _blocking(contents.copy, source.record.uuid, volume.record.uuid)
                volume.change(has_content=True)
            except BaseException:
                session.host.volumes.remove(volume)
                raise
            finally:
                source.busy -= 1
                volume.busy -= 1
        return protocol.StorageVolRet(volume_ref(pool, volume))

    @answers(protocol.STORAGE_VOL_DELETE)
    async def delete(self, session: Session, args: protocol.StorageVolFlagsArgs) -> None:
        supported = 0 if session.host.name == "test" else int(sum(StorageVolDeleteFlags))
        check_storage_flags(session, args.flags, supported, "StorageVolDelete")
        _, volume = find_volume(session, args.vol)
        volume.need_idle()
        session.host.volumes.remove(volume)
        if volume.record.has_content:
            await _blocking(session.host.contents.remove, volume.record.uuid)

    @answers(protocol.STORAGE_VOL_RESIZE)
    async def resize(self, session: Session, args: protocol.StorageVolResizeArgs) -> None:
        flags = StorageVolResizeFlags
        check_storage_flags(session, args.flags, int(sum(flags)), "StorageVolResize")
        pool, volume = find_volume(session, args.vol)
        volume.need_idle()
        capacity, shrink = args.capacity, bool(args.flags & flags.SHRINK)
        if args.flags & flags.DELTA:
            size = volume.capacity
            capacity = size - min(capacity, size) if shrink else size + capacity
        allocate = bool(args.flags & flags.ALLOCATE)
        smaller = capacity < volume.capacity and volume.format == "raw"
        volume_making.resize(volume, pool, capacity, shrink=shrink, allocate=allocate)
        if smaller and volume.record.has_content:
            await _blocking(session.host.contents.truncate, volume.record.uuid, capacity)

    @answers(protocol.STORAGE_VOL_WIPE)
    async def wipe(self, session: Session, args: protocol.StorageVolFlagsArgs) -> None:
        check_storage_flags(session, args.flags, 0, "StorageVolWipe")
        await self._wipe(session, args.vol)

    @answers(protocol.STORAGE_VOL_WIPE_PATTERN)
    async def wipe_pattern(
        self, session: Session, args: protocol.StorageVolWipePatternArgs
    ) -> None:
        check_storage_flags(session, args.flags, 0, "StorageVolWipePattern")
        if args.algorithm not in set(StorageVolWipeAlgorithm):
            detail = f"wiping algorithm {args.algorithm} not supported"
            raise RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.STORAGE)
        await self._wipe(session, args.vol)

    @staticmethod
    async def _wipe(session: Session, wanted: protocol.NonnullStorageVol) -> None:
        """Remove the content: what is left reads as zeros, whatever the pattern."""
        _, volume = find_volume(session, wanted)
        volume.need_idle()
        if volume.record.has_content:
            volume.change(has_content=False)
            await _blocking(session.host.contents.remove, volume.record.uuid)


async def _blocking(function: object, *args: object) -> object:
    """Run a function of `Contents` on a thread. Raises RpcError SYSTEM_ERROR where it raises OSError."""
    try:
        return await run_blocking(function, *args)  # type: ignore[arg-type]  # any function
    except OSError as error:
        raise RpcError.of(
            ErrorCode.SYSTEM_ERROR,
            f"cannot change the content of a volume: {error.strerror}",
            domain=ErrorDomain.STORAGE,
        ) from error
