"""Guests that sleep, to memory or to disk, and wake up again.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainPMSuspendForDuration, qemuDomainPMWakeup).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.virtd.constants.domain import (
    DomainPMSuspendedReason,
    DomainRunningReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventID,
    DomainEventPMSuspendedDetailType,
    DomainEventStartedDetailType,
    DomainEventStoppedDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.host import lifecycle
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain


def fall_asleep(domain: Domain, target: int) -> None:
    """Let a running guest sleep. Raises RpcError when that cannot be stored.

    Args:
        domain: the guest.
        target: 0 for sleep to memory, 1 to disk, 2 for both.
    """
    if target == 1:
        domain.emit(DomainEventID.PMSUSPEND_DISK)
        lifecycle.stop(domain, 1, DomainEventStoppedDetailType.SHUTDOWN)
        return
    domain.change(
        state=DomainState.PMSUSPENDED,
        reason=DomainPMSuspendedReason.UNKNOWN,
        began=None,
        ran=domain.ran(),
    )
    detail = DomainEventPMSuspendedDetailType.MEMORY
    domain.emit(DomainEventID.LIFECYCLE, DomainEventType.PMSUSPENDED, detail)
    domain.emit(DomainEventID.PMSUSPEND)


def wake_up(domain: Domain) -> None:
    """Wake a guest that sleeps. Raises RpcError for one that does not."""
    domain.require_active()
    if domain.record.state != DomainState.PMSUSPENDED:
        raise RpcError.of(
            ErrorCode.INTERNAL_ERROR,
            "unable to execute QEMU command 'system_wakeup':"
            " Unable to wake up: guest is not in suspended state",
            domain=domain.host.flavour.domain,
        )
    domain.change(
        state=DomainState.RUNNING,
        reason=DomainRunningReason.WAKEUP,
        began=domain.host.clock.passed(),
    )
    detail = DomainEventStartedDetailType.WAKEUP
    domain.emit(DomainEventID.PMWAKEUP)
    domain.emit(DomainEventID.LIFECYCLE, DomainEventType.STARTED, detail)
