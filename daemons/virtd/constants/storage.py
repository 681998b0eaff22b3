"""Enumerations and flags of storage pools and volumes.

Source: libvirt's include/libvirt: libvirt-storage.h.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag


class StoragePoolState(IntEnum):
    """States of a storage pool."""

    INACTIVE = 0
    BUILDING = 1
    RUNNING = 2
    DEGRADED = 3
    INACCESSIBLE = 4


class StoragePoolBuildFlags(IntFlag):
    """Flags of STORAGE_POOL_BUILD."""

    NEW = 0
    REPAIR = 1
    RESIZE = 2
    NO_OVERWRITE = 4
    OVERWRITE = 8


class StoragePoolDeleteFlags(IntFlag):
    """Flags of STORAGE_POOL_DELETE."""

    NORMAL = 0
    ZEROED = 1


class StoragePoolCreateFlags(IntFlag):
    """Flags of STORAGE_POOL_CREATE_XML and STORAGE_POOL_CREATE."""

    NORMAL = 0
    WITH_BUILD = 1
    WITH_BUILD_OVERWRITE = 2
    WITH_BUILD_NO_OVERWRITE = 4


class StorageVolType(IntEnum):
    """Kinds of volume."""

    FILE = 0
    BLOCK = 1
    DIR = 2
    NETWORK = 3
    NETDIR = 4
    PLOOP = 5


class StorageVolDeleteFlags(IntFlag):
    """Flags of STORAGE_VOL_DELETE."""

    NORMAL = 0
    ZEROED = 1
    WITH_SNAPSHOTS = 2


class StorageVolWipeAlgorithm(IntEnum):
    """Patterns of STORAGE_VOL_WIPE_PATTERN."""

    ZERO = 0
    NNSA = 1
    DOD = 2
    BSI = 3
    GUTMANN = 4
    SCHNEIER = 5
    PFITZNER7 = 6
    PFITZNER33 = 7
    RANDOM = 8
    TRIM = 9


class StorageVolInfoFlags(IntFlag):
    """Flags of STORAGE_VOL_GET_INFO_FLAGS."""

    USE_ALLOCATION = 0
    GET_PHYSICAL = 1


class StorageXMLFlags(IntFlag):
    """Flags of STORAGE_POOL_GET_XML_DESC."""

    INACTIVE = 1


class ConnectListAllStoragePoolsFlags(IntFlag):
    """Flags of CONNECT_LIST_ALL_STORAGE_POOLS."""

    INACTIVE = 1
    ACTIVE = 2
    PERSISTENT = 4
    TRANSIENT = 8
    AUTOSTART = 16
    NO_AUTOSTART = 32
    DIR = 64
    FS = 128
    NETFS = 256
    LOGICAL = 512
    DISK = 1024
    ISCSI = 2048
    SCSI = 4096
    MPATH = 8192
    RBD = 16384
    SHEEPDOG = 32768
    GLUSTER = 0x10000
    ZFS = 0x20000
    VSTORAGE = 0x40000
    ISCSI_DIRECT = 0x80000


class StoragePoolDefineFlags(IntFlag):
    """Flags of STORAGE_POOL_DEFINE_XML."""

    VALIDATE = 1


class StorageVolCreateFlags(IntFlag):
    """Flags of STORAGE_VOL_CREATE_XML and STORAGE_VOL_CREATE_XML_FROM."""

    PREALLOC_METADATA = 1
    REFLINK = 2
    VALIDATE = 4


class StorageVolDownloadFlags(IntFlag):
    """Flags of STORAGE_VOL_DOWNLOAD."""

    SPARSE_STREAM = 1


class StorageVolUploadFlags(IntFlag):
    """Flags of STORAGE_VOL_UPLOAD."""

    SPARSE_STREAM = 1


class StorageVolResizeFlags(IntFlag):
    """Flags of STORAGE_VOL_RESIZE."""

    ALLOCATE = 1
    DELTA = 2
    SHRINK = 4


class StoragePoolEventID(IntEnum):
    """Kinds of event of a storage pool."""

    LIFECYCLE = 0
    REFRESH = 1


class StoragePoolEventLifecycleType(IntEnum):
    """Lifecycle events of a storage pool."""

    DEFINED = 0
    UNDEFINED = 1
    STARTED = 2
    STOPPED = 3
    CREATED = 4
    DELETED = 5
