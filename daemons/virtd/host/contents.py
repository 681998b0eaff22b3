"""Contents of volumes: what clients have uploaded, one file for each volume.

The files are in a folder beside the store, or in a temporary one if the store is in memory. All
functions block, so they run on threads.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import tempfile

#: Bytes that are read at once.
CHUNK: Final = 256 * 1024


#: Bytes of the disk that no content takes: the store lies beside it, and has to note what is removed.
RESERVE: Final = 1024 * 1024


class Piece(NamedTuple):
    """A part of a content: data, or a hole. length: in bytes."""

    data: bytes
    length: int
    is_hole: bool


class Contents:
    """The contents of the volumes of a daemon. store: the file of its store, None for one in memory."""

    def __init__(self, store: str | None) -> None:
        self._folder = None if store is None else os.path.splitext(store)[0] + "-volumes"
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    def _path(self, name: str, *, make: bool = False) -> str:
        """The file of a volume."""
        if self._folder is None:
            if self._temporary is None:
                import tempfile  # late, with shutil: it takes 5 ms

                self._temporary = tempfile.TemporaryDirectory(prefix="aiovirt-volumes-")
            self._folder = self._temporary.name
        if make:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
        return os.path.join(self._folder, name)

    def write(self, name: str, offset: int, data: bytes) -> None:
        """Write a part of a content, which is made if it is missing.

        Args:
            name: of the volume, its UUID.
            offset: where, in bytes.
            data: what.

        Raises:
            OSError: it cannot be written.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        descriptor = os.open(self._path(name, make=True), flags, 0o600)
        try:
            _require_room(descriptor, len(data))
            view = memoryview(data)
            while view:
                done = os.pwrite(descriptor, view, offset)
                view, offset = view[done:], offset + done
        finally:
            os.close(descriptor)

    def size(self, name: str) -> int:
        """Return the bytes of a content. Raises OSError."""
        try:
            return os.stat(self._path(name)).st_size
        except FileNotFoundError:
            return 0

    def taken(self, name: str, offset: int) -> int:
        """Return the bytes of a content that are not in holes.

        Args:
            name: of the volume.
            offset: where counting begins, in bytes.

        Raises:
            OSError: it cannot be read.
        """
        total = 0
        try:
            with open(self._path(name), "rb") as file:
                while True:
                    begin = os.lseek(file.fileno(), offset, os.SEEK_DATA)
                    offset = os.lseek(file.fileno(), begin, os.SEEK_HOLE)
                    total += offset - begin
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENXIO):  # ENXIO: nothing but a hole follows
                raise
        return total

    def truncate(self, name: str, size: int) -> None:
        """Give a content a size; a content that does not exist stays so.

        Args:
            name: of the volume.
            size: in bytes.

        Raises:
            OSError: it cannot be changed.
        """
        with contextlib.suppress(FileNotFoundError):
            os.truncate(self._path(name), size)

    def clear(self, name: str, offset: int, length: int) -> None:
        """Make a part of a content read as zeros.

        Args:
            name: of the volume.
            offset: where, in bytes.
            length: how much; what is after the end of the content reads as zeros already.

        Raises:
            OSError: it cannot be changed.
        """
        size = self.size(name)
        if offset + length >= size:
            if offset < size:
                self.truncate(name, offset)
            return
        for begin in range(offset, offset + length, CHUNK):
            self.write(name, begin, bytes(min(CHUNK, offset + length - begin)))

    def read(self, name: str, offset: int, end: int) -> Piece:
        """Read a piece of a content: data up to CHUNK, or a hole up to the next data.

        Args:
            name: of the volume.
            offset: where, in bytes.
            end: the end of the volume; after the end of the file everything is a hole.

        Raises:
            OSError: it cannot be read.
        """
        hole = Piece(b"", end - offset, is_hole=True)
        try:
            descriptor = os.open(self._path(name), os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            return hole
        try:
            try:
                begin = os.lseek(descriptor, offset, os.SEEK_DATA)
            except OSError:  # nothing but a hole follows
                return hole
            if begin > offset:
                return Piece(b"", min(begin, end) - offset, is_hole=True)
            stop = min(os.lseek(descriptor, offset, os.SEEK_HOLE), end, offset + CHUNK)
            data = os.pread(descriptor, stop - offset, offset)
            return Piece(data, len(data), is_hole=False) if data else hole
        finally:
            os.close(descriptor)

    def head(self, name: str, length: int) -> bytes:
        """Return the first bytes of a content, less if it is shorter.

        Args:
            name: of the volume.
            length: in bytes.

        Raises:
            OSError: it cannot be read.
        """
        with contextlib.suppress(FileNotFoundError), open(self._path(name), "rb") as file:
            return file.read(length)
        return b""

    def copy(self, source: str, name: str) -> bool:
        """Copy a content.

        Args:
            source: the volume that has it.
            name: the volume that gets it.

        Returns:
            Whether the source has one.

        Raises:
            OSError: it cannot be written.
        """
        import shutil  # late, as above

        path = self._path(name, make=True)
        try:
            _require_room(os.path.dirname(path), os.stat(self._path(source)).st_blocks * 512)
            shutil.copyfile(self._path(source), path)
        except FileNotFoundError:
            return False
        except OSError:
            self.remove(name)
            raise
        return True

    def remove(self, *names: str) -> None:
        """Remove the contents of volumes; does nothing for one that has none. Raises OSError."""
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path(name))


def _require_room(place: int | str, size: int) -> None:
    """Raise OSError (ENOSPC) if so many bytes more would touch RESERVE.

    Args:
        place: a folder of the disk, or the descriptor of a file there.
        size: in bytes.
    """
    found = os.statvfs(place)
    if found.f_bavail * found.f_frsize < size + RESERVE:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
