"""Going on with the locks of an earlier program: of one that was killed, or of one that executed this.

The kernel drops the locks of a killed lockd, but its holders do not know and write on. What they held is
in the journal, and it is taken again before anybody else can. A holder whose process is known to have
ended holds nothing any more. What cannot be taken again at once is kept from others all the same.
"""

from __future__ import annotations

import os
import time
from typing import Final

from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch
from aiovirt.daemons.lockd.holder import NO_PROCESS
from aiovirt.daemons.lockd.journal import Journal, find, take_over
from aiovirt.daemons.lockd.journal_format import Entry
from aiovirt.daemons.lockd.protocol import AcquireFlags
from aiovirt.daemons.lockd.upkeep import Upkeep
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.wire.errors import RpcError

_log = get_logger("daemons.lockd.recovery")

#: Seconds that a start waits for the journal if another process has it, and between two looks.
CLAIM_WITHIN: Final = 3.0
_CLAIM_EVERY: Final = 0.05


def recover(service: LockSpaceDispatch, path: str) -> None:
    """Take up the journal at `path` and keep one there.

    Raises ValueError for one that is damaged, unreadable or another lockd's. Then nobody may be served:
    a lock could be given twice.
    """
    try:
        found = find(path)
        journal, entries = (None, []) if found is None else _claimed(found)
    except OSError as error:
        raise ValueError(f"the journal {path} cannot be read: {error.strerror}") from error
    upkeep = service.upkeep = Upkeep(service.table, path)
    service.holders.reserve.fill()
    superseded = _superseded(entries)
    for entry in entries:
        if (entry.slot in superseded or not _take_again(service, entry)) and journal is not None:
            journal.remove(entry.slot)
    if journal is not None:
        journal.settle()
    upkeep.begin(journal)
    _watch_recovered(service)
    service.holders.reserve.drain()  # however many locks there are, sockets can be opened


def _claimed(found: tuple[Journal, list[Entry]]) -> tuple[Journal, list[Entry]]:
    """A journal and what is in it, once no other lockd has it. Raises as `find` does.

    A lockd that was killed during a restart leaves the rehearsal of it, which is soon gone, too.
    """
    journal = found[0]
    patience = time.monotonic() + CLAIM_WITHIN
    while True:
        try:
            journal.claim()
        except ValueError:
            if time.monotonic() > patience:
                raise
            time.sleep(_CLAIM_EVERY)
        else:
            return take_over(journal.path, journal.descriptor) or (journal, [])


def _superseded(entries: list[Entry]) -> set[int]:
    """Slots of records that a later one contradicts: a lock was given back and given again.

    A record that could not be struck out stays (see `journal`), so a killed lockd may leave two of one
    resource that was not shared. The later one is true.
    """
    latest: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        record = entry.record
        known = latest.setdefault((record.directory, record.name), entry)
        if record.since > known.record.since:
            latest[record.directory, record.name] = entry
    found: set[int] = set()
    for entry in entries:
        record = entry.record
        last = latest[record.directory, record.name]
        both_share = record.flags & last.record.flags & AcquireFlags.SHARED
        if last is not entry and not both_share:
            found.add(entry.slot)
    return found


def go_on(service: LockSpaceDispatch, path: str) -> None:
    """Begin to act on what `state.restore` has read: nothing has been touched until now.

    Does nothing when there is nothing to go on with.
    """
    inherited, service.inherited = service.inherited, None
    if inherited is None:
        return
    for resource in service.table.resources():
        if resource.descriptor >= 0:
            os.set_inheritable(resource.descriptor, False)
    for holder in service.holders:
        if holder.descriptor >= 0:
            os.set_inheritable(holder.descriptor, False)
    upkeep = service.upkeep = Upkeep(service.table, path)
    upkeep.begin(_journal_of(service, path, inherited.journal))
    _watch_recovered(service)
    for holder in inherited.endings:
        service.end_holder(holder, "it was to end before the restart")


def _journal_of(service: LockSpaceDispatch, path: str, descriptor: int) -> Journal | None:
    """The journal of the program before this one, if it says what is held."""
    if descriptor < 0:
        return None
    os.set_inheritable(descriptor, False)
    try:
        found = take_over(path, descriptor)
    except (OSError, ValueError) as error:
        _log.error("journal cannot be gone on with", path=path, reason=str(error))
        found = None
    if found is not None:
        journal, entries = found
        held = {holding.slot: holding for holding in service.table.holdings()}
        written = {entry.slot: entry for entry in entries}
        if all(
            slot in written and written[slot].record.name == holding.resource.name
            for slot, holding in held.items()
        ):
            journal.claim()  # an earlier version has not
            for slot in written.keys() - held.keys():
                journal.remove(slot)  # what the program before this one could not strike out
            journal.settle()
            return journal
    os.close(descriptor)
    return None


def _take_again(service: LockSpaceDispatch, entry: Entry) -> bool:
    """Hold again what a record says. Returns whether its holder may still run."""
    record = entry.record
    owner = record.owner
    where = f"{record.directory}/{record.name}" if record.directory else record.name
    holder = service.holders.named(owner.pid, record.start)
    if record.start == NO_PROCESS or holder.has_ended():
        _log.info("holder is gone, so is its lock", resource=where, owner=owner.name, pid=owner.pid)
        service.holders.let_go(holder)
        return False
    space = service.space_at(record.directory, make=False)
    resource = space.enter(record.name, record.flags, owner, holder, record.since, entry.slot)
    try:
        space.lock_again(resource)
    except RpcError as error:
        _log.error(
            "lock not recovered; it is kept from others and tried again",
            resource=where,
            owner=owner.name,
            reason=error.message,
        )
    else:
        _log.warning("lock recovered", resource=where, owner=owner.name, pid=owner.pid)
    return True


def _watch_recovered(service: LockSpaceDispatch) -> None:
    """Give recovered locks back when their holders end: no connection of theirs tells us."""
    for holder in {one.holder for one in service.table.holdings() if not one.client}:
        service.release_when_ended(holder)
