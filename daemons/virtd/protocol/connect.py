"""The connection to a hypervisor, and its abilities."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import (
    CONNECT_CPU_MODELS_MAX,
    CONNECT_IDENTITY_PARAMS_MAX,
    CPU_BASELINE_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    CapabilitiesRet,
    FlagsArgs,
    HostnameRet,
    ResultRet,
    TypeRet,
    XmlFlagsArgs,
)
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class ConnectOpenArgs:
    """Arguments of CONNECT_OPEN."""

    name: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class ConnectGetVersionRet:
    """Result of CONNECT_GET_VERSION. hv_ver: major * 1000000 + minor * 1000 + release."""

    hv_ver: xdr.UHyper


@xdr.struct
class ConnectGetMaxVcpusArgs:
    """Arguments of CONNECT_GET_MAX_VCPUS."""

    type: xdr.OptStr


@xdr.struct
class ConnectGetMaxVcpusRet:
    """Result of CONNECT_GET_MAX_VCPUS."""

    max_vcpus: xdr.Int


@xdr.struct
class ConnectSupportsFeatureArgs:
    """Arguments of CONNECT_SUPPORTS_FEATURE. feature: a Feature, or any other number."""

    feature: Annotated[xdr.Int, names("connect.Feature")]


@xdr.struct
class ConnectSupportsFeatureRet:
    """Result of CONNECT_SUPPORTS_FEATURE. supported: 1 if the feature is available, else 0."""

    supported: xdr.Int


@xdr.struct
class ConnectGetUriRet:
    """Result of CONNECT_GET_URI."""

    uri: xdr.Str


@xdr.struct
class ConnectIsSecureRet:
    """Result of CONNECT_IS_SECURE. secure: 1 if the connection between daemon and hypervisor is
    private, else 0."""

    secure: xdr.Int


@xdr.struct
class ConnectGetLibVersionRet:
    """Result of CONNECT_GET_LIB_VERSION. lib_ver: major * 1000000 + minor * 1000 + release."""

    lib_ver: xdr.UHyper


@xdr.struct
class ConnectBaselineCpuArgs:
    """Arguments of CONNECT_BASELINE_CPU. flags: ConnectBaselineCPUFlags."""

    xmlCPUs: Annotated[list[str], xdr.Array(xdr.Str, CPU_BASELINE_MAX)]
    flags: xdr.UInt


@xdr.struct
class CpuRet:
    """A document that describes a processor."""

    cpu: xdr.Str


@xdr.struct
class ConnectGetSysinfoRet:
    """Result of CONNECT_GET_SYSINFO."""

    sysinfo: xdr.Str


@xdr.struct
class ConnectGetCpuModelNamesArgs:
    """Arguments of CONNECT_GET_CPU_MODEL_NAMES. need_results: 0 for the number only."""

    arch: xdr.Str
    need_results: xdr.Int
    flags: xdr.UInt


@xdr.struct
class ConnectGetCpuModelNamesRet:
    """Result of CONNECT_GET_CPU_MODEL_NAMES."""

    models: Annotated[list[str], xdr.Array(xdr.Str, CONNECT_CPU_MODELS_MAX)]
    ret: xdr.Int


@xdr.struct
class ConnectGetDomainCapabilitiesArgs:
    """Arguments of CONNECT_GET_DOMAIN_CAPABILITIES."""

    emulatorbin: xdr.OptStr
    arch: xdr.OptStr
    machine: xdr.OptStr
    virttype: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class ConnectEventConnectionClosedMsg:
    """Content of the event CONNECT_EVENT_CONNECTION_CLOSED."""

    reason: Annotated[xdr.Int, names("connect.ConnectCloseReason")]


@xdr.struct
class ConnectCompareHypervisorCpuArgs:
    """Arguments of CONNECT_COMPARE_HYPERVISOR_CPU. flags: ConnectCompareCPUFlags."""

    emulator: xdr.OptStr
    arch: xdr.OptStr
    machine: xdr.OptStr
    virttype: xdr.OptStr
    xmlCPU: xdr.Str
    flags: xdr.UInt


@xdr.struct
class ConnectBaselineHypervisorCpuArgs:
    """Arguments of CONNECT_BASELINE_HYPERVISOR_CPU. flags: ConnectBaselineCPUFlags."""

    emulator: xdr.OptStr
    arch: xdr.OptStr
    machine: xdr.OptStr
    virttype: xdr.OptStr
    xmlCPUs: Annotated[list[str], xdr.Array(xdr.Str, CPU_BASELINE_MAX)]
    flags: xdr.UInt


@xdr.struct
class ConnectSetIdentityArgs:
    """Arguments of CONNECT_SET_IDENTITY."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, CONNECT_IDENTITY_PARAMS_MAX)]
    flags: xdr.UInt


