"""The life of a domain: defined, started, paused, ended, undefined; each change with its event.

Refusals and reasons are those of the driver. A guest that ends and has no definition is gone.

Source: libvirt's src/test/test_driver.c and src/qemu/qemu_driver.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from aiovirt.daemons.virtd.constants.domain import (
    DomainPausedReason,
    DomainRunningReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventDefinedDetailType,
    DomainEventID,
    DomainEventResumedDetailType,
    DomainEventStartedDetailType,
    DomainEventStoppedDetailType,
    DomainEventSuspendedDetailType,
    DomainEventType,
    DomainEventUndefinedDetailType,
)
from aiovirt.daemons.virtd.host import (
    agent,
    behavior,
    editing,
    migration_settings,
    nwfilter_binding,
    starting,
)
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.domain import JOB, Domain, DomainRecord
from aiovirt.daemons.virtd.xml import firmware, guests
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host


#: The detail of a domain whose firmware has a file of variables, which stays with the definition.
VARIABLES: Final = "nvram"

#: Small things of a domain that end with its guest.
_VOLATILE: Final = (
    *agent.VOLATILE,
    *migration_settings.RUNNING,
    "dirty-rate",
    "clock-offset",
    "jobs",
    nwfilter_binding.UNBOUND,
    JOB,
)


def _lifecycle(domain: Domain, event: DomainEventType, detail: int) -> None:
    domain.emit(DomainEventID.LIFECYCLE, event, detail)


# Definitions -----------------------------------------------------------------------------------------


def define(host: Host, text: str) -> Domain:
    """Define a domain, or change the definition of one; it takes effect when the guest starts next.

    Args:
        host: where.
        text: the document, in any order and incomplete.

    Raises:
        RpcError: XML_ERROR and others for the document; OPERATION_FAILED for a name or a UUID that
            belongs to another domain.
    """
    made = host.documents.define("domain", text)
    found = _existing(host, made.name, made.uuid)
    if found is None:
        domain = Domain(host, DomainRecord(uuid=made.uuid, name=made.name, config=made.text))
        host.domains.add(domain)
        _lifecycle(domain, DomainEventType.DEFINED, DomainEventDefinedDetailType.ADDED)
        return domain
    fresh = not found.is_persistent
    found.change(config=made.text)
    detail = DomainEventDefinedDetailType.ADDED if fresh else DomainEventDefinedDetailType.UPDATED
    _lifecycle(found, DomainEventType.DEFINED, detail)
    return found


def require_free(host: Host, name: str, uuid: str) -> None:
    """Refuse a document for a domain that runs, or that would be two.

    Args:
        host: where.
        name: in the document.
        uuid: in the document.

    Raises:
        RpcError: OPERATION_FAILED or OPERATION_INVALID.
    """
    found = _existing(host, name, uuid)
    if found is not None and found.is_active:
        raise RpcError.of(
            ErrorCode.OPERATION_INVALID,
            f"domain '{name}' is already active",
            domain=ErrorDomain.DOMAIN,
        )


def _existing(host: Host, name: str, uuid: str) -> Domain | None:
    """The domain that a document is about. Raises RpcError when it would be two of them."""
    by_uuid = host.domains.by_uuid(bytes.fromhex(uuid.replace("-", "")))
    by_name = host.domains.by_name(name)
    if by_uuid is not None and by_uuid.name != name:
        raise RpcError.of(
            ErrorCode.OPERATION_FAILED,
            f"domain '{by_uuid.name}' is already defined with uuid {uuid}",
            domain=ErrorDomain.DOMAIN,
        )
    if by_name is not None and by_name is not by_uuid:
        raise RpcError.of(
            ErrorCode.OPERATION_FAILED,
            f"domain '{name}' already exists with uuid {by_name.record.uuid}",
            domain=ErrorDomain.DOMAIN,
        )
    return by_uuid


def undefine(domain: Domain) -> None:
    """Remove the definition; a running guest becomes transient. Raises RpcError."""
    if domain.is_active:
        domain.change(config=None, autostart=False, saved=None)
    else:
        domain.host.domains.remove(domain)
    _lifecycle(domain, DomainEventType.UNDEFINED, DomainEventUndefinedDetailType.REMOVED)


def rename(domain: Domain, name: str) -> None:
    """Give a domain that is shut off another name. Raises RpcError."""
    host = domain.host
    reason = ""
    if domain.is_active:
        reason = "cannot rename active domain"
    elif name == domain.name:
        reason = "Can't rename domain to itself"
    elif host.domains.by_name(name) is not None:
        reason = f"domain with name '{name}' already exists"
    if reason:
        speaker = host.flavour.domain if domain.is_active else ErrorDomain.DOMAIN
        raise RpcError.of(ErrorCode.OPERATION_INVALID, reason, domain=speaker)
    if "/" in name:
        detail = f"name {name} cannot contain '/'"
        raise RpcError.of(ErrorCode.XML_ERROR, detail, domain=host.flavour.domain)
    old = domain.name
    config = editing.Impact(live=False, config=True)
    with host.store.batch():
        _lifecycle(domain, DomainEventType.UNDEFINED, DomainEventUndefinedDetailType.RENAMED)
        editing.edit(domain, config, lambda document: guests.set_name(document, name), name=name)
        host.domains.renamed(domain, old)
        _lifecycle(domain, DomainEventType.DEFINED, DomainEventDefinedDetailType.RENAMED)


# Running ---------------------------------------------------------------------------------------------


class Origin(NamedTuple):
    """The reason why a guest runs: of its state, of the event, and both again if it is paused; None
    without an event of that."""

    reason: int
    detail: int
    paused_reason: int = DomainPausedReason.USER
    paused_detail: int | None = DomainEventSuspendedDetailType.PAUSED


_BOOTED: Final = Origin(DomainRunningReason.BOOTED, DomainEventStartedDetailType.BOOTED)
RESTORED: Final = Origin(
    DomainRunningReason.RESTORED,
    DomainEventStartedDetailType.RESTORED,
    DomainPausedReason.MIGRATION,
    DomainEventSuspendedDetailType.RESTORED,
)
FROM_SNAPSHOT: Final = Origin(
    DomainRunningReason.FROM_SNAPSHOT,
    DomainEventStartedDetailType.FROM_SNAPSHOT,
    DomainPausedReason.FROM_SNAPSHOT,
    DomainEventSuspendedDetailType.FROM_SNAPSHOT,
)
BOOTED_FROM_SNAPSHOT: Final = FROM_SNAPSHOT._replace(
    reason=DomainRunningReason.BOOTED, paused_reason=DomainPausedReason.USER
)


def create(
    host: Host, text: str, *, paused: bool = False, origin: Origin = _BOOTED, own: bool = False
) -> Domain:
    """Start a guest from a document, which is not kept.

    Args:
        host: where.
        text: the document.
        paused: the guest does not run at first.
        origin: why it runs.
        own: the text is one that the host has stored.

    Raises RpcError: see `define`.
    """
    made = host.emulators.kept(text, lambda: host.documents.define("domain", text, own=own))
    require_free(host, made.name, made.uuid)
    found = _existing(host, made.name, made.uuid)
    with host.store.batch():
        if found is None:
            found = Domain(host, DomainRecord(uuid=made.uuid, name=made.name))
            host.domains.add(found)
        run(found, made.text, origin, paused=paused)
    return found


def start(domain: Domain, *, paused: bool = False) -> None:
    """Start the guest of a definition. Raises RpcError for one that runs."""
    if domain.is_active:
        if domain.host.flavour.name == "test":
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR,
                f"Domain '{domain.name}' is already running",
                domain=ErrorDomain.TEST,
            )
        raise RpcError.of(
            ErrorCode.OPERATION_INVALID, "domain is already running", domain=ErrorDomain.QEMU
        )
    record = domain.record
    restored = record.saved is not None and domain.host.name != "test"
    origin = RESTORED if restored else _BOOTED
    if paused:
        origin = origin._replace(paused_detail=DomainEventSuspendedDetailType.PAUSED)
    run(
        domain,
        record.saved or record.config or "",
        origin,
        paused=paused or (restored and record.saved_paused),
    )


def run(domain: Domain, config: str, origin: Origin, *, paused: bool) -> None:
    """Let a guest run that is shut off.

    Args:
        domain: the domain.
        config: the document that it runs from, complete.
        origin: why it runs.
        paused: it does not run at first.

    Raises RpcError when the store cannot be written.
    """
    host = domain.host
    starting.validate(host, config)
    try:
        starting.require(host, config)
        number = host.emulators.number(domain, config, paused=paused)
    except RpcError:
        if host.name == "qemu" and domain.record.state == DomainState.SHUTOFF:
            domain.change(reason=int(DomainShutoffReason.FAILED))
        raise
    now = host.clock.now()
    live = host.live_document(config, number)
    if "<filterref" in live:
        nwfilter_binding.require(host, cached("domain", live).root, domain)
    domain.change(
        live=live,
        number=number,
        state=DomainState.PAUSED if paused else DomainState.RUNNING,
        reason=int(origin.paused_reason if paused else origin.reason),
        saved=None,
        began=None if paused else host.clock.passed(),
        ran=0,
        booted=now,
        details=_details(domain, config, live, boots=origin.reason == DomainRunningReason.BOOTED),
    )
    host.domains.started(domain)
    _ = domain.record.facts  # they are asked for soon, and the document is still read
    agent.began(domain)
    if host.name == "test" or paused:
        _lifecycle(domain, DomainEventType.STARTED, origin.detail)
    elif origin.reason == DomainRunningReason.BOOTED:
        # QEMU says that its processors run before libvirt says that the guest was started.
        _lifecycle(domain, DomainEventType.RESUMED, DomainEventResumedDetailType.UNPAUSED)
        _lifecycle(domain, DomainEventType.STARTED, origin.detail)
    else:
        _lifecycle(domain, DomainEventType.STARTED, origin.detail)
        _lifecycle(domain, DomainEventType.RESUMED, DomainEventResumedDetailType.FROM_SNAPSHOT)
    if paused and origin.paused_detail is not None:
        _lifecycle(domain, DomainEventType.SUSPENDED, origin.paused_detail)
    agent.wait(domain)


def _details(domain: Domain, config: str, live: str, *, boots: bool) -> dict[str, Any]:
    """The small things of a domain that begins to run; qemu's first processors cannot be unplugged."""
    details = {key: kept for key, kept in domain.record.details.items() if key not in _VOLATILE}
    if boots:
        details |= behavior.at_boot(details)
    if domain.host.name == "qemu":
        details["first-vcpus"] = guests.vcpus(cached("domain", config))
        if firmware.has_variables(cached("domain", live).root):
            details[VARIABLES] = True
    return details


