"""The QEMU program: commands for the agent in a guest, and for its monitor.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainQemuAgentCommand).
"""

from __future__ import annotations

import json
from typing import Any

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.finding import find_domain
from aiovirt.daemons.virtd.dispatch.serving import Session, answers
from aiovirt.daemons.virtd.host import guest
from aiovirt.rpc.wire.errors import ErrorCode, RpcError


class QemuAgent:
    """Serves commands for the agent in a guest."""

    @answers(protocol.DOMAIN_AGENT_COMMAND)
    def agent_command(
        self, session: Session, args: protocol.DomainAgentCommandArgs
    ) -> protocol.DomainAgentCommandRet:
        session.host.flavour.check_flags(args.flags, 0, "DomainQemuAgentCommand")
        domain = find_domain(session, args.dom)
        guest.require_guest(domain)
        try:
            command = json.loads(args.cmd)
        except (ValueError, RecursionError):
            command = None
        name = command.get("execute") if isinstance(command, dict) else None
        known: dict[str, Any] = {
            "guest-ping": {},
            "guest-get-host-name": {"host-name": domain.name},
            "guest-get-time": domain.host.clock.now(),
        }
        if name not in known:
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR,
                f"unable to execute QEMU agent command '{str(name)[:80]}':"
                " The command has not been found",
                domain=session.host.flavour.domain,
            )
        return protocol.DomainAgentCommandRet(json.dumps({"return": known[name]}))
