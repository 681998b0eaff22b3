"""Flags of procedures of domains.

Source: libvirt's include/libvirt: libvirt-domain.h.
"""

from __future__ import annotations

from enum import IntFlag


class DomainModificationImpact(IntFlag):
    """The configuration that a change affects."""

    CURRENT = 0
    LIVE = 1
    CONFIG = 2


class DomainCreateFlags(IntFlag):
    """Flags of DOMAIN_CREATE_XML, DOMAIN_CREATE_WITH_FLAGS, DOMAIN_CREATE_XML_WITH_FILES and
    DOMAIN_CREATE_WITH_FILES."""

    NONE = 0
    START_PAUSED = 1
    START_AUTODESTROY = 2
    START_BYPASS_CACHE = 4
    START_FORCE_BOOT = 8
    START_VALIDATE = 16
    START_RESET_NVRAM = 32


class DomainCoreDumpFlags(IntFlag):
    """Flags of DOMAIN_CORE_DUMP."""

    CRASH = 1
    LIVE = 2
    BYPASS_CACHE = 4
    RESET = 8
    MEMORY_ONLY = 16


class DomainMigrateFlags(IntFlag):
    """Flags of a migration."""

    LIVE = 1
    PEER2PEER = 2
    TUNNELLED = 4
    PERSIST_DEST = 8
    UNDEFINE_SOURCE = 16
    PAUSED = 32
    NON_SHARED_DISK = 64
    NON_SHARED_INC = 128
    CHANGE_PROTECTION = 256
    UNSAFE = 512
    OFFLINE = 1024
    COMPRESSED = 2048
    ABORT_ON_ERROR = 4096
    AUTO_CONVERGE = 8192
    RDMA_PIN_ALL = 16384
    POSTCOPY = 32768
    TLS = 0x10000
    PARALLEL = 0x20000
    NON_SHARED_SYNCHRONOUS_WRITES = 0x40000
    POSTCOPY_RESUME = 0x80000
    ZEROCOPY = 0x100000


class DomainMigrateMaxSpeedFlags(IntFlag):
    """Flags of DOMAIN_MIGRATE_SET_MAX_SPEED and DOMAIN_MIGRATE_GET_MAX_SPEED."""

    POSTCOPY = 1


class DomainShutdownFlagValues(IntFlag):
    """Flags of DOMAIN_SHUTDOWN_FLAGS."""

    DEFAULT = 0
    ACPI_POWER_BTN = 1
    GUEST_AGENT = 2
    INITCTL = 4
    SIGNAL = 8
    PARAVIRT = 16


class DomainRebootFlagValues(IntFlag):
    """Flags of DOMAIN_REBOOT."""

    DEFAULT = 0
    ACPI_POWER_BTN = 1
    GUEST_AGENT = 2
    INITCTL = 4
    SIGNAL = 8
    PARAVIRT = 16


class DomainDestroyFlagsValues(IntFlag):
    """Flags of DOMAIN_DESTROY_FLAGS."""

    DEFAULT = 0
    GRACEFUL = 1
    REMOVE_LOGS = 2


class DomainSaveRestoreFlags(IntFlag):
    """Flags of DOMAIN_MANAGED_SAVE, DOMAIN_SAVE_FLAGS, DOMAIN_RESTORE_FLAGS,
    DOMAIN_SAVE_IMAGE_DEFINE_XML, DOMAIN_MANAGED_SAVE_DEFINE_XML, DOMAIN_SAVE_PARAMS and
    DOMAIN_RESTORE_PARAMS."""

    BYPASS_CACHE = 1
    RUNNING = 2
    PAUSED = 4
    RESET_NVRAM = 8


class DomainMemoryModFlags(IntFlag):
    """Flags of DOMAIN_SET_MEMORY_FLAGS and DOMAIN_SET_MEMORY_STATS_PERIOD."""

    CURRENT = 0
    LIVE = 1
    CONFIG = 2
    MAXIMUM = 4


