"""The memory and the disks of a snapshot, and the combinations that are refused.

Source: libvirt's src/conf/snapshot_conf.c (virDomainSnapshotDefParse, virDomainSnapshotAlignDisks),
src/qemu/qemu_snapshot.c (qemuSnapshotCreateAlignDisks, qemuSnapshotPrepare).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host import moment_documents as documents
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document

#: Formats of the files of external snapshots.
_LAYERS: Final = ("qcow2", "qed")
#: Kinds of disk of which a guest that is shut off can keep a snapshot inside.
_FILES: Final = ("file", "block")


def memory(domain: Domain, document: Document, *, disk_only: bool) -> str:
    """Return where a snapshot keeps the memory: "no", "internal" or "external".

    Args:
        domain: the guest.
        document: of the snapshot, as the client gave it.
        disk_only: the client wants the disks alone.

    Raises:
        RpcError: XML_ERROR for settings that contradict each other, OPERATION_UNSUPPORTED for a guest
            that runs and whose memory is not to be kept.
    """
    element = document.root.find("memory")
    mode = None if element is None else element.get("snapshot")
    file = None if element is None else element.get("file")
    if mode is None and file is not None:
        mode = "external"
    detail = ""
    if mode == "manual":
        detail = "'manual' memory snapshot mode not supported"
    elif file is not None and mode != "external":
        detail = f"memory filename '{file}' requires external snapshot"
    elif file is None and mode == "external":
        detail = "external memory snapshots require a filename"
    elif mode not in (None, "no") and (disk_only or not domain.is_active):
        detail = "memory state cannot be saved with offline or disk-only snapshot"
    elif file is not None and not file.startswith("/"):
        detail = f"memory snapshot file path ({file}) must be absolute"
    if detail:
        raise RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.DOMAIN_SNAPSHOT)
    if disk_only or not domain.is_active:
        return "no"
    if mode == "external":
        return mode
    if mode == "no" and domain.host.name == "qemu":
        text = "internal snapshot of a running VM must include the memory state"
        raise domain.refused(ErrorCode.OPERATION_UNSUPPORTED, text)
    return "internal"


def places(domain: Domain, document: Document, *, default: str) -> None:
    """Write down where a snapshot keeps each disk.

    Args:
        domain: the guest.
        document: of the snapshot.
        default: "internal" or "external": where a disk is kept of which nothing is said.

    Raises:
        RpcError: CONFIG_UNSUPPORTED for a disk that does not exist or cannot be kept there,
            OPERATION_UNSUPPORTED for one that the test driver's client wants to keep itself.
    """
    given = document.root.findall("disks/disk[@snapshot='manual']")
    if given and domain.host.name == "test":
        text = "'manual' snapshot mode is not supported by the test driver"
        raise domain.refused(ErrorCode.OPERATION_UNSUPPORTED, text)
    facts = domain.record.facts
    disks = devices.disks(facts.document)
    found: dict[str, dict[str, str]] = {}

    def place(element: etree._Element) -> None:
        target = element.get("name") or ""
        found[target] = {"snapshot": _named(element, _own(disks.get(target)), default)}

    named = documents.requested(document, facts, "snapshot", place)
    for disk in facts.disks:
        wanted = _own(disks.get(disk.target)) or default if disk.source else "no"
        found.setdefault(disk.target, {"snapshot": wanted})
    documents.list_disks(document, facts.disks, named, found)


def _own(disk: etree._Element | None) -> str | None:
    """The place that the document of the guest has for a disk; a disk that is only read has none."""
    if disk is None:
        return None
    return disk.get("snapshot") or ("no" if disk.find("readonly") is not None else None)


def _named(element: etree._Element, own: str | None, default: str) -> str:
    """The place of a disk that a client names."""
    wanted, name = element.get("snapshot"), element.get("name")
    source, form = element.find("source"), devices.value(element, "driver/@type")
    path = None if source is None else source.get("file") or source.get("dev")
    inside = default == "internal"
    if wanted is None and (path or form):
        wanted = "external"
    if wanted is None:
        return own if own is not None and (own == "no" or not inside) else default
    if inside and wanted != default and not wanted == own == "no":
        text = f"disk '{name}' must use snapshot mode '{default}'"
        raise documents.unsupported(text, "snapshot")
    if path and wanted != "external":
        text = f"file '{path}' for disk '{name}' requires use of external snapshot mode"
        raise documents.unsupported(text, "snapshot")
    return wanted


def require(domain: Domain, document: Document, *, disk_only: bool) -> None:
    """Refuse a snapshot that QEMU cannot take.

    Args:
        domain: the guest.
        document: of the snapshot, complete.
        disk_only: the client wants the disks alone.

    Raises:
        RpcError: CONFIG_UNSUPPORTED, OPERATION_UNSUPPORTED, INTERNAL_ERROR.
    """
    kept = devices.value(document.root, "memory/@snapshot")
    disks = devices.disks(domain.record.facts.document)
    inside = outside = excluded = False
    for element in document.root.iterfind("disks/disk"):
        name, place = element.get("name") or "", element.get("snapshot")
        disk = disks.get(name)
        if place == "internal":
            inside = True
            _require_inside(domain, name, disk, disk_only=disk_only)
        elif place == "external":
            outside = True
            form = devices.value(element, "driver/@type")
            if form is not None and form not in _LAYERS:
                text = f"external snapshot format for disk {name} is unsupported: {form}"
                raise _refused(domain, text)
        elif place == "manual" or _is_left_out(disk):
            excluded = True
    text = ""
    if not inside and not outside and kept == "no":
        text = "nothing selected for snapshot"
    elif (kept == "internal" and not inside) or (inside and excluded):
        text = "internal and full system snapshots require all disks to be selected for snapshot"
    elif disk_only and domain.is_active and not outside:
        text = "disk-only snapshots require at least one disk to be selected for snapshot"
    elif (
        (inside and outside) or (kept == "internal" and outside) or (kept == "external" and inside)
    ):
        text = "mixing internal and external targets for a snapshot is not yet supported"
    if text:
        raise _refused(domain, text)
    loader = domain.record.facts.document.root.find("os/loader")
    if inside and loader is not None and loader.get("type") == "pflash":
        text = "internal snapshots of a VM with pflash based firmware are not supported"
        raise domain.refused(ErrorCode.OPERATION_UNSUPPORTED, text)


def _require_inside(
    domain: Domain, name: str, disk: etree._Element | None, *, disk_only: bool
) -> None:
    """A disk can keep a snapshot inside."""
    if disk_only and domain.is_active:
        text = (
            f"active qemu domains require external disk snapshots; disk {name} requested internal"
        )
        raise _refused(domain, text)
    kind = None if disk is None else disk.get("type")
    if not domain.is_active and kind not in _FILES:
        text = f"internal inactive snapshots are not supported on '{kind}' disks"
        if kind == "network" and disk is not None:
            text += f" using '{devices.value(disk, 'source/@protocol')}' protocol"
        raise domain.refused(ErrorCode.INTERNAL_ERROR, text)
    form = (None if disk is None else devices.value(disk, "driver/@type")) or "raw"
    if form != "qcow2":
        text = f"internal snapshot for disk {name} unsupported for storage type {form}"
        raise _refused(domain, text)


def _is_left_out(disk: etree._Element | None) -> bool:
    """A disk with a content that the guest can change is not part of the snapshot."""
    if disk is None or disk.find("readonly") is not None:
        return False
    source = disk.find("source")
    return source is not None and bool(source.attrib)


def _refused(domain: Domain, text: str) -> RpcError:
    return domain.refused(ErrorCode.CONFIG_UNSUPPORTED, text)
