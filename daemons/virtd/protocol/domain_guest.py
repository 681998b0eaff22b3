"""The guest within a domain: agent, console, keys, screen, clock."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import (
    DOMAIN_AUTHORIZED_SSH_KEYS_MAX,
    DOMAIN_FSFREEZE_MOUNTPOINTS_MAX,
    DOMAIN_FSINFO_DISKS_MAX,
    DOMAIN_FSINFO_MAX,
    DOMAIN_GUEST_INFO_PARAMS_MAX,
    DOMAIN_GUEST_VCPU_PARAMS_MAX,
    DOMAIN_INTERFACE_MAX,
    DOMAIN_IP_ADDR_MAX,
    DOMAIN_LAUNCH_SECURITY_INFO_PARAMS_MAX,
    DOMAIN_LAUNCH_SECURITY_STATE_PARAMS_MAX,
    DOMAIN_MEMORY_PEEK_BUFFER_MAX,
    DOMAIN_MESSAGES_MAX,
    DOMAIN_SEND_KEY_MAX,
)
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    DomainCpumapStateArgs,
    DomainFlagsArgs,
    HostnameRet,
    ResultRet,
)
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class DomainMemoryPeekArgs:
    """Arguments of DOMAIN_MEMORY_PEEK. flags: DomainMemoryFlags."""

    dom: NonnullDomain
    offset: xdr.UHyper
    size: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainMemoryPeekRet:
    """Result of DOMAIN_MEMORY_PEEK."""

    buffer: Annotated[bytes, xdr.VarOpaque(DOMAIN_MEMORY_PEEK_BUFFER_MAX)]


@xdr.struct
class DomainOpenConsoleArgs:
    """Arguments of DOMAIN_OPEN_CONSOLE. flags: DomainConsoleFlags."""

    dom: NonnullDomain
    dev_name: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainScreenshotArgs:
    """Arguments of DOMAIN_SCREENSHOT."""

    dom: NonnullDomain
    screen: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainScreenshotRet:
    """Result of DOMAIN_SCREENSHOT."""

    mime: xdr.OptStr


@xdr.struct
class DomainSendKeyArgs:
    """Arguments of DOMAIN_SEND_KEY. codeset: KeycodeSet; holdtime: milliseconds between press and
    release."""

    dom: NonnullDomain
    codeset: Annotated[xdr.UInt, names("domain.KeycodeSet")]
    holdtime: xdr.UInt
    keycodes: Annotated[list[int], xdr.Array(xdr.UInt, DOMAIN_SEND_KEY_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGraphicsArgs:
    """A display of a domain. idx: its place among the displays, from 0."""

    dom: NonnullDomain
    idx: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainPmSuspendForDurationArgs:
    """Arguments of DOMAIN_PM_SUSPEND_FOR_DURATION. duration: in seconds."""

    dom: NonnullDomain
    target: Annotated[xdr.UInt, names("connect.NodeSuspendTarget")]
    duration: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainFstrimArgs:
    """Arguments of DOMAIN_FSTRIM."""

    dom: NonnullDomain
    mountPoint: xdr.OptStr
    minimum: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainSendProcessSignalArgs:
    """Arguments of DOMAIN_SEND_PROCESS_SIGNAL. pid_value: the process; 1 for the first one of the
    guest."""

    dom: NonnullDomain
    pid_value: xdr.Hyper
    signum: Annotated[xdr.UInt, names("domain.DomainProcessSignal")]
    flags: xdr.UInt


@xdr.struct
class DomainOpenChannelArgs:
    """Arguments of DOMAIN_OPEN_CHANNEL. flags: DomainChannelFlags."""

    dom: NonnullDomain
    name: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainMountpointsArgs:
    """File systems of a guest. mountpoints: where they are mounted; empty for all."""

    dom: NonnullDomain
    mountpoints: Annotated[list[str], xdr.Array(xdr.Str, DOMAIN_FSFREEZE_MOUNTPOINTS_MAX)]
    flags: xdr.UInt


@xdr.struct
class FilesystemsRet:
    """A number of file systems."""

    filesystems: xdr.Int


@xdr.struct
class DomainGetTimeRet:
    """Result of DOMAIN_GET_TIME."""

    seconds: xdr.Hyper
    nseconds: xdr.UInt


@xdr.struct
class DomainSetTimeArgs:
    """Arguments of DOMAIN_SET_TIME. flags: DomainSetTimeFlags."""

    dom: NonnullDomain
    seconds: xdr.Hyper
    nseconds: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainFsinfo:
    """A file system of a guest."""

    mountpoint: xdr.Str
    name: xdr.Str
    fstype: xdr.Str
    dev_aliases: Annotated[list[str], xdr.Array(xdr.Str, DOMAIN_FSINFO_DISKS_MAX)]


@xdr.struct
class DomainGetFsinfoRet:
    """Result of DOMAIN_GET_FSINFO."""

    info: Annotated[list[DomainFsinfo], xdr.Array(DomainFsinfo, DOMAIN_FSINFO_MAX)]
    ret: xdr.UInt


@xdr.struct
class DomainInterfaceAddressesArgs:
    """Arguments of DOMAIN_INTERFACE_ADDRESSES."""

    dom: NonnullDomain
    source: Annotated[xdr.UInt, names("domain.DomainInterfaceAddressesSource")]
    flags: xdr.UInt


@xdr.struct
class DomainIpAddr:
    """An address. type: IPAddrType; prefix: bits of the network."""

    type: Annotated[xdr.Int, names("network.IPAddrType")]
    addr: xdr.Str
    prefix: xdr.UInt


@xdr.struct
class DomainInterface:
    """An interface of a guest."""

    name: xdr.Str
    hwaddr: xdr.OptStr
    addrs: Annotated[list[DomainIpAddr], xdr.Array(DomainIpAddr, DOMAIN_IP_ADDR_MAX)]


@xdr.struct
class DomainInterfaceAddressesRet:
    """Result of DOMAIN_INTERFACE_ADDRESSES."""

    ifaces: Annotated[list[DomainInterface], xdr.Array(DomainInterface, DOMAIN_INTERFACE_MAX)]


@xdr.struct
class DomainSetUserPasswordArgs:
    """Arguments of DOMAIN_SET_USER_PASSWORD. flags: DomainSetUserPasswordFlags."""

    dom: NonnullDomain
    user: xdr.OptStr
    password: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainGetGuestVcpusRet:
    """Result of DOMAIN_GET_GUEST_VCPUS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_GUEST_VCPU_PARAMS_MAX)]


