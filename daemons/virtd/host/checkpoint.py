"""Checkpoints of a domain: points in time from which changed blocks are known.

Source: libvirt's src/test/test_driver.c (testDomainCheckpointCreateXML and its like) and
src/qemu/qemu_checkpoint.c.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.virtd.constants.checkpoint import DomainCheckpointCreateFlags as Create
from aiovirt.daemons.virtd.constants.checkpoint import DomainCheckpointDeleteFlags as Delete
from aiovirt.daemons.virtd.host import moment_documents as documents
from aiovirt.daemons.virtd.host.moments import Moment
from aiovirt.daemons.virtd.xml import devices
from aiovirt.daemons.virtd.xml.documents import read
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document


def find(domain: Domain, name: str) -> Moment:
    """Return a checkpoint. Raises RpcError NO_DOMAIN_CHECKPOINT."""
    found = domain.checkpoints.get(name)
    if found is None:
        text = f"no domain checkpoint with matching name '{name}'"
        raise domain.refused(ErrorCode.NO_DOMAIN_CHECKPOINT, text)
    return found


def create(domain: Domain, text: str, flags: int) -> Moment:
    """Make a checkpoint, or tell of one that was made before.

    Args:
        domain: the domain, which runs.
        text: the document of the checkpoint.
        flags: DomainCheckpointCreateFlags.

    Raises:
        RpcError: OPERATION_UNSUPPORTED beside snapshots, or for a guest that does not run;
            CONFIG_UNSUPPORTED for disks that cannot have one.
    """
    if domain.snapshots:
        raise domain.refused(
            ErrorCode.OPERATION_UNSUPPORTED,
            "cannot create checkpoint while snapshot exists",
        )
    if not domain.is_active and not (flags & Create.REDEFINE and domain.host.name == "qemu"):
        raise domain.refused(
            ErrorCode.OPERATION_UNSUPPORTED,
            "cannot create checkpoint for inactive domain",
        )
    if flags & Create.REDEFINE:
        return _redefine(domain, text)
    document = documents.begin(domain, "checkpoint", text)
    name = document.root.findtext("name") or ""
    _describe(domain, document, name)
    domain.checkpoints.require_new(name)
    config, inactive = documents.definition_of(domain)
    current = domain.checkpoints.current
    moment = Moment(
        name=name,
        text=document.text(secure=True),
        config=config,
        inactive=inactive,
        parent=None if current is None else current.name,
        created=int(document.root.findtext("creationTime") or 0),
    )
    with domain.host.store.batch():
        domain.checkpoints.put(moment)
        domain.checkpoints.make_current(name)
    return moment


def _describe(domain: Domain, document: Document, name: str) -> None:
    facts = domain.record.facts
    if not facts.disks:
        raise documents.unsupported(
            "domain must have at least one disk to perform checkpoints", "checkpoint"
        )
    named = documents.requested(document, facts, "checkpoint")
    usual = "no" if named else "bitmap"
    elements = devices.disks(facts.document)
    settings: dict[str, dict[str, str]] = {}
    for disk in facts.disks:
        element = named.get(disk.target)
        found = elements.get(disk.target)
        writable = bool(disk.source) and found is not None and found.find("readonly") is None
        kind = usual if writable else "no"
        if element is not None:
            kind = element.get("checkpoint") or "bitmap"
            if not writable and kind != "no":
                raise documents.unsupported(
                    f"disk '{disk.target}' is empty or readonly", "checkpoint"
                )
        settings[disk.target] = {"checkpoint": kind}
        if kind == "bitmap":
            settings[disk.target]["bitmap"] = (
                None if element is None else element.get("bitmap")
            ) or name
            _require_format(domain, disk.target, found)
    documents.list_disks(document, facts.disks, named, settings)


def _require_format(domain: Domain, target: str, disk: etree._Element | None) -> None:
    kind = (None if disk is None else devices.value(disk, "driver/@type")) or "raw"
    if domain.host.name == "qemu" and kind != "qcow2":
        raise domain.refused(
            ErrorCode.CONFIG_UNSUPPORTED,
            f"checkpoint for disk {target} unsupported for storage type {kind}",
        )


def _redefine(domain: Domain, text: str) -> Moment:
    document = read("checkpoint", text)
    root = document.root
    name = root.findtext("name") or ""
    if not name or not root.findtext("creationTime"):
        missing = "creationTime" if name else "name"
        raise RpcError.of(
            ErrorCode.XML_ERROR,
            f"missing {missing} from existing checkpoint",
            domain=ErrorDomain.DOMAIN_CHECKPOINT,
        )
    parent = root.findtext("parent/name")
    if parent == name or (parent is not None and domain.checkpoints.get(parent) is None):
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"parent {parent} for moment {name} not found",
            domain=ErrorDomain.DOMAIN,
        )
    config = documents.taken_out(domain, document, "domain")
    moment = Moment(
        name=name,
        text=document.text(secure=True),
        config=config,
        parent=parent,
        created=int(root.findtext("creationTime") or 0),
    )
    with domain.host.store.batch():
        domain.checkpoints.put(moment)
        if domain.checkpoints.current is None or parent == domain.checkpoints.current.name:
            domain.checkpoints.make_current(name)
    return moment


def text_of(domain: Domain, moment: Moment, *, secure: bool, with_domain: bool, size: bool) -> str:
    """Write the document of a checkpoint.

    Args:
        domain: the domain.
        moment: one of its checkpoints.
        secure: with passwords.
        with_domain: with the document of the guest.
        size: with an estimate of the changed bytes of each disk.

    Raises:
        RpcError: OPERATION_INVALID for sizes of a guest that does not run.
    """
    if size:
        domain.require_active()
    text = documents.written(moment, "checkpoint", secure=secure, with_domain=with_domain)
    if not size or domain.host.name == "test":  # the test driver's sizes are never shown
        return text
    document = read("checkpoint", text, live=True)
    for element in document.root.findall("disks/disk[@checkpoint='bitmap']"):
        element.set("size", "65536")
    document.changed()
    return document.text(secure=True)


def delete(domain: Domain, moment: Moment, flags: int) -> None:
    """Delete a checkpoint; without flags its children become those of its parent.

    Args:
        domain: the domain.
        moment: one of its checkpoints.
        flags: DomainCheckpointDeleteFlags.

    Raises:
        RpcError: OPERATION_INVALID of the qemu driver for a guest that does not run.
    """
    if domain.host.name == "qemu" and not flags & Delete.METADATA_ONLY and not domain.is_active:
        raise domain.refused(
            ErrorCode.OPERATION_UNSUPPORTED,
            "cannot delete checkpoint for inactive domain",
        )
    domain.checkpoints.remove(
        moment.name,
        children=bool(flags & (Delete.CHILDREN | Delete.CHILDREN_ONLY)),
        itself=not flags & Delete.CHILDREN_ONLY,
    )
