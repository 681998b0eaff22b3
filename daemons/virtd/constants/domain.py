"""Enumerations of domains: states, reasons, kinds.

Source: libvirt's include/libvirt: libvirt-domain.h.
"""

from __future__ import annotations

from enum import IntEnum


class DomainState(IntEnum):
    """States of a domain."""

    NOSTATE = 0
    RUNNING = 1
    BLOCKED = 2
    PAUSED = 3
    SHUTDOWN = 4
    SHUTOFF = 5
    CRASHED = 6
    PMSUSPENDED = 7


class DomainNostateReason(IntEnum):
    """Reasons for the state NOSTATE."""

    UNKNOWN = 0


class DomainRunningReason(IntEnum):
    """Reasons for the state RUNNING."""

    UNKNOWN = 0
    BOOTED = 1
    MIGRATED = 2
    RESTORED = 3
    FROM_SNAPSHOT = 4
    UNPAUSED = 5
    MIGRATION_CANCELED = 6
    SAVE_CANCELED = 7
    WAKEUP = 8
    CRASHED = 9
    POSTCOPY = 10
    POSTCOPY_FAILED = 11


class DomainBlockedReason(IntEnum):
    """Reasons for the state BLOCKED."""

    UNKNOWN = 0


class DomainPausedReason(IntEnum):
    """Reasons for the state PAUSED."""

    UNKNOWN = 0
    USER = 1
    MIGRATION = 2
    SAVE = 3
    DUMP = 4
    IOERROR = 5
    WATCHDOG = 6
    FROM_SNAPSHOT = 7
    SHUTTING_DOWN = 8
    SNAPSHOT = 9
    CRASHED = 10
    STARTING_UP = 11
    POSTCOPY = 12
    POSTCOPY_FAILED = 13


class DomainShutdownReason(IntEnum):
    """Reasons for the state SHUTDOWN."""

    UNKNOWN = 0
    USER = 1


class DomainShutoffReason(IntEnum):
    """Reasons for the state SHUTOFF."""

    UNKNOWN = 0
    SHUTDOWN = 1
    DESTROYED = 2
    CRASHED = 3
    MIGRATED = 4
    SAVED = 5
    FAILED = 6
    FROM_SNAPSHOT = 7
    DAEMON = 8


class DomainCrashedReason(IntEnum):
    """Reasons for the state CRASHED."""

    UNKNOWN = 0
    PANICKED = 1


class DomainPMSuspendedReason(IntEnum):
    """Reasons for the state PMSUSPENDED."""

    UNKNOWN = 0


class DomainPMSuspendedDiskReason(IntEnum):
    """Reasons for the state PMSUSPENDEDDISK."""

    UNKNOWN = 0


class DomainControlState(IntEnum):
    """States of a domain's control interface."""

    OK = 0
    JOB = 1
    OCCUPIED = 2
    ERROR = 3


class DomainControlErrorReason(IntEnum):
    """Reasons for the control state ERROR."""

    NONE = 0
    UNKNOWN = 1
    MONITOR = 2
    INTERNAL = 3


class DomainMemoryStatTags(IntEnum):
    """Tags of statistics of DOMAIN_MEMORY_STATS."""

    SWAP_IN = 0
    SWAP_OUT = 1
    MAJOR_FAULT = 2
    MINOR_FAULT = 3
    UNUSED = 4
    AVAILABLE = 5
    ACTUAL_BALLOON = 6
    RSS = 7
    USABLE = 8
    LAST_UPDATE = 9
    DISK_CACHES = 10
    HUGETLB_PGALLOC = 11
    HUGETLB_PGFAIL = 12
    NR = 13


class DomainCoreDumpFormat(IntEnum):
    """Formats of a dump."""

    RAW = 0
    KDUMP_ZLIB = 1
    KDUMP_LZO = 2
    KDUMP_SNAPPY = 3
    WIN_DMP = 4


class DomainNumatuneMemMode(IntEnum):
    """Policies for memory of NUMA nodes."""

    STRICT = 0
    PREFERRED = 1
    INTERLEAVE = 2
    RESTRICTIVE = 3


class DomainMetadataType(IntEnum):
    """Kinds of metadata."""

    DESCRIPTION = 0
    TITLE = 1
    ELEMENT = 2


