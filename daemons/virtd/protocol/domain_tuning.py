"""Tuning of domains: processors, memory, schedulers, threads, limits."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import (
    CPUMAP_MAX,
    CPUMAPS_MAX,
    DOMAIN_BLKIO_PARAMETERS_MAX,
    DOMAIN_INTERFACE_PARAMETERS_MAX,
    DOMAIN_IOTHREAD_PARAMS_MAX,
    DOMAIN_MEMORY_PARAMETERS_MAX,
    DOMAIN_NUMA_PARAMETERS_MAX,
    DOMAIN_PERF_EVENTS_MAX,
    DOMAIN_SCHEDULER_PARAMETERS_MAX,
    IOTHREAD_INFO_MAX,
    VCPUINFO_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    DomainArgs,
    DomainCpumapStateArgs,
    DomainFlagsArgs,
    NumRet,
)
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class DomainGetMaxMemoryRet:
    """Result of DOMAIN_GET_MAX_MEMORY. memory: in KiB."""

    memory: xdr.UHyper


@xdr.struct
class DomainGetVcpusArgs:
    """Arguments of DOMAIN_GET_VCPUS. maxinfo: the maximum number of processors; maplen: bytes of
    one map."""

    dom: NonnullDomain
    maxinfo: xdr.Int
    maplen: xdr.Int


@xdr.struct
class VcpuInfo:
    """A virtual processor. state: VcpuState; cpu_time: in nanoseconds; cpu: the processor that it
    runs on."""

    number: xdr.UInt
    state: Annotated[xdr.Int, names("domain.VcpuState")]
    cpu_time: xdr.UHyper
    cpu: Annotated[xdr.Int, names("domain.VcpuHostCpuState")]


@xdr.struct
class DomainGetVcpusRet:
    """Result of DOMAIN_GET_VCPUS. cpumaps: the maps of all processors, one after the other."""

    info: Annotated[list[VcpuInfo], xdr.Array(VcpuInfo, VCPUINFO_MAX)]
    cpumaps: Annotated[bytes, xdr.VarOpaque(CPUMAPS_MAX)]


@xdr.struct
class DomainPinVcpuArgs:
    """Arguments of DOMAIN_PIN_VCPU. cpumap: one bit for each processor, from bit 0 of byte 0."""

    dom: NonnullDomain
    vcpu: xdr.UInt
    cpumap: Annotated[bytes, xdr.VarOpaque(CPUMAP_MAX)]


@xdr.struct
class DomainMemoryArgs:
    """A domain and its memory. memory: in KiB."""

    dom: NonnullDomain
    memory: xdr.UHyper


@xdr.struct
class DomainSetVcpusArgs:
    """Arguments of DOMAIN_SET_VCPUS."""

    dom: NonnullDomain
    nvcpus: xdr.UInt


@xdr.struct
class DomainGetSchedulerTypeRet:
    """Result of DOMAIN_GET_SCHEDULER_TYPE."""

    type: xdr.Str
    nparams: xdr.Int


@xdr.struct
class DomainGetSchedulerParametersArgs:
    """Arguments of DOMAIN_GET_SCHEDULER_PARAMETERS. nparams: the maximum number of parameters; 0 to
    ask for their number."""

    dom: NonnullDomain
    nparams: xdr.Int


@xdr.struct
class DomainGetSchedulerParametersRet:
    """Result of DOMAIN_GET_SCHEDULER_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_SCHEDULER_PARAMETERS_MAX)]


