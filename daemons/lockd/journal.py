"""The holders of locks, in a file that outlives a lockd that is killed.

Every change is one write to the file, so it is in the kernel's hands at once, and `kill -9` loses none
of it. (The machine's end does, which is the end of every holder, too.) It is written, not mapped: what
the file system cannot take is then an error to be answered, and not a signal that ends lockd. Its room
is reserved in advance all the same, so that locks can be given for a while when the disk is full.

A holding is written down before its owner hears of it, and struck out before its owner hears that it was
given back. The latter waits until replies are sent (`settle`): a holding that is given meanwhile is
written in its place, which strikes it out without a write of its own. The format is in `journal_format`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable
from typing import Final

from aiovirt.daemons.lockd import kernel
from aiovirt.daemons.lockd.journal_format import (
    COUNT,
    ERRORS,
    FORMER_MAGIC,
    FREE,
    HEAD,
    MAGIC,
    NO_RECORD,
    PIECE,
    RECORD,
    SLOT,
    UNUSED,
    Entry,
    Record,
    damaged,
    entries,
)
from aiovirt.rpc.logs import get_logger

_log = get_logger("daemons.lockd.journal")

_SLOTS_AT_FIRST: Final = 64
#: Slots that a journal grows by when there is no room for twice as many: a page.
_SLOTS_OF_A_PAGE: Final = 4096 // SLOT
#: A journal does not grow beyond 1 GiB, so that one whose head is damaged cannot take all memory.
_SLOTS_MAX: Final = (1 << 30) // SLOT
_BOOT_SIZE: Final = 36
_BOOT_BYTES: Final = b"0123456789abcdef-"
_MAGICS: Final = (MAGIC, FORMER_MAGIC)
#: Slots that are written, and bytes that are looked at, in one piece.
_SLOTS_AT_ONCE: Final = 4096
_CHUNK: Final = 1 << 20

#: The extended attribute that has the boot, too: it stays when the contents are lost. The second one is
#: for tmpfs before Linux 6.6, which has none for users.
_BOOT_ATTRIBUTES: Final = ("user.aiovirt.boot", "trusted.aiovirt.boot")
_pack_record: Final = RECORD.pack
_NOT_SUPPORTED: Final = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


def boot_id() -> bytes:
    """Which boot of the machine this is. Raises OSError."""
    with open("/proc/sys/kernel/random/boot_id", "rb") as file:
        return file.read().strip()


class Journal:
    """Records of holdings, each at the slot that `add` gave.

    damaged: a record could not be struck out, so the file says too much.
    """

    def __init__(
        self,
        path: str,
        descriptor: int,
        slots: int,
        entries: list[Entry],
        magic: bytes = MAGIC,
    ) -> None:
        """Go on with an open journal. See `create`, `find` and `take_over`."""
        self.path = path
        self.descriptor = descriptor
        self.damaged = False
        self._slots = slots
        self._magic = magic
        self._long = {entry.slot: entry.slots for entry in entries if entry.slots > 1}
        self._free_long: dict[int, list[int]] = {}  # by the number of slots, what was given back
        self._stale: set[int] = set()  # slots that have been given back, and are not struck out yet
        used = {slot for one in entries for slot in range(one.slot, one.slot + one.slots)}
        self._end = max(used, default=0) + 1  # slots from here on were never used
        self._free = [slot for slot in range(1, self._end) if slot not in used]

    @classmethod
    def create(cls, path: str) -> Journal:
        """Make a journal that `publish` puts in the place of the one at `path`. Raises OSError."""
        fresh = _fresh(path)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh)
        descriptor = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            journal = cls(path, descriptor, 0, [])
            journal._reserve(_SLOTS_AT_FIRST)
            journal.claim()
            _mark(descriptor)
        except BaseException:
            os.close(descriptor)
            os.unlink(fresh)
            raise
        return journal

    def claim(self) -> None:
        """Keep other lockds away from the file, until this program and those it executes have ended.

        Raises ValueError when another one has it.
        """
        try:
            kernel.lock_alone(self.descriptor)
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise ValueError(f"{self.path} is in use by another lockd") from error
            # a file system without locks: it is used as it was before there was a claim

    def publish(self) -> None:
        """From now on it is this journal that the next lockd finds. Raises OSError."""
        os.rename(_fresh(self.path), self.path)

    def withdraw(self) -> None:
        """Undo `create`: the one that is published stays."""
        self.leave()
        with contextlib.suppress(OSError):
            os.unlink(_fresh(self.path))

    def add(self, directory: str, name: str, flags: int, owner: bytes, since: float) -> int:
        """Write a holding down. Returns its slot.

        Args:
            directory: The lockspace's, empty for the default one.
            name: The resource's.
            flags: AcquireFlags.
            owner: From `pack_owner`.
            since: Epoch seconds.

        Raises:
            OSError: There is no room, or the disk fails. Nothing was written then.
        """
        where = directory.encode("utf-8", ERRORS) if directory else b""
        what = name.encode("utf-8", ERRORS)
        head = _pack_record(1, len(where), len(what), len(owner), flags, since)
        record = head + where + what + owner
        if len(record) > SLOT:
            return self._add_long(record)
        free = self._free
        slot = free.pop() if free else self._unused(1)
        try:
            if os.pwrite(self.descriptor, record, slot * SLOT) != len(record):
                os.pwrite(self.descriptor, FREE, slot * SLOT)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            free.append(slot)
            raise
        if self._stale:
            self._stale.discard(slot)
        return slot

    def _add_long(self, record: bytes) -> int:
        """Write down what needs several slots: the first one last."""
        count = 1 + (len(record) - SLOT + PIECE - 1) // PIECE
        free = self._free_long.get(count)
        slot = free.pop() if free else self._unused(count)
        first = COUNT.pack(count) + record[COUNT.size : SLOT]
        rest = b"".join(FREE + record[at : at + PIECE] for at in range(SLOT, len(record), PIECE))
        try:
            for piece, at in ((rest, (slot + 1) * SLOT), (first, slot * SLOT)):
                if os.pwrite(self.descriptor, piece, at) != len(piece):
                    os.pwrite(self.descriptor, FREE, slot * SLOT)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            self._free_long.setdefault(count, []).append(slot)
            raise
        self._long[slot] = count
        return slot

    def remove(self, slot: int) -> None:
        """Strike a holding out, at the latest when `settle` is called. Never raises."""
        if slot in self._long:
            if self._strike_out(slot):
                self._free_long.setdefault(self._long.pop(slot), []).append(slot)
        else:
            self._free.append(slot)
            self._stale.add(slot)

    def settle(self) -> None:
        """Strike out what was removed. Never raises: what fails is logged, and `damaged` is set."""
        while self._stale:
            self._strike_out(self._stale.pop())

    def _strike_out(self, slot: int) -> bool:
        try:
            os.pwrite(self.descriptor, FREE, slot * SLOT)
        except OSError as error:
            if not self.damaged:
                _log.error("a record of the journal stays", path=self.path, reason=error.strerror)
            self.damaged = True
        return not self.damaged

    def _unused(self, count: int) -> int:
        slot = self._end
        if slot + count >= self._slots:  # the last slot stays free: a file that was cut stays short
            self._grow(slot + count + 1)
        self._end += count
        return slot

    def _grow(self, needed: int) -> None:
        """Make room for at least `needed` slots, for twice as many as now if possible."""
        if needed > _SLOTS_MAX:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if os.fstat(self.descriptor).st_size < self._slots * SLOT:
            raise OSError(errno.EIO, "the journal was cut")  # growing would hide what it has lost
        with contextlib.suppress(OSError):
            self._reserve(min(max(needed, 2 * self._slots), _SLOTS_MAX))
            return
        self._reserve(-(-needed // _SLOTS_OF_A_PAGE) * _SLOTS_OF_A_PAGE)

    def _reserve(self, slots: int) -> None:
        """Get room for so many slots, and then say so in the head. Raises OSError."""
        try:
            os.posix_fallocate(self.descriptor, 0, slots * SLOT)
        except OSError as error:
            if error.errno not in _NOT_SUPPORTED:
                raise
            os.truncate(self.descriptor, slots * SLOT)
        for at in range(self._slots, slots, _SLOTS_AT_ONCE):
            unused = UNUSED * min(_SLOTS_AT_ONCE, slots - at)
            if os.pwrite(self.descriptor, unused, at * SLOT) != len(unused):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.pwrite(self.descriptor, HEAD.pack(self._magic, boot_id(), slots), 0)
        self._slots = slots

    def is_in_place(self) -> bool:
        """Whether the next lockd will find this journal, as long as it is. Raises OSError."""
        ours = os.fstat(self.descriptor)
        try:
            there = os.stat(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        return (
            (there.st_dev, there.st_ino) == (ours.st_dev, ours.st_ino)
            and ours.st_size >= self._slots * SLOT
            and os.pread(self.descriptor, len(MAGIC), 0) == MAGIC
        )

    def has_all(self, slots: Iterable[int]) -> bool:
        """Whether a record begins in each of these slots, and nothing was lost. Raises OSError."""
        known: list[int] = []
        piece = bytearray(_SLOTS_AT_ONCE * SLOT)
        for at in range(0, self._slots * SLOT, len(piece)):
            size = os.preadv(self.descriptor, [piece], at) // SLOT * SLOT
            known += memoryview(piece)[:size].cast("I")[:: SLOT // COUNT.size].tolist()
        return (
            len(known) >= self._slots
            and 0 not in known[: self._slots]
            and all(known[slot] != NO_RECORD for slot in slots)
        )

    def is_another_s(self) -> bool:
        """Whether the file in the place of this journal is another lockd's, which runs."""
        try:
            there = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            if kernel.identity(there) == kernel.identity(self.descriptor):
                return False
            kernel.lock_alone(there)
        except OSError as error:
            return error.errno in (errno.EACCES, errno.EAGAIN)
        finally:
            os.close(there)
        return False

    def leave(self) -> None:
        """Write no more. The file stays for the next lockd."""
        self.settle()
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            with contextlib.suppress(OSError):  # what was written is in the kernel's hands
                os.close(descriptor)

    def close(self) -> None:
        """Remove the journal: there is nothing left to be recovered. Raises OSError."""
        self.leave()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.unlink(self.path)


