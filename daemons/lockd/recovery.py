"""After lockd was killed: the locks of those who still run are taken again before anybody else can.

The kernel drops the locks of a killed lockd, but its holders do not know and write on. What they held is
in the journal. A holder whose process is gone holds nothing any more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator

from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch
from aiovirt.daemons.lockd.fate import started_at
from aiovirt.daemons.lockd.journal import Journal, Record, pack_owner, read
from aiovirt.daemons.lockd.space import Holding
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.wire.errors import RpcError

_log = get_logger("daemons.lockd.recovery")


def recover(service: LockSpaceDispatch, path: str) -> None:
    """Take up the journal at `path` and keep one there.

    Raises OSError, and ValueError for one that this version cannot read. Then nobody may be served: a
    lock could be given twice.
    """
    left = read(path)
    journal = Journal(path)
    service.keep_journal(journal)
    pids = {record.owner.pid for record in left if _take_again(service, record)}
    journal.publish()
    for pid in pids:
        _watch(service, pid)


def write_anew(service: LockSpaceDispatch, path: str) -> None:
    """Keep a journal of all that is held already.

    Raises OSError, and what mmap raises for a full disk; then there is no journal, not even the old one,
    which would soon be wrong.
    """
    try:
        _write_anew(service, path)
    except BaseException:
        for stale in (path, f"{path}.new"):
            with contextlib.suppress(OSError):
                os.unlink(stale)
        raise


def _write_anew(service: LockSpaceDispatch, path: str) -> None:
    journal = Journal(path)
    for space in service.all_spaces():
        for resource in space.resources.values():
            for holding in resource.holdings:
                holding.slot = journal.add(
                    space.directory or "",
                    resource.name,
                    resource.flags,
                    pack_owner(holding.owner, holding.start),
                    holding.since,
                )
    journal.publish()
    service.keep_journal(journal)


def watch_recovered(service: LockSpaceDispatch) -> None:
    """Watch the owners of all recovered locks again: those whose client was one of a killed lockd."""
    for pid in {holding.owner.pid for holding in _holdings(service) if not holding.client}:
        _watch(service, pid)


def _holdings(service: LockSpaceDispatch) -> Iterator[Holding]:
    for space in service.all_spaces():
        for resource in space.resources.values():
            yield from resource.holdings


def _take_again(service: LockSpaceDispatch, record: Record) -> bool:
    owner = record.owner
    where = f"{record.directory}/{record.name}" if record.directory else record.name
    if record.start is None or started_at(owner.pid) != record.start:
        _log.info("holder is gone, so is its lock", resource=where, owner=owner.name, pid=owner.pid)
        return False
    try:
        service.space_at(record.directory).acquire(
            record.name,
            record.flags,
            owner,
            0,
            pack_owner(owner, record.start),
            record.since,
            record.start,
        )
    except RpcError as error:
        _log.error("lock not recovered", resource=where, owner=owner.name, because=error.message)
        return False
    _log.warning("lock recovered", resource=where, owner=owner.name, pid=owner.pid)
    return True


def _watch(service: LockSpaceDispatch, pid: int) -> None:
    """Give the recovered locks of a process back when it ends: no connection of its tells us."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        _release(service, pid)
        return
    loop = asyncio.get_running_loop()

    def gone() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        _release(service, pid)

    loop.add_reader(descriptor, gone)


def _release(service: LockSpaceDispatch, pid: int) -> None:
    for space in service.all_spaces():
        while space.release_owner(pid):
            pass
    _log.info("holder of recovered locks has ended", pid=pid)
