"""Content that is sent into a volume: bytes, a file, or pieces with holes between them.

Source: libvirt's src/libvirt-stream.c (virStreamSendAll, virStreamSparseSendAll).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from typing import Any, BinaryIO, Final

from aiovirt.rpc.client import Stream
from aiovirt.rpc.wire.stream import Hole

#: The content for a volume.
Source = bytes | BinaryIO | Iterable[bytes | Hole] | AsyncIterable[bytes | Hole]

#: Bytes that are read from a file at once.
_PIECE: Final = 256 * 1024


async def send(stream: Stream[Any], data: Source, *, sparse: bool) -> int:
    """Send content and return its size, holes included. The stream is not finished.

    Args:
        stream: a stream that takes data.
        data: the content.
        sparse: the stream takes holes.

    Raises:
        ValueError: the content has a hole, and the stream takes none.
        OSError: the file cannot be read.
    """
    size = 0
    async for piece in _pieces(data, sparse=sparse):
        if isinstance(piece, Hole):
            if not sparse:
                raise ValueError("a hole is sent with sparse=True only")
            await stream.send_hole(piece.length)
            size += piece.length
        else:
            await stream.send(piece)
            size += len(piece)
    return size


async def _pieces(data: Source, *, sparse: bool) -> AsyncIterator[bytes | Hole]:
    if isinstance(data, bytes | bytearray | memoryview):
        yield bytes(data)
    elif isinstance(data, AsyncIterable):
        async for piece in data:
            yield piece
    elif hasattr(data, "read"):
        async for piece in _pieces_of_file(data, sparse=sparse):
            yield piece
    else:
        for piece in data:
            yield piece


async def _pieces_of_file(file: Any, *, sparse: bool) -> AsyncIterator[bytes | Hole]:
    """Yield the content of a file from its position; reads are done in a thread."""
    while True:
        hole, limit = await asyncio.to_thread(_extent, file) if sparse else (0, _PIECE)
        if hole:
            yield Hole(hole)
        data = await asyncio.to_thread(file.read, min(limit, _PIECE)) if limit else b""
        if data:
            yield data
        elif not hole:
            return


def _extent(file: BinaryIO) -> tuple[int, int]:
    """Move a file to its next data: the length of the hole before it, and of the data."""
    try:
        at = file.tell()
        end = os.fstat(file.fileno()).st_size
        try:
            data = os.lseek(file.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            data = max(at, end)  # nothing but a hole, or the end
        until = os.lseek(file.fileno(), data, os.SEEK_HOLE) if data < end else data
    except OSError:
        return 0, _PIECE  # a pipe, or a file system that does not tell
    file.seek(data)
    return data - at, until - data
