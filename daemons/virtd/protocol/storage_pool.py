"""Storage pools."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import STORAGE_POOL_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullStoragePool
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    ActiveRet,
    AutostartRet,
    CallbackArgs,
    CallbackRet,
    CapabilitiesRet,
    FlagsArgs,
    ListAllArgs,
    MaxNamesArgs,
    NameArgs,
    NumRet,
    PathArgs,
    PersistentRet,
    StoragePoolArgs,
    StorageVolArgs,
    UuidArgs,
    XmlFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class ConnectListStoragePoolsRet:
    """Result of CONNECT_LIST_STORAGE_POOLS."""

    names: Annotated[list[str], xdr.Array(xdr.Str, STORAGE_POOL_LIST_MAX)]


@xdr.struct
class ConnectFindStoragePoolSourcesArgs:
    """Arguments of CONNECT_FIND_STORAGE_POOL_SOURCES."""

    type: xdr.Str
    srcSpec: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class StoragePoolRet:
    """A storage pool."""

    pool: NonnullStoragePool


@xdr.struct
class StoragePoolFlagsArgs:
    """A storage pool, and flags of the procedure."""

    pool: NonnullStoragePool
    flags: xdr.UInt


@xdr.struct
class StoragePoolGetInfoRet:
    """Result of STORAGE_POOL_GET_INFO."""

    state: Annotated[xdr.UInt, names("storage.StoragePoolState")]
    capacity: xdr.UHyper
    allocation: xdr.UHyper
    available: xdr.UHyper


@xdr.struct
class StoragePoolSetAutostartArgs:
    """Arguments of STORAGE_POOL_SET_AUTOSTART. autostart: 1 to start it with the daemon, else 0."""

    pool: NonnullStoragePool
    autostart: xdr.Int


@xdr.struct
class ConnectListAllStoragePoolsRet:
    """Result of CONNECT_LIST_ALL_STORAGE_POOLS."""

    pools: Annotated[list[NonnullStoragePool], xdr.Array(NonnullStoragePool, STORAGE_POOL_LIST_MAX)]
    ret: xdr.UInt


@xdr.struct
class ConnectStoragePoolEventRegisterAnyArgs:
    """Arguments of CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY."""

    eventID: Annotated[xdr.Int, names("storage.StoragePoolEventID")]
    pool: Annotated[NonnullStoragePool | None, xdr.Optional(NonnullStoragePool)]


@xdr.struct
class StoragePoolEventLifecycleMsg:
    """Content of the event STORAGE_POOL_EVENT_LIFECYCLE."""

    callbackID: xdr.Int
    pool: NonnullStoragePool
    event: Annotated[xdr.Int, names("storage.StoragePoolEventLifecycleType")]
    detail: xdr.Int


@xdr.struct
class StoragePoolEventRefreshMsg:
    """Content of the event STORAGE_POOL_EVENT_REFRESH."""

    callbackID: xdr.Int
    pool: NonnullStoragePool


CONNECT_NUM_OF_STORAGE_POOLS: Final = REMOTE.procedure(
    71, "CONNECT_NUM_OF_STORAGE_POOLS", xdr.Void, NumRet, reads=True, priority=True
)
CONNECT_LIST_STORAGE_POOLS: Final = REMOTE.procedure(
    72,
    "CONNECT_LIST_STORAGE_POOLS",
    MaxNamesArgs,
    ConnectListStoragePoolsRet,
    reads=True,
    priority=True,
)
CONNECT_NUM_OF_DEFINED_STORAGE_POOLS: Final = REMOTE.procedure(
    73, "CONNECT_NUM_OF_DEFINED_STORAGE_POOLS", xdr.Void, NumRet, reads=True, priority=True
)
CONNECT_LIST_DEFINED_STORAGE_POOLS: Final = REMOTE.procedure(
    74,
    "CONNECT_LIST_DEFINED_STORAGE_POOLS",
    MaxNamesArgs,
    ConnectListStoragePoolsRet,
    reads=True,
    priority=True,
)
CONNECT_FIND_STORAGE_POOL_SOURCES: Final = REMOTE.procedure(
    75, "CONNECT_FIND_STORAGE_POOL_SOURCES", ConnectFindStoragePoolSourcesArgs, XmlRet
)
STORAGE_POOL_CREATE_XML: Final = REMOTE.procedure(
    76,
    "STORAGE_POOL_CREATE_XML",
    XmlFlagsArgs,
    StoragePoolRet,
    flags=names("storage.StoragePoolCreateFlags"),
)
STORAGE_POOL_DEFINE_XML: Final = REMOTE.procedure(
    77,
    "STORAGE_POOL_DEFINE_XML",
    XmlFlagsArgs,
    StoragePoolRet,
    flags=names("storage.StoragePoolDefineFlags"),
    priority=True,
)
STORAGE_POOL_CREATE: Final = REMOTE.procedure(
    78,
    "STORAGE_POOL_CREATE",
    StoragePoolFlagsArgs,
    xdr.Void,
    flags=names("storage.StoragePoolCreateFlags"),
)
STORAGE_POOL_BUILD: Final = REMOTE.procedure(
    79,
    "STORAGE_POOL_BUILD",
    StoragePoolFlagsArgs,
    xdr.Void,
    flags=names("storage.StoragePoolBuildFlags"),
)
STORAGE_POOL_DESTROY: Final = REMOTE.procedure(
    80, "STORAGE_POOL_DESTROY", StoragePoolArgs, xdr.Void, priority=True
)
STORAGE_POOL_DELETE: Final = REMOTE.procedure(
    81,
    "STORAGE_POOL_DELETE",
    StoragePoolFlagsArgs,
    xdr.Void,
    flags=names("storage.StoragePoolDeleteFlags"),
)
STORAGE_POOL_UNDEFINE: Final = REMOTE.procedure(
    82, "STORAGE_POOL_UNDEFINE", StoragePoolArgs, xdr.Void, priority=True
)
STORAGE_POOL_REFRESH: Final = REMOTE.procedure(
    83, "STORAGE_POOL_REFRESH", StoragePoolFlagsArgs, xdr.Void
)
STORAGE_POOL_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    84, "STORAGE_POOL_LOOKUP_BY_NAME", NameArgs, StoragePoolRet, reads=True, priority=True
)
STORAGE_POOL_LOOKUP_BY_UUID: Final = REMOTE.procedure(
    85, "STORAGE_POOL_LOOKUP_BY_UUID", UuidArgs, StoragePoolRet, reads=True, priority=True
)
STORAGE_POOL_LOOKUP_BY_VOLUME: Final = REMOTE.procedure(
    86, "STORAGE_POOL_LOOKUP_BY_VOLUME", StorageVolArgs, StoragePoolRet, reads=True, priority=True
)
STORAGE_POOL_GET_INFO: Final = REMOTE.procedure(
    87, "STORAGE_POOL_GET_INFO", StoragePoolArgs, StoragePoolGetInfoRet, reads=True, priority=True
)
STORAGE_POOL_GET_XML_DESC: Final = REMOTE.procedure(
    88,
    "STORAGE_POOL_GET_XML_DESC",
    StoragePoolFlagsArgs,
    XmlRet,
    flags=names("storage.StorageXMLFlags"),
    reads=True,
    priority=True,
)
STORAGE_POOL_GET_AUTOSTART: Final = REMOTE.procedure(
    89, "STORAGE_POOL_GET_AUTOSTART", StoragePoolArgs, AutostartRet, reads=True, priority=True
)
STORAGE_POOL_SET_AUTOSTART: Final = REMOTE.procedure(
    90, "STORAGE_POOL_SET_AUTOSTART", StoragePoolSetAutostartArgs, xdr.Void, priority=True
)
STORAGE_POOL_IS_ACTIVE: Final = REMOTE.procedure(
    154, "STORAGE_POOL_IS_ACTIVE", StoragePoolArgs, ActiveRet, reads=True, priority=True
)
STORAGE_POOL_IS_PERSISTENT: Final = REMOTE.procedure(
    155, "STORAGE_POOL_IS_PERSISTENT", StoragePoolArgs, PersistentRet, reads=True, priority=True
)
CONNECT_LIST_ALL_STORAGE_POOLS: Final = REMOTE.procedure(
    281,
    "CONNECT_LIST_ALL_STORAGE_POOLS",
    ListAllArgs,
    ConnectListAllStoragePoolsRet,
    flags=names("storage.ConnectListAllStoragePoolsFlags"),
    reads=True,
    priority=True,
)
CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY: Final = REMOTE.procedure(
    368,
    "CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY",
    ConnectStoragePoolEventRegisterAnyArgs,
    CallbackRet,
    reads=True,
    priority=True,
)
CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY: Final = REMOTE.procedure(
    369,
    "CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY",
    CallbackArgs,
    xdr.Void,
    reads=True,
    priority=True,
)
STORAGE_POOL_EVENT_LIFECYCLE: Final = REMOTE.event(
    370, "STORAGE_POOL_EVENT_LIFECYCLE", StoragePoolEventLifecycleMsg
)
STORAGE_POOL_EVENT_REFRESH: Final = REMOTE.event(
    373, "STORAGE_POOL_EVENT_REFRESH", StoragePoolEventRefreshMsg
)
STORAGE_POOL_LOOKUP_BY_TARGET_PATH: Final = REMOTE.procedure(
    391, "STORAGE_POOL_LOOKUP_BY_TARGET_PATH", PathArgs, StoragePoolRet, reads=True, priority=True
)
CONNECT_GET_STORAGE_POOL_CAPABILITIES: Final = REMOTE.procedure(
    403, "CONNECT_GET_STORAGE_POOL_CAPABILITIES", FlagsArgs, CapabilitiesRet, reads=True
)