@xdr.struct
class DomainGetLaunchSecurityInfoRet:
    """Result of DOMAIN_GET_LAUNCH_SECURITY_INFO."""

    params: Annotated[
        list[TypedParam], xdr.Array(TypedParam, DOMAIN_LAUNCH_SECURITY_INFO_PARAMS_MAX)
    ]


@xdr.struct
class DomainGetGuestInfoArgs:
    """Arguments of DOMAIN_GET_GUEST_INFO. types: ways to authenticate, AuthType."""

    dom: NonnullDomain
    types: Annotated[xdr.UInt, names("domain_flags.DomainGuestInfoTypes")]
    flags: xdr.UInt


@xdr.struct
class DomainGetGuestInfoRet:
    """Result of DOMAIN_GET_GUEST_INFO."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_GUEST_INFO_PARAMS_MAX)]


@xdr.struct
class DomainAgentSetResponseTimeoutArgs:
    """Arguments of DOMAIN_AGENT_SET_RESPONSE_TIMEOUT. timeout: in seconds; -2 to wait, -1 for the
    default, 0 for no wait."""

    dom: NonnullDomain
    timeout: Annotated[xdr.Int, names("domain.DomainAgentResponseTimeoutValues")]
    flags: xdr.UInt


@xdr.struct
class DomainAuthorizedSshKeysGetArgs:
    """Arguments of DOMAIN_AUTHORIZED_SSH_KEYS_GET."""

    dom: NonnullDomain
    user: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainAuthorizedSshKeysGetRet:
    """Result of DOMAIN_AUTHORIZED_SSH_KEYS_GET."""

    keys: Annotated[list[str], xdr.Array(xdr.Str, DOMAIN_AUTHORIZED_SSH_KEYS_MAX)]


@xdr.struct
class DomainAuthorizedSshKeysSetArgs:
    """Arguments of DOMAIN_AUTHORIZED_SSH_KEYS_SET. flags: DomainAuthorizedSSHKeysSetFlags."""

    dom: NonnullDomain
    user: xdr.Str
    keys: Annotated[list[str], xdr.Array(xdr.Str, DOMAIN_AUTHORIZED_SSH_KEYS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainGetMessagesRet:
    """Result of DOMAIN_GET_MESSAGES."""

    msgs: Annotated[list[str], xdr.Array(xdr.Str, DOMAIN_MESSAGES_MAX)]


@xdr.struct
class DomainSetLaunchSecurityStateArgs:
    """Arguments of DOMAIN_SET_LAUNCH_SECURITY_STATE."""

    dom: NonnullDomain
    params: Annotated[
        list[TypedParam], xdr.Array(TypedParam, DOMAIN_LAUNCH_SECURITY_STATE_PARAMS_MAX)
    ]
    flags: xdr.UInt


DOMAIN_MEMORY_PEEK: Final = REMOTE.procedure(
    104,
    "DOMAIN_MEMORY_PEEK",
    DomainMemoryPeekArgs,
    DomainMemoryPeekRet,
    flags=names("domain_flags.DomainMemoryFlags"),
)
DOMAIN_OPEN_CONSOLE: Final = REMOTE.procedure(
    201,
    "DOMAIN_OPEN_CONSOLE",
    DomainOpenConsoleArgs,
    xdr.Void,
    flags=names("domain_flags.DomainConsoleFlags"),
    stream=True,
)
DOMAIN_INJECT_NMI: Final = REMOTE.procedure(210, "DOMAIN_INJECT_NMI", DomainFlagsArgs, xdr.Void)
DOMAIN_SCREENSHOT: Final = REMOTE.procedure(
    211, "DOMAIN_SCREENSHOT", DomainScreenshotArgs, DomainScreenshotRet, stream=True
)
DOMAIN_SEND_KEY: Final = REMOTE.procedure(226, "DOMAIN_SEND_KEY", DomainSendKeyArgs, xdr.Void)
DOMAIN_OPEN_GRAPHICS: Final = REMOTE.procedure(
    249,
    "DOMAIN_OPEN_GRAPHICS",
    DomainGraphicsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainOpenGraphicsFlags"),
    call_fds=True,
)
DOMAIN_PM_SUSPEND_FOR_DURATION: Final = REMOTE.procedure(
    261, "DOMAIN_PM_SUSPEND_FOR_DURATION", DomainPmSuspendForDurationArgs, xdr.Void
)
DOMAIN_PM_WAKEUP: Final = REMOTE.procedure(267, "DOMAIN_PM_WAKEUP", DomainFlagsArgs, xdr.Void)
DOMAIN_GET_HOSTNAME: Final = REMOTE.procedure(
    277,
    "DOMAIN_GET_HOSTNAME",
    DomainFlagsArgs,
    HostnameRet,
    flags=names("domain_flags.DomainGetHostnameFlags"),
)
DOMAIN_FSTRIM: Final = REMOTE.procedure(294, "DOMAIN_FSTRIM", DomainFstrimArgs, xdr.Void)
DOMAIN_SEND_PROCESS_SIGNAL: Final = REMOTE.procedure(
    295, "DOMAIN_SEND_PROCESS_SIGNAL", DomainSendProcessSignalArgs, xdr.Void
)
DOMAIN_OPEN_CHANNEL: Final = REMOTE.procedure(
    296,
    "DOMAIN_OPEN_CHANNEL",
    DomainOpenChannelArgs,
    xdr.Void,
    flags=names("domain_flags.DomainChannelFlags"),
    stream=True,
)
DOMAIN_FSFREEZE: Final = REMOTE.procedure(
    335, "DOMAIN_FSFREEZE", DomainMountpointsArgs, FilesystemsRet
)
DOMAIN_FSTHAW: Final = REMOTE.procedure(336, "DOMAIN_FSTHAW", DomainMountpointsArgs, FilesystemsRet)
DOMAIN_GET_TIME: Final = REMOTE.procedure(337, "DOMAIN_GET_TIME", DomainFlagsArgs, DomainGetTimeRet)
DOMAIN_SET_TIME: Final = REMOTE.procedure(
    338,
    "DOMAIN_SET_TIME",
    DomainSetTimeArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSetTimeFlags"),
)
DOMAIN_OPEN_GRAPHICS_FD: Final = REMOTE.procedure(
    343,
    "DOMAIN_OPEN_GRAPHICS_FD",
    DomainGraphicsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainOpenGraphicsFlags"),
    reply_fds=True,
)
DOMAIN_GET_FSINFO: Final = REMOTE.procedure(
    349, "DOMAIN_GET_FSINFO", DomainFlagsArgs, DomainGetFsinfoRet
)
DOMAIN_INTERFACE_ADDRESSES: Final = REMOTE.procedure(
    353,
    "DOMAIN_INTERFACE_ADDRESSES",
    DomainInterfaceAddressesArgs,
    DomainInterfaceAddressesRet,
    reads=True,
)
DOMAIN_SET_USER_PASSWORD: Final = REMOTE.procedure(
    357,
    "DOMAIN_SET_USER_PASSWORD",
    DomainSetUserPasswordArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSetUserPasswordFlags"),
)
DOMAIN_GET_GUEST_VCPUS: Final = REMOTE.procedure(
    371, "DOMAIN_GET_GUEST_VCPUS", DomainFlagsArgs, DomainGetGuestVcpusRet
)
DOMAIN_SET_GUEST_VCPUS: Final = REMOTE.procedure(
    372, "DOMAIN_SET_GUEST_VCPUS", DomainCpumapStateArgs, xdr.Void
)
DOMAIN_GET_LAUNCH_SECURITY_INFO: Final = REMOTE.procedure(
    396,
    "DOMAIN_GET_LAUNCH_SECURITY_INFO",
    DomainFlagsArgs,
    DomainGetLaunchSecurityInfoRet,
    flags=names("connect.TypedParameterFlags"),
)
DOMAIN_GET_GUEST_INFO: Final = REMOTE.procedure(
    418, "DOMAIN_GET_GUEST_INFO", DomainGetGuestInfoArgs, DomainGetGuestInfoRet
)
DOMAIN_AGENT_SET_RESPONSE_TIMEOUT: Final = REMOTE.procedure(
    420, "DOMAIN_AGENT_SET_RESPONSE_TIMEOUT", DomainAgentSetResponseTimeoutArgs, ResultRet
)
DOMAIN_AUTHORIZED_SSH_KEYS_GET: Final = REMOTE.procedure(
    424,
    "DOMAIN_AUTHORIZED_SSH_KEYS_GET",
    DomainAuthorizedSshKeysGetArgs,
    DomainAuthorizedSshKeysGetRet,
)
DOMAIN_AUTHORIZED_SSH_KEYS_SET: Final = REMOTE.procedure(
    425,
    "DOMAIN_AUTHORIZED_SSH_KEYS_SET",
    DomainAuthorizedSshKeysSetArgs,
    xdr.Void,
    flags=names("domain_flags.DomainAuthorizedSSHKeysSetFlags"),
)
DOMAIN_GET_MESSAGES: Final = REMOTE.procedure(
    426,
    "DOMAIN_GET_MESSAGES",
    DomainFlagsArgs,
    DomainGetMessagesRet,
    flags=names("domain_flags.DomainMessageType"),
    reads=True,
)
DOMAIN_SET_LAUNCH_SECURITY_STATE: Final = REMOTE.procedure(
    439, "DOMAIN_SET_LAUNCH_SECURITY_STATE", DomainSetLaunchSecurityStateArgs, xdr.Void
)
