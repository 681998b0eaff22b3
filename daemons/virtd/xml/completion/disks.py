"""Disks: their bus by the name of their target, their address by the bus, their order.

Source: libvirt's src/conf/domain_conf.c (virDomainDiskInsert, virDomainDiskDefAssignAddress) and
src/util/virutil.c (virDiskNameToIndex).
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.completion.ordering import inserted
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add, arrange, assign
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode

#: The bus of a disk that names none, by the beginning of its target's name.
BUS_BY_TARGET: Final = {"hd": "ide", "sd": "scsi", "vd": "virtio", "xvd": "xen", "ubd": "uml"}

#: For each bus with controllers: units of a bus and buses of a controller.
GEOMETRY: Final = {"ide": (2, 2), "sata": (6, 1), "fdc": (2, 1)}

_NAME: Final = pattern(r"(?:fd|hd|vd|sd|xvd|ubd)([a-z]+)[0-9]*\Z")


def target_index(name: str) -> int:
    """The number of a target by its letters: 0 for vda, 26 for vdaa; -1 for any other name."""
    match = _NAME.match(name)
    if match is None or len(match[1]) > 5:
        return -1
    number = 0
    for letter in match[1]:
        number = number * 26 + ord(letter) - ord("a") + 1
    return number - 1


def _bus(disk: etree._Element) -> str | None:
    target = disk.find("target")
    return None if target is None else target.get("bus")


def _index(disk: etree._Element) -> int:
    target = disk.find("target")
    return target_index("" if target is None else target.get("dev") or "")


def order(devices: etree._Element) -> None:
    """Sort the disks of each bus by their targets, as far as libvirt does."""
    given = devices.findall("disk")
    if len(given) > 1:
        arrange(given, inserted((_bus(disk), (_index(disk),), disk) for disk in given))


def complete(devices: etree._Element, flavour: Flavour) -> None:
    """Give each disk its bus, its address, and what follows from its kind."""
    for disk in devices.findall("disk"):
        complete_disk(disk, flavour)


def complete_disk(disk: etree._Element, flavour: Flavour) -> None:
    """Complete one disk.

    Args:
        disk: the disk, in shape.
        flavour: the driver's defaults.
    """
    rules = domain_rules()["%disk"].children[0]
    target = disk.find("target")
    source = disk.find("source")
    if target is None or not target.get("dev"):
        detail = "" if source is None else source.get("file") or source.get("dev") or ""
        raise refusals.refused(ErrorCode.NO_TARGET, detail)
    removable = disk.get("device") in ("cdrom", "floppy")
    if not removable and (source is None or source.get("file") == "" or source.get("dev") == ""):
        raise refusals.refused(ErrorCode.NO_SOURCE, target.get("dev") or "")
    if removable and (
        source is None or (disk.get("type") in ("network", "volume") and not _has_path(source))
    ):
        disk.set("type", "file")
    name = (target.get("dev") or "").removeprefix("ioemu:")
    target.set("dev", name)
    if target.get("bus") is None:
        assign(target, rules.below("target"), "bus", _default_bus(disk, name))
    if disk.get("device") == "cdrom" and disk.find("readonly") is None:
        add(disk, rules, "readonly")
    if disk.get("snapshot") == "no" and disk.find("readonly") is not None:
        del disk.attrib["snapshot"]
    if disk.get("type") == "vhostuser" and disk.get("snapshot") is None:
        assign(disk, rules, "snapshot", "no")
    if disk.find("address") is None:
        address = _address(name, target.get("bus") or "", flavour.scsi_units)
        if address is not None:
            add(disk, rules, "address", None, type="drive", **address)
    _check_name(disk, name)


def _check_name(disk: etree._Element, name: str) -> None:
    """A floppy disk is called fd, all others something else."""
    floppy = disk.get("device") == "floppy"
    bus = _bus(disk) or ""
    if floppy and bus not in ("fdc", "usb"):
        detail = f"Invalid bus type '{refusals.shown(bus)}' for floppy disk"
        raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail)
    heads = ("fd",) if floppy else tuple(BUS_BY_TARGET)
    if not name.startswith(heads):
        kind = "floppy" if floppy else "harddisk"
        detail = f"Invalid {kind} device name: {refusals.shown(name)}"
        raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail)


def _has_path(source: etree._Element) -> bool:
    return source.get("name") is not None or source.get("volume") is not None


def _default_bus(disk: etree._Element, name: str) -> str:
    if disk.get("device") == "floppy":
        return "fdc"
    return next((bus for head, bus in BUS_BY_TARGET.items() if name.startswith(head)), "ide")


def _address(name: str, bus: str, scsi_units: int) -> dict[str, str] | None:
    """The place of a disk on its controllers, by its target's name."""
    index = target_index(name)
    if index < 0:
        raise refusals.refused(
            ErrorCode.XML_ERROR,
            f"Unknown disk name '{refusals.shown(name)}' and no address specified",
        )
    if bus == "scsi":
        controller, unit = divmod(index, scsi_units)
        slot = 0
        if scsi_units > 7 and unit >= 7:
            unit += 1
    elif bus in GEOMETRY:
        units, buses = GEOMETRY[bus]
        controller, rest = divmod(index, units * buses)
        slot, unit = divmod(rest, units)
    else:
        return None
    return {"controller": str(controller), "bus": str(slot), "target": "0", "unit": str(unit)}
