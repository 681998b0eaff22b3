"""Guests that arrive: the destination of a migration.

Prepare makes a guest that is paused and has the client's connection to live by; finish lets it run, or
ends it.

Source: libvirt's src/qemu/qemu_migration.c (qemuMigrationDstPrepareDirect,
qemuMigrationDstPrepareActive, qemuMigrationDstFinish, qemuMigrationDstPersist,
qemuMigrationDstComplete).
"""

from __future__ import annotations

import socket
from functools import partial
from typing import Final

from aiovirt.daemons.virtd.constants.domain import (
    DomainJobOperation,
    DomainPausedReason,
    DomainRunningReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import (
    DomainEventDefinedDetailType,
    DomainEventID,
    DomainEventStartedDetailType,
    DomainEventStoppedDetailType,
    DomainEventSuspendedDetailType,
    DomainEventType,
)
from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host import agent, disk_copies, lifecycle, migration, migration_cookie
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.host.domain import JOB_DONE, Domain, DomainRecord
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.lifecycle import Origin
from aiovirt.daemons.virtd.host.migration import Request
from aiovirt.daemons.virtd.host.migration_cookie import SMALL, Cookie, Luggage
from aiovirt.daemons.virtd.host.moving import Arrival
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_INCOMING: Final = Origin(
    DomainRunningReason.MIGRATED,
    DomainEventStartedDetailType.MIGRATED,
    DomainPausedReason.MIGRATION,
    None,
)
#: The ports on which QEMU listens for guests; nothing listens there.
_PORTS: Final = range(49152, 49216)
_SCHEMES: Final = ("tcp", "rdma", "unix")
#: Clocks of two hosts that differ by less, in nanoseconds, show the same time.
_SAME: Final = 60 * 1_000_000_000


def prepare(host: Host, request: Request, data: bytes, owner: str) -> tuple[bytes, str | None]:
    """Prepare: make the guest, paused, and return the message to the other side.

    Args:
        host: where it arrives.
        request: what is asked for; its document is the one of the other side.
        data: the message of the other side.
        owner: the client that brings the guest, which ends with it until `finish`.

    Returns:
        The message, and the URI to send the memory to if the client has named none.

    Raises:
        RpcError: OPERATION_INVALID for a guest that runs here already, or what `migration_cookie.read`
            and a definition raise.
    """
    if request.has(Flags.POSTCOPY_RESUME):
        text = "the domain is not processing incoming migration"
        raise RpcError.of(ErrorCode.OPERATION_INVALID, text, domain=ErrorDomain.QEMU)
    migration.check_options(request)
    given = host.emulators.kept(
        "arriving", lambda: host.documents.define("domain", request.xml or "")
    )
    cookie = migration_cookie.read(host, data, name=given.name, uuid=given.uuid)
    text = migration.renamed(host, given.text, request.name, "arriving-name")
    uri = _uri(host, request.uri)
    if request.has(Flags.OFFLINE):
        _expect(host, text, given.uuid, request.name or given.name, owner)
    else:
        with host.store.batch():
            disks = cached("domain", text).root.iterfind("devices/disk")
            disk_copies.make_missing(host, disks, request, cookie.disks)
            domain = lifecycle.create(host, text, paused=True, origin=_INCOMING)
            migration.begin_job(
                domain, migration.IN, owner, name=cookie.name, function=request.function
            )
    return migration_cookie.written(host, cookie.name, given.uuid), uri


def _uri(host: Host, given: str | None) -> str | None:
    """Where the memory goes. Raises RpcError for a URI that leads nowhere."""
    port = _PORTS[len(host.domains.numbers) % len(_PORTS)]
    if given is None:
        return f"tcp:{socket.gethostname()}:{port}"
    from urllib.parse import urlsplit

    parts = urlsplit(given)
    code, text = ErrorCode.INVALID_ARG, ""
    if not parts.scheme:
        text = f"missing scheme in migration URI: {given}"
    elif parts.scheme not in _SCHEMES:
        code = ErrorCode.ARGUMENT_UNSUPPORTED
        text = f"unsupported scheme {parts.scheme} in migration URI {given}"
    elif parts.scheme != "unix" and not (parts.netloc or parts.path):
        text = f"missing host in migration URI: {given}"
    if text:
        raise RpcError.of(code, text, domain=ErrorDomain.QEMU)
    has_port = given.rpartition(":")[2].isdecimal()
    return None if parts.scheme == "unix" or has_port else f"{given}:{port}"


def _expect(host: Host, text: str, uuid: str, name: str, owner: str) -> None:
    """Keep a definition until it is finished. Raises RpcError for a name that another domain has."""
    lifecycle.require_free(host, name, uuid)
    host.migrations.arrivals[name] = Arrival(text, name, uuid, owner)


# The end ---------------------------------------------------------------------------------------------


def finish(domain: Domain, request: Request, data: bytes) -> bytes:
    """Let a guest run that has arrived, and return the message to the other side.

    Args:
        domain: the guest.
        request: what was asked for.
        data: the message of the other side.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not arrive, or its locks cannot be acquired;
            it has to be ended then.
    """
    host = domain.host
    found = migration.require_job(domain, migration.IN)
    cookie = migration_cookie.read(host, data, name=found["name"], uuid=domain.record.uuid)
    if cookie.luggage is None:
        text = "the migration cookie has no guest"
        raise domain.refused(ErrorCode.INTERNAL_ERROR, text)
    is_paused = request.has(Flags.PAUSED)
    if not is_paused:
        host.emulators.resumes(domain)
    with host.store.batch():
        _unpack(domain, cookie.luggage)
        if request.has(Flags.PERSIST_DEST):
            _persist(domain, request, cookie)
        migration.end_job(domain)
        if is_paused:
            domain.change(state=DomainState.PAUSED, reason=DomainPausedReason.USER)
            detail = DomainEventSuspendedDetailType.PAUSED
            domain.emit(DomainEventID.LIFECYCLE, DomainEventType.SUSPENDED, detail)
        else:
            if cookie.luggage.postcopy:
                lifecycle.run_on(domain, DomainRunningReason.POSTCOPY)
            lifecycle.run_on(domain, DomainRunningReason.MIGRATED)
            if cookie.luggage.agent:
                agent.booted(domain)
    return migration_cookie.write(domain, name=found["name"])


def _unpack(domain: Domain, luggage: Luggage) -> None:
    """Give a guest what came with it: its time goes on as on the host that it left."""
    now = domain.host.clock.now()
    details = {name: kept for name, kept in domain.record.details.items() if name not in SMALL}
    for name, field in SMALL.items():
        value = getattr(luggage, field)
        if value is not None:
            details[name] = value
    shift = luggage.now - now
    if abs(shift) >= _SAME:
        details["clock-offset"] = details.get("clock-offset", 0) + shift
    if luggage.numbers and not luggage.postcopy:  # QEMU does not tell them after post-copy
        operation = int(DomainJobOperation.MIGRATION_IN)
        details[JOB_DONE] = {**luggage.numbers, "operation": operation, "disks": 0}
    domain.change(
        ran=max(0, luggage.ran), booted=max(0, now - max(0, luggage.age)), details=details
    )


def _persist(domain: Domain, request: Request, cookie: Cookie) -> None:
    """Give a guest its definition here. Raises RpcError for one that is refused."""
    config = cookie.config
    if config is None:
        config = cached("domain", domain.record.text).text(secure=True, inactive=True)
    text = migration.renamed(domain.host, config, request.name, "persistent")
    document = cached("domain", text)
    mine = (domain.name, domain.record.uuid)
    if (document.root.findtext("name"), document.root.findtext("uuid")) != mine:
        words = "the persistent definition is of another domain"
        raise domain.refused(ErrorCode.INTERNAL_ERROR, words)
    fresh = not domain.is_persistent
    domain.change(config=text)
    _defined(domain, fresh=fresh)


def _defined(domain: Domain, *, fresh: bool) -> None:
    detail = DomainEventDefinedDetailType.ADDED if fresh else DomainEventDefinedDetailType.UPDATED
    domain.emit(DomainEventID.LIFECYCLE, DomainEventType.DEFINED, detail)


def finish_offline(host: Host, name: str, *, arrived: bool) -> Domain:
    """Define a domain that has arrived without a guest.

    Args:
        host: where.
        name: of the domain.
        arrived: False to forget it.

    Raises:
        RpcError: NO_DOMAIN for one that nobody brings; MIGRATE_FINISH_OK for one that is forgotten.
    """
    found = host.migrations.arrivals.pop(name, None)
    if found is None:
        text = f"no domain with matching name '{name}'"
        raise RpcError.of(ErrorCode.NO_DOMAIN, text, domain=host.flavour.domain)
    if not arrived:
        raise cancelled()
    domain = host.domains.by_uuid(bytes.fromhex(found.uuid.replace("-", "")))
    fresh = domain is None
    with host.store.batch():
        if domain is None:
            record = DomainRecord(uuid=found.uuid, name=name, config=found.text)
            domain = Domain(host, record)
            host.domains.add(domain)
        else:
            domain.change(config=found.text)
        _defined(domain, fresh=fresh)
    return domain


def give_up(domain: Domain, *, by_client: bool = False) -> None:
    """End a guest that does not arrive. Raises RpcError when that cannot be stored.

    Args:
        domain: the guest; nothing happens if it does not arrive.
        by_client: the connection of the client that brought it is gone.
    """
    if migration.job(domain, migration.IN) is None:
        return
    reason, detail = DomainShutoffReason.FAILED, DomainEventStoppedDetailType.FAILED
    if by_client:
        reason, detail = DomainShutoffReason.DESTROYED, DomainEventStoppedDetailType.DESTROYED
    with domain.host.store.batch():
        migration.end_job(domain)
        lifecycle.stop(domain, reason, detail)


async def give_up_later(domain: Domain) -> None:
    """End a guest that does not arrive, with its emulator. Errors are those of `give_up`."""
    await domain.host.emulators.attempt(partial(give_up, domain))


def cancelled() -> RpcError:
    """Make the error by which a client learns that nothing is left of a guest that did not arrive."""
    return RpcError.of(ErrorCode.MIGRATE_FINISH_OK, "", domain=ErrorDomain.QEMU)