class VcpuState(IntEnum):
    """States of a virtual processor."""

    OFFLINE = 0
    RUNNING = 1
    BLOCKED = 2


class VcpuHostCpuState(IntEnum):
    """Values in place of the number of a processor."""

    OFFLINE = -1
    UNAVAILABLE = -2


class DomainBlockJobType(IntEnum):
    """Kinds of block job."""

    UNKNOWN = 0
    PULL = 1
    COPY = 2
    COMMIT = 3
    ACTIVE_COMMIT = 4
    BACKUP = 5


class DomainDiskErrorCode(IntEnum):
    """Errors of a disk."""

    NONE = 0
    UNSPEC = 1
    NO_SPACE = 2


class KeycodeSet(IntEnum):
    """Sets of key codes."""

    LINUX = 0
    XT = 1
    ATSET1 = 2
    ATSET2 = 3
    ATSET3 = 4
    OSX = 5
    XT_KBD = 6
    USB = 7
    WIN32 = 8
    QNUM = 9


class DomainProcessSignal(IntEnum):
    """Signals for a process of a guest, numbered as on Linux."""

    NOP = 0
    HUP = 1
    INT = 2
    QUIT = 3
    ILL = 4
    TRAP = 5
    ABRT = 6
    BUS = 7
    FPE = 8
    KILL = 9
    USR1 = 10
    SEGV = 11
    USR2 = 12
    PIPE = 13
    ALRM = 14
    TERM = 15
    STKFLT = 16
    CHLD = 17
    CONT = 18
    STOP = 19
    TSTP = 20
    TTIN = 21
    TTOU = 22
    URG = 23
    XCPU = 24
    XFSZ = 25
    VTALRM = 26
    PROF = 27
    WINCH = 28
    POLL = 29
    PWR = 30
    SYS = 31
    RT0 = 32
    RT1 = 33
    RT2 = 34
    RT3 = 35
    RT4 = 36
    RT5 = 37
    RT6 = 38
    RT7 = 39
    RT8 = 40
    RT9 = 41
    RT10 = 42
    RT11 = 43
    RT12 = 44
    RT13 = 45
    RT14 = 46
    RT15 = 47
    RT16 = 48
    RT17 = 49
    RT18 = 50
    RT19 = 51
    RT20 = 52
    RT21 = 53
    RT22 = 54
    RT23 = 55
    RT24 = 56
    RT25 = 57
    RT26 = 58
    RT27 = 59
    RT28 = 60
    RT29 = 61
    RT30 = 62
    RT31 = 63
    RT32 = 64


class DomainJobType(IntEnum):
    """Types of a job."""

    NONE = 0
    BOUNDED = 1
    UNBOUNDED = 2
    COMPLETED = 3
    FAILED = 4
    CANCELLED = 5


class DomainJobOperation(IntEnum):
    """Operations of a job."""

    UNKNOWN = 0
    START = 1
    SAVE = 2
    RESTORE = 3
    MIGRATION_IN = 4
    MIGRATION_OUT = 5
    SNAPSHOT = 6
    SNAPSHOT_REVERT = 7
    DUMP = 8
    BACKUP = 9
    SNAPSHOT_DELETE = 10


class DomainInterfaceAddressesSource(IntEnum):
    """Sources of the addresses of a guest."""

    LEASE = 0
    AGENT = 1
    ARP = 2


class DomainLifecycle(IntEnum):
    """Ends of a guest that an action can follow."""

    POWEROFF = 0
    REBOOT = 1
    CRASH = 2


class DomainLifecycleAction(IntEnum):
    """Actions after an end of a guest."""

    DESTROY = 0
    RESTART = 1
    RESTART_RENAME = 2
    PRESERVE = 3
    COREDUMP_DESTROY = 4
    COREDUMP_RESTART = 5


class DomainAgentResponseTimeoutValues(IntEnum):
    """Special timeouts of DOMAIN_AGENT_SET_RESPONSE_TIMEOUT."""

    BLOCK = -2
    DEFAULT = -1
    NOWAIT = 0


class DomainDirtyRateStatus(IntEnum):
    """Statuses of a measurement of the dirty rate."""

    UNSTARTED = 0
    MEASURING = 1
    MEASURED = 2
