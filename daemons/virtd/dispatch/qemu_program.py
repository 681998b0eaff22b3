"""The QEMU program: commands for the agent in a guest, and for its monitor.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainQemuAgentCommand).
"""

from __future__ import annotations

import json

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import agent, agent_asking
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
