"""Large buffers of connections, which go to the next program in memory of their own.

A client may have sent half of a frame of 32 MiB, or not have read a reply of that size. Such a buffer is
moved, not copied, into one file in memory: written there once, freed here, and read back once. All of
them together therefore exist once, and one of them twice, at any moment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

#: Where a buffer lies: its offset and its size, in bytes.
Place = tuple[int, int]

#: Bytes up to which a buffer is part of the document itself.
SMALL: Final = 4096
_PIECE: Final = 1 << 20


class OutgoingBuffers:
    """The buffers of one document.

    Args:
        rehearsal: leave large buffers out, since a rehearsal consumes none.
    """

    def __init__(self, *, rehearsal: bool) -> None:
        self._rehearsal = rehearsal
        self._moved: list[tuple[bytearray, Place]] = []
        self._end = 0
        self.descriptor = -1
        self.are_used = False  # or would be, if this were no rehearsal

    def take(self, buffer: bytearray | None) -> tuple[bytes, Place | None]:
        """Return the contents of a small buffer, or move a large one. Raises OSError."""
        if not buffer:
            return b"", None
        if len(buffer) <= SMALL:
            return bytes(buffer), None
        self.are_used = True
        if self._rehearsal:
            return b"", None
        if self.descriptor < 0:
            self.descriptor = os.memfd_create("aiovirt-buffers", os.MFD_CLOEXEC)
        place = self._end, len(buffer)
        with memoryview(buffer) as view:
            written = 0
            while written < len(view):
                written += os.pwrite(
                    self.descriptor, view[written : written + _PIECE], self._end + written
                )
        self._end += len(buffer)
        self._moved.append((buffer, place))
        buffer.clear()
        return b"", place

    def put_back(self) -> None:
        """Fill the moved buffers again: the restart was given up. Raises OSError."""
        for buffer, place in self._moved:
            buffer[:] = _read(self.descriptor, place)
        self._moved.clear()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1


def read_back(descriptor: int, places: Iterable[Place]) -> dict[Place, bytearray]:
    """Read buffers and close the descriptor; their memory is freed there as they are read.

    Raises:
        OSError: nothing can be read there.
        ValueError: less is there than was written.
    """
    found = {}
    try:
        for place in sorted(places, reverse=True):
            found[place] = _read(descriptor, place)
            os.ftruncate(descriptor, place[0])
    finally:
        os.close(descriptor)
    return found


def _read(descriptor: int, place: Place) -> bytearray:
    offset, size = place
    buffer = bytearray(size)
    with memoryview(buffer) as view:
        done = 0
        while done < size:
            got = os.preadv(descriptor, [view[done : done + _PIECE]], offset + done)
            if not got:
                raise ValueError(f"a buffer of {size} bytes has only {done}")
            done += got
    return buffer