CONNECT_OPEN: Final = REMOTE.procedure(
    1,
    "CONNECT_OPEN",
    ConnectOpenArgs,
    xdr.Void,
    flags=names("connect.ConnectFlags"),
    reads=True,
    priority=True,
)
CONNECT_CLOSE: Final = REMOTE.procedure(
    2, "CONNECT_CLOSE", xdr.Void, xdr.Void, reads=True, priority=True
)
CONNECT_GET_TYPE: Final = REMOTE.procedure(
    3, "CONNECT_GET_TYPE", xdr.Void, TypeRet, reads=True, priority=True
)
CONNECT_GET_VERSION: Final = REMOTE.procedure(
    4, "CONNECT_GET_VERSION", xdr.Void, ConnectGetVersionRet, reads=True, priority=True
)
CONNECT_GET_MAX_VCPUS: Final = REMOTE.procedure(
    5,
    "CONNECT_GET_MAX_VCPUS",
    ConnectGetMaxVcpusArgs,
    ConnectGetMaxVcpusRet,
    reads=True,
    priority=True,
)
CONNECT_GET_CAPABILITIES: Final = REMOTE.procedure(
    7, "CONNECT_GET_CAPABILITIES", xdr.Void, CapabilitiesRet, reads=True
)
CONNECT_GET_HOSTNAME: Final = REMOTE.procedure(
    59, "CONNECT_GET_HOSTNAME", xdr.Void, HostnameRet, reads=True, priority=True
)
CONNECT_SUPPORTS_FEATURE: Final = REMOTE.procedure(
    60,
    "CONNECT_SUPPORTS_FEATURE",
    ConnectSupportsFeatureArgs,
    ConnectSupportsFeatureRet,
    reads=True,
    priority=True,
)
CONNECT_GET_URI: Final = REMOTE.procedure(
    110, "CONNECT_GET_URI", xdr.Void, ConnectGetUriRet, reads=True, priority=True
)
CONNECT_IS_SECURE: Final = REMOTE.procedure(
    149, "CONNECT_IS_SECURE", xdr.Void, ConnectIsSecureRet, reads=True, priority=True
)
CONNECT_GET_LIB_VERSION: Final = REMOTE.procedure(
    157, "CONNECT_GET_LIB_VERSION", xdr.Void, ConnectGetLibVersionRet, reads=True, priority=True
)
CONNECT_COMPARE_CPU: Final = REMOTE.procedure(
    158,
    "CONNECT_COMPARE_CPU",
    XmlFlagsArgs,
    ResultRet,
    flags=names("connect.ConnectCompareCPUFlags"),
    reads=True,
    priority=True,
)
CONNECT_BASELINE_CPU: Final = REMOTE.procedure(
    162,
    "CONNECT_BASELINE_CPU",
    ConnectBaselineCpuArgs,
    CpuRet,
    flags=names("connect.ConnectBaselineCPUFlags"),
    reads=True,
)
CONNECT_GET_SYSINFO: Final = REMOTE.procedure(
    203, "CONNECT_GET_SYSINFO", FlagsArgs, ConnectGetSysinfoRet, reads=True, priority=True
)
CONNECT_GET_CPU_MODEL_NAMES: Final = REMOTE.procedure(
    312,
    "CONNECT_GET_CPU_MODEL_NAMES",
    ConnectGetCpuModelNamesArgs,
    ConnectGetCpuModelNamesRet,
    reads=True,
)
CONNECT_GET_DOMAIN_CAPABILITIES: Final = REMOTE.procedure(
    342, "CONNECT_GET_DOMAIN_CAPABILITIES", ConnectGetDomainCapabilitiesArgs, CapabilitiesRet
)
CONNECT_REGISTER_CLOSE_CALLBACK: Final = REMOTE.procedure(
    360, "CONNECT_REGISTER_CLOSE_CALLBACK", xdr.Void, xdr.Void, reads=True, priority=True
)
CONNECT_UNREGISTER_CLOSE_CALLBACK: Final = REMOTE.procedure(
    361, "CONNECT_UNREGISTER_CLOSE_CALLBACK", xdr.Void, xdr.Void, reads=True, priority=True
)
CONNECT_EVENT_CONNECTION_CLOSED: Final = REMOTE.event(
    362, "CONNECT_EVENT_CONNECTION_CLOSED", ConnectEventConnectionClosedMsg
)
CONNECT_COMPARE_HYPERVISOR_CPU: Final = REMOTE.procedure(
    393,
    "CONNECT_COMPARE_HYPERVISOR_CPU",
    ConnectCompareHypervisorCpuArgs,
    ResultRet,
    flags=names("connect.ConnectCompareCPUFlags"),
)
CONNECT_BASELINE_HYPERVISOR_CPU: Final = REMOTE.procedure(
    394,
    "CONNECT_BASELINE_HYPERVISOR_CPU",
    ConnectBaselineHypervisorCpuArgs,
    CpuRet,
    flags=names("connect.ConnectBaselineCPUFlags"),
)
CONNECT_SET_IDENTITY: Final = REMOTE.procedure(
    419, "CONNECT_SET_IDENTITY", ConnectSetIdentityArgs, xdr.Void, reads=True
)
