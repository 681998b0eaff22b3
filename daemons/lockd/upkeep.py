"""Keeping the journal where the next lockd will find it, and taking again what could not be taken.

A file system may be full, its disk may fail, and somebody may remove or cut the journal. lockd goes on
then, says so once, and tries again every few seconds. What it holds, it holds: that is in memory and in
the kernel. Without any journal it gives no further lock, since a lock that is not written down would be
given twice after `kill -9`.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import Final, NoReturn

import msgspec

from aiovirt.daemons.lockd.holder import Holder
from aiovirt.daemons.lockd.journal import Journal
from aiovirt.daemons.lockd.journal_format import pack_owner
from aiovirt.daemons.lockd.space import holders
from aiovirt.daemons.lockd.table import LockTable
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_log = get_logger("daemons.lockd.upkeep")

#: Seconds between two looks.
CHECK_EVERY: Final = 2.0


class Inherited(msgspec.Struct, frozen=True):
    """The work that is left after a restart. journal: its descriptor, -1 without one.

    endings: processes that the earlier program was about to end.
    """

    journal: int
    endings: list[Holder]


class NoJournal:
    """In the place of a journal that cannot be made: nothing can be written down."""

    def __init__(self, error: OSError) -> None:
        self._error = error

    def add(self, directory: str, name: str, flags: int, owner: bytes, since: float) -> NoReturn:
        """Raise OSError."""
        reason = self._error.strerror or str(self._error)
        raise OSError(self._error.errno or errno.EIO, f"there is no journal: {reason}")

    def remove(self, slot: int) -> None:
        """There is nothing to strike out."""

    def settle(self) -> None:
        """Nor is there anything that waits for it."""


class Upkeep:
    """The journal of a table of locks, at `path`, and what waits to be tried again."""

    def __init__(self, table: LockTable, path: str) -> None:
        self.path = path
        self._table = table
        self._timer: asyncio.TimerHandle | None = None
        self._failure = ""

    @property
    def journal(self) -> Journal | None:
        """The journal, if there is one."""
        journal = self._table.journal
        return journal if isinstance(journal, Journal) else None

    def begin(self, journal: Journal | None) -> None:
        """Go on with a journal, or make one, and look after it from now on."""
        self._use(journal)
        self._check_journal()
        self._check_later()

    def check(self) -> None:
        """Look whether everything is as it should be, and mend what can be mended."""
        self._check_later()  # first: nothing that is found here is the last look
        self._table.holders.reserve.fill()
        self._table.settle()
        self._check_journal()
        for resource in list(self._table.resources()):
            if resource.descriptor < 0:
                with contextlib.suppress(RpcError):  # it was logged when it failed first
                    resource.space.lock_again(resource)
                    _log.warning("lock recovered", resource=resource.path, owner=holders(resource))
        for holder in self._table.holders:
            if holder.holdings:
                holder.look()

    def _check_later(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(CHECK_EVERY, self.check)

    def _check_journal(self) -> None:
        journal = self.journal
        try:
            if journal is not None and self._is_whole(journal):
                self._failure = ""
                return
            self.write_anew()
        except OSError as error:
            self._say(error)
            if journal is None:
                self._table.journal = NoJournal(error)
            return
        if journal is not None or self._failure:
            _log.warning("journal made anew", path=self.path, locks=self._table.held)
        self._failure = ""

    def _is_whole(self, journal: Journal) -> bool:
        """Whether the next lockd will find all that is held. Raises OSError."""
        return (
            journal.is_in_place()
            and not journal.damaged
            and journal.has_all(holding.slot for holding in self._table.holdings())
        )

    def _say(self, error: OSError) -> None:
        """Log what is wrong with the journal, once for each reason."""
        reason = error.strerror or str(error)
        if reason != self._failure:
            self._failure = reason
            _log.error(
                "no journal can be kept: after kill -9 the locks would be lost",
                path=self.path,
                reason=reason,
            )

    def write_anew(self) -> None:
        """Put a new journal of all that is held in the place of the present one. Raises OSError."""
        journal = self._table.holders.reserve.use(lambda: Journal.create(self.path))
        try:
            if (self.journal or journal).is_another_s():
                raise OSError(errno.EBUSY, "another lockd has its journal there")
            slots = [
                journal.add(
                    holding.resource.space.directory or "",
                    holding.resource.name,
                    holding.resource.flags,
                    pack_owner(holding.owner, holding.holder.start),
                    holding.since,
                )
                for holding in self._table.holdings()
            ]
            journal.publish()
        except BaseException:
            journal.withdraw()
            raise
        for holding, slot in zip(self._table.holdings(), slots, strict=True):
            holding.slot = slot
        former = self.journal
        self._use(journal)
        if former is not None:
            former.leave()

    def _use(self, journal: Journal | None) -> None:
        self._table.journal = journal

    def require_journal(self) -> None:
        """Raise RpcError unless the next lockd will find what is held."""
        self._check_journal()
        if self._table.held and (self.journal is None or self._failure):
            raise RpcError(
                ErrorCode.OPERATION_FAILED,
                f"the locks cannot be preserved: no journal can be kept at {self.path}:"
                f" {self._failure}",
                domain=ErrorDomain.LOCKSPACE,
            )

    def finish(self) -> None:
        """Leave the journal to the next lockd if a process that runs holds anything; else remove it."""
        if self._timer is not None:
            self._timer.cancel()
        left = sum(not holding.holder.has_ended() for holding in self._table.holdings())
        if left:
            self._check_journal()
        journal = self.journal
        if left:
            _log.warning(
                "locks are left to the next lockd: their holders run",
                locks=left,
                journal=self.path if journal is not None else None,
            )
        if journal is not None and left:
            journal.leave()
        elif journal is not None:
            try:
                journal.close()
            except OSError as error:
                _log.error("journal cannot be removed", path=self.path, reason=error.strerror)
