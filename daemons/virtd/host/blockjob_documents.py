"""Jobs on disks, as the documents of a guest show them: the new file, and the chain that a job leaves.

Source: libvirt's src/qemu/qemu_blockjob.c and src/conf/domain_conf.c (virDomainDiskDefFormatMirror).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from aiovirt.daemons.virtd.constants.domain import DomainBlockJobType as Type
from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml import chains, devices
from aiovirt.daemons.virtd.xml.placing import add

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document

#: The name of the small thing that has the highest number of a file so far.
_HIGHEST: Final = "storage-index"


def _live(domain: Domain, change: Any, *, config: bool = False) -> None:
    edit(domain, Impact(live=True, config=config and domain.is_persistent), change)


def set_mirror(
    domain: Domain, target: str, job: dict[str, Any], given: etree._Element | None
) -> None:
    """Show the new file of a copy, or the one that the disk is committed into.

    Args:
        domain: the guest.
        target: of the disk.
        job: its job.
        given: the new file of a copy, as a <disk> or a <mirror>.

    Raises:
        RpcError: the store cannot be written.
    """
    number = job.get("into") or _next_index(domain)

    def change(document: Document) -> None:
        disk = devices.disk(document, target)
        if disk is None:
            return
        source = given
        mirror = add(disk, devices.rule_of("disk"), "mirror", type="file")
        if job["type"] == Type.ACTIVE_COMMIT:
            mirror.set("job", "active-commit")
            source = next(one for one in chains.files(disk) if chains.index(one) == number)
        elif given is not None:
            for name, value in (("file", "source/@file"), ("format", "format/@type")):
                found = devices.value(given, value)
                if found is not None:
                    mirror.set(name, found)
            mirror.set("job", "copy")
        for tag in ("format", "source"):
            found_element = None if source is None else source.find(tag)
            if found_element is not None:
                copied = etree.SubElement(mirror, tag, dict(found_element.items()))
                if tag == "source":
                    copied.set("index", str(number))
        if job["type"] == Type.COPY and not job.get("shallow"):
            etree.SubElement(mirror, "backingStore")

    _live(domain, change)


def _next_index(domain: Domain) -> int:
    """The number for a new file. Raises RpcError when the store cannot be written."""
    known = chains.highest(domain.record.facts.document)
    number = max(int(domain.detail(_HIGHEST, 0)), known) + 1
    domain.keep(_HIGHEST, number)
    return number


def mark_ready(domain: Domain, target: str) -> None:
    """Say that the job of a disk is ready. Raises RpcError when the store cannot be written."""

    def change(document: Document) -> None:
        disk = devices.disk(document, target)
        mirror = None if disk is None else disk.find("mirror")
        if mirror is not None:
            mirror.set("ready", "yes")

    _live(domain, change)


def remove_mirror(domain: Domain, target: str) -> None:
    """Remove the file of a job that is given up. Raises RpcError when the store cannot be written."""

    def change(document: Document) -> None:
        disk = devices.disk(document, target)
        mirror = None if disk is None else disk.find("mirror")
        if disk is not None and mirror is not None:
            disk.remove(mirror)

    _live(domain, change)


def complete(domain: Domain, target: str, job: dict[str, Any]) -> None:
    """Let the disk be what the job made of it.

    Args:
        domain: the guest.
        target: of the disk.
        job: its job.

    Raises:
        RpcError: the store cannot be written.
    """
    new: dict[str, str] = {}
    lower: list[etree._Element] = []

    def by_number(disk: etree._Element, number: int | None) -> etree._Element | None:
        return next((one for one in chains.files(disk) if chains.index(one) == number), None)

    def change(document: Document) -> None:
        disk = devices.disk(document, target)
        if disk is None:
            return
        mirror = disk.find("mirror")
        if mirror is not None:
            disk.remove(mirror)
            new["file"] = devices.value(mirror, "source/@file") or ""
            new["format"] = devices.value(mirror, "format/@type") or "raw"
            new["index"] = devices.value(mirror, "source/@index") or "0"
        if job["type"] == Type.COMMIT:
            above = by_number(disk, job.get("above"))
            if above is not None:
                chains.set_backing(above, by_number(disk, job.get("into")))
        elif job["type"] == Type.ACTIVE_COMMIT:
            base = by_number(disk, job.get("into"))
            below = None if base is None else base.find("backingStore")
            chains.set_backing(disk, below)
            lower.append(chains.unnumbered(below))
        elif job["type"] == Type.PULL or not job.get("shallow"):
            chains.set_backing(disk, by_number(disk, job.get("base")))
        if new.get("file"):
            chains.set_file(disk, new["file"], new["format"], int(new["index"]))

    def change_config(document: Document) -> None:
        disk = devices.disk(document, target)
        if disk is None:
            return
        # The definition knows the files below those that snapshots made, but not those that were found.
        if lower and domain.host.volumes.backing(chains.path_of(disk)) is not None:
            chains.set_backing(disk, lower[0])
        chains.set_file(disk, new["file"], new["format"])
        if new["format"] == "raw" and job["type"] == Type.COPY:
            chains.set_backing(disk, None)

    _live(domain, change)
    if new.get("file") and domain.is_persistent:
        edit(domain, Impact(live=False, config=True), change_config)
