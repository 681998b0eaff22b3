"""The agent of a guest: when it comes and goes, and whether it can be asked.

A guest of the qemu driver whose document has the channel of the agent gets one when its system has
booted. The state of the channel in the live document is whether an agent answers; each change of it has
its event. The test driver has no agents.

Source: libvirt's src/qemu/qemu_driver.c (processSerialChangedEvent, qemuDomainAgentAvailable),
qemu_process.c and qemu_agent.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain import DomainState
from aiovirt.daemons.virtd.constants.domain_events import (
    ConnectDomainEventAgentLifecycleReason as Reason,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    ConnectDomainEventAgentLifecycleState as State,
)
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host import behavior, editing
from aiovirt.daemons.virtd.host.domain import AGENT
from aiovirt.daemons.virtd.xml import live
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host

#: What happens after the time that a guest takes to boot, among the timers of a host.
BOOT: Final = "boot"
#: The same for a guest whose system crashes instead.
PANIC: Final = "panic"
#: What a running guest may be about to do, among the timers of a host.
PENDING: Final = ("shutdown", "reboot", BOOT, PANIC)
#: Small things of a domain that end when its system boots again.
VOLATILE: Final = ("frozen", "offline", behavior.FAILING)


def began(domain: Domain) -> None:
    """Tell that the channel of a guest that is being started is not connected; `wait` follows."""
    if domain.host.name == "qemu" and domain.record.facts.agent is not None:
        _tell(domain, State.DISCONNECTED, Reason.DOMAIN_STARTED)


def wait(domain: Domain) -> None:
    """Let the agent of a running guest connect as soon as its system has booted.

    Nothing happens if it is connected already, or if the document has no channel for it. A system that
    is to crash does so instead.
    """
    seconds = domain.host.pace.boot
    record = domain.record
    failing = record.details.get(behavior.FAILING)
    if failing:
        if failing == "crash" and record.state == DomainState.RUNNING:
            after, key = domain.host.timers.after, (domain.uuid, PANIC)
            domain.host.store.after(after, seconds or 0.0, key, domain.host.panics, domain)
        return
    if (
        seconds is None
        or domain.host.name == "test"
        or record.state != DomainState.RUNNING
        or AGENT not in record.text  # most documents need not be read for it
        or not record.facts.lacks_agent
    ):
        return
    domain.host.store.after(domain.host.timers.after, seconds, (domain.uuid, BOOT), booted, domain)


def wait_for_all(host: Host) -> None:
    """Let all guests go on that were booting when the process before this one ended."""
    for domain in host.domains.active():
        wait(domain)


def booted(domain: Domain) -> None:
    """Connect the agent of a guest that runs. Raises RpcError when the store cannot be written."""
    record = domain.record
    if record.is_active and record.state == DomainState.RUNNING and record.facts.lacks_agent:
        _set(domain, "connected")
        _tell(domain, State.CONNECTED, Reason.CHANNEL)


def lost(domain: Domain) -> None:
    """Disconnect the agent, since the guest boots again; it comes back. Raises RpcError."""
    kept = domain.record.details
    details = {key: kept[key] for key in kept if key not in VOLATILE}
    details |= behavior.at_boot(details)
    if details != domain.record.details:
        domain.change(details=details)
    if domain.record.facts.agent == "connected":
        _set(domain, "disconnected")
        _tell(domain, State.DISCONNECTED, Reason.CHANNEL)
    wait(domain)


def forget_pending(domain: Domain) -> None:
    """Let nothing happen to a guest that has ended, or was reset, which it was about to do before."""
    for what in PENDING:
        domain.host.timers.cancel((domain.uuid, what))


def set_connected(domain: Domain, *, connected: bool) -> None:
    """Let the agent come or go by itself.

    Args:
        domain: a running guest.
        connected: whether the agent answers from now on.

    Raises:
        RpcError: ARGUMENT_UNSUPPORTED without a channel in the document; the store cannot be written.
    """
    if domain.record.facts.agent is None:
        text = "QEMU guest agent is not configured"
        raise domain.refused(ErrorCode.ARGUMENT_UNSUPPORTED, text)
    domain.host.timers.cancel((domain.uuid, BOOT))
    if (domain.record.facts.agent == "connected") is connected:
        return
    _set(domain, "connected" if connected else "disconnected")
    _tell(domain, State.CONNECTED if connected else State.DISCONNECTED, Reason.CHANNEL)


def _set(domain: Domain, state: str) -> None:
    meant = editing.Impact(live=True, config=False)
    editing.edit(domain, meant, lambda document: live.set_agent(document, state))


def _tell(domain: Domain, state: State, reason: Reason) -> None:
    domain.emit(DomainEventID.AGENT_LIFECYCLE, int(state), int(reason))


def require(domain: Domain) -> None:
    """Refuse unless the agent of a guest answers (qemuDomainAgentAvailable).

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run; ARGUMENT_UNSUPPORTED without a channel
            in the document, AGENT_UNRESPONSIVE if nothing answers there.
    """
    code, text = ErrorCode.AGENT_UNRESPONSIVE, "QEMU guest agent is not connected"
    if domain.record.state != DomainState.RUNNING:
        code, text = ErrorCode.OPERATION_INVALID, "domain is not running"
    elif domain.record.facts.agent == "connected":
        return
    elif domain.record.facts.agent is None:
        code, text = ErrorCode.ARGUMENT_UNSUPPORTED, "QEMU guest agent is not configured"
    raise RpcError.of(code, text, domain=ErrorDomain.QEMU)
