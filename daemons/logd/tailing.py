"""Reading on in a log that is written: through rotations, and when somebody cuts or removes its file.

The file that is read is held open, so that it can be read to its end whatever becomes of its name,
and so that its inode's number cannot be given to another file. Whether its data was cut short is
told by the log that writes it, exactly; for a log that nobody writes to, by its size.

Everything here is called on threads, by one at a time.

Source: the behaviour of `tail -F` of the GNU coreutils.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Final

from aiovirt.daemons.logd.protocol import Position
from aiovirt.daemons.logd.reading import Opened, Piece, close_all, open_chain, read_at
from aiovirt.daemons.logd.rotating import Marks, Rotation

_NOBODYS: Final = Marks(0)
#: How often files are opened at once when the log is rotated meanwhile.
_TRIES: Final = 5


class Tail:
    """A place in a log, and what comes from there on.

    fresh: that the position's file is not there does not mean that something was missed. marks: asks the
    log that writes the file, None when nobody writes.
    """

    def __init__(
        self,
        path: str,
        rotation: Rotation,
        position: Position,
        *,
        fresh: bool = False,
        marks: Callable[[], Marks] | None = None,
    ) -> None:
        self._path = path
        self._rotation = rotation
        self._position = position
        self._gap = False
        self._fresh = fresh
        self._marks = marks or (lambda: _NOBODYS)
        self._written = marks is not None
        self._known = _NOBODYS  # the marks that the place takes into account
        self._cuts_told = 0  # those for which a gap was told in a file that was rotated meanwhile
        self._number = 0  # of the file that is held: how many rotations came before it
        self._file: Opened | None = None
        self._older: set[int] = set()  # inodes of rotated files that were read before, or never
        self._lock = threading.Lock()
        self._closed = False

    def read(self, maxlen: int) -> Piece:
        """The next bytes, at most `maxlen` bytes; nothing when there is not more at the moment.

        Raises OSError; FileNotFoundError when there is no file and nobody writes one.
        """
        with self._lock:
            if self._closed:
                return Piece(b"", self._position, True)
            data = b""
            if self._file is not None or self._begin():
                while not (data := self._read_here(maxlen)) and self._go_on():
                    pass
            gap = bool(data) and self._gap
            self._gap = self._gap and not gap
            return Piece(data, self._position, not gap)

    def close(self) -> None:
        """Let go of the file; after a read that is under way."""
        with self._lock:
            self._closed = True
            self._hold(None)

    def _begin(self) -> bool:
        """Find the position's file; whether there is a file at all."""
        found = self._open_all()
        if found is None:
            return False
        chain, marks = found
        at = next((at for at, file in enumerate(chain) if file.inode == self._position.inode), None)
        if at is None:
            at = 0
            self._gap = self._gap or not self._fresh
            self._position = Position(chain[0].inode, 0)
        self._fresh = False
        self._known = marks
        self._take(chain, at, marks)
        return True

    def _open_all(self) -> tuple[list[Opened], Marks] | None:
        """Open all files, and take the marks that belong to them.

        None while there are none, or while the log turns from one to the next: it calls again then.
        Raises OSError; FileNotFoundError when there is no file and nobody writes one.
        """
        for _ in range(_TRIES):
            marks = self._marks()
            if marks.turning:
                continue
            try:
                chain = open_chain(self._path, self._rotation.max_backups)
            except FileNotFoundError:
                if self._written:
                    return None
                raise
            if self._marks() == marks:
                return chain, marks
            close_all(chain)  # some of them are from before a rotation
        return None

    def _take(self, chain: list[Opened], at: int, marks: Marks) -> None:
        self._hold(chain[at])
        if marks.inode == chain[at].inode:
            self._known = marks  # else a newer file may be the one that was cut or removed
        self._number = _number(chain, at, marks)
        self._older = {file.inode for file in chain[:at]}
        close_all(file for file in chain if file is not chain[at])

    def _hold(self, file: Opened | None) -> None:
        old, self._file = self._file, file
        if old is not None:
            close_all([old])

    def _read_here(self, maxlen: int) -> bytes:
        """The bytes at the position in the file that is held."""
        file = self._file
        if file is None:
            return b""
        if file.error is None:
            self._mind_cuts(file)
        inode, offset = self._position.inode, self._position.offset
        data = read_at(file, offset, maxlen)
        self._position = Position(inode, offset + len(data))
        return data

    def _mind_cuts(self, file: Opened) -> None:
        """Move the position if the file was cut short: to where its new data begins."""
        if self._follow_cut(file):
            return
        size = os.fstat(file.descriptor).st_size
        if size >= self._position.offset or self._follow_cut(file):
            return
        # The log has not seen this cut, so nothing was written after it yet. Without a log, who knows?
        self._move_to(file, size if self._marks().inode == file.inode else 0)

    def _follow_cut(self, file: Opened) -> bool:
        """Move to where the log says that new data begins, if it has seen a cut since."""
        marks = self._marks()
        if marks.cuts == self._known.cuts:
            return False
        if marks.inode != file.inode:
            # It was this file before it was rotated, or a newer one: a gap is told in both.
            self._gap = self._gap or marks.cuts != self._cuts_told
            self._cuts_told = marks.cuts
            return False
        self._known = self._known._replace(cuts=marks.cuts)
        self._move_to(file, marks.cut_at)
        return True

    def _move_to(self, file: Opened, offset: int) -> None:
        self._position = Position(file.inode, offset)
        self._gap = True

    def _go_on(self) -> bool:
        """At the end of a file: turn to the one that is written after it; whether there is one."""
        file = self._file
        if file is None:
            return False
        try:
            found = self._open_all()
        except FileNotFoundError:
            return False
        if found is None:
            return False
        chain, marks = found
        inodes = [one.inode for one in chain]
        there = file.inode in inodes
        at = inodes.index(file.inode) + 1 if there else self._first_newer(file, chain)
        if at == len(chain):
            close_all(chain)
            return False
        if os.fstat(file.descriptor).st_size > self._position.offset:
            close_all(chain)  # more was written before the turn
            return True
        rotated_away = _number(chain, at, marks) > self._number + 1
        known = self._known
        if rotated_away or (marks.cuts, marks.removals) != (known.cuts, known.removals):
            self._gap = True
        self._position = Position(chain[at].inode, 0)
        self._take(chain, at, marks)
        return True

    def _first_newer(self, file: Opened, chain: list[Opened]) -> int:
        """Where in a chain that has not got `file` those begin that were written after it."""
        last = os.fstat(file.descriptor).st_mtime_ns
        for at, one in enumerate(chain):
            modified = os.fstat(one.descriptor).st_mtime_ns
            # A number that is known may have been given to another file since.
            if one.inode not in self._older or modified > last:
                return at
        return len(chain)


def _number(chain: list[Opened], at: int, marks: Marks) -> int:
    """How many rotations came before a file of a chain."""
    return marks.rotations - (len(chain) - 1 - at)