@xdr.struct
class DomainSetSchedulerParametersArgs:
    """Arguments of DOMAIN_SET_SCHEDULER_PARAMETERS."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_SCHEDULER_PARAMETERS_MAX)]


@xdr.struct
class DomainSetMemoryParametersArgs:
    """Arguments of DOMAIN_SET_MEMORY_PARAMETERS. flags: DomainModificationImpact."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_MEMORY_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainParamsArgs:
    """A domain. nparams: the maximum number of parameters; 0 to ask for their number."""

    dom: NonnullDomain
    nparams: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainGetMemoryParametersRet:
    """Result of DOMAIN_GET_MEMORY_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_MEMORY_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class DomainSetVcpusFlagsArgs:
    """Arguments of DOMAIN_SET_VCPUS_FLAGS. flags: DomainVcpuFlags."""

    dom: NonnullDomain
    nvcpus: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainSetMemoryFlagsArgs:
    """Arguments of DOMAIN_SET_MEMORY_FLAGS. memory: in KiB; flags: DomainMemoryModFlags."""

    dom: NonnullDomain
    memory: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainSetBlkioParametersArgs:
    """Arguments of DOMAIN_SET_BLKIO_PARAMETERS. flags: DomainModificationImpact."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_BLKIO_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGetBlkioParametersRet:
    """Result of DOMAIN_GET_BLKIO_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_BLKIO_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class DomainSetSchedulerParametersFlagsArgs:
    """Arguments of DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS. flags: DomainModificationImpact."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_SCHEDULER_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainPinVcpuFlagsArgs:
    """Arguments of DOMAIN_PIN_VCPU_FLAGS. cpumap: one bit for each processor, from bit 0 of byte 0;
    flags: DomainModificationImpact."""

    dom: NonnullDomain
    vcpu: xdr.UInt
    cpumap: Annotated[bytes, xdr.VarOpaque(CPUMAP_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGetVcpuPinInfoArgs:
    """Arguments of DOMAIN_GET_VCPU_PIN_INFO. ncpumaps: the maximum number of maps; maplen: bytes of
    one map; flags: DomainModificationImpact."""

    dom: NonnullDomain
    ncpumaps: xdr.Int
    maplen: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainGetVcpuPinInfoRet:
    """Result of DOMAIN_GET_VCPU_PIN_INFO. cpumaps: the maps of all processors, one after the other."""

    cpumaps: Annotated[bytes, xdr.VarOpaque(CPUMAPS_MAX)]
    num: xdr.Int


@xdr.struct
class DomainSetNumaParametersArgs:
    """Arguments of DOMAIN_SET_NUMA_PARAMETERS. flags: DomainModificationImpact."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_NUMA_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGetNumaParametersRet:
    """Result of DOMAIN_GET_NUMA_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_NUMA_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class DomainSetInterfaceParametersArgs:
    """Arguments of DOMAIN_SET_INTERFACE_PARAMETERS. flags: DomainModificationImpact."""

    dom: NonnullDomain
    device: xdr.Str
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_INTERFACE_PARAMETERS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGetInterfaceParametersArgs:
    """Arguments of DOMAIN_GET_INTERFACE_PARAMETERS. nparams: the maximum number of parameters; 0 to
    ask for their number; flags: DomainModificationImpact | TypedParameterFlags."""

    dom: NonnullDomain
    device: xdr.Str
    nparams: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainGetInterfaceParametersRet:
    """Result of DOMAIN_GET_INTERFACE_PARAMETERS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_INTERFACE_PARAMETERS_MAX)]
    nparams: xdr.Int


@xdr.struct
class DomainPinEmulatorArgs:
    """Arguments of DOMAIN_PIN_EMULATOR. cpumap: one bit for each processor, from bit 0 of byte 0;
    flags: DomainModificationImpact."""

    dom: NonnullDomain
    cpumap: Annotated[bytes, xdr.VarOpaque(CPUMAP_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGetEmulatorPinInfoArgs:
    """Arguments of DOMAIN_GET_EMULATOR_PIN_INFO. maplen: bytes of one map; flags:
    DomainModificationImpact."""

    dom: NonnullDomain
    maplen: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainGetEmulatorPinInfoRet:
    """Result of DOMAIN_GET_EMULATOR_PIN_INFO. cpumaps: the maps of all processors, one after the
    other."""

    cpumaps: Annotated[bytes, xdr.VarOpaque(CPUMAPS_MAX)]
    ret: xdr.Int


@xdr.struct
class DomainSetMemoryStatsPeriodArgs:
    """Arguments of DOMAIN_SET_MEMORY_STATS_PERIOD. flags: DomainMemoryModFlags."""

    dom: NonnullDomain
    period: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainIothreadInfo:
    """A thread for input and output. cpumap: one bit for each processor, from bit 0 of byte 0."""

    iothread_id: xdr.UInt
    cpumap: Annotated[bytes, xdr.VarOpaque(CPUMAP_MAX)]


@xdr.struct
class DomainGetIothreadInfoRet:
    """Result of DOMAIN_GET_IOTHREAD_INFO."""

    info: Annotated[list[DomainIothreadInfo], xdr.Array(DomainIothreadInfo, IOTHREAD_INFO_MAX)]
    ret: xdr.UInt


@xdr.struct
class DomainPinIothreadArgs:
    """Arguments of DOMAIN_PIN_IOTHREAD. cpumap: one bit for each processor, from bit 0 of byte 0;
    flags: DomainModificationImpact."""

    dom: NonnullDomain
    iothreads_id: xdr.UInt
    cpumap: Annotated[bytes, xdr.VarOpaque(CPUMAP_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainIothreadArgs:
    """A thread for input and output of a domain."""

    dom: NonnullDomain
    iothread_id: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainGetPerfEventsRet:
    """Result of DOMAIN_GET_PERF_EVENTS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_PERF_EVENTS_MAX)]