def suspend(domain: Domain) -> None:
    """Pause a guest. Raises RpcError for one that does not run; qemu's may be paused already."""
    record = domain.record
    if domain.host.flavour.name == "test":
        if record.state in (DomainState.SHUTOFF, DomainState.PAUSED):
            raise _test_state(f"domain '{domain.name}' not running")
    else:
        domain.require_active()
        if record.state == DomainState.PAUSED:
            return
    reason, detail = DomainPausedReason.USER, DomainEventSuspendedDetailType.PAUSED
    if domain.detail(JOB) is not None:  # it leaves, and a guest that arrives is not suspended
        reason, detail = DomainPausedReason.MIGRATION, DomainEventSuspendedDetailType.MIGRATED
    domain.change(state=DomainState.PAUSED, reason=reason, began=None, ran=domain.ran())
    domain.host.migrations.guest_paused(domain.uuid)
    domain.host.emulators.changed(domain)
    _lifecycle(domain, DomainEventType.SUSPENDED, detail)


def resume(domain: Domain) -> None:
    """Let a paused guest run on. Raises RpcError for one that is not paused."""
    if domain.host.flavour.name == "test":
        if domain.record.state != DomainState.PAUSED:
            raise _test_state(f"domain '{domain.name}' not paused")
    else:
        domain.require_active()
        if domain.record.state == DomainState.RUNNING:
            raise RpcError.of(
                ErrorCode.OPERATION_INVALID, "domain is already running", domain=ErrorDomain.QEMU
            )
    domain.require_no_job()
    domain.host.emulators.resumes(domain)
    run_on(domain, DomainRunningReason.UNPAUSED)