def _fresh(path: str) -> str:
    return f"{path}.new"


def find(path: str) -> tuple[Journal, list[Entry]] | None:
    """The journal that a killed lockd left, to be gone on with, and what is in it; None without one.

    One of an earlier boot says nothing: no holder has outlived that.

    Raises:
        OSError: It cannot be read.
        ValueError: It is of this boot and damaged, or it is something else.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    try:
        found = take_over(path, descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    if found is None:
        os.close(descriptor)
    return found


def take_over(path: str, descriptor: int) -> tuple[Journal, list[Entry]] | None:
    """The same with a journal that is open already."""
    head, size = _head_of(path, descriptor)
    boot = _boot_of(path, descriptor, head)
    if boot != boot_id():
        made_in = boot.decode(errors="replace") or "unknown"
        _log.info("journal of an earlier boot ignored", path=path, boot=made_in)
        return None
    if len(head) < HEAD.size or not _boot_in(head):
        raise damaged(path, "its head is missing")
    slots = HEAD.unpack_from(head)[2]
    if not slots or size < slots * SLOT:
        raise damaged(path, f"it has {size // SLOT} slots, and had {slots}")
    if slots > _SLOTS_MAX:
        raise damaged(path, f"it has {slots} slots, more than {_SLOTS_MAX}")
    if _has_data(descriptor, slots * SLOT):
        raise damaged(path, f"it has records after its {slots} slots")
    with open(descriptor, "rb", closefd=False) as file:
        file.seek(0)
        data = file.read(slots * SLOT)
    found = list(entries(path, data))
    return Journal(path, descriptor, slots, found, head[: len(MAGIC)]), found


def read(path: str) -> list[Record]:
    """The records of the journal at `path`; nothing without one. Raises as `find` does."""
    found = find(path)
    if found is None:
        return []
    journal, entries = found
    journal.leave()
    return [entry.record for entry in entries]


def _head_of(path: str, descriptor: int) -> tuple[bytes, int]:
    """The first slot of a journal, and the size of its file in bytes."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is not a journal: it is not a regular file")
    return os.pread(descriptor, SLOT, 0), status.st_size


