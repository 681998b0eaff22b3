"""Uploads to volumes and downloads from them.

A volume holds what was uploaded; all the rest of it reads as zeros.

Source: libvirt's src/storage/storage_driver.c (storageVolUpload, storageVolDownload).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.storage import (
    StoragePoolEventID,
    StorageVolDownloadFlags,
    StorageVolUploadFlags,
)
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.dispatch.storage_pools import check_storage_flags
from aiovirt.daemons.virtd.dispatch.storage_volumes import find_volume
from aiovirt.daemons.virtd.host import volume_images
from aiovirt.daemons.virtd.host.contents import CHUNK
from aiovirt.daemons.virtd.host.image_headers import HEADER
from aiovirt.rpc.server import WithStream
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.pool import Pool
    from aiovirt.daemons.virtd.host.volume import Volume
    from aiovirt.rpc.server.streams import Stream

#: The last offset in a file.
_OFFSET_MAX: Final = (1 << 63) - 1


class StorageTransfers:
    """Serves the streams of volumes."""

    @answers(protocol.STORAGE_VOL_UPLOAD)
    def upload(self, session: Session, args: protocol.StorageVolRangeArgs) -> WithStream[None]:
        supported = int(StorageVolUploadFlags.SPARSE_STREAM)
        check_storage_flags(session, args.flags, supported, "StorageVolUpload")
        pool, volume = find_volume(session, args.vol)
        volume.need_idle()
        upload = _Upload(pool, volume, args.offset, args.length)
        return WithStream(None, upload.serve, receives=True)

    @answers(protocol.STORAGE_VOL_DOWNLOAD)
    def download(self, session: Session, args: protocol.StorageVolRangeArgs) -> WithStream[None]:
        supported = int(StorageVolDownloadFlags.SPARSE_STREAM)
        check_storage_flags(session, args.flags, supported, "StorageVolDownload")
        _, volume = find_volume(session, args.vol)
        return WithStream(
            None,
            partial(_send, volume, args.offset, args.length, holes=args.flags & supported != 0),
        )


@contextmanager
def _using(volume: Volume) -> Iterator[None]:
    """Make an error of the file system one that a client is told.

    A transfer keeps nobody from the volume: libvirtd lets a client delete or wipe it meanwhile.
    """
    try:
        yield
    except OSError as error:
        raise RpcError.of(
            ErrorCode.SYSTEM_ERROR,
            f"cannot transfer volume '{volume.name}': {error.strerror}",
            domain=ErrorDomain.STREAMS,
        ) from error


def _is_gone(volume: Volume) -> bool:
    """Whether a volume was deleted."""
    return volume.host.volumes.by_uuid(volume.uuid) is not volume


class _Upload:
    """One upload. offset: where it begins; length: bytes that are accepted, 0 for all that fit."""

    def __init__(self, pool: Pool, volume: Volume, offset: int, length: int) -> None:
        self._pool = pool
        self._volume = volume
        self._contents = volume.host.contents
        self._offset = self._at = offset
        self._length = length
        self._size = volume.physical
        self._reserved = volume.reserved

    async def serve(self, stream: Stream) -> None:
        """Take what a client sends, and note what the volume is then."""
        volume = self._volume
        with _using(volume):
            try:
                while (item := await stream.receive()) is not None:
                    if isinstance(item, bytes):
                        await self._write(item)
                    else:
                        await self._skip(item.length)
            finally:
                await self._written()

    def _advance(self, size: int) -> int:
        """Go on by so many bytes, and return where they are. Raises RpcError if they do not fit."""
        at = self._at
        room = min(self._volume.capacity + self._pool.sizes[2], _OFFSET_MAX)
        if self._length:
            room = min(room, self._offset + self._length)
        if at + size > room:
            raise RpcError.of(
                ErrorCode.SYSTEM_ERROR,
                "cannot write to stream: No space left on device",
                domain=ErrorDomain.STREAMS,
            )
        self._at += size
        return at

    async def _write(self, data: bytes) -> None:
        at = self._advance(len(data))
        self._size = max(self._size, self._at)
        volume = self._volume
        if _is_gone(volume):  # libvirtd writes into a file without a name then
            return
        if not volume.record.has_content:
            volume.change(has_content=True, reserved=self._reserved)
        await run_blocking(self._contents.write, volume.record.uuid, at, data)
        if _is_gone(volume):
            await run_blocking(self._contents.remove, volume.record.uuid)

    async def _skip(self, length: int) -> None:
        """Leave a hole, which reads as zeros whatever was there; the file ends with it for now."""
        at = self._advance(length)
        self._size = self._at
        self._reserved = min(self._reserved, self._at)
        if self._volume.record.has_content and not _is_gone(self._volume):
            name = self._volume.record.uuid
            await run_blocking(self._contents.clear, name, at, length)
            await run_blocking(self._contents.truncate, name, self._at)

    async def _written(self) -> None:
        """Note sizes and format; what was uploaded stays, even if the upload was not finished."""
        volume = self._volume
        if self._at == self._offset:
            return
        name = volume.record.uuid
        taken = await run_blocking(self._contents.taken, name, self._reserved)
        head = await run_blocking(self._contents.head, name, HEADER)
        if not _is_gone(volume):
            volume_images.written(
                volume, size=self._size, reserved=self._reserved, taken=taken, head=head
            )
            self._pool.emit(StoragePoolEventID.REFRESH)  # libvirt looks at its pool again


async def _send(volume: Volume, offset: int, length: int, stream: Stream, *, holes: bool) -> None:
    """Send a part of a volume.

    Args:
        volume: the volume.
        offset: where, in bytes.
        length: bytes; 0 for all that follow.
        stream: to the client.
        holes: the client takes holes.
    """
    contents, name = volume.host.contents, volume.record.uuid
    with _using(volume):
        # an image is as long as its file
        end = volume.capacity if volume.format == "raw" else volume.physical
        if length:
            end = min(end, offset + length)
        while offset < end:
            async with stream.room():
                if _is_gone(volume):
                    text = f"volume '{volume.name}' was deleted during its download"
                    raise RpcError(ErrorCode.SYSTEM_ERROR, text, domain=ErrorDomain.STREAMS)
                piece = await run_blocking(contents.read, name, offset, end)
                if not piece.is_hole:
                    await stream.send(piece.data)
                elif holes:
                    await stream.send_hole(piece.length)
                else:
                    piece = piece._replace(length=min(piece.length, CHUNK))
                    await stream.send(bytes(piece.length))
            offset += piece.length
