"""Statistics of domains."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import (
    CONNECT_GET_ALL_DOMAIN_STATS_MAX,
    DOMAIN_BLOCK_STATS_PARAMETERS_MAX,
    DOMAIN_GET_CPU_STATS_MAX,
    DOMAIN_LIST_MAX,
    DOMAIN_MEMORY_STATS_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class DomainBlockStatsArgs:
    """Arguments of DOMAIN_BLOCK_STATS."""

    dom: NonnullDomain
    path: xdr.Str


@xdr.struct
class DomainBlockStatsRet:
    """Result of DOMAIN_BLOCK_STATS."""

    rd_req: xdr.Hyper
    rd_bytes: xdr.Hyper
    wr_req: xdr.Hyper
    wr_bytes: xdr.Hyper
    errs: xdr.Hyper


@xdr.struct
class DomainInterfaceStatsArgs:
    """Arguments of DOMAIN_INTERFACE_STATS."""

    dom: NonnullDomain
    device: xdr.Str


@xdr.struct
class DomainInterfaceStatsRet:
    """Result of DOMAIN_INTERFACE_STATS."""

    rx_bytes: xdr.Hyper
    rx_packets: xdr.Hyper
    rx_errs: xdr.Hyper
    rx_drop: xdr.Hyper
    tx_bytes: xdr.Hyper
    tx_packets: xdr.Hyper
    tx_errs: xdr.Hyper
    tx_drop: xdr.Hyper


@xdr.struct
class DomainMemoryStatsArgs:
    """Arguments of DOMAIN_MEMORY_STATS."""

    dom: NonnullDomain
    maxStats: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainMemoryStat:
    """A statistic of memory. tag: DomainMemoryStatTags."""

    tag: Annotated[xdr.Int, names("domain.DomainMemoryStatTags")]
    val: xdr.UHyper


@xdr.struct
class DomainMemoryStatsRet:
    """Result of DOMAIN_MEMORY_STATS."""

    stats: Annotated[list[DomainMemoryStat], xdr.Array(DomainMemoryStat, DOMAIN_MEMORY_STATS_MAX)]


@xdr.struct
class DomainBlockStatsFlagsArgs:
    """Arguments of DOMAIN_BLOCK_STATS_FLAGS. nparams: the maximum number of parameters; 0 to ask
    for their number; flags: TypedParameterFlags."""

    dom: NonnullDomain
    path: xdr.Str
    nparams: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainBlockStatsFlagsRet:
    """Result of DOMAIN_BLOCK_STATS_FLAGS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_BLOCK_STATS_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class DomainGetCpuStatsArgs:
    """Arguments of DOMAIN_GET_CPU_STATS. nparams: the maximum number of parameters; 0 to ask for
    their number; flags: TypedParameterFlags."""

    dom: NonnullDomain
    nparams: xdr.UInt
    start_cpu: xdr.Int
    ncpus: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainGetCpuStatsRet:
    """Result of DOMAIN_GET_CPU_STATS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_GET_CPU_STATS_MAX)]
    nparams: xdr.Int


@xdr.struct
class ConnectGetAllDomainStatsArgs:
    """Arguments of CONNECT_GET_ALL_DOMAIN_STATS. flags: ConnectGetAllDomainStatsFlags."""

    doms: Annotated[list[NonnullDomain], xdr.Array(NonnullDomain, DOMAIN_LIST_MAX)]
    stats: Annotated[xdr.UInt, names("domain_flags.DomainStatsTypes")]
    flags: xdr.UInt


@xdr.struct
class DomainStatsRecord:
    """Statistics of one domain."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, CONNECT_GET_ALL_DOMAIN_STATS_MAX)]


@xdr.struct
class ConnectGetAllDomainStatsRet:
    """Result of CONNECT_GET_ALL_DOMAIN_STATS."""

    retStats: Annotated[list[DomainStatsRecord], xdr.Array(DomainStatsRecord, DOMAIN_LIST_MAX)]


DOMAIN_BLOCK_STATS: Final = REMOTE.procedure(
    64, "DOMAIN_BLOCK_STATS", DomainBlockStatsArgs, DomainBlockStatsRet, reads=True
)
DOMAIN_INTERFACE_STATS: Final = REMOTE.procedure(
    65,
    "DOMAIN_INTERFACE_STATS",
    DomainInterfaceStatsArgs,
    DomainInterfaceStatsRet,
    reads=True,
    priority=True,
)
DOMAIN_MEMORY_STATS: Final = REMOTE.procedure(
    159, "DOMAIN_MEMORY_STATS", DomainMemoryStatsArgs, DomainMemoryStatsRet, reads=True
)
DOMAIN_BLOCK_STATS_FLAGS: Final = REMOTE.procedure(
    243,
    "DOMAIN_BLOCK_STATS_FLAGS",
    DomainBlockStatsFlagsArgs,
    DomainBlockStatsFlagsRet,
    flags=names("connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_GET_CPU_STATS: Final = REMOTE.procedure(
    262,
    "DOMAIN_GET_CPU_STATS",
    DomainGetCpuStatsArgs,
    DomainGetCpuStatsRet,
    flags=names("connect.TypedParameterFlags"),
    reads=True,
)
CONNECT_GET_ALL_DOMAIN_STATS: Final = REMOTE.procedure(
    344,
    "CONNECT_GET_ALL_DOMAIN_STATS",
    ConnectGetAllDomainStatsArgs,
    ConnectGetAllDomainStatsRet,
    flags=names("domain_flags.ConnectGetAllDomainStatsFlags"),
    reads=True,
)
