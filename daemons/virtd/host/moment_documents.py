"""Documents of snapshots and checkpoints: read from a client, aligned with the guest's disks, written.

Source: libvirt's src/conf/snapshot_conf.c (virDomainSnapshotAlignDisks, virDomainSnapshotDefFormat) and
src/conf/checkpoint_conf.c.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from lxml import etree

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml.documents import read
from aiovirt.daemons.virtd.xml.placing import add, assign, place
from aiovirt.daemons.virtd.xml.settings import put, reach
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Disk, Domain, Facts
    from aiovirt.daemons.virtd.host.moments import Moment
    from aiovirt.daemons.virtd.xml.documents import Document


def definition_of(domain: Domain) -> tuple[str, str | None]:
    """Return the document in force as a definition, and the definition itself if it is another one."""
    record = domain.record
    if record.live is None:
        return record.config or "", None
    inactive = cached("domain", record.live).text(secure=True, inactive=True)
    running = read("domain", inactive, own=True).text(secure=True)
    return running, record.config if domain.host.name == "qemu" else None


def begin(domain: Domain, kind: str, text: str) -> Document:
    """Read a client's document and give it a name and a time, if it has none.

    Args:
        domain: whose moment it is.
        kind: "snapshot" or "checkpoint".
        text: the document.

    Raises:
        RpcError: XML_ERROR and others for the document; XML_DETAIL for a name that cannot be one.
    """
    document = read(kind, text)
    for tag in ("parent", "creationTime", "state", "domain", "inactiveDomain", "cookie"):
        if kind == "checkpoint" and tag in ("state", "inactiveDomain", "cookie"):
            continue
        put(document, tag, None)
    now = domain.host.clock.now() // 10**9
    put(document, "creationTime", str(now))
    if not document.root.findtext("name"):
        put(document, "name", str(now))
    check_name(domain, kind, document.root.findtext("name") or "")
    return document


def check_name(domain: Domain, kind: str, name: str) -> None:
    """Refuse a name that a file could not have; the test driver has no files.

    Args:
        domain: whose moment it is.
        kind: "snapshot" or "checkpoint".
        name: the name.

    Raises:
        RpcError: XML_DETAIL.
    """
    reason = ""
    if domain.host.name == "test":
        return
    if "/" in name:
        reason = "name can't contain '/'"
    elif name.startswith("."):
        reason = "name can't start with '.'"
    if reason:
        raise RpcError.of(
            ErrorCode.XML_DETAIL,
            f"invalid {kind} name '{name}': {reason}",
            domain=domain.host.flavour.domain,
        )


def requested(
    document: Document,
    facts: Facts,
    kind: str,
    check: Callable[[etree._Element], object] | None = None,
) -> dict[str, etree._Element]:
    """Return the disks that a document names, by their targets.

    Args:
        document: of the moment; names that are paths become targets.
        facts: of the guest.
        kind: "snapshot" or "checkpoint".
        check: looks at each element, with a target as its name, before the next one is read.

    Raises:
        RpcError: CONFIG_UNSUPPORTED for a disk that does not exist or is named twice.
    """
    found: dict[str, etree._Element] = {}
    given = document.root.findall("disks/disk")
    if len(given) > len(facts.disks):
        raise unsupported(f"too many disk {kind} requests for domain", kind)
    for element in given:
        name = element.get("name") or ""
        disk = facts.disk(name)
        if disk is None:
            raise unsupported(f"no disk named '{name}'", kind)
        if disk.target in found:
            raise unsupported(f"disk '{name}' specified twice", kind)
        element.set("name", disk.target)
        found[disk.target] = element
        if check is not None:
            check(element)
    return found


def unsupported(text: str, kind: str) -> RpcError:
    """Make the refusal of a disk.

    Args:
        text: why.
        kind: "snapshot" or "checkpoint".
    """
    domain = ErrorDomain.DOMAIN_SNAPSHOT if kind == "snapshot" else ErrorDomain.DOMAIN_CHECKPOINT
    return RpcError.of(ErrorCode.CONFIG_UNSUPPORTED, text, domain=domain)


def list_disks(
    document: Document,
    disks: tuple[Disk, ...],
    named: dict[str, etree._Element],
    settings: dict[str, dict[str, str]],
) -> None:
    """Write down all disks of a guest, in its order.

    Args:
        document: of the moment.
        disks: of the guest.
        named: the elements of those that the client named.
        settings: the attributes of each, by target.
    """
    put(document, "disks", None)
    if not disks:
        return
    holder = reach(document, "disks")
    rule = document.rules.below("disks")
    for disk in disks:
        element = named.get(disk.target)
        if element is None:
            element = add(holder, rule, "disk", name=disk.target)
        else:
            holder.append(element)
        for name, value in settings[disk.target].items():
            assign(element, rule.below("disk"), name, value)
    document.changed()


def written(moment: Moment, kind: str, *, secure: bool, with_domain: bool = True) -> str:
    """Write the document of a moment.

    Args:
        moment: the moment.
        kind: "snapshot" or "checkpoint".
        secure: with passwords.
        with_domain: with the document of the guest.
    """
    document = cached(kind, moment.text).copy()
    put(document, "parent/name", moment.parent)
    if with_domain:
        for tag, text in (("domain", moment.config), ("inactiveDomain", moment.inactive)):
            if text is None:
                continue
            shown = cached("domain", text).text(secure=secure, inactive=True)
            root = etree.fromstring(shown, etree.XMLParser(remove_blank_text=True))
            root.tag = tag
            place(document.root, root, document.rules)
    document.changed()
    return document.text(secure=True)


def taken_out(domain: Domain, document: Document, tag: str) -> str | None:
    """Take the document of a guest out of that of a moment, complete; None if it has none.

    Args:
        domain: whose moment it is.
        document: of the moment.
        tag: "domain" or "inactiveDomain".

    Raises:
        RpcError: as for a definition; INVALID_ARG for a guest with another UUID.
    """
    found = document.root.find(tag)
    if found is None:
        return None
    document.root.remove(found)
    document.changed()
    found.tag = "domain"
    made = domain.host.documents.define("domain", etree.tostring(found, encoding="unicode"))
    if made.uuid != domain.record.uuid:
        raise RpcError.of(
            ErrorCode.INVALID_ARG,
            f"definition for snapshot must use uuid {domain.record.uuid}",
            domain=ErrorDomain.DOMAIN,
        )
    return made.text
