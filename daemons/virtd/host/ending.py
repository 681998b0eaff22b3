"""The ends of guests that their own system brings about, and the end of a definition.

A guest of the qemu driver takes a moment to shut down; one of the test driver does it at once. What
becomes of it then is in its document (`on_poweroff`, `on_reboot`).

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from aiovirt.daemons.virtd.constants.domain import (
    DomainCrashedReason,
    DomainRunningReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventCrashedDetailType,
    DomainEventID,
    DomainEventResumedDetailType,
    DomainEventShutdownDetailType,
    DomainEventStoppedDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.constants.domain_flags import DomainUndefineFlagsValues as Undefine
from aiovirt.daemons.virtd.host import agent, behavior, leaving, lifecycle
from aiovirt.daemons.virtd.host.domain import Domain
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


def shut_down(domain: Domain, *, by_agent: bool = False) -> None:
    """Ask a guest to shut down.

    Args:
        domain: the domain.
        by_agent: through the guest agent only.

    Raises:
        RpcError: the guest does not run, or it has no agent.
    """
    host = domain.host
    if host.name == "test":
        if domain.record.state == DomainState.SHUTOFF:
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR,
                f"domain '{domain.name}' not running",
                domain=ErrorDomain.TEST,
            )
        if not _fails(domain):
            _powered_off(domain, domain.record.facts.root.findtext("on_poweroff"))
        return
    if not domain.is_active:
        raise RpcError.of(
            ErrorCode.OPERATION_INVALID, "domain is not running", domain=ErrorDomain.QEMU
        )
    if by_agent:
        agent.require(domain)
    if not _fails(domain):
        later(domain, "shutdown", behavior.at_shutdown(domain)[1])


def _fails(domain: Domain) -> bool:
    """Whether a guest does something else than to shut down or to boot again, which begins then."""
    kind, seconds = behavior.at_shutdown(domain)
    if kind == "crash":
        later(domain, agent.PANIC, 0.0 if domain.host.name == "test" else seconds)
    return kind != "normal"


def shut_down_now(domain: Domain) -> None:
    """Let a running guest shut down now. Raises RpcError when the store cannot be written."""
    if domain.record.state == DomainState.RUNNING:
        _powered_off(domain, domain.record.facts.root.findtext("on_poweroff"))


def _powered_off(domain: Domain, action: str | None) -> None:
    if action in ("restart", "rename-restart"):
        domain.change(state=DomainState.RUNNING, reason=DomainRunningReason.BOOTED)
        return
    stopped = DomainEventStoppedDetailType.SHUTDOWN
    with domain.host.store.batch():  # both events are told, or none
        if domain.host.name == "qemu":
            detail = DomainEventShutdownDetailType.GUEST
            domain.emit(DomainEventID.LIFECYCLE, DomainEventType.SHUTDOWN, detail)
        lifecycle.stop(domain, DomainShutoffReason.SHUTDOWN, stopped)


def crash(domain: Domain) -> None:
    """Let the system of a guest panic; its document says what follows.

    Raises RpcError for a guest that does not run, or when the store cannot be written.
    """
    domain.require_active()
    action = domain.record.facts.root.findtext("on_crash") or "destroy"
    with domain.host.store.batch():
        stand_still(domain, DomainState.CRASHED, DomainCrashedReason.PANICKED)
        detail = DomainEventCrashedDetailType.PANICKED
        domain.emit(DomainEventID.LIFECYCLE, DomainEventType.CRASHED, int(detail))
        if action.endswith("destroy"):
            lifecycle.stop(
                domain, DomainShutoffReason.CRASHED, DomainEventStoppedDetailType.CRASHED
            )
        elif action.endswith("restart"):
            domain.change(
                state=DomainState.RUNNING,
                reason=DomainRunningReason.CRASHED,
                began=domain.host.clock.passed(),
                booted=domain.host.clock.now(),
            )
            domain.emit(DomainEventID.REBOOT)
            unpaused = DomainEventResumedDetailType.UNPAUSED
            domain.emit(DomainEventID.LIFECYCLE, DomainEventType.RESUMED, int(unpaused))
            agent.lost(domain)


def stand_still(domain: Domain, state: int, reason: int) -> None:
    """Stop the processors of a running guest. Raises RpcError when the store cannot be written.

    Args:
        domain: the guest.
        state: a DomainState.
        reason: of that.
    """
    domain.change(state=int(state), reason=int(reason), began=None, ran=domain.ran())
    domain.host.emulators.changed(domain)


def panic(domain: Domain) -> None:
    """Let a guest crash if it runs. Raises RpcError when the store cannot be written."""
    if domain.record.state == DomainState.RUNNING:
        crash(domain)


def reboot(domain: Domain, *, by_agent: bool = False) -> None:
    """Ask a guest to boot again; the arguments and errors are those of `shut_down`."""
    domain.require_active()
    host = domain.host
    if host.name == "test":
        if not _fails(domain):
            _powered_off(domain, domain.record.facts.root.findtext("on_reboot"))
        return
    if by_agent:
        agent.require(domain)
    if not _fails(domain):
        later(domain, "reboot", behavior.at_shutdown(domain)[1])


def rebooted(domain: Domain) -> None:
    """Let a running guest boot again now. Raises RpcError when the store cannot be written."""
    if domain.record.state != DomainState.RUNNING:
        return
    if domain.record.facts.root.findtext("on_reboot") == "destroy":
        _powered_off(domain, "destroy")
        return
    domain.change(booted=domain.host.clock.now())
    domain.emit(DomainEventID.REBOOT)
    agent.lost(domain)


def later(domain: Domain, what: str, seconds: float) -> None:
    """Let something happen to a guest after a while; also after a restart of the daemon.

    Args:
        domain: the domain.
        what: "shutdown", "reboot", "boot", "panic" or the end of a guest that has left; nothing happens
            for a name that is not known here.
        seconds: how long.
    """
    functions = {
        "shutdown": shut_down_now,
        "reboot": rebooted,
        agent.BOOT: agent.booted,
        agent.PANIC: panic,
    }
    if what in (leaving.ARRIVED, leaving.ARRIVED_UNDEFINED):
        leaving.note_arrival(domain, undefine=what == leaving.ARRIVED_UNDEFINED)
        return
    function = functions.get(what)
    if function is not None:
        domain.host.timers.after(seconds, (domain.uuid, what), function, domain)


def reset(domain: Domain) -> None:
    """Push the reset button. Raises RpcError for a guest that does not run."""
    domain.require_active()
    if domain.host.name == "qemu":
        agent.forget_pending(domain)
        domain.change(booted=domain.host.clock.now())
        domain.emit(DomainEventID.REBOOT)
        agent.lost(domain)


def undefine(domain: Domain, flags: int) -> None:
    """Remove a definition, and what the flags allow to remove with it.

    Args:
        domain: the domain.
        flags: DomainUndefineFlagsValues.

    Raises:
        RpcError: OPERATION_INVALID for a transient domain, contradicting flags, or something that would
            be left over: a managed save image, snapshots, checkpoints.
    """
    speaker = domain.host.flavour.domain
    reason = ""
    if flags & Undefine.NVRAM and flags & Undefine.KEEP_NVRAM:
        reason = "cannot both keep and delete nvram"
    elif flags & Undefine.TPM and flags & Undefine.KEEP_TPM:
        reason = "cannot both keep and delete TPM"
    elif not domain.is_persistent and domain.host.name == "qemu":
        reason = "cannot undefine transient domain"
    elif not domain.is_active and domain.snapshots and not flags & Undefine.SNAPSHOTS_METADATA:
        reason = f"cannot delete inactive domain with {len(domain.snapshots)} snapshots"
    elif not domain.is_active and domain.checkpoints and not flags & Undefine.CHECKPOINTS_METADATA:
        reason = f"cannot delete inactive domain with {len(domain.checkpoints)} checkpoints"
    elif domain.record.saved is not None and not flags & Undefine.MANAGED_SAVE:
        reason = "Refusing to undefine while domain managed save image exists"
    elif domain.record.details.get(lifecycle.VARIABLES) and not flags & (
        Undefine.NVRAM | Undefine.KEEP_NVRAM
    ):
        reason = "cannot undefine domain with nvram"
    if reason:
        raise RpcError.of(ErrorCode.OPERATION_INVALID, reason, domain=speaker)
    lifecycle.undefine(domain)
