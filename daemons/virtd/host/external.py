"""External snapshots: disks get new files, whose backing is what they had before.

Source: libvirt's src/conf/snapshot_conf.c (virDomainSnapshotDefAssignExternalNames) and
src/qemu/qemu_snapshot.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING

from lxml import etree

from aiovirt.daemons.virtd.host import blockjobs
from aiovirt.daemons.virtd.host.editing import Impact, edit
from aiovirt.daemons.virtd.xml import chains, devices
from aiovirt.daemons.virtd.xml.placing import add, assign
from aiovirt.daemons.virtd.xml.settings import reach
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.xml.documents import Document


def is_external(document: Document) -> bool:
    """Return whether a snapshot has files of its own."""
    memory = document.root.find("memory")
    if memory is not None and memory.get("snapshot") == "external":
        return True
    return document.root.find("disks/disk[@snapshot='external']") is not None


def name_files(domain: Domain, document: Document) -> None:
    """Name the files of external snapshots that a client did not name.

    Args:
        domain: the domain.
        document: of the snapshot.

    Raises:
        RpcError: CONFIG_UNSUPPORTED for a disk that is not a file.
    """
    name = document.root.findtext("name") or ""
    rule = document.rules.below("disks", "disk")
    known = devices.disks(domain.record.facts.document)
    for element in document.root.findall("disks/disk[@snapshot='external']"):
        target = element.get("name") or ""
        disk = known.get(target)
        kind = None if disk is None else disk.get("type")
        if element.get("type") is None:
            assign(element, rule, "type", "file")
        if devices.value(element, "source/@file") or element.get("type") != "file":
            continue
        path = None if disk is None else devices.value(disk, "source/@file")
        if disk is None or disk.find("source") is None:
            raise RpcError.of(
                ErrorCode.CONFIG_UNSUPPORTED,
                f"cannot generate external snapshot name for disk '{target}' without source",
                domain=ErrorDomain.DOMAIN_SNAPSHOT,
            )
        if kind != "file" or not path:
            raise RpcError.of(
                ErrorCode.CONFIG_UNSUPPORTED,
                f"source for disk '{target}' is not a regular file;"
                " refusing to generate external snapshot name",
                domain=ErrorDomain.DOMAIN_SNAPSHOT,
            )
        folder, slash, base = path.rpartition("/")
        stem = base.rpartition(".")[0] or base
        source = element.find("source")
        if source is None:
            source = add(element, rule, "source")
        source.set("file", f"{folder}{slash}{stem}.{name}")
        if element.find("driver") is None:
            add(element, rule, "driver", type="qcow2")


def switch_disks(domain: Domain, snapshot: Document) -> None:
    """Let the disks of a guest use the files of an external snapshot from now on.

    Args:
        domain: the domain.
        snapshot: the document of the snapshot.
    """
    new = {
        element.get("name") or "": element
        for element in snapshot.root.findall("disks/disk[@snapshot='external']")
        if devices.value(element, "source/@file")
    }
    if not new or domain.host.name != "qemu":
        return

    for target in new if domain.is_active else ():
        blockjobs.require_idle(domain, target)

    def change(document: Document) -> None:
        known = devices.disks(document)
        numbers = count(chains.highest(document) + 1)
        for target, element in new.items():
            disk = known.get(target)
            if disk is not None:
                _switch(document, disk, element, numbers)

    edit(domain, Impact(live=domain.is_active, config=domain.is_persistent), change)


def _switch(
    document: Document, disk: etree._Element, element: etree._Element, numbers: Iterator[int]
) -> None:
    rule = devices.rule_of("disk")
    source, driver = disk.find("source"), disk.find("driver")
    old_source = None if source is None else deepcopy(source)
    old_format = (None if driver is None else driver.get("type")) or "raw"
    if source is None:
        source = add(disk, rule, "source")
    if driver is None:
        driver = add(disk, rule, "driver")
    assign(driver, rule.below("driver"), "type", devices.value(element, "driver/@type") or "qcow2")
    source.set("file", devices.value(element, "source/@file") or "")
    if document.root.get("id") is None or old_source is None:
        return
    source.set("index", str(next(numbers)))
    old_index = old_source.attrib.pop("index", None)
    old_backing = disk.find("backingStore")
    if old_backing is not None:
        disk.remove(old_backing)
    backing = reach(document, "backingStore", disk, rule)
    backing.set("type", disk.get("type") or "file")
    if old_index is not None:
        backing.set("index", str(old_index))
    etree.SubElement(backing, "format", type=old_format)
    backing.append(old_source)
    backing.append(old_backing if old_backing is not None else etree.Element("backingStore"))
