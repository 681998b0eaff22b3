"""The host itself: processors, memory, suspending."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.chars import CharArray, Chars
from aiovirt.daemons.virtd.protocol.limits import (
    CPUMAP_MAX,
    NODE_CPU_STATS_MAX,
    NODE_MAX_CELLS,
    NODE_MEMORY_PARAMETERS_MAX,
    NODE_MEMORY_STATS_MAX,
    NODE_SEV_INFO_MAX,
    SECURITY_DOI_MAX,
    SECURITY_MODEL_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class NodeGetInfoRet:
    """Result of NODE_GET_INFO. memory: in KiB."""

    model: Annotated[bytes, CharArray(32)]
    memory: xdr.UHyper
    cpus: xdr.Int
    mhz: xdr.Int
    nodes: xdr.Int
    sockets: xdr.Int
    cores: xdr.Int
    threads: xdr.Int


@xdr.struct
class NodeGetCellsFreeMemoryArgs:
    """Arguments of NODE_GET_CELLS_FREE_MEMORY. startCell: the first NUMA cell."""

    startCell: xdr.Int
    maxcells: xdr.Int


@xdr.struct
class NodeGetCellsFreeMemoryRet:
    """Result of NODE_GET_CELLS_FREE_MEMORY."""

    cells: Annotated[list[int], xdr.Array(xdr.UHyper, NODE_MAX_CELLS)]


@xdr.struct
class NodeGetFreeMemoryRet:
    """Result of NODE_GET_FREE_MEMORY."""

    freeMem: xdr.UHyper


@xdr.struct
class NodeGetSecurityModelRet:
    """Result of NODE_GET_SECURITY_MODEL."""

    model: Annotated[bytes, Chars(SECURITY_MODEL_MAX)]
    doi: Annotated[bytes, Chars(SECURITY_DOI_MAX)]


@xdr.struct
class NodeGetCpuStatsArgs:
    """Arguments of NODE_GET_CPU_STATS. nparams: the maximum number of parameters; 0 to ask for
    their number."""

    cpuNum: Annotated[xdr.Int, names("connect.NodeGetCPUStatsAllCPUs")]
    nparams: xdr.Int
    flags: xdr.UInt


@xdr.struct
class NodeGetCpuStats:
    """A statistic of processors."""

    field: xdr.Str
    value: xdr.UHyper


@xdr.struct
class NodeGetCpuStatsRet:
    """Result of NODE_GET_CPU_STATS."""

    params: Annotated[list[NodeGetCpuStats], xdr.Array(NodeGetCpuStats, NODE_CPU_STATS_MAX)]
    nparams: xdr.Int


@xdr.struct
class NodeGetMemoryStatsArgs:
    """Arguments of NODE_GET_MEMORY_STATS. nparams: the maximum number of parameters; 0 to ask for
    their number."""

    nparams: xdr.Int
    cellNum: Annotated[xdr.Int, names("connect.NodeGetMemoryStatsAllCells")]
    flags: xdr.UInt


@xdr.struct
class NodeGetMemoryStats:
    """A statistic of memory."""

    field: xdr.Str
    value: xdr.UHyper


@xdr.struct
class NodeGetMemoryStatsRet:
    """Result of NODE_GET_MEMORY_STATS."""

    params: Annotated[
        list[NodeGetMemoryStats], xdr.Array(NodeGetMemoryStats, NODE_MEMORY_STATS_MAX)
    ]
    nparams: xdr.Int


@xdr.struct
class NodeSuspendForDurationArgs:
    """Arguments of NODE_SUSPEND_FOR_DURATION. duration: in seconds."""

    target: Annotated[xdr.UInt, names("connect.NodeSuspendTarget")]
    duration: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class NodeSetMemoryParametersArgs:
    """Arguments of NODE_SET_MEMORY_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, NODE_MEMORY_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class ParamsArgs:
    """A limit. nparams: the maximum number of parameters; 0 to ask for their number."""

    nparams: xdr.Int
    flags: xdr.UInt


