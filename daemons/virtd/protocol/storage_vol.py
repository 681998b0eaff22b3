"""Storage volumes."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import STORAGE_VOL_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullStoragePool, NonnullStorageVol
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    NameRet,
    NumRet,
    PathArgs,
    StoragePoolArgs,
    StorageVolArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class StoragePoolListVolumesArgs:
    """Arguments of STORAGE_POOL_LIST_VOLUMES."""

    pool: NonnullStoragePool
    maxnames: xdr.Int


@xdr.struct
class StoragePoolListVolumesRet:
    """Result of STORAGE_POOL_LIST_VOLUMES."""

    names: Annotated[list[str], xdr.Array(xdr.Str, STORAGE_VOL_LIST_MAX)]


@xdr.struct
class StorageVolCreateXmlArgs:
    """Arguments of STORAGE_VOL_CREATE_XML. flags: StorageVolCreateFlags."""

    pool: NonnullStoragePool
    xml: xdr.Str
    flags: xdr.UInt


@xdr.struct
class StorageVolRet:
    """A storage volume."""

    vol: NonnullStorageVol


@xdr.struct
class StorageVolFlagsArgs:
    """A storage volume, and flags of the procedure."""

    vol: NonnullStorageVol
    flags: xdr.UInt


@xdr.struct
class StorageVolLookupByNameArgs:
    """Arguments of STORAGE_VOL_LOOKUP_BY_NAME."""

    pool: NonnullStoragePool
    name: xdr.Str


@xdr.struct
class StorageVolLookupByKeyArgs:
    """Arguments of STORAGE_VOL_LOOKUP_BY_KEY."""

    key: xdr.Str


@xdr.struct
class StorageVolInfoRet:
    """Facts of a volume. type: StorageVolType; capacity, allocation: in bytes."""

    type: Annotated[xdr.Int, names("storage.StorageVolType")]
    capacity: xdr.UHyper
    allocation: xdr.UHyper


@xdr.struct
class StorageVolCreateXmlFromArgs:
    """Arguments of STORAGE_VOL_CREATE_XML_FROM. flags: StorageVolCreateFlags."""

    pool: NonnullStoragePool
    xml: xdr.Str
    clonevol: NonnullStorageVol
    flags: xdr.UInt


@xdr.struct
class StorageVolRangeArgs:
    """A part of a volume. offset, length: in bytes; a length of 0 reaches to the end."""

    vol: NonnullStorageVol
    offset: xdr.UHyper
    length: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class StorageVolWipePatternArgs:
    """Arguments of STORAGE_VOL_WIPE_PATTERN."""

    vol: NonnullStorageVol
    algorithm: Annotated[xdr.UInt, names("storage.StorageVolWipeAlgorithm")]
    flags: xdr.UInt


@xdr.struct
class StorageVolResizeArgs:
    """Arguments of STORAGE_VOL_RESIZE. flags: StorageVolResizeFlags."""

    vol: NonnullStorageVol
    capacity: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class StoragePoolListAllVolumesArgs:
    """Arguments of STORAGE_POOL_LIST_ALL_VOLUMES. need_results: 0 for the number only."""

    pool: NonnullStoragePool
    need_results: xdr.Int
    flags: xdr.UInt


@xdr.struct
class StoragePoolListAllVolumesRet:
    """Result of STORAGE_POOL_LIST_ALL_VOLUMES."""

    vols: Annotated[list[NonnullStorageVol], xdr.Array(NonnullStorageVol, STORAGE_VOL_LIST_MAX)]
    ret: xdr.UInt


STORAGE_POOL_NUM_OF_VOLUMES: Final = REMOTE.procedure(
    91, "STORAGE_POOL_NUM_OF_VOLUMES", StoragePoolArgs, NumRet, reads=True, priority=True
)
STORAGE_POOL_LIST_VOLUMES: Final = REMOTE.procedure(
    92,
    "STORAGE_POOL_LIST_VOLUMES",
    StoragePoolListVolumesArgs,
    StoragePoolListVolumesRet,
    reads=True,
    priority=True,
)
STORAGE_VOL_CREATE_XML: Final = REMOTE.procedure(
    93,
    "STORAGE_VOL_CREATE_XML",
    StorageVolCreateXmlArgs,
    StorageVolRet,
    flags=names("storage.StorageVolCreateFlags"),
)
STORAGE_VOL_DELETE: Final = REMOTE.procedure(
    94,
    "STORAGE_VOL_DELETE",
    StorageVolFlagsArgs,
    xdr.Void,
    flags=names("storage.StorageVolDeleteFlags"),
)
STORAGE_VOL_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    95,
    "STORAGE_VOL_LOOKUP_BY_NAME",
    StorageVolLookupByNameArgs,
    StorageVolRet,
    reads=True,
    priority=True,
)
STORAGE_VOL_LOOKUP_BY_KEY: Final = REMOTE.procedure(
    96,
    "STORAGE_VOL_LOOKUP_BY_KEY",
    StorageVolLookupByKeyArgs,
    StorageVolRet,
    reads=True,
    priority=True,
)
STORAGE_VOL_LOOKUP_BY_PATH: Final = REMOTE.procedure(
    97, "STORAGE_VOL_LOOKUP_BY_PATH", PathArgs, StorageVolRet, reads=True, priority=True
)
STORAGE_VOL_GET_INFO: Final = REMOTE.procedure(
    98, "STORAGE_VOL_GET_INFO", StorageVolArgs, StorageVolInfoRet, reads=True, priority=True
)
STORAGE_VOL_GET_XML_DESC: Final = REMOTE.procedure(
    99, "STORAGE_VOL_GET_XML_DESC", StorageVolFlagsArgs, XmlRet, reads=True, priority=True
)
STORAGE_VOL_GET_PATH: Final = REMOTE.procedure(
    100, "STORAGE_VOL_GET_PATH", StorageVolArgs, NameRet, reads=True, priority=True
)
STORAGE_VOL_CREATE_XML_FROM: Final = REMOTE.procedure(
    125,
    "STORAGE_VOL_CREATE_XML_FROM",
    StorageVolCreateXmlFromArgs,
    StorageVolRet,
    flags=names("storage.StorageVolCreateFlags"),
)
STORAGE_VOL_WIPE: Final = REMOTE.procedure(165, "STORAGE_VOL_WIPE", StorageVolFlagsArgs, xdr.Void)
STORAGE_VOL_UPLOAD: Final = REMOTE.procedure(
    208,
    "STORAGE_VOL_UPLOAD",
    StorageVolRangeArgs,
    xdr.Void,
    flags=names("storage.StorageVolUploadFlags"),
    stream=True,
)
STORAGE_VOL_DOWNLOAD: Final = REMOTE.procedure(
    209,
    "STORAGE_VOL_DOWNLOAD",
    StorageVolRangeArgs,
    xdr.Void,
    flags=names("storage.StorageVolDownloadFlags"),
    stream=True,
)
STORAGE_VOL_WIPE_PATTERN: Final = REMOTE.procedure(
    259, "STORAGE_VOL_WIPE_PATTERN", StorageVolWipePatternArgs, xdr.Void
)
STORAGE_VOL_RESIZE: Final = REMOTE.procedure(
    260,
    "STORAGE_VOL_RESIZE",
    StorageVolResizeArgs,
    xdr.Void,
    flags=names("storage.StorageVolResizeFlags"),
)
STORAGE_POOL_LIST_ALL_VOLUMES: Final = REMOTE.procedure(
    282,
    "STORAGE_POOL_LIST_ALL_VOLUMES",
    StoragePoolListAllVolumesArgs,
    StoragePoolListAllVolumesRet,
    reads=True,
    priority=True,
)
STORAGE_VOL_GET_INFO_FLAGS: Final = REMOTE.procedure(
    378,
    "STORAGE_VOL_GET_INFO_FLAGS",
    StorageVolFlagsArgs,
    StorageVolInfoRet,
    flags=names("storage.StorageVolInfoFlags"),
    reads=True,
    priority=True,
)
