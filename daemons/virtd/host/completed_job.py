"""The job that a guest has finished last: a save or a dump of its memory, with what it copied.

Only qemu's guests have one. Events tell of it; a client that asks for its numbers makes the host forget
them, unless they are to be kept.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainGetJobStats), qemu_migration.c
(qemuMigrationSrcToFile) and qemu_domainjob.c (qemuDomainMigrationJobDataToParams).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain import DomainJobOperation
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host.domain import JOB_DONE
from aiovirt.rpc.wire.typedparams import TypedParam, int_, ullong

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

#: The name of the small thing that a domain keeps of it.
_KEPT: Final = "completed-job"

_PAGE: Final = 4096
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
    if domain.detail(JOB_DONE) is not None:  # that was a migration
        domain.keep(JOB_DONE, None)
    domain.keep(_KEPT, [int(operation), domain.record.facts.memory * 1024])
    domain.emit(DomainEventID.JOB_COMPLETED, params(domain))


def params(domain: Domain) -> list[TypedParam]:
    """Return the numbers of the job that was finished last; none if there is none."""
    kept = domain.detail(_KEPT)
    if kept is None:
        return []
    operation, memory = kept
    total = memory + _FIRMWARE
    pages = total // _PAGE
    full = pages // _FULL
    done = full * _PAGE + (pages - full) * _EMPTY
    copying = done * 1000 // _PACE
    numbers = {
        "time_elapsed": copying + 2 * _SETUP,
        "downtime": copying // 2,
        "setup_time": _SETUP,
        "data_total": total,
        "data_processed": done,
        "data_remaining": 0,
        "memory_total": total,
        "memory_processed": done,
        "memory_remaining": 0,
        "memory_bps": _PACE,
        "memory_constant": pages - full,
        "memory_normal": full,
        "memory_normal_bytes": full * _PAGE,
        "memory_dirty_rate": 0,
        "memory_iteration": _ITERATIONS,
        "memory_postcopy_requests": 0,
        "memory_page_size": _PAGE,
    }
    return [int_("operation", operation), *(ullong(*one) for one in numbers.items())]


def forget(domain: Domain) -> None:
    """Forget the job that was finished last. Raises RpcError when the store cannot be written."""
    if domain.detail(_KEPT) is not None:
        domain.keep(_KEPT, None)
