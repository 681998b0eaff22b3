"""Controllers: their order and numbers, and those that other devices imply.

Source: libvirt's src/conf/domain_conf.c (virDomainControllerInsertPreAlloced,
virDomainDefAddImplicitControllers) and domain_postparse.c (virDomainAssignControllerIndexes).
"""

from __future__ import annotations

from itertools import count
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add, assign, holder, place

#: The controller that the disks of each bus need, in the order in which libvirt adds them.
OF_BUS: Final = {"scsi": "scsi", "fdc": "fdc", "ide": "ide", "sata": "sata"}

#: The first port of each companion of a USB 2 controller.
COMPANIONS: Final = {"ich9-uhci1": "0", "ich9-uhci2": "2", "ich9-uhci3": "4"}

_USB2: Final = ("ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")


def order(devices: etree._Element) -> None:
    """Sort controllers as libvirt does, and number those without an index."""
    given = devices.findall("controller")
    if not given:
        return
    start = devices.index(given[0])
    rules = domain_rules()["%controller"].children[0]
    found: list[etree._Element] = []
    for controller in given:
        port = COMPANIONS.get(controller.get("model") or "")
        if port is not None and controller.find("master") is None:
            add(controller, rules, "master", startport=port)
        _insert(found, controller)
    for offset, controller in enumerate(found):
        devices.remove(controller)
        devices.insert(start + offset, controller)
    for number, controller in enumerate(found):
        if controller.get("index") is None:
            assign(controller, rules, "index", str(_free_index(found, number)))


def _insert(found: list[etree._Element], new: etree._Element) -> None:
    """Put a controller among its like by index; a companion comes after its master."""
    at = -1
    index = new.get("index")
    for number in range(len(found) - 1, -1, -1):
        other = found[number]
        if other.get("type") != new.get("type"):
            continue
        if index is None:
            at = number + 1
            break
        theirs = int(other.get("index") or -1)
        companion = new.find("master") is None and other.find("master") is not None
        if theirs > int(index) or (theirs == int(index) and companion):
            at = number
        elif at == -1:
            at = number + 1
    found.insert(len(found) if at == -1 else at, new)


def _free_index(found: list[etree._Element], number: int) -> int:
    """The index of a controller without one: its group's for a companion, or the lowest free."""
    controller = found[number]
    kind, model = controller.get("type"), controller.get("model")
    if kind == "usb" and model in _USB2:
        earlier = [other for other in found[:number] if other.get("type") == "usb"]
        if earlier and earlier[-1].get("model") in _USB2:
            index = earlier[-1].get("index")
            group = {
                other.get("model")
                for other in found
                if other.get("type") == "usb" and other.get("index") == index
            }
            if index is not None and model not in group:
                return int(index)
    used = {other.get("index") for other in found if other.get("type") == kind}
    return next(index for index in range(len(found) + 1) if str(index) not in used)


def ensure(
    devices: etree._Element, kind: str, index: int, model: str | None = None
) -> etree._Element:
    """Return a controller, which is added unless it exists.

    Args:
        devices: the devices of a guest.
        kind: its type.
        index: its index.
        model: its model; None for the driver's choice.
    """
    found = devices.findall("controller")
    for one in found:
        if one.get("type") == kind and one.get("index") == str(index):
            return one
    new = etree.Element("controller", type=kind, index=str(index))
    if model is not None:
        new.set("model", model)
    if not found:
        place(devices, new, domain_rules()["%devices"])
    else:
        devices.insert(devices.index(found[-1]) + 1, new)
    return new


def implied(devices: etree._Element) -> None:
    """Add the controllers that disks, channels, consoles, smart cards and host devices need."""
    highest: dict[str | None, int] = {}
    for drive in devices.iterfind("disk/address[@type='drive']"):
        bus = devices_bus(holder(drive))
        highest[bus] = max(highest.get(bus, -1), int(drive.get("controller") or 0))
    for needs, kind in OF_BUS.items():
        for index in range(highest.get(needs, -1) + 1):
            ensure(devices, kind, index)
    for device in (*devices.findall("channel"), *devices.findall("console")):
        target, address = device.find("target"), device.find("address")
        if target is not None and target.get("type") == "virtio":
            serial = address is not None and address.get("type") == "virtio-serial"
            ensure(
                devices,
                "virtio-serial",
                int(address.get("controller") or 0) if serial and address is not None else 0,
            )
    if devices.find("smartcard") is not None:
        _smart_cards(devices)
    if devices.find("hostdev") is not None:
        _host_devices(devices)


def host_addresses(devices: etree._Element, units: int) -> None:
    """Give each SCSI device of the host the lowest place that is free.

    Args:
        devices: the devices of a guest.
        units: how many places a controller has.
    """
    if devices.find("hostdev") is None:
        return
    rules = domain_rules()["%hostdev"].children[0]
    waiting = [
        host for host in devices.findall("hostdev[@type='scsi']") if host.find("address") is None
    ]
    if not waiting:
        return
    parts = ("controller", "bus", "target", "unit")
    drives = [
        address
        for address in devices.iterfind("*/address[@type='drive']")
        if holder(address).tag == "hostdev" or devices_bus(holder(address)) == "scsi"
    ]
    used = {tuple(address.get(part) or "0" for part in parts) for address in drives}
    places = (
        (str(controller), "0", "0", str(unit)) for controller in count() for unit in range(units)
    )
    for host in waiting:
        chosen = next(place for place in places if place not in used)
        attributes = dict(zip(parts, chosen, strict=True))
        add(host, rules, "address", None, type="drive", **attributes)


def devices_bus(device: etree._Element) -> str | None:
    """The bus of a device's target."""
    target = device.find("target")
    return None if target is None else target.get("bus")


def _host_devices(devices: etree._Element) -> None:
    """The controllers of the host's SCSI devices are all of one model."""
    highest, model = -1, None
    for address in devices.findall("hostdev[@type='scsi']/address[@type='drive']"):
        index = int(address.get("controller") or 0)
        if index > highest:
            highest = index
            found = devices.find(f"controller[@type='scsi'][@index='{index}']")
            model = model if found is None else found.get("model", model)
    for index in range(highest + 1):
        ensure(devices, "scsi", index, model)


def _smart_cards(devices: etree._Element) -> None:
    """Each smart card has a slot of a reader."""
    rules = domain_rules()["%smartcard"].children[0]
    cards = devices.findall("smartcard")
    for card in cards:
        address = card.find("address")
        if address is None:
            slots = [
                int(other.get("slot") or 0)
                for other in devices.findall("smartcard/address[@type='ccid']")
                if other.get("controller") == "0"
            ]
            slot = max(slots, default=-1) + 1
            address = add(card, rules, "address", None, type="ccid", controller="0", slot=str(slot))
        ensure(devices, "ccid", int(address.get("controller") or 0))
