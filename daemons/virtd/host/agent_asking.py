"""Asking the agent of a guest: for libvirt's own functions, and for a client's commands.

Source: libvirt's src/qemu/qemu_agent.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiovirt.daemons.virtd.host import agent, agent_commands
from aiovirt.daemons.virtd.host.agent_commands import AgentError, Later
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain


def ask(domain: Domain, name: str, **arguments: Any) -> Any:
    """Have the agent of a guest execute a command, and return its value.

    Args:
        domain: the guest.
        name: of the command: "guest-get-time".
        arguments: of the command; a `_` in a name stands for a `-`.

    Raises:
        RpcError: as `agent.require` does; INTERNAL_ERROR if the agent refuses.
    """
    agent.require(domain)
    given = {key.replace("_", "-"): value for key, value in arguments.items()}
    try:
        found = agent_commands.execute(domain, {"execute": name, "arguments": given})
    except AgentError as error:
        raise _refused(name, error) from error
    if isinstance(found, Later):
        found.happen()
        return None
    return found


def command(domain: Domain, request: Any) -> dict[str, Any]:
    """Have the agent execute a command of a client (qemuDomainQemuAgentCommand).

    Args:
        domain: the guest.
        request: what the client sent, read from JSON.

    Returns:
        The reply of the agent.

    Raises:
        RpcError: as `agent.require` does; INTERNAL_ERROR if the agent refuses; AGENT_UNRESPONSIVE for a
            command to which no agent replies, which is executed.
    """
    agent.require(domain)
    name = request.get("execute") if isinstance(request, dict) else None
    name = name if isinstance(name, str) else "<unknown>"
    try:
        found = agent_commands.execute(domain, request)
    except AgentError as error:
        raise _refused(name, error) from error
    if isinstance(found, Later):
        found.happen()
        raise RpcError.of(
            ErrorCode.AGENT_UNRESPONSIVE,
            "Guest agent disappeared while executing command",
            domain=ErrorDomain.QEMU,
        )
    reply = {"return": found}
    if "id" in request:
        reply["id"] = request["id"]
    return reply


def _refused(name: str, error: AgentError) -> RpcError:
    return RpcError.of(
        ErrorCode.INTERNAL_ERROR,
        f"unable to execute QEMU agent command '{name[:80]}': {error}",
        domain=ErrorDomain.QEMU,
    )
