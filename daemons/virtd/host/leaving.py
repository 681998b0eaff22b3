"""Guests that leave: the source of a migration.

The phases are libvirt's: begin says what the guest is, perform sends its memory and leaves it paused,
confirm ends it here, or lets it run on when it did not arrive.

Source: libvirt's src/qemu/qemu_migration.c (qemuMigrationSrcBegin, qemuMigrationSrcPerformPhase,
qemuMigrationSrcConfirm, qemuMigrationSrcRestoreDomainState).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final

from aiovirt.daemons.virtd.constants.domain import (
    DomainPausedReason,
    DomainRunningReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventStoppedDetailType,
    DomainEventSuspendedDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import (
    disk_copies,
    job_statistics,
    lifecycle,
    migration,
    migration_cookie,
    migration_refusals,
    moving,
)
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.domain import JOB, JOB_DONE, Domain
from aiovirt.daemons.virtd.host.migration import Request
from aiovirt.daemons.virtd.host.migration_cookie import SMALL, Luggage
from aiovirt.daemons.virtd.host.migration_settings import limit
from aiovirt.daemons.virtd.host.timers import RETRY
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

#: Timers of a guest that has arrived, see `note_arrival`, and of one that has not.
ARRIVED: Final = "migrated"
ARRIVED_UNDEFINED: Final = "migrated-undefined"
_LATER: Final = "migration"
_SOON: Final = 0.001


def begin(domain: Domain, request: Request, owner: str) -> tuple[str, bytes]:
    """Begin: return the document of the guest, and the message to the other side.

    Args:
        domain: the guest.
        request: what is asked for.
        owner: the client that asks.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run or has snapshots; see
            `migration.check`.
    """
    migration.require_no_other(domain)
    check(domain, request)
    text, cookie = described(domain, request)
    if request.has(Flags.CHANGE_PROTECTION) and not request.has(Flags.OFFLINE):
        _begin_job(domain, request, owner, migration.BEGUN)
    return text, cookie


def described(domain: Domain, request: Request) -> tuple[str, bytes]:
    """Return the document of a guest for the other side, and the message. Raises RpcError."""
    disks = disk_copies.capacities(domain, request)
    cookie = migration_cookie.write(domain, name=domain.name, disks=disks)
    return _document(domain, request), cookie


def check(domain: Domain, request: Request) -> None:
    """Refuse a guest that cannot leave.

    Args:
        domain: the guest.
        request: what is asked for.

    Raises:
        RpcError: OPERATION_INVALID; INVALID_ARG for a disk that it does not have.
    """
    if request.has(Flags.POSTCOPY_RESUME):
        domain.require_active()
        text = f"domain '{domain.name}' is not being migrated"
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)
    if not request.has(Flags.OFFLINE):
        domain.require_active()
    migration_refusals.check(domain, request)
    migration.check_combination(request)
    disk_copies.capacities(domain, request)


def _document(domain: Domain, request: Request) -> str:
    """The document for the other side, with its secrets and without what belongs to this one."""
    if request.xml is None:
        return cached("domain", domain.record.text).text(secure=True, inactive=True)
    return domain.host.documents.define_same(request.xml, domain.record.uuid, domain.name).text


def _begin_job(domain: Domain, request: Request, owner: str, phase: str) -> None:
    state, function = int(domain.record.state), request.function
    fields = {"was": state, "function": function, "postcopy": request.has(Flags.POSTCOPY)}
    migration.begin_job(domain, migration.OUT, owner, phase=phase, **fields)


# Sending ---------------------------------------------------------------------------------------------


def start(domain: Domain, request: Request, owner: str) -> None:
    """Make sure that a guest whose memory is to be sent has a job. Raises RpcError."""
    migration.check_options(request)
    if request.has(Flags.CHANGE_PROTECTION):
        migration.require_job(domain, migration.OUT)
        migration.go_on(domain, migration.MOVING)
        return
    migration.require_no_other(domain)
    check(domain, request)
    _begin_job(domain, request, owner, migration.MOVING)


async def send(domain: Domain, request: Request, is_lost: Callable[[], str | None]) -> bytes:
    """Send the memory of a guest: it is paused then, and waits for `confirm`.

    Args:
        domain: the guest; `start` came first.
        request: what is asked for.
        is_lost: tells why the migration has to fail, None while nothing is wrong.

    Returns:
        The message to the other side.

    Raises:
        RpcError: OPERATION_ABORTED for a job that was aborted, OPERATION_FAILED for one that failed; the
            guest runs on here then.
    """
    host, number = domain.host, domain.record.number
    one = moving.Moving(
        domain.record.facts.memory * 1024,
        host.pace.migration,
        request.bandwidth or limit(domain),
        disk_copies.amount(domain, request),
    )
    host.migrations.moving[domain.uuid] = one

    def is_over() -> str | None:
        if not domain.is_active or domain.record.number != number:
            return "domain is not running"
        return is_lost()

    try:
        if not request.has(Flags.LIVE):
            await host.emulators.attempt(partial(_pause, domain))
        disk_copies.tell(domain, request, done=False)
        domain.emit(DomainEventID.MIGRATION_ITERATION, 1)
        await one.run(is_over)
        why = one.why_stopped or is_over()
        if why is not None:
            aborted = why == _ABORTED
            code = ErrorCode.OPERATION_ABORTED if aborted else ErrorCode.OPERATION_FAILED
            raise domain.refused(code, why)
        await host.emulators.attempt(partial(_pause, domain, switched=one.switched))
        disk_copies.tell(domain, request, done=True)
        domain.emit(DomainEventID.MIGRATION_ITERATION, 2)
        migration.go_on(domain, migration.MOVED)
        return _farewell(domain, request, one)
    finally:
        host.migrations.moving.pop(domain.uuid, None)


def _pause(domain: Domain, *, switched: bool = False) -> None:
    """Pause a guest that runs, since its memory is complete on the other side or follows it there."""
    if domain.record.state == DomainState.RUNNING:
        domain.change(
            state=DomainState.PAUSED,
            reason=DomainPausedReason.MIGRATION,
            began=None,
            ran=domain.ran(),
        )
        domain.host.migrations.guest_paused(domain.uuid)
        domain.host.emulators.changed(domain)
        detail = DomainEventSuspendedDetailType.MIGRATED
        domain.emit(DomainEventID.LIFECYCLE, DomainEventType.SUSPENDED, detail)
    if switched:
        domain.change(reason=DomainPausedReason.POSTCOPY)
        detail = DomainEventSuspendedDetailType.POSTCOPY
        domain.emit(DomainEventID.LIFECYCLE, DomainEventType.SUSPENDED, detail)


def _farewell(domain: Domain, request: Request, one: moving.Moving) -> bytes:
    """The message with what goes along with the guest."""
    record, now, numbers = domain.record, domain.host.clock.now(), one.finished()
    small = {field: record.details[name] for name, field in SMALL.items() if name in record.details}
    luggage = Luggage(
        ran=domain.ran(),
        age=max(0, now - record.booted),
        now=now,
        agent=record.facts.agent == "connected",
        numbers=numbers,
        postcopy=one.switched,
        **small,
    )
    with domain.host.store.batch():
        domain.keep(JOB_DONE, numbers)
    config = definition(domain, request) if request.has(Flags.PERSIST_DEST) else None
    return migration_cookie.write(domain, name=domain.name, config=config, luggage=luggage)


def definition(domain: Domain, request: Request) -> str | None:
    """Return the definition that a guest is to have on the other side, None without one."""
    if request.persistent_xml is not None:
        return domain.host.documents.define("domain", request.persistent_xml).text
    return domain.record.config


# The end ---------------------------------------------------------------------------------------------

_ABORTED: Final = "job 'migration out' canceled by client"


def abort(domain: Domain) -> None:
    """Abort the migration of a guest that leaves. Raises RpcError without one, or after the switch."""
    migration.require_job(domain, migration.OUT)
    one = moving.of(domain)
    if domain.record.reason == DomainPausedReason.POSTCOPY or (one is not None and one.switched):
        text = "cannot abort migration in post-copy mode"
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)
    if one is not None:
        one.stop(_ABORTED)


def switch(domain: Domain) -> None:
    """Have a guest that leaves run on the other side at once (post-copy).

    Raises RpcError OPERATION_INVALID for a guest that does not leave, or not in this way.
    """
    found = migration.job(domain, migration.OUT)
    if found is None:
        text = "post-copy can only be started while outgoing migration is in progress"
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)
    if not found.get("postcopy"):
        text = (
            "switching to post-copy requires migration to be started with VIR_MIGRATE_POSTCOPY flag"
        )
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)
    one = moving.of(domain)
    if one is not None:
        one.switch()


def confirm(domain: Domain, request: Request, *, arrived: bool) -> None:
    """End a guest that has arrived, or let it run on here.

    Args:
        domain: the guest.
        request: what was asked for.
        arrived: whether it runs on the other side.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not leave.
    """
    if request.has(Flags.OFFLINE):
        if arrived and request.has(Flags.UNDEFINE_SOURCE) and not domain.is_active:
            domain.host.domains.remove(domain)
        return
    migration.require_job(domain, migration.OUT)
    if arrived or has_arrived(domain):
        _end(domain, undefine=request.has(Flags.UNDEFINE_SOURCE))
    else:
        stay(domain)


def _end(domain: Domain, *, undefine: bool) -> None:
    """End a guest that runs on the other side. Raises RpcError when that cannot be stored."""
    numbers = domain.detail(JOB_DONE, {})
    with domain.host.store.batch():
        migration.end_job(domain)
        if undefine:
            domain.change(config=None, autostart=False, saved=None)
        lifecycle.stop(domain, DomainShutoffReason.MIGRATED, DomainEventStoppedDetailType.MIGRATED)
        if numbers:
            domain.emit(DomainEventID.JOB_COMPLETED, job_statistics.parameters(numbers))


# Whatever fails here, a guest that runs on the other side does not run on this one -------------------


async def arrived(domain: Domain, request: Request) -> None:
    """End a guest of which the other side has said that it runs there.

    The guest never runs on here. When its end cannot be stored, that is tried again until it is.

    Args:
        domain: the guest.
        request: what was asked for.

    Raises:
        RpcError: it has no migration, or its end cannot be stored now.
    """
    end = partial(confirm, domain, request, arrived=True)
    if not request.has(Flags.OFFLINE):
        migration.require_job(domain, migration.OUT)
        note_arrival(domain, undefine=request.has(Flags.UNDEFINE_SOURCE))
    await domain.host.emulators.attempt(end)


def note_arrival(domain: Domain, *, undefine: bool) -> None:
    """Note that a guest runs on the other side, and end it here soon; also after a restart.

    Args:
        domain: the guest.
        undefine: its definition goes, too.
    """
    host = domain.host
    host.migrations.arrived[domain.uuid] = domain.record.number
    what = ARRIVED_UNDEFINED if undefine else ARRIVED
    host.timers.after(RETRY, (domain.uuid, what), _end_later, domain, undefine)


def has_arrived(domain: Domain) -> bool:
    """Return whether the other side has said that a guest runs there."""
    number = domain.host.migrations.arrived.get(domain.uuid)
    return number is not None and number == domain.record.number


def _end_later(domain: Domain, undefine: bool) -> None:
    """End a guest that runs on the other side, if it is still here. Raises RpcError."""
    if has_arrived(domain) and migration.job(domain, migration.OUT) is not None:
        _end(domain, undefine=undefine)
    domain.host.migrations.arrived.pop(domain.uuid, None)


def lose(domain: Domain) -> None:
    """Take the job from a guest that may run on the other side: it stays paused here.

    That is tried again until it can be stored. Nothing happens to a guest without such a job.
    """
    if migration.job(domain, migration.OUT) is None or has_arrived(domain):
        return
    try:
        migration.end_job(domain)
    except RpcError:
        domain.host.timers.after(RETRY, (domain.uuid, _LATER), lose, domain)


def stay(domain: Domain) -> None:
    """Take the job from a guest that did not leave: it runs on if it ran before. Raises RpcError.

    Nothing happens to a guest that has arrived on the other side.
    """
    found = migration.job(domain, migration.OUT)
    if found is None or has_arrived(domain):
        return
    record = domain.record
    wanted = found["was"] == DomainState.RUNNING and record.state == DomainState.PAUSED
    if wanted:
        domain.host.emulators.resumes(domain)
    with domain.host.store.batch():
        domain.change(
            details={
                name: kept for name, kept in record.details.items() if name not in (JOB, JOB_DONE)
            }
        )
        migration.end_job(domain)
        if wanted:
            lifecycle.run_on(domain, DomainRunningReason.MIGRATION_CANCELED)


async def stay_later(domain: Domain) -> None:
    """Have a guest that did not leave run on, with its locks; later if that cannot be stored now."""
    try:
        await domain.host.emulators.attempt(partial(stay, domain))
    except asyncio.CancelledError:
        stay_soon(domain)
        raise
    except RpcError:
        stay_soon(domain)


def stay_soon(domain: Domain) -> None:
    """Have a guest that did not leave run on, as soon as that can be stored."""
    domain.host.timers.after(_SOON, (domain.uuid, _LATER), stay, domain)
