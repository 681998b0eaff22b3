"""What lockd would need to know if it were killed: who holds what, in memory that outlives it.

The journal is a file that is mapped into memory, so writing to it costs no system call, and what was
written is in the kernel's hands at once: `kill -9` loses none of it. (The machine's end does, which is
the end of every holder, too; the file belongs on a file system that ends with it, as /run does.)

It is an array of slots. A record lies in one slot, or in several in a row when its names are long. Its
first slot begins with their number, which is written last and makes the record valid; every other slot,
free or within a record, begins with 0.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiovirt.daemons.lockd.protocol import Owner

_MAGIC: Final = b"aiovirt lockd journal 1\n"
_SLOT: Final = 256
_SLOTS_AT_FIRST: Final = 256

#: Slots of this record.
_COUNT: Final = struct.Struct("=I")
#: Bytes of directory, name and owner; flags; since when (epoch seconds). Those three follow.
_HEADER: Final = struct.Struct("=IIIId")
#: Owner: uuid, id, pid, when the process started (clock ticks since boot, 0: unknown). The name follows.
_OWNER: Final = struct.Struct("=16sIIQ")
_COUNT_SIZE: Final = _COUNT.size
_pack_header: Final = _HEADER.pack
_FREE: Final = bytes(_COUNT.size)
#: Where in the number of slots its lowest byte is: most records take one, and one byte makes them valid.
_LOWEST: Final = 0 if sys.byteorder == "little" else _COUNT.size - 1
#: Bytes of a record that lie in one slot.
_PIECE: Final = _SLOT - _COUNT.size
_ERRORS: Final = "surrogateescape"


@dataclass(frozen=True, slots=True)
class Record:
    """One holding. directory: of the lockspace, empty for the default one; start: when the owner's
    process started, in clock ticks since boot, or None; since: epoch seconds."""

    directory: str
    name: str
    flags: int
    owner: Owner
    start: int | None
    since: float


def pack_owner(owner: Owner, start: int | None) -> bytes:
    """An owner as `Journal.add` takes it: it is made once for many records."""
    name = owner.name.encode(errors=_ERRORS)
    return _OWNER.pack(owner.uuid, owner.id, owner.pid, start or 0) + name


class Journal:
    """Records of holdings, each at the slot that `add` gave."""

    def __init__(self, path: str) -> None:
        """Make a journal that `publish` puts in the place of the one at `path`. Raises OSError."""
        self.path = path
        mode = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(self._fresh, mode, 0o600)
        try:
            size = (1 + _SLOTS_AT_FIRST) * _SLOT
            os.truncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
            self._map[: len(_MAGIC)] = _MAGIC
        finally:
            os.close(descriptor)
        self._free: list[int] = []  # slots that were given back
        self._long: dict[int, int] = {}  # of the records that take several slots, how many
        self._free_long: dict[
            int, list[int]
        ] = {}  # of each such number, those that were given back
        self._end = 1  # slots from here on were never used; the first has the name of the format

    @property
    def _fresh(self) -> str:
        return f"{self.path}.new"

    def publish(self) -> None:
        """From now on it is this journal that the next lockd finds. Raises OSError."""
        os.rename(self._fresh, self.path)

    def add(self, directory: str, name: str, flags: int, owner: bytes, since: float) -> int:
        """Write a holding down; its slot. owner: from `pack_owner`. Raises OSError."""
        where = directory.encode("utf-8", _ERRORS) if directory else b""
        what = name.encode("utf-8", _ERRORS)
        header = _pack_header(len(where), len(what), len(owner), flags, since)
        record = header + where + what + owner
        size = len(record)
        if size > _PIECE:
            return self._add_long(record)
        slot = self._free.pop() if self._free else self._unused(1)
        at = slot * _SLOT
        memory = self._map
        memory[at + _COUNT_SIZE : at + _COUNT_SIZE + size] = record
        memory[at + _LOWEST] = 1
        return slot

    def _add_long(self, record: bytes) -> int:
        """Write down what needs several slots."""
        count = (len(record) + _PIECE - 1) // _PIECE
        free = self._free_long.get(count)
        slot = free.pop() if free else self._unused(count)
        at = slot * _SLOT
        for start in range(0, len(record), _PIECE):
            piece = record[start : start + _PIECE]
            position = at + start // _PIECE * _SLOT + _COUNT.size
            self._map[position : position + len(piece)] = piece
        self._map[at : at + _COUNT.size] = _COUNT.pack(count)
        self._long[slot] = count
        return slot

    def remove(self, slot: int) -> None:
        """Strike a holding out."""
        if slot in self._long:
            count = self._long.pop(slot)
            at = slot * _SLOT
            self._map[at : at + _COUNT.size] = _FREE
            self._free_long.setdefault(count, []).append(slot)
        else:
            self._map[slot * _SLOT + _LOWEST] = 0
            self._free.append(slot)

    def _unused(self, count: int) -> int:
        slot = self._end
        self._end += count
        if self._end * _SLOT > len(self._map):
            self._map.resize(max(self._end * _SLOT, 2 * len(self._map)))
        return slot

    def close(self) -> None:
        """Remove the journal: there is nothing left to be recovered."""
        self._map.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)


def read(path: str) -> list[Record]:
    """The records of a journal that was left behind; none where there is no journal.

    Raises OSError, and ValueError when the file is no journal that this version can read.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except FileNotFoundError:
        return []
    if not data.startswith(_MAGIC):
        raise ValueError(f"{path} is no journal that this version can read")
    return list(_records(data))


def _records(data: bytes) -> Iterator[Record]:
    for at in range(_SLOT, len(data) - len(data) % _SLOT, _SLOT):
        (count,) = _COUNT.unpack_from(data, at)
        slots = range(at, at + count * _SLOT, _SLOT)
        if slots.stop > len(data) or any(
            data[slot : slot + _COUNT.size] != _FREE for slot in slots[1:]
        ):
            raise ValueError("the journal of locks is damaged")
        if count:
            yield _record(b"".join(data[slot + _COUNT.size : slot + _SLOT] for slot in slots))


def _record(data: bytes) -> Record:
    directory_size, name_size, owner_size, flags, since = _HEADER.unpack_from(data)
    name_at = _HEADER.size + directory_size
    owner_at = name_at + name_size
    if owner_size < _OWNER.size or owner_at + owner_size > len(data):
        raise ValueError("the journal of locks is damaged")
    uuid, owner_id, pid, start = _OWNER.unpack_from(data, owner_at)
    owner_name = data[owner_at + _OWNER.size : owner_at + owner_size]
    return Record(
        data[_HEADER.size : name_at].decode(errors=_ERRORS),
        data[name_at:owner_at].decode(errors=_ERRORS),
        flags,
        Owner(uuid, owner_name.decode(errors=_ERRORS), owner_id, pid),
        start or None,
        since,
    )
