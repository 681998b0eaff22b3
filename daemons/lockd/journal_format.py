"""The format of lockd's journal: an array of slots of 256 bytes.

The first slot is the head: the name of the format, the boot in which the journal was made, and the
number of slots. A record lies in one slot, or in several in a row when its names are long. Its
first slot begins with their number, which is written last, or with all the rest in one write within
one page, and makes the record valid. Every other slot, unused or within a record, begins with
`FREE`. None begins with 0: a part of the file that was lost reads as zeros, and is not taken for
slots that nobody uses.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from aiovirt.daemons.lockd.protocol import Owner

MAGIC: Final = b"aiovirt lockd journal 3\n"
#: The format of earlier versions, in which unused slots began with 0. It is read, too.
FORMER_MAGIC: Final = b"aiovirt lockd journal 2\n"
SLOT: Final = 256
#: Name of the format, boot, slots (the head among them).
HEAD: Final = struct.Struct(f"={len(MAGIC)}s36sI")
#: Slots of this record; bytes of directory, name and owner; flags; since when (epoch seconds). Those
#: three follow.
RECORD: Final = struct.Struct("=IIIIId")
COUNT: Final = struct.Struct("=I")
#: The number at the begin of a slot in which no record begins.
NO_RECORD: Final = 2**32 - 1
FREE: Final = COUNT.pack(NO_RECORD)
UNUSED: Final = FREE + bytes(SLOT - COUNT.size)
#: Bytes of a record that lie in each of its slots after the first.
PIECE: Final = SLOT - COUNT.size
#: Names come from the wire and need not be UTF-8.
ERRORS: Final = "surrogateescape"
#: Owner: uuid, id, pid, when the process started (`Holder.start`). The name follows.
_OWNER: Final = struct.Struct("=16sIIQ")


class Record(NamedTuple):
    """One holding. directory: of the lockspace, empty for the default one; start: when the owner's
    process started (`Holder.start`); since: epoch seconds."""

    directory: str
    name: str
    flags: int
    owner: Owner
    start: int
    since: float


class Entry(NamedTuple):
    """A record, its first slot, and in how many slots it is."""

    slot: int
    slots: int
    record: Record


def pack_owner(owner: Owner, start: int) -> bytes:
    """An owner as `Journal.add` takes it: it is made once for many records."""
    name = owner.name.encode(errors=ERRORS)
    return _OWNER.pack(owner.uuid, owner.id, owner.pid, start) + name


def entries(path: str, data: bytes) -> Iterator[Entry]:
    """Read a journal from its bytes. Raises ValueError for a damaged one. path: for the error."""
    free = (FREE, bytes(COUNT.size)) if data.startswith(FORMER_MAGIC) else (FREE,)
    slot = 1
    slots = len(data) // SLOT
    while slot < slots:
        if data[slot * SLOT : slot * SLOT + COUNT.size] in free:
            slot += 1
            continue
        (count,) = COUNT.unpack_from(data, slot * SLOT)
        if not count:
            raise damaged(path, f"slot {slot} is empty")
        inner = range(slot + 1, slot + count)
        if slot + count > slots or any(
            data[one * SLOT : one * SLOT + COUNT.size] not in free for one in inner
        ):
            raise damaged(path, f"a record in slot {slot} says that it has {count} slots")
        pieces = [data[slot * SLOT : (slot + 1) * SLOT]]
        pieces += [data[one * SLOT + COUNT.size : (one + 1) * SLOT] for one in inner]
        try:
            yield Entry(slot, count, _record(b"".join(pieces)))
        except (ValueError, struct.error) as error:
            raise damaged(path, f"the record in slot {slot} cannot be read") from error
        slot += count


def _record(data: bytes) -> Record:
    _, directory_size, name_size, owner_size, flags, since = RECORD.unpack_from(data)
    name_at = RECORD.size + directory_size
    owner_at = name_at + name_size
    if owner_size < _OWNER.size or owner_at + owner_size > len(data):
        raise ValueError("a record's parts are longer than the record")
    uuid, owner_id, pid, start = _OWNER.unpack_from(data, owner_at)
    owner_name = data[owner_at + _OWNER.size : owner_at + owner_size]
    if b"\0" in data[RECORD.size : owner_at]:
        raise ValueError("a path has a NUL byte")
    return Record(
        data[RECORD.size : name_at].decode(errors=ERRORS),
        data[name_at:owner_at].decode(errors=ERRORS),
        flags,
        Owner(uuid, owner_name.decode(errors=ERRORS), owner_id, pid),
        start,
        since,
    )


def damaged(path: str, how: str) -> ValueError:
    """The error for a journal that may list fewer locks than there are."""
    return ValueError(
        f"{path} is damaged: {how}. It may list locks of guests that run;"
        " remove it when no guest is left"
    )