@xdr.struct
class DomainSetPerfEventsArgs:
    """Arguments of DOMAIN_SET_PERF_EVENTS. flags: DomainModificationImpact."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_PERF_EVENTS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainSetIothreadParamsArgs:
    """Arguments of DOMAIN_SET_IOTHREAD_PARAMS. flags: DomainModificationImpact |
    TypedParameterFlags."""

    dom: NonnullDomain
    iothread_id: xdr.UInt
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_IOTHREAD_PARAMS_MAX)]
    flags: xdr.UInt


DOMAIN_GET_MAX_MEMORY: Final = REMOTE.procedure(
    17, "DOMAIN_GET_MAX_MEMORY", DomainArgs, DomainGetMaxMemoryRet, reads=True, priority=True
)
DOMAIN_GET_MAX_VCPUS: Final = REMOTE.procedure(
    18, "DOMAIN_GET_MAX_VCPUS", DomainArgs, NumRet, reads=True, priority=True
)
DOMAIN_GET_VCPUS: Final = REMOTE.procedure(
    20, "DOMAIN_GET_VCPUS", DomainGetVcpusArgs, DomainGetVcpusRet, reads=True, priority=True
)
DOMAIN_PIN_VCPU: Final = REMOTE.procedure(26, "DOMAIN_PIN_VCPU", DomainPinVcpuArgs, xdr.Void)
DOMAIN_SET_MAX_MEMORY: Final = REMOTE.procedure(
    30, "DOMAIN_SET_MAX_MEMORY", DomainMemoryArgs, xdr.Void, priority=True
)
DOMAIN_SET_MEMORY: Final = REMOTE.procedure(31, "DOMAIN_SET_MEMORY", DomainMemoryArgs, xdr.Void)
DOMAIN_SET_VCPUS: Final = REMOTE.procedure(32, "DOMAIN_SET_VCPUS", DomainSetVcpusArgs, xdr.Void)
DOMAIN_GET_SCHEDULER_TYPE: Final = REMOTE.procedure(
    56, "DOMAIN_GET_SCHEDULER_TYPE", DomainArgs, DomainGetSchedulerTypeRet, reads=True
)
DOMAIN_GET_SCHEDULER_PARAMETERS: Final = REMOTE.procedure(
    57,
    "DOMAIN_GET_SCHEDULER_PARAMETERS",
    DomainGetSchedulerParametersArgs,
    DomainGetSchedulerParametersRet,
    reads=True,
)
DOMAIN_SET_SCHEDULER_PARAMETERS: Final = REMOTE.procedure(
    58, "DOMAIN_SET_SCHEDULER_PARAMETERS", DomainSetSchedulerParametersArgs, xdr.Void
)
DOMAIN_SET_MEMORY_PARAMETERS: Final = REMOTE.procedure(
    197,
    "DOMAIN_SET_MEMORY_PARAMETERS",
    DomainSetMemoryParametersArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_MEMORY_PARAMETERS: Final = REMOTE.procedure(
    198,
    "DOMAIN_GET_MEMORY_PARAMETERS",
    DomainParamsArgs,
    DomainGetMemoryParametersRet,
    flags=names("domain_flags.DomainModificationImpact | connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_SET_VCPUS_FLAGS: Final = REMOTE.procedure(
    199,
    "DOMAIN_SET_VCPUS_FLAGS",
    DomainSetVcpusFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainVcpuFlags"),
)
DOMAIN_GET_VCPUS_FLAGS: Final = REMOTE.procedure(
    200,
    "DOMAIN_GET_VCPUS_FLAGS",
    DomainFlagsArgs,
    NumRet,
    flags=names("domain_flags.DomainVcpuFlags"),
    reads=True,
)
DOMAIN_SET_MEMORY_FLAGS: Final = REMOTE.procedure(
    204,
    "DOMAIN_SET_MEMORY_FLAGS",
    DomainSetMemoryFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainMemoryModFlags"),
)
DOMAIN_SET_BLKIO_PARAMETERS: Final = REMOTE.procedure(
    205,
    "DOMAIN_SET_BLKIO_PARAMETERS",
    DomainSetBlkioParametersArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_BLKIO_PARAMETERS: Final = REMOTE.procedure(
    206,
    "DOMAIN_GET_BLKIO_PARAMETERS",
    DomainParamsArgs,
    DomainGetBlkioParametersRet,
    flags=names("domain_flags.DomainModificationImpact | connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS: Final = REMOTE.procedure(
    219,
    "DOMAIN_SET_SCHEDULER_PARAMETERS_FLAGS",
    DomainSetSchedulerParametersFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS: Final = REMOTE.procedure(
    223,
    "DOMAIN_GET_SCHEDULER_PARAMETERS_FLAGS",
    DomainParamsArgs,
    DomainGetSchedulerParametersRet,
    flags=names("domain_flags.DomainModificationImpact | connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_PIN_VCPU_FLAGS: Final = REMOTE.procedure(
    225,
    "DOMAIN_PIN_VCPU_FLAGS",
    DomainPinVcpuFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_VCPU_PIN_INFO: Final = REMOTE.procedure(
    230,
    "DOMAIN_GET_VCPU_PIN_INFO",
    DomainGetVcpuPinInfoArgs,
    DomainGetVcpuPinInfoRet,
    flags=names("domain_flags.DomainModificationImpact"),
    reads=True,
)
DOMAIN_SET_NUMA_PARAMETERS: Final = REMOTE.procedure(
    254,
    "DOMAIN_SET_NUMA_PARAMETERS",
    DomainSetNumaParametersArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_NUMA_PARAMETERS: Final = REMOTE.procedure(
    255,
    "DOMAIN_GET_NUMA_PARAMETERS",
    DomainParamsArgs,
    DomainGetNumaParametersRet,
    flags=names("domain_flags.DomainModificationImpact | connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_SET_INTERFACE_PARAMETERS: Final = REMOTE.procedure(
    256,
    "DOMAIN_SET_INTERFACE_PARAMETERS",
    DomainSetInterfaceParametersArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_INTERFACE_PARAMETERS: Final = REMOTE.procedure(
    257,
    "DOMAIN_GET_INTERFACE_PARAMETERS",
    DomainGetInterfaceParametersArgs,
    DomainGetInterfaceParametersRet,
    flags=names("domain_flags.DomainModificationImpact | connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_PIN_EMULATOR: Final = REMOTE.procedure(
    279,
    "DOMAIN_PIN_EMULATOR",
    DomainPinEmulatorArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_EMULATOR_PIN_INFO: Final = REMOTE.procedure(
    280,
    "DOMAIN_GET_EMULATOR_PIN_INFO",
    DomainGetEmulatorPinInfoArgs,
    DomainGetEmulatorPinInfoRet,
    flags=names("domain_flags.DomainModificationImpact"),
    reads=True,
)
DOMAIN_SET_MEMORY_STATS_PERIOD: Final = REMOTE.procedure(
    308,
    "DOMAIN_SET_MEMORY_STATS_PERIOD",
    DomainSetMemoryStatsPeriodArgs,
    xdr.Void,
    flags=names("domain_flags.DomainMemoryModFlags"),
)
DOMAIN_GET_IOTHREAD_INFO: Final = REMOTE.procedure(
    351,
    "DOMAIN_GET_IOTHREAD_INFO",
    DomainFlagsArgs,
    DomainGetIothreadInfoRet,
    flags=names("domain_flags.DomainModificationImpact"),
    reads=True,
)
DOMAIN_PIN_IOTHREAD: Final = REMOTE.procedure(
    352,
    "DOMAIN_PIN_IOTHREAD",
    DomainPinIothreadArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_ADD_IOTHREAD: Final = REMOTE.procedure(
    355,
    "DOMAIN_ADD_IOTHREAD",
    DomainIothreadArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_DEL_IOTHREAD: Final = REMOTE.procedure(
    356,
    "DOMAIN_DEL_IOTHREAD",
    DomainIothreadArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_GET_PERF_EVENTS: Final = REMOTE.procedure(
    365,
    "DOMAIN_GET_PERF_EVENTS",
    DomainFlagsArgs,
    DomainGetPerfEventsRet,
    flags=names("domain_flags.DomainModificationImpact | connect.TypedParameterFlags"),
    reads=True,
)
DOMAIN_SET_PERF_EVENTS: Final = REMOTE.procedure(
    366,
    "DOMAIN_SET_PERF_EVENTS",
    DomainSetPerfEventsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_SET_VCPU: Final = REMOTE.procedure(
    384,
    "DOMAIN_SET_VCPU",
    DomainCpumapStateArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
DOMAIN_SET_IOTHREAD_PARAMS: Final = REMOTE.procedure(
    402,
    "DOMAIN_SET_IOTHREAD_PARAMS",
    DomainSetIothreadParamsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainModificationImpact"),
)