@xdr.struct
class NodeGetMemoryParametersRet:
    """Result of NODE_GET_MEMORY_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, NODE_MEMORY_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class NodeGetCpuMapArgs:
    """Arguments of NODE_GET_CPU_MAP."""

    need_map: xdr.Int
    need_online: xdr.Int
    flags: xdr.UInt


@xdr.struct
class NodeGetCpuMapRet:
    """Result of NODE_GET_CPU_MAP. cpumap: one bit for each processor, from bit 0 of byte 0."""

    cpumap: Annotated[bytes, xdr.VarOpaque(CPUMAP_MAX)]
    online: xdr.UInt
    ret: xdr.Int


@xdr.struct
class NodeGetFreePagesArgs:
    """Arguments of NODE_GET_FREE_PAGES. startCell: the first NUMA cell."""

    pages: Annotated[list[int], xdr.Array(xdr.UInt, NODE_MAX_CELLS)]
    startCell: xdr.Int
    cellCount: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class NodeGetFreePagesRet:
    """Result of NODE_GET_FREE_PAGES."""

    counts: Annotated[list[int], xdr.Array(xdr.UHyper, NODE_MAX_CELLS)]


@xdr.struct
class NodeAllocPagesArgs:
    """Arguments of NODE_ALLOC_PAGES. startCell: the first NUMA cell; flags: NodeAllocPagesFlags."""

    pageSizes: Annotated[list[int], xdr.Array(xdr.UInt, NODE_MAX_CELLS)]
    pageCounts: Annotated[list[int], xdr.Array(xdr.UHyper, NODE_MAX_CELLS)]
    startCell: xdr.Int
    cellCount: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class NodeAllocPagesRet:
    """Result of NODE_ALLOC_PAGES."""

    ret: xdr.Int


@xdr.struct
class NodeGetSevInfoRet:
    """Result of NODE_GET_SEV_INFO."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, NODE_SEV_INFO_MAX)]
    nparams: xdr.Int


NODE_GET_INFO: Final = REMOTE.procedure(
    6, "NODE_GET_INFO", xdr.Void, NodeGetInfoRet, reads=True, priority=True
)
NODE_GET_CELLS_FREE_MEMORY: Final = REMOTE.procedure(
    101,
    "NODE_GET_CELLS_FREE_MEMORY",
    NodeGetCellsFreeMemoryArgs,
    NodeGetCellsFreeMemoryRet,
    reads=True,
    priority=True,
)
NODE_GET_FREE_MEMORY: Final = REMOTE.procedure(
    102, "NODE_GET_FREE_MEMORY", xdr.Void, NodeGetFreeMemoryRet, reads=True, priority=True
)
NODE_GET_SECURITY_MODEL: Final = REMOTE.procedure(
    122, "NODE_GET_SECURITY_MODEL", xdr.Void, NodeGetSecurityModelRet, reads=True, priority=True
)
NODE_GET_CPU_STATS: Final = REMOTE.procedure(
    227, "NODE_GET_CPU_STATS", NodeGetCpuStatsArgs, NodeGetCpuStatsRet, reads=True, priority=True
)
NODE_GET_MEMORY_STATS: Final = REMOTE.procedure(
    228,
    "NODE_GET_MEMORY_STATS",
    NodeGetMemoryStatsArgs,
    NodeGetMemoryStatsRet,
    reads=True,
    priority=True,
)
NODE_SUSPEND_FOR_DURATION: Final = REMOTE.procedure(
    250, "NODE_SUSPEND_FOR_DURATION", NodeSuspendForDurationArgs, xdr.Void
)
NODE_SET_MEMORY_PARAMETERS: Final = REMOTE.procedure(
    288, "NODE_SET_MEMORY_PARAMETERS", NodeSetMemoryParametersArgs, xdr.Void
)
NODE_GET_MEMORY_PARAMETERS: Final = REMOTE.procedure(
    289,
    "NODE_GET_MEMORY_PARAMETERS",
    ParamsArgs,
    NodeGetMemoryParametersRet,
    flags=names("connect.TypedParameterFlags"),
    reads=True,
)
NODE_GET_CPU_MAP: Final = REMOTE.procedure(
    293, "NODE_GET_CPU_MAP", NodeGetCpuMapArgs, NodeGetCpuMapRet, reads=True
)
NODE_GET_FREE_PAGES: Final = REMOTE.procedure(
    340, "NODE_GET_FREE_PAGES", NodeGetFreePagesArgs, NodeGetFreePagesRet, reads=True, priority=True
)
NODE_ALLOC_PAGES: Final = REMOTE.procedure(
    347,
    "NODE_ALLOC_PAGES",
    NodeAllocPagesArgs,
    NodeAllocPagesRet,
    flags=names("connect.NodeAllocPagesFlags"),
)
NODE_GET_SEV_INFO: Final = REMOTE.procedure(
    395,
    "NODE_GET_SEV_INFO",
    ParamsArgs,
    NodeGetSevInfoRet,
    flags=names("connect.TypedParameterFlags"),
)