class DomainGetHostnameFlags(IntFlag):
    """Flags of DOMAIN_GET_HOSTNAME."""

    LEASE = 1
    AGENT = 2


class DomainXMLFlags(IntFlag):
    """Flags of DOMAIN_GET_XML_DESC."""

    SECURE = 1
    INACTIVE = 2
    UPDATE_CPU = 4
    MIGRATABLE = 8


class DomainSaveImageXMLFlags(IntFlag):
    """Flags of DOMAIN_SAVE_IMAGE_GET_XML_DESC and DOMAIN_MANAGED_SAVE_GET_XML_DESC."""

    SECURE = 1


class DomainBlockResizeFlags(IntFlag):
    """Flags of DOMAIN_BLOCK_RESIZE."""

    BYTES = 1


class DomainMemoryFlags(IntFlag):
    """Flags of DOMAIN_MEMORY_PEEK."""

    VIRTUAL = 1
    PHYSICAL = 2


class DomainDefineFlags(IntFlag):
    """Flags of DOMAIN_DEFINE_XML_FLAGS."""

    VALIDATE = 1


class DomainUndefineFlagsValues(IntFlag):
    """Flags of DOMAIN_UNDEFINE_FLAGS."""

    MANAGED_SAVE = 1
    SNAPSHOTS_METADATA = 2
    NVRAM = 4
    KEEP_NVRAM = 8
    CHECKPOINTS_METADATA = 16
    TPM = 32
    KEEP_TPM = 64


class ConnectListAllDomainsFlags(IntFlag):
    """Flags of CONNECT_LIST_ALL_DOMAINS."""

    ACTIVE = 1
    INACTIVE = 2
    PERSISTENT = 4
    TRANSIENT = 8
    RUNNING = 16
    PAUSED = 32
    SHUTOFF = 64
    OTHER = 128
    MANAGEDSAVE = 256
    NO_MANAGEDSAVE = 512
    AUTOSTART = 1024
    NO_AUTOSTART = 2048
    HAS_SNAPSHOT = 4096
    NO_SNAPSHOT = 8192
    HAS_CHECKPOINT = 16384
    NO_CHECKPOINT = 32768


class DomainVcpuFlags(IntFlag):
    """Flags of DOMAIN_SET_VCPUS_FLAGS and DOMAIN_GET_VCPUS_FLAGS."""

    CURRENT = 0
    LIVE = 1
    CONFIG = 2
    MAXIMUM = 4
    GUEST = 8
    HOTPLUGGABLE = 16


class DomainDeviceModifyFlags(IntFlag):
    """Flags of DOMAIN_ATTACH_DEVICE_FLAGS, DOMAIN_DETACH_DEVICE_FLAGS, DOMAIN_UPDATE_DEVICE_FLAGS
    and DOMAIN_DETACH_DEVICE_ALIAS."""

    CURRENT = 0
    LIVE = 1
    CONFIG = 2
    FORCE = 4


class DomainStatsTypes(IntFlag):
    """Groups of statistics."""

    STATE = 1
    CPU_TOTAL = 2
    BALLOON = 4
    VCPU = 8
    INTERFACE = 16
    BLOCK = 32
    PERF = 64
    IOTHREAD = 128
    MEMORY = 256
    DIRTYRATE = 512
    VM = 1024


class ConnectGetAllDomainStatsFlags(IntFlag):
    """Flags of CONNECT_GET_ALL_DOMAIN_STATS."""

    ACTIVE = 1
    INACTIVE = 2
    PERSISTENT = 4
    TRANSIENT = 8
    RUNNING = 16
    PAUSED = 32
    SHUTOFF = 64
    OTHER = 128
    NOWAIT = 0x20000000
    BACKING = 0x40000000
    ENFORCE_STATS = 0x80000000


class DomainBlockJobAbortFlags(IntFlag):
    """Flags of DOMAIN_BLOCK_JOB_ABORT."""

    ASYNC = 1
    PIVOT = 2


