"""Incidents: what happens to guests though no client has asked for it.

The state of a guest changes as its hypervisor would see it, and the events are told in the order in
which that tells them.

Source: libvirt's src/qemu/qemu_process.c (qemuProcessHandle*) and src/qemu/qemu_driver.c
(processGuestPanicEvent, processMonitorEOFEvent).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.virtd.constants.domain import (
    DomainDiskErrorCode,
    DomainPausedReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventIOErrorAction,
    DomainEventStoppedDetailType,
    DomainEventSuspendedDetailType,
    DomainEventType,
    DomainEventWatchdogAction,
)
from aiovirt.daemons.virtd.host import agent, ending, lifecycle
from aiovirt.rpc.wire.errors import ErrorCode

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Disk, Domain

#: The small thing of a domain that says which disks have failed.
_DISK_ERRORS = "disk-errors"


def kill(domain: Domain) -> None:
    """Let the process of a guest end. Raises RpcError as `crash` does."""
    domain.require_active()
    lifecycle.stop(domain, DomainShutoffReason.CRASHED, DomainEventStoppedDetailType.FAILED)


def io_error(domain: Domain, disk: str, action: DomainEventIOErrorAction, reason: str) -> None:
    """Let a disk of a guest fail.

    Args:
        domain: the guest.
        disk: its target or source; empty for the first one.
        action: whether the guest is paused for it.
        reason: "enospc", or empty.

    Raises:
        RpcError: as `crash` does; INVALID_ARG for a disk that does not exist.
    """
    domain.require_active()
    failed = find_disk(domain, disk)
    with domain.host.store.batch():
        domain.emit(DomainEventID.IO_ERROR, failed.source, failed.alias, int(action))
        told = failed.source, failed.alias, int(action), reason
        domain.emit(DomainEventID.IO_ERROR_REASON, *told)
        if action == DomainEventIOErrorAction.PAUSE and domain.record.state == DomainState.RUNNING:
            space = reason == "enospc"
            code = DomainDiskErrorCode.NO_SPACE if space else DomainDiskErrorCode.UNSPEC
            domain.keep(_DISK_ERRORS, {failed.target: int(code)})
            suspend(domain, DomainPausedReason.IOERROR, DomainEventSuspendedDetailType.IOERROR)


def disk_errors(domain: Domain) -> dict[str, int]:
    """Return the errors of disks for which a guest is paused, by target, as DomainDiskErrorCode."""
    record = domain.record
    if (record.state, record.reason) != (DomainState.PAUSED, DomainPausedReason.IOERROR):
        return {}
    found: dict[str, int] = domain.detail(_DISK_ERRORS, {})
    return found


def find_disk(domain: Domain, disk: str) -> Disk:
    """Return a disk by target or source, the first for an empty name. Raises RpcError INVALID_ARG."""
    disks = domain.record.facts.disks
    found = domain.record.facts.disk(disk) if disk else next(iter(disks), None)
    if found is None:
        raise domain.refused(ErrorCode.INVALID_ARG, f"no disk '{disk}' in domain '{domain.name}'")
    return found


def watchdog(domain: Domain, action: DomainEventWatchdogAction) -> None:
    """Let the watchdog of a guest expire. Raises RpcError as `crash` does.

    Args:
        domain: the guest.
        action: what the watchdog does.
    """
    domain.require_active()
    with domain.host.store.batch():
        domain.emit(DomainEventID.WATCHDOG, int(action))
        if domain.record.state != DomainState.RUNNING:
            return
        if action == DomainEventWatchdogAction.PAUSE:
            suspend(domain, DomainPausedReason.WATCHDOG, DomainEventSuspendedDetailType.WATCHDOG)
        elif action == DomainEventWatchdogAction.RESET:
            ending.rebooted(domain)
        elif action in (DomainEventWatchdogAction.POWEROFF, DomainEventWatchdogAction.SHUTDOWN):
            ending.shut_down_now(domain)


def suspend(domain: Domain, reason: int, detail: int) -> None:
    """Pause a running guest for any reason. Raises RpcError as `crash` does.

    Args:
        domain: the guest.
        reason: a DomainPausedReason.
        detail: a DomainEventSuspendedDetailType.
    """
    domain.require_active()
    ending.stand_still(domain, DomainState.PAUSED, reason)
    domain.emit(DomainEventID.LIFECYCLE, DomainEventType.SUSPENDED, int(detail))


def resume(domain: Domain, reason: int, detail: int) -> None:
    """Let a guest run on for any reason. Raises RpcError as `crash` does.

    Args:
        domain: the guest.
        reason: a DomainRunningReason.
        detail: a DomainEventResumedDetailType.
    """
    domain.require_active()
    domain.host.emulators.resumes(domain)
    began = domain.record.began or domain.host.clock.passed()
    domain.change(state=DomainState.RUNNING, reason=int(reason), began=began)
    domain.emit(DomainEventID.LIFECYCLE, DomainEventType.RESUMED, int(detail))
    agent.wait(domain)
