"""Pictures of a guest's screen, made by code: a grid in the guest's own colour."""

from __future__ import annotations

import struct
import zlib
from typing import Final

WIDTH: Final = 320
HEIGHT: Final = 200
#: Pixels of a cell of the grid.
_CELL: Final = 20


def _rows(colour: tuple[int, int, int]) -> list[bytes]:
    line = bytes(WIDTH * 3)
    pixel, dark = bytes(colour), bytes(value // 4 for value in colour)
    row = b"".join(dark if x // _CELL % 2 else pixel for x in range(WIDTH))
    other = b"".join(pixel if x // _CELL % 2 else dark for x in range(WIDTH))
    return [line if y % _CELL == 0 else row if y // _CELL % 2 else other for y in range(HEIGHT)]


def png(uuid: bytes) -> bytes:
    """Make a picture as PNG. uuid: of the guest, 16 bytes."""
    rows = _rows((uuid[0] | 64, uuid[1] | 64, uuid[2] | 64))
    data = b"".join(b"\0" + row for row in rows)
    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (_chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(data, 9)), _chunk(b"IEND", b""))
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
