"""Snapshots of a domain: taken, gone back to, deleted.

An internal snapshot keeps the document and the state; an external one gives disks new files, whose
backing is what they had. No file of the machine is touched for either.

Source: libvirt's src/test/test_driver.c (testDomainSnapshotCreateXML and its like) and
src/qemu/qemu_snapshot.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.constants.domain import DomainShutoffReason, DomainState
from aiovirt.daemons.virtd.constants.domain_events import DomainEventStoppedDetailType
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotCreateFlags as Create
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotDeleteFlags as Delete
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotRevertFlags as Revert
from aiovirt.daemons.virtd.host import external, lifecycle, snapshot_rules
from aiovirt.daemons.virtd.host import moment_documents as documents
from aiovirt.daemons.virtd.host.moments import Moment
from aiovirt.daemons.virtd.xml.documents import read
from aiovirt.daemons.virtd.xml.settings import put, reach
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document

_STATES: Final = {
    DomainState.RUNNING: "running",
    DomainState.PAUSED: "paused",
    DomainState.SHUTOFF: "shutoff",
    DomainState.PMSUSPENDED: "pmsuspended",
}


def find(domain: Domain, name: str) -> Moment:
    """Return a snapshot. Raises RpcError NO_DOMAIN_SNAPSHOT."""
    found = domain.snapshots.get(name)
    if found is None:
        text = f"no domain snapshot with matching name '{name}'"
        raise domain.refused(ErrorCode.NO_DOMAIN_SNAPSHOT, text)
    return found


# Taking one ----------------------------------------------------------------------------------------


def create(domain: Domain, text: str, flags: int) -> Moment:
    """Take a snapshot, or tell of one that was taken before.

    Args:
        domain: the domain.
        text: the document of the snapshot.
        flags: DomainSnapshotCreateFlags.

    Raises:
        RpcError: for a document that is broken, a name in use, disks that cannot be part of it.
    """
    domain.require_no_job()
    if domain.checkpoints:
        raise domain.refused(
            ErrorCode.OPERATION_UNSUPPORTED,
            "cannot create snapshot while checkpoint exists",
        )
    if flags & Create.HALT and not domain.is_persistent:
        raise domain.refused(
            ErrorCode.OPERATION_INVALID, "cannot halt after transient domain snapshot"
        )
    if flags & Create.REDEFINE:
        return _redefine(domain, text, make_current=bool(flags & Create.CURRENT))
    document = documents.begin(domain, "snapshot", text)
    name = document.root.findtext("name") or ""
    _describe(domain, document, disk_only=bool(flags & Create.DISK_ONLY))
    domain.snapshots.require_new(name)
    config, inactive = documents.definition_of(domain)
    current = domain.snapshots.current
    moment = Moment(
        name=name,
        text=document.text(secure=True),
        config=config,
        inactive=inactive,
        parent=None if current is None else current.name,
        created=int(document.root.findtext("creationTime") or 0),
        state=document.root.findtext("state") or "",
        external=external.is_external(document),
    )
    with domain.host.store.batch():
        external.switch_disks(domain, document)
        if not flags & Create.NO_METADATA:
            domain.snapshots.put(moment)
            domain.snapshots.make_current(name)
    if flags & Create.HALT and domain.is_active:
        _halt(domain)
    return moment


def _describe(domain: Domain, document: Document, *, disk_only: bool) -> None:
    """Write state, memory and disks into the document of a new snapshot."""
    state = _STATES.get(DomainState(domain.record.state), "running")
    if disk_only and domain.is_active:
        state = "disk-snapshot"
    kept = snapshot_rules.memory(domain, document, disk_only=disk_only)
    default = "external" if disk_only or kept == "external" else "internal"
    put(document, "state", state)
    reach(document, "memory").set("snapshot", kept)
    snapshot_rules.places(domain, document, default=default)
    external.name_files(domain, document)
    if domain.host.name == "qemu":
        snapshot_rules.require(domain, document, disk_only=disk_only)


def _redefine(domain: Domain, text: str, *, make_current: bool) -> Moment:
    """Keep a snapshot that a client describes in full."""
    document = read("snapshot", text)
    root = document.root
    name = root.findtext("name") or ""
    refusal: tuple[ErrorCode, str] | None = None
    if not name:
        refusal = ErrorCode.XML_ERROR, "a redefined snapshot must have a name"
    elif not root.findtext("creationTime"):
        refusal = ErrorCode.INTERNAL_ERROR, "missing creationTime from existing snapshot"
    elif not root.findtext("state"):
        refusal = ErrorCode.XML_ERROR, "missing state from existing snapshot"
    if refusal is not None:
        raise RpcError.of(*refusal, domain=ErrorDomain.DOMAIN_SNAPSHOT)
    documents.check_name(domain, "snapshot", name)
    parent = root.findtext("parent/name")
    if parent == name or (parent is not None and domain.snapshots.get(parent) is None):
        reason = (
            f"cannot set snapshot {name} as its own parent"
            if parent == name
            else f"parent {parent} for snapshot {name} not found"
        )
        raise RpcError.of(ErrorCode.INVALID_ARG, reason, domain=ErrorDomain.DOMAIN)
    known = domain.snapshots.get(name)
    config = documents.taken_out(domain, document, "domain")
    inactive = documents.taken_out(domain, document, "inactiveDomain")
    moment = Moment(
        name=name,
        text=document.text(secure=True),
        config=config or (known.config if known else None),
        inactive=inactive,
        parent=parent,
        created=int(root.findtext("creationTime") or 0),
        state=root.findtext("state") or "",
        external=external.is_external(document),
    )
    with domain.host.store.batch():
        domain.snapshots.put(moment)
        if make_current:
            domain.snapshots.make_current(name)
    return moment


def _halt(domain: Domain) -> None:
    """End the guest of a domain that stays."""
    detail = DomainEventStoppedDetailType.FROM_SNAPSHOT
    lifecycle.stop(domain, DomainShutoffReason.FROM_SNAPSHOT, detail, keep=True)


# Going back ----------------------------------------------------------------------------------------


def revert(domain: Domain, moment: Moment, flags: int) -> None:
    """Make a domain what it was.

    Args:
        domain: the domain.
        moment: one of its snapshots.
        flags: DomainSnapshotRevertFlags.

    Raises:
        RpcError: OPERATION_INVALID for a transient domain that would be shut off,
            SNAPSHOT_REVERT_RISKY for a snapshot without a document, CONFIG_UNSUPPORTED for an external
            one.
    """
    domain.require_no_job()
    was_running = moment.state in ("running", "paused")
    asked = flags & (Revert.RUNNING | Revert.PAUSED)
    if not domain.is_persistent and not was_running and not asked:
        raise domain.refused(
            ErrorCode.OPERATION_INVALID,
            "transient domain needs to request run or pause to revert to inactive snapshot",
        )
    if moment.config is None:
        raise domain.refused(
            ErrorCode.SNAPSHOT_REVERT_RISKY,
            f"snapshot '{moment.name}' lacks domain '{domain.name}' rollback info",
        )
    if moment.external and domain.host.name == "qemu":
        raise domain.refused(
            ErrorCode.CONFIG_UNSUPPORTED,
            "revert to external snapshot not supported yet",
        )
    if domain.is_active:
        _halt(domain)
    if domain.is_persistent:
        domain.change(config=moment.inactive or moment.config)
    if was_running or asked:
        paused = not flags & Revert.RUNNING and (
            moment.state == "paused" or bool(flags & Revert.PAUSED)
        )
        boots = domain.host.name == "qemu" and not was_running
        origin = lifecycle.BOOTED_FROM_SNAPSHOT if boots else lifecycle.FROM_SNAPSHOT
        lifecycle.run(domain, moment.config, origin, paused=paused)
    domain.snapshots.make_current(moment.name)


def delete(domain: Domain, moment: Moment, flags: int) -> None:
    """Delete a snapshot; without flags its children become those of its parent.

    Args:
        domain: the domain.
        moment: one of its snapshots.
        flags: DomainSnapshotDeleteFlags.

    Raises:
        RpcError: CONFIG_UNSUPPORTED for external ones, whose files libvirt does not merge.
    """
    descends = flags & (Delete.CHILDREN | Delete.CHILDREN_ONLY)
    if domain.host.name == "qemu" and not flags & Delete.METADATA_ONLY:
        gone = list(domain.snapshots.descendants(moment.name)) if descends else []
        if not flags & Delete.CHILDREN_ONLY:
            gone.append(moment)
        count = sum(one.external for one in gone)
        if count:
            raise domain.refused(
                ErrorCode.CONFIG_UNSUPPORTED,
                f"deletion of {count} external disk snapshots not supported yet",
            )
    domain.snapshots.remove(
        moment.name, children=bool(descends), itself=not flags & Delete.CHILDREN_ONLY
    )