def _has_data(descriptor: int, at: int) -> bool:
    """Whether a file has more than zeros and unused slots from `at` on. Its holes are not read."""
    while True:
        try:
            at = os.lseek(descriptor, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # nothing but a hole follows
                return False
            raise
        data = os.pread(descriptor, _CHUNK, at)
        if not data or data.strip(UNUSED):
            return bool(data)
        at += len(data)


def _mark(descriptor: int) -> None:
    """Have a second witness of the boot, where the file system can."""
    for attribute in _BOOT_ATTRIBUTES:
        with contextlib.suppress(OSError):
            os.setxattr(descriptor, attribute, boot_id())
            return


def _boot_in(head: bytes) -> bytes:
    """In which boot a journal was made, as its head says, empty if that is not whole."""
    boot = head[len(MAGIC) : HEAD.size - COUNT.size]
    is_whole = len(boot) == _BOOT_SIZE and not boot.translate(None, _BOOT_BYTES)
    return boot if head.startswith(_MAGICS) and is_whole else b""


def _boot_of(path: str, descriptor: int, head: bytes) -> bytes:
    """In which boot a journal was made, empty if it says nothing. Raises ValueError."""
    if boot := _boot_in(head):
        return boot
    if head.strip(b"\0") and not head.startswith(_MAGICS):
        raise ValueError(
            f"{path} is not a journal that this version can read; remove it when no guest is left"
        )
    # As after a power cut: the file is there, its contents were not written, or not all. The attribute
    # knows whether it was one, or somebody has emptied or cut the file.
    for attribute in _BOOT_ATTRIBUTES:
        with contextlib.suppress(OSError):
            return os.getxattr(descriptor, attribute)
    if _has_data(descriptor, 0):
        raise damaged(path, "its head is missing")
    return b""
