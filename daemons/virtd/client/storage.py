"""Storage pools and their volumes."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.objects import RemoteObject, UuidObject
from aiovirt.daemons.virtd.client.transfer import Source, send
from aiovirt.daemons.virtd.constants.storage import StorageVolDownloadFlags, StorageVolUploadFlags
from aiovirt.rpc.wire.stream import Hole


class StorageVol(RemoteObject[protocol.NonnullStorageVol]):
    """A storage volume."""

    @property
    def key(self) -> str:
        """The key, unique on the host."""
        return self.ref.key

    @property
    def pool_name(self) -> str:
        """The name of the pool."""
        return self.ref.pool

    def _key(self) -> object:
        return self.ref.key

    async def info(self, flags: int = 0) -> protocol.StorageVolInfoRet:
        """Return type and sizes (virStorageVolGetInfoFlags). flags: StorageVolInfoFlags.

        Without flags the older virStorageVolGetInfo is called, which all drivers have.
        """
        if not flags:
            return await self.call(protocol.STORAGE_VOL_GET_INFO, protocol.StorageVolArgs(self.ref))
        return await self.call(
            protocol.STORAGE_VOL_GET_INFO_FLAGS, protocol.StorageVolFlagsArgs(self.ref, flags)
        )

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virStorageVolGetXMLDesc)."""
        found = await self.call(
            protocol.STORAGE_VOL_GET_XML_DESC, protocol.StorageVolFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def path(self) -> str:
        """Return the path (virStorageVolGetPath)."""
        found = await self.call(protocol.STORAGE_VOL_GET_PATH, protocol.StorageVolArgs(self.ref))
        return found.name

    async def pool(self) -> StoragePool:
        """Return the pool (virStoragePoolLookupByVolume)."""
        found = await self.call(
            protocol.STORAGE_POOL_LOOKUP_BY_VOLUME, protocol.StorageVolArgs(self.ref)
        )
        return StoragePool(self.host, found.pool)

    async def delete(self, flags: int = 0) -> None:
        """Delete the volume (virStorageVolDelete). flags: StorageVolDeleteFlags."""
        await self.call(protocol.STORAGE_VOL_DELETE, protocol.StorageVolFlagsArgs(self.ref, flags))

    async def wipe(self, flags: int = 0) -> None:
        """Overwrite the volume with zeros (virStorageVolWipe)."""
        await self.call(protocol.STORAGE_VOL_WIPE, protocol.StorageVolFlagsArgs(self.ref, flags))

    async def wipe_pattern(self, algorithm: int, flags: int = 0) -> None:
        """Overwrite the volume by an algorithm (virStorageVolWipePattern).

        Args:
            algorithm: StorageVolWipeAlgorithm.
            flags: none are defined.
        """
        await self.call(
            protocol.STORAGE_VOL_WIPE_PATTERN,
            protocol.StorageVolWipePatternArgs(self.ref, algorithm, flags),
        )

    async def resize(self, capacity: int, flags: int = 0) -> None:
        """Change the size (virStorageVolResize).

        Args:
            capacity: in bytes.
            flags: StorageVolResizeFlags.
        """
        await self.call(
            protocol.STORAGE_VOL_RESIZE, protocol.StorageVolResizeArgs(self.ref, capacity, flags)
        )

    async def upload(
        self, data: Source, offset: int = 0, length: int = 0, *, sparse: bool = False
    ) -> int:
        """Write to the volume and return the number of written bytes (virStorageVolUpload).

        Args:
            data: bytes, a binary file at its position, or bytes and `Hole`s one after the other.
            offset: in bytes.
            length: in bytes; 0 to the end of the volume.
            sparse: send no zeros for the holes of a file. `Hole`s need it.

        Raises:
            TimeoutError: the daemon has not confirmed the end within the timeout of the host.
        """
        flags = StorageVolUploadFlags.SPARSE_STREAM if sparse else 0
        args = protocol.StorageVolRangeArgs(self.ref, offset, length, flags)
        stream = await self.host.open_stream(protocol.STORAGE_VOL_UPLOAD, args)
        async with stream:
            size = await send(stream, data, sparse=sparse)
            await stream.finish(timeout=self.host.timeout)
        return size

    async def download(
        self, offset: int = 0, length: int = 0, *, sparse: bool = False
    ) -> AsyncIterator[bytes | Hole]:
        """Yield the content of the volume, piece by piece (virStorageVolDownload).

        Args:
            offset: in bytes.
            length: in bytes; 0 to the end of the volume.
            sparse: yield a `Hole` where the volume has no data.
        """
        flags = StorageVolDownloadFlags.SPARSE_STREAM if sparse else 0
        args = protocol.StorageVolRangeArgs(self.ref, offset, length, flags)
        stream = await self.host.open_stream(protocol.STORAGE_VOL_DOWNLOAD, args)
        async with stream:
            async for piece in stream:
                yield piece


class StoragePool(UuidObject[protocol.NonnullStoragePool]):
    """A storage pool."""

    async def info(self) -> protocol.StoragePoolGetInfoRet:
        """Return state and sizes (virStoragePoolGetInfo)."""
        return await self.call(protocol.STORAGE_POOL_GET_INFO, protocol.StoragePoolArgs(self.ref))

    async def xml(self, flags: int = 0) -> str:
        """Return the document (virStoragePoolGetXMLDesc). flags: StorageXMLFlags."""
        found = await self.call(
            protocol.STORAGE_POOL_GET_XML_DESC, protocol.StoragePoolFlagsArgs(self.ref, flags)
        )
        return found.xml

    async def create(self, flags: int = 0) -> None:
        """Start the pool (virStoragePoolCreate). flags: StoragePoolCreateFlags."""
        await self.call(
            protocol.STORAGE_POOL_CREATE, protocol.StoragePoolFlagsArgs(self.ref, flags)
        )

    async def destroy(self) -> None:
        """Stop the pool; its volumes stay (virStoragePoolDestroy)."""
        await self.call(protocol.STORAGE_POOL_DESTROY, protocol.StoragePoolArgs(self.ref))

    async def build(self, flags: int = 0) -> None:
        """Make the storage of the pool (virStoragePoolBuild). flags: StoragePoolBuildFlags."""
        await self.call(protocol.STORAGE_POOL_BUILD, protocol.StoragePoolFlagsArgs(self.ref, flags))

    async def delete(self, flags: int = 0) -> None:
        """Remove the storage of the pool (virStoragePoolDelete). flags: StoragePoolDeleteFlags."""
        await self.call(
            protocol.STORAGE_POOL_DELETE, protocol.StoragePoolFlagsArgs(self.ref, flags)
        )

    async def undefine(self) -> None:
        """Remove the configuration (virStoragePoolUndefine)."""
        await self.call(protocol.STORAGE_POOL_UNDEFINE, protocol.StoragePoolArgs(self.ref))

    async def refresh(self, flags: int = 0) -> None:
        """Look for volumes again (virStoragePoolRefresh)."""
        await self.call(
            protocol.STORAGE_POOL_REFRESH, protocol.StoragePoolFlagsArgs(self.ref, flags)
        )

    async def is_active(self) -> bool:
        """Return whether the pool runs (virStoragePoolIsActive)."""
        found = await self.call(protocol.STORAGE_POOL_IS_ACTIVE, protocol.StoragePoolArgs(self.ref))
        return bool(found.active)

    async def is_persistent(self) -> bool:
        """Return whether the pool has a stored configuration (virStoragePoolIsPersistent)."""
        found = await self.call(
            protocol.STORAGE_POOL_IS_PERSISTENT, protocol.StoragePoolArgs(self.ref)
        )
        return bool(found.persistent)

    async def autostart(self) -> bool:
        """Return whether the pool starts with the daemon (virStoragePoolGetAutostart)."""
        found = await self.call(
            protocol.STORAGE_POOL_GET_AUTOSTART, protocol.StoragePoolArgs(self.ref)
        )
        return bool(found.autostart)

    async def set_autostart(self, autostart: bool) -> None:
        """Have the pool start with the daemon or not (virStoragePoolSetAutostart). autostart:
        whether it starts with the daemon."""
        await self.call(
            protocol.STORAGE_POOL_SET_AUTOSTART,
            protocol.StoragePoolSetAutostartArgs(self.ref, int(autostart)),
        )

    async def num_volumes(self) -> int:
        """Return the number of volumes (virStoragePoolNumOfVolumes)."""
        found = await self.call(
            protocol.STORAGE_POOL_NUM_OF_VOLUMES, protocol.StoragePoolArgs(self.ref)
        )
        return found.num

    async def list_volumes(self, flags: int = 0) -> list[StorageVol]:
        """Return the volumes (virStoragePoolListAllVolumes)."""
        found = await self.call(
            protocol.STORAGE_POOL_LIST_ALL_VOLUMES,
            protocol.StoragePoolListAllVolumesArgs(self.ref, 1, flags),
        )
        return [StorageVol(self.host, one) for one in found.vols]

    async def volume(self, name: str) -> StorageVol:
        """Return the volume of a name (virStorageVolLookupByName). name: the name."""
        found = await self.call(
            protocol.STORAGE_VOL_LOOKUP_BY_NAME, protocol.StorageVolLookupByNameArgs(self.ref, name)
        )
        return StorageVol(self.host, found.vol)

    async def volume_create(self, xml: str, flags: int = 0) -> StorageVol:
        """Make a volume (virStorageVolCreateXML).

        Args:
            xml: the document.
            flags: StorageVolCreateFlags.
        """
        found = await self.call(
            protocol.STORAGE_VOL_CREATE_XML, protocol.StorageVolCreateXmlArgs(self.ref, xml, flags)
        )
        return StorageVol(self.host, found.vol)

    async def volume_create_from(
        self, xml: str, clonevol: StorageVol, flags: int = 0
    ) -> StorageVol:
        """Make a volume as a copy of another one (virStorageVolCreateXMLFrom).

        Args:
            xml: the document.
            clonevol: the volume to copy.
            flags: StorageVolCreateFlags.
        """
        found = await self.call(
            protocol.STORAGE_VOL_CREATE_XML_FROM,
            protocol.StorageVolCreateXmlFromArgs(self.ref, xml, clonevol.ref, flags),
        )
        return StorageVol(self.host, found.vol)
