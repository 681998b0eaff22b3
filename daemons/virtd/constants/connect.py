"""Enumerations and flags of connections and hosts.

Source: libvirt's include/libvirt: libvirt-common.h.in, libvirt-host.h, libvirt-stream.h, and
src/libvirt_internal.h.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class AuthType(IntEnum):
    """Ways of authentication."""

    NONE = 0
    SASL = 1
    POLKIT = 2


class Feature(IntEnum):
    """Features that a client asks about with CONNECT_SUPPORTS_FEATURE (VIR_DRV_FEATURE_*)."""

    MIGRATION_V1 = 1
    REMOTE = 2
    MIGRATION_V2 = 3
    MIGRATION_P2P = 4
    MIGRATION_DIRECT = 5
    MIGRATION_V3 = 6
    MIGRATE_CHANGE_PROTECTION = 7
    FD_PASSING = 8
    TYPED_PARAM_STRING = 9
    PROGRAM_KEEPALIVE = 10
    XML_MIGRATABLE = 11
    MIGRATION_OFFLINE = 12
    MIGRATION_PARAMS = 13
    REMOTE_EVENT_CALLBACK = 14
    REMOTE_CLOSE_CALLBACK = 15
    NETWORK_UPDATE_HAS_CORRECT_ORDER = 16


class ConnectCloseReason(IntEnum):
    """Reasons for the end of a connection."""

    ERROR = 0
    EOF = 1
    KEEPALIVE = 2
    CLIENT = 3


class TypedParameterFlags(IntFlag):
    """Flags of procedures with typed parameters."""

    STRING_OKAY = 4


class NodeSuspendTarget(IntEnum):
    """Kinds of suspension."""

    MEM = 0
    DISK = 1
    HYBRID = 2


class NodeGetCPUStatsAllCPUs(IntEnum):
    """The number that stands for all processors."""

    ALL_CPUS = -1


class NodeGetMemoryStatsAllCells(IntEnum):
    """The number that stands for all NUMA cells."""

    ALL_CELLS = -1


class ConnectFlags(IntFlag):
    """Flags of CONNECT_OPEN."""

    RO = 1
    NO_ALIASES = 2


class CPUCompareResult(IntEnum):
    """Results of a comparison of processors."""

    ERROR = -1
    INCOMPATIBLE = 0
    IDENTICAL = 1
    SUPERSET = 2


class ConnectCompareCPUFlags(IntFlag):
    """Flags of CONNECT_COMPARE_CPU and CONNECT_COMPARE_HYPERVISOR_CPU."""

    FAIL_INCOMPATIBLE = 1
    VALIDATE_XML = 2


class ConnectBaselineCPUFlags(IntFlag):
    """Flags of CONNECT_BASELINE_CPU and CONNECT_BASELINE_HYPERVISOR_CPU."""

    EXPAND_FEATURES = 1
    MIGRATABLE = 2


class NodeAllocPagesFlags(IntFlag):
    """Flags of NODE_ALLOC_PAGES."""

    ADD = 0
    SET = 1


class StreamRecvFlagsValues(IntFlag):
    """Flags of receiving from a stream."""

    STOP_AT_HOLE = 1
