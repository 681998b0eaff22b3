"""The save or the dump of a guest's memory, which is done at once, with what it copied.

Only qemu's guests have one. Events tell of it.

Source: libvirt's src/qemu/qemu_migration.c (qemuMigrationSrcToFile).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host import job_statistics
from aiovirt.daemons.virtd.host.domain import JOB_DONE

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.constants.domain import DomainJobOperation
    from aiovirt.daemons.virtd.host.domain import Domain

#: Bytes of a guest besides its memory: its firmware.
_FIRMWARE: Final = 532_480
#: Of how many pages one is not empty, and bytes that an empty page takes.
_FULL: Final = 16
_EMPTY: Final = 9
#: Bytes per second, and milliseconds besides those for copying.
_PACE: Final = 256 << 20
_SETUP: Final = 1
_ITERATIONS: Final = 2


def begin(domain: Domain) -> None:
    """Tell that the memory of a guest is copied; it may still run."""
    if domain.host.name == "qemu":
        for number in range(1, _ITERATIONS):
            domain.emit(DomainEventID.MIGRATION_ITERATION, number)


def finish(domain: Domain, operation: DomainJobOperation) -> None:
    """Tell that a job is done, after `begin`, and keep its numbers.

    Args:
        domain: the guest.
        operation: SAVE or DUMP.

    Raises:
        RpcError: the store cannot be written.
    """
    if domain.host.name != "qemu":
        return
    domain.emit(DomainEventID.MIGRATION_ITERATION, _ITERATIONS)
    numbers = _numbers(domain, operation)
    domain.keep(JOB_DONE, numbers)
    domain.emit(DomainEventID.JOB_COMPLETED, job_statistics.parameters(numbers))


def _numbers(domain: Domain, operation: DomainJobOperation) -> dict[str, int]:
    """The numbers of a job, see `job_statistics`."""
    total = domain.record.facts.memory * 1024 + _FIRMWARE
    pages = total // job_statistics.PAGE
    full = pages // _FULL
    done = full * job_statistics.PAGE + (pages - full) * _EMPTY
    copying = done * 1000 // _PACE
    return {
        "operation": int(operation),
        "elapsed": copying + 2 * _SETUP,
        "setup": _SETUP,
        "downtime": copying // 2,
        "total": total,
        "sent": done,
        "remaining": 0,
        "rate": _PACE,
        "constant": pages - full,
        "normal": full,
        "iteration": _ITERATIONS,
    }
