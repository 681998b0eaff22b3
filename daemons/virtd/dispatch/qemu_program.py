"""The QEMU program: commands for the agent in a guest, and for its monitor.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainQemuAgentCommand,
qemuDomainQemuMonitorCommandWithFiles).
"""

from __future__ import annotations

import json

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.qemu import (
    ConnectDomainQemuMonitorEventRegisterFlags,
    DomainQemuMonitorCommandFlags,
)
from aiovirt.daemons.virtd.dispatch.domain_subscriptions import of_session
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.monitor_events import MonitorWish
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import agent, agent_asking, monitor
from aiovirt.rpc.server import CallWithFds, WithFds
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


class QemuAgent:
    """Serves commands for the agent in a guest."""

    @answers(protocol.DOMAIN_AGENT_COMMAND)
    def agent_command(
        self, session: Session, args: protocol.DomainAgentCommandArgs
    ) -> protocol.DomainAgentCommandRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainQemuAgentCommand")
        domain = find_domain(session, args.dom)
        domain.require_active()
        agent.require(domain)
        try:
            request = json.loads(args.cmd)
        except (ValueError, RecursionError) as error:
            text = f"cannot parse json {args.cmd[:200]}: parse error"
            raise RpcError.of(ErrorCode.INTERNAL_ERROR, text, domain=ErrorDomain.NONE) from error
        reply = agent_asking.command(domain, request)
        return protocol.DomainAgentCommandRet(json.dumps(reply, separators=(",", ":")))


class QemuMonitor:
    """Serves commands for the monitor of a guest, and its events."""

    @answers(protocol.DOMAIN_MONITOR_COMMAND)
    def command(
        self, session: Session, args: protocol.DomainMonitorCommandArgs
    ) -> protocol.DomainMonitorCommandRet:
        hmp = DomainQemuMonitorCommandFlags.HMP
        session.host.flavour.check_flags(args.flags, hmp, "DomainQemuMonitorCommandWithFiles")
        domain = find_domain(session, args.dom)
        reply = monitor.command(domain, args.cmd, is_human=bool(args.flags & hmp))
        return protocol.DomainMonitorCommandRet(reply)

    @answers(protocol.DOMAIN_MONITOR_COMMAND_WITH_FILES)
    def command_with_files(
        self, session: Session, call: CallWithFds[protocol.DomainMonitorCommandArgs]
    ) -> WithFds[protocol.DomainMonitorCommandRet]:
        """No command of the toy monitor takes a descriptor, nor returns one."""
        given = len(call.descriptors)
        call.close()
        hmp = DomainQemuMonitorCommandFlags.HMP
        session.host.flavour.check_flags(call.args.flags, hmp, "DomainQemuMonitorCommandWithFiles")
        if given > 1:
            raise RpcError.of(
                ErrorCode.INVALID_ARG,
                "at most 1 fd can be passed to qemu along with a command",
                domain=session.host.flavour.domain,
            )
        return WithFds(self.command(session, call.args), ())

    @answers(protocol.CONNECT_DOMAIN_MONITOR_EVENT_REGISTER)
    def register(
        self, session: Session, args: protocol.ConnectDomainMonitorEventRegisterArgs
    ) -> protocol.CallbackRet:
        supported = int(sum(ConnectDomainQemuMonitorEventRegisterFlags))
        foreign = args.flags & ~supported
        if foreign:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                f"unsupported flags (0x{foreign:x}) in function"
                " virDomainQemuMonitorEventStateRegisterID",
                domain=ErrorDomain.NONE,
            )
        subject = b"" if args.dom is None else find_domain(session, args.dom).uuid
        wish = MonitorWish(subject, args.event or "", args.flags)
        if args.flags & ConnectDomainQemuMonitorEventRegisterFlags.REGEX:
            wish.pattern()
        return protocol.CallbackRet(of_session(session).add_monitor(wish))

    @answers(protocol.CONNECT_DOMAIN_MONITOR_EVENT_DEREGISTER)
    def deregister(self, session: Session, args: protocol.CallbackArgs) -> None:
        of_session(session).remove_monitor(args.callbackID)
