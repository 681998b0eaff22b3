"""Migrations: what a client asks for, and the job that a guest has meanwhile.

A guest that leaves or arrives has a job in its record. It is there for the calls that do not go together
with it, and for the next program: an interrupted migration ends as libvirt ends it.

Source: libvirt's src/qemu/qemu_migration.c and src/qemu/qemu_migration_params.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.virtd.constants.domain_flags import DomainMigrateFlags as Flags
from aiovirt.daemons.virtd.host.documents import written
from aiovirt.daemons.virtd.host.domain import JOB
from aiovirt.daemons.virtd.xml import guests
from aiovirt.daemons.virtd.xml.documents import stored
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host

#: What a job can be.
OUT: Final = "out"
IN: Final = "in"
#: The owner of a job from peer to peer, which does not end with the client that has asked for it.
PEER: Final = "peer"
#: How far the job of a guest that leaves is.
BEGUN: Final = "begun"
MOVING: Final = "moving"
MOVED: Final = "moved"

#: What virtd's QEMU cannot do, with the name of the capability in refusals.
_MISSING: Final = {
    Flags.ZEROCOPY: "zero-copy-send",
}
_NO_TLS: Final = (
    "unable to execute QEMU command 'object-add': Unable to access credentials "
    "/etc/pki/qemu/ca-cert.pem: No such file or directory"
)
STORAGE: Final = Flags.NON_SHARED_DISK | Flags.NON_SHARED_INC
#: All flags that exist.
KNOWN: Final = int(sum(Flags))


class Request(msgspec.Struct, frozen=True):
    """The wish of a client.

    flags: DomainMigrateFlags; uri: where the other side listens, or None; name: of the guest on the
    other side, None for the same; xml: a document for the other side; persistent_xml: a definition for
    it; bandwidth: MiB per second, 0 for no limit; disks: the targets of disks to copy; function: the
    public function that a client has called, without `vir`.
    """

    flags: int
    uri: str | None = None
    name: str | None = None
    xml: str | None = None
    persistent_xml: str | None = None
    bandwidth: int = 0
    disks: tuple[str, ...] = ()
    function: str = ""

    def has(self, flag: Flags) -> bool:
        """Return whether a flag is set."""
        return bool(self.flags & flag)


def check_combination(request: Request) -> None:
    """Refuse flags that do not go together (qemuMigrationSrcBeginPhase).

    Raises:
        RpcError: ARGUMENT_UNSUPPORTED, OPERATION_INVALID.
    """
    invalid, unsupported = ErrorCode.OPERATION_INVALID, ErrorCode.ARGUMENT_UNSUPPORTED
    code, text = invalid, ""
    if request.has(Flags.POSTCOPY) and (not request.has(Flags.LIVE) or request.has(Flags.PAUSED)):
        code = unsupported
        text = "post-copy migration is not supported with non-live or paused migration"
    elif request.has(Flags.POSTCOPY) and request.has(Flags.TUNNELLED):
        code, text = unsupported, "post-copy is not supported with tunnelled migration"
    elif request.has(Flags.OFFLINE) and request.flags & STORAGE:
        text = "offline migration cannot handle non-shared storage"
    elif request.has(Flags.OFFLINE) and not request.has(Flags.PERSIST_DEST):
        text = "offline migration must be specified with the persistent flag set"
    elif request.has(Flags.OFFLINE) and request.has(Flags.TUNNELLED):
        text = "tunnelled offline migration does not make sense"
    elif request.has(Flags.ZEROCOPY) and not request.has(Flags.PARALLEL):
        text = "zero-copy is only available for parallel migration"
    if text:
        raise RpcError.of(code, text, domain=ErrorDomain.QEMU)


def check_options(request: Request) -> None:
    """Refuse what virtd's QEMU cannot do; the destination is asked first (qemuMigrationParamsCheck).

    Raises:
        RpcError: ARGUMENT_UNSUPPORTED; INTERNAL_ERROR for TLS, of which QEMU has no certificates.
    """
    if request.has(Flags.OFFLINE):
        return
    code, text = ErrorCode.ARGUMENT_UNSUPPORTED, ""
    if request.has(Flags.TUNNELLED):
        text = "tunnelled migration is not supported by virtd"
    for flag, name in _MISSING.items():
        if request.has(flag):
            text = text or f"Migration option '{name}' is not supported by QEMU binary"
    if not text and request.has(Flags.TLS):
        code, text = ErrorCode.INTERNAL_ERROR, _NO_TLS
    if text:
        raise RpcError.of(code, text, domain=ErrorDomain.QEMU)


# The job of a guest ----------------------------------------------------------------------------------


def job(domain: Domain, kind: str | None = None) -> dict[str, Any] | None:
    """Return the job of a guest, None without one.

    Args:
        domain: the guest.
        kind: OUT or IN, None for either.
    """
    found: dict[str, Any] | None = domain.detail(JOB) if domain.is_active else None
    return found if found is not None and kind in (None, found["kind"]) else None


def begin_job(domain: Domain, kind: str, owner: str, **fields: Any) -> None:
    """Give a guest a job. Raises RpcError for one that has a job, or when it cannot be stored.

    Args:
        domain: the guest.
        kind: OUT or IN.
        owner: the client that asks for it.
        fields: what else is known of the job.
    """
    require_no_other(domain)
    domain.keep(JOB, {"kind": kind, "owner": owner, **fields})
    domain.host.migrations.begun(domain.uuid)


def require_no_other(domain: Domain) -> None:
    """Raise RpcError OPERATION_INVALID for a guest that has a migration (qemuMigrationJobIsAllowed)."""
    if job(domain) is not None:
        text = f"another migration job is already running for domain '{domain.name}'"
        raise domain.refused(ErrorCode.OPERATION_INVALID, text)


def go_on(domain: Domain, phase: str) -> None:
    """Note how far the job of a guest is. Raises RpcError when it cannot be stored."""
    domain.keep(JOB, {**(job(domain) or {}), "phase": phase})


def end_job(domain: Domain) -> None:
    """Take the job from a guest. Raises RpcError when that cannot be stored."""
    if domain.detail(JOB) is not None:
        domain.keep(JOB, None)
    domain.host.store.after(domain.host.migrations.ended, domain.uuid)


def require_job(domain: Domain, kind: str) -> dict[str, Any]:
    """Return the job of a guest. Raises RpcError OPERATION_INVALID unless it has this one."""
    found = job(domain, kind)
    if found is None:
        words = "is not being migrated"
        if kind == IN:
            words = "is not processing incoming migration"
        raise domain.refused(ErrorCode.OPERATION_INVALID, f"domain '{domain.name}' {words}")
    return found


def renamed(host: Host, text: str, name: str | None, key: str) -> str:
    """Return the complete document of a guest that goes by another name.

    Args:
        host: where.
        text: the document.
        name: the name, None for that in the document.
        key: tells the document from others of the call.
    """
    made = host.emulators.kept(key, lambda: host.documents.define("domain", text)).text
    if name is None:
        return made
    document = stored("domain", made)
    guests.set_name(document, name)
    return written(document)


def under_way(host: Host) -> Iterator[tuple[Domain, dict[str, Any]]]:
    """Return the guests that have a migration, each with its job; it may end meanwhile."""
    for uuid in tuple(host.migrations.touched):
        domain = host.domains.by_uuid(uuid)
        found = None if domain is None else job(domain)
        if domain is None or found is None:
            host.migrations.ended(uuid)
        else:
            yield domain, found
