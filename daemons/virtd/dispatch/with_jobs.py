"""The job that each procedure takes of a guest, and the jobs that a guest takes while it migrates.

A procedure that is in no list takes none: it never waits. Jobs of the guest agent do not wait for a
migration either.

Source: libvirt's src/conf/virdomainjob.h (virDomainJob, VIR_JOB_DEFAULT_MASK), the calls of
virDomainObjBeginJob in src/qemu/qemu_driver.c, and src/qemu/qemu_migration.c (qemuMigrationJobStart).
"""

from __future__ import annotations

from enum import Enum, auto
from typing import Any, Final

from aiovirt.daemons.virtd import protocol as p
from aiovirt.daemons.virtd.host.migration import IN, OUT
from aiovirt.rpc.wire.program import Procedure


class Job(Enum):
    """The kinds of jobs, by their names in libvirt."""

    QUERY = auto()
    DESTROY = auto()
    SUSPEND = auto()
    MODIFY = auto()
    ABORT = auto()
    MIGRATION_OP = auto()
    ASYNC = auto()


#: What may be begun while a guest migrates, by the kind of its migration.
ALLOWED: Final = {
    OUT: frozenset((Job.QUERY, Job.DESTROY, Job.SUSPEND, Job.ABORT, Job.MIGRATION_OP)),
    IN: frozenset((Job.DESTROY,)),  # libvirt ends its QEMU first, and the migration with it
}

_PROCEDURES: Final[dict[Job, tuple[Procedure[Any, Any], ...]]] = {
    Job.QUERY: (
        p.DOMAIN_BLOCK_STATS,
        p.DOMAIN_BLOCK_STATS_FLAGS,
        p.DOMAIN_GET_BLOCK_INFO,
        p.DOMAIN_GET_BLOCK_IO_TUNE,
        p.DOMAIN_GET_BLOCK_JOB_INFO,
        p.DOMAIN_GET_DISK_ERRORS,
        p.DOMAIN_GET_IOTHREAD_INFO,
        p.DOMAIN_GET_PERF_EVENTS,
        p.DOMAIN_MEMORY_PEEK,
        p.DOMAIN_MEMORY_STATS,
        p.DOMAIN_MIGRATE_GET_COMPRESSION_CACHE,
        p.DOMAIN_MIGRATE_GET_MAX_DOWNTIME,
        p.DOMAIN_MONITOR_COMMAND,
        p.DOMAIN_MONITOR_COMMAND_WITH_FILES,
        p.DOMAIN_SCREENSHOT,
    ),
    Job.SUSPEND: (p.DOMAIN_SUSPEND,),
    Job.ABORT: (p.DOMAIN_ABORT_JOB, p.DOMAIN_ABORT_JOB_FLAGS),
    Job.MIGRATION_OP: (
        p.DOMAIN_MIGRATE_SET_COMPRESSION_CACHE,
        p.DOMAIN_MIGRATE_SET_MAX_DOWNTIME,
        p.DOMAIN_MIGRATE_SET_MAX_SPEED,
        p.DOMAIN_MIGRATE_START_POST_COPY,
    ),
    Job.ASYNC: (
        p.DOMAIN_BACKUP_BEGIN,
        p.DOMAIN_CORE_DUMP,
        p.DOMAIN_CORE_DUMP_WITH_FORMAT,
        p.DOMAIN_CREATE,
        p.DOMAIN_CREATE_WITH_FILES,
        p.DOMAIN_CREATE_WITH_FLAGS,
        p.DOMAIN_MANAGED_SAVE,
        p.DOMAIN_SAVE,
        p.DOMAIN_SAVE_FLAGS,
        p.DOMAIN_SAVE_PARAMS,
        p.DOMAIN_SNAPSHOT_CREATE_XML,
    ),
    Job.MODIFY: (
        p.DOMAIN_ADD_IOTHREAD,
        p.DOMAIN_ATTACH_DEVICE,
        p.DOMAIN_ATTACH_DEVICE_FLAGS,
        p.DOMAIN_BLOCK_COMMIT,
        p.DOMAIN_BLOCK_COPY,
        p.DOMAIN_BLOCK_JOB_ABORT,
        p.DOMAIN_BLOCK_JOB_SET_SPEED,
        p.DOMAIN_BLOCK_PULL,
        p.DOMAIN_BLOCK_REBASE,
        p.DOMAIN_BLOCK_RESIZE,
        p.DOMAIN_CHECKPOINT_CREATE_XML,
        p.DOMAIN_CHECKPOINT_DELETE,
        p.DOMAIN_DEL_IOTHREAD,
        p.DOMAIN_DETACH_DEVICE,
        p.DOMAIN_DETACH_DEVICE_ALIAS,
        p.DOMAIN_DETACH_DEVICE_FLAGS,
        p.DOMAIN_INJECT_NMI,
        p.DOMAIN_OPEN_GRAPHICS,
        p.DOMAIN_OPEN_GRAPHICS_FD,
        p.DOMAIN_PIN_EMULATOR,
        p.DOMAIN_PIN_IOTHREAD,
        p.DOMAIN_PIN_VCPU,
        p.DOMAIN_PIN_VCPU_FLAGS,
        p.DOMAIN_PM_WAKEUP,
        p.DOMAIN_REBOOT,
        p.DOMAIN_RENAME,
        p.DOMAIN_RESET,
        p.DOMAIN_RESUME,
        p.DOMAIN_SEND_KEY,
        p.DOMAIN_SET_AUTOSTART,
        p.DOMAIN_SET_BLKIO_PARAMETERS,
        p.DOMAIN_SET_BLOCK_IO_TUNE,
        p.DOMAIN_SET_BLOCK_THRESHOLD,
        p.DOMAIN_SET_INTERFACE_PARAMETERS,
        p.DOMAIN_SET_IOTHREAD_PARAMS,
        p.DOMAIN_SET_LAUNCH_SECURITY_STATE,
        p.DOMAIN_SET_LIFECYCLE_ACTION,
        p.DOMAIN_SET_MAX_MEMORY,
        p.DOMAIN_SET_MEMORY,
        p.DOMAIN_SET_MEMORY_FLAGS,
        p.DOMAIN_SET_MEMORY_PARAMETERS,
        p.DOMAIN_SET_MEMORY_STATS_PERIOD,
        p.DOMAIN_SET_METADATA,
        p.DOMAIN_SET_NUMA_PARAMETERS,
        p.DOMAIN_SET_PERF_EVENTS,
        p.DOMAIN_SET_SCHEDULER_PARAMETERS,
        p.DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS,
        p.DOMAIN_SET_VCPU,
        p.DOMAIN_SET_VCPUS,
        p.DOMAIN_SET_VCPUS_FLAGS,
        p.DOMAIN_SHUTDOWN,
        p.DOMAIN_SHUTDOWN_FLAGS,
        p.DOMAIN_START_DIRTY_RATE_CALC,
        p.DOMAIN_UNDEFINE,
        p.DOMAIN_UNDEFINE_FLAGS,
        p.DOMAIN_UPDATE_DEVICE_FLAGS,
    ),
}
#: The job of each procedure that takes one.
JOBS: Final = {procedure: job for job, found in _PROCEDURES.items() for procedure in found}
