"""The QEMU program: what only QEMU's driver has."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import QEMU
from aiovirt.daemons.virtd.protocol.shapes import CallbackArgs, CallbackRet, DomainRet
from aiovirt.rpc.wire import xdr


@xdr.struct
class DomainMonitorCommandArgs:
    """Arguments of DOMAIN_MONITOR_COMMAND."""

    dom: NonnullDomain
    cmd: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainMonitorCommandRet:
    """Result of DOMAIN_MONITOR_COMMAND."""

    result: xdr.Str


@xdr.struct
class DomainAttachArgs:
    """Arguments of DOMAIN_ATTACH. pid_value: the process; 1 for the first one of the guest."""

    pid_value: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class DomainAgentCommandArgs:
    """Arguments of DOMAIN_AGENT_COMMAND. timeout: in seconds; -2 to wait, -1 for the default, 0 for
    no wait."""

    dom: NonnullDomain
    cmd: xdr.Str
    timeout: Annotated[xdr.Int, names("qemu.DomainQemuAgentCommandTimeoutValues")]
    flags: xdr.UInt


@xdr.struct
class DomainAgentCommandRet:
    """Result of DOMAIN_AGENT_COMMAND."""

    result: xdr.OptStr


@xdr.struct
class ConnectDomainMonitorEventRegisterArgs:
    """Arguments of CONNECT_DOMAIN_MONITOR_EVENT_REGISTER."""

    dom: Annotated[NonnullDomain | None, xdr.Optional(NonnullDomain)]
    event: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainMonitorEventMsg:
    """Content of the event DOMAIN_MONITOR_EVENT."""

    callbackID: xdr.Int
    dom: NonnullDomain
    event: xdr.Str
    seconds: xdr.Hyper
    micros: xdr.UInt
    details: xdr.OptStr


DOMAIN_MONITOR_COMMAND: Final = QEMU.procedure(
    1,
    "DOMAIN_MONITOR_COMMAND",
    DomainMonitorCommandArgs,
    DomainMonitorCommandRet,
    flags=names("qemu.DomainQemuMonitorCommandFlags"),
    function="virDomainQemuMonitorCommand",
)
DOMAIN_ATTACH: Final = QEMU.procedure(
    2, "DOMAIN_ATTACH", DomainAttachArgs, DomainRet, function="virDomainQemuAttach"
)
DOMAIN_AGENT_COMMAND: Final = QEMU.procedure(
    3,
    "DOMAIN_AGENT_COMMAND",
    DomainAgentCommandArgs,
    DomainAgentCommandRet,
    function="virDomainQemuAgentCommand",
)
CONNECT_DOMAIN_MONITOR_EVENT_REGISTER: Final = QEMU.procedure(
    4,
    "CONNECT_DOMAIN_MONITOR_EVENT_REGISTER",
    ConnectDomainMonitorEventRegisterArgs,
    CallbackRet,
    flags=names("qemu.ConnectDomainQemuMonitorEventRegisterFlags"),
    function="virConnectDomainQemuMonitorEventRegister",
    priority=True,
)
CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER: Final = QEMU.procedure(
    5,
    "CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER",
    CallbackArgs,
    xdr.Void,
    function="virConnectDomainQemuMonitorEventDeregister",
    priority=True,
)
DOMAIN_MONITOR_EVENT: Final = QEMU.event(6, "DOMAIN_MONITOR_EVENT", DomainMonitorEventMsg)
DOMAIN_MONITOR_COMMAND_WITH_FILES: Final = QEMU.procedure(
    7,
    "DOMAIN_MONITOR_COMMAND_WITH_FILES",
    DomainMonitorCommandArgs,
    DomainMonitorCommandRet,
    flags=names("qemu.DomainQemuMonitorCommandFlags"),
    function="virDomainQemuMonitorCommandWithFiles",
    call_fds=True,
    reply_fds=True,
)