def run_on(domain: Domain, reason: DomainRunningReason) -> None:
    """Let a paused guest run on, for any reason. Raises RpcError when the store cannot be written."""
    detail = DomainEventResumedDetailType.MIGRATED
    if reason == DomainRunningReason.UNPAUSED:
        detail = DomainEventResumedDetailType.UNPAUSED
    elif reason == DomainRunningReason.POSTCOPY:
        detail = DomainEventResumedDetailType.POSTCOPY
    domain.change(state=DomainState.RUNNING, reason=reason, began=domain.host.clock.passed())
    _lifecycle(domain, DomainEventType.RESUMED, detail)
    agent.wait(domain)


def destroy(domain: Domain) -> None:
    """End a guest at once. Raises RpcError for one that does not run."""
    domain.require_active()
    stop(domain, DomainShutoffReason.DESTROYED, DomainEventStoppedDetailType.DESTROYED)


def stop(domain: Domain, reason: int, detail: int, *, keep: bool = False) -> None:
    """End a running guest for any reason; it is gone if it has no definition.

    Args:
        domain: the domain.
        reason: a DomainShutoffReason.
        detail: a DomainEventStoppedDetailType.
        keep: a domain without a definition stays all the same, since it is to run again at once.

    Raises RpcError when the store cannot be written.
    """
    domains = domain.host.domains
    number = domain.record.number
    if domain.is_persistent or keep:
        domain.change(
            live=None, number=-1, state=DomainState.SHUTOFF, reason=reason, began=None, ran=0
        )
    else:
        domains.remove(domain)
    domains.stopped(number)
    domain.host.store.after(domain.host.consoles.guest_ended, domain.uuid)
    domain.host.store.after(agent.forget_pending, domain)  # the next guest does nothing of it
    domain.host.store.after(domain.host.migrations.ended, domain.uuid)
    domain.host.emulators.changed(domain, reason)
    _lifecycle(domain, DomainEventType.STOPPED, detail)


def _test_state(text: str) -> RpcError:
    return RpcError.of(ErrorCode.INTERNAL_ERROR, text, domain=ErrorDomain.TEST)