class DomainBlockJobInfoFlags(IntFlag):
    """Flags of DOMAIN_GET_BLOCK_JOB_INFO."""

    BANDWIDTH_BYTES = 1


class DomainBlockJobSetSpeedFlags(IntFlag):
    """Flags of DOMAIN_BLOCK_JOB_SET_SPEED."""

    BANDWIDTH_BYTES = 1


class DomainBlockPullFlags(IntFlag):
    """Flags of DOMAIN_BLOCK_PULL."""

    BANDWIDTH_BYTES = 64


class DomainBlockRebaseFlags(IntFlag):
    """Flags of DOMAIN_BLOCK_REBASE."""

    SHALLOW = 1
    REUSE_EXT = 2
    COPY_RAW = 4
    COPY = 8
    RELATIVE = 16
    COPY_DEV = 32
    BANDWIDTH_BYTES = 64


class DomainBlockCopyFlags(IntFlag):
    """Flags of DOMAIN_BLOCK_COPY."""

    SHALLOW = 1
    REUSE_EXT = 2
    TRANSIENT_JOB = 4
    SYNCHRONOUS_WRITES = 8


class DomainBlockCommitFlags(IntFlag):
    """Flags of DOMAIN_BLOCK_COMMIT."""

    SHALLOW = 1
    DELETE = 2
    ACTIVE = 4
    RELATIVE = 8
    BANDWIDTH_BYTES = 16


class DomainGetJobStatsFlags(IntFlag):
    """Flags of DOMAIN_GET_JOB_STATS."""

    COMPLETED = 1
    KEEP_COMPLETED = 2


class DomainAbortJobFlagsValues(IntFlag):
    """Flags of DOMAIN_ABORT_JOB_FLAGS."""

    POSTCOPY = 1


class DomainConsoleFlags(IntFlag):
    """Flags of DOMAIN_OPEN_CONSOLE."""

    FORCE = 1
    SAFE = 2


class DomainChannelFlags(IntFlag):
    """Flags of DOMAIN_OPEN_CHANNEL."""

    FORCE = 1


class DomainOpenGraphicsFlags(IntFlag):
    """Flags of DOMAIN_OPEN_GRAPHICS and DOMAIN_OPEN_GRAPHICS_FD."""

    SKIPAUTH = 1


class DomainSetTimeFlags(IntFlag):
    """Flags of DOMAIN_SET_TIME."""

    SYNC = 1


class DomainSetUserPasswordFlags(IntFlag):
    """Flags of DOMAIN_SET_USER_PASSWORD."""

    ENCRYPTED = 1


class DomainGuestInfoTypes(IntFlag):
    """Groups of facts from a guest agent."""

    USERS = 1
    OS = 2
    TIMEZONE = 4
    HOSTNAME = 8
    FILESYSTEM = 16
    DISKS = 32
    INTERFACES = 64


class DomainBackupBeginFlags(IntFlag):
    """Flags of DOMAIN_BACKUP_BEGIN."""

    REUSE_EXTERNAL = 1


class DomainAuthorizedSSHKeysSetFlags(IntFlag):
    """Flags of DOMAIN_AUTHORIZED_SSH_KEYS_SET."""

    APPEND = 1
    REMOVE = 2


class DomainMessageType(IntFlag):
    """Kinds of message about a domain."""

    DEPRECATION = 1
    TAINTING = 2


class DomainDirtyRateCalcFlags(IntFlag):
    """Flags of DOMAIN_START_DIRTY_RATE_CALC."""

    MODE_PAGE_SAMPLING = 0
    MODE_DIRTY_BITMAP = 1
    MODE_DIRTY_RING = 2


class DomainFDAssociateFlags(IntFlag):
    """Flags of DOMAIN_FD_ASSOCIATE."""

    SECLABEL_RESTORE = 1
    SECLABEL_WRITABLE = 2
