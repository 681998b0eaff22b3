"""Controllers: their order and numbers, and those that other devices imply.

Source: libvirt's src/conf/domain_conf.c (virDomainControllerInsertPreAlloced,
virDomainDefAddImplicitControllers) and domain_postparse.c (virDomainAssignControllerIndexes).
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml.completion.ordering import inserted
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add, arrange, assign, holder, place

#: The controller that the disks of each bus need, in the order in which libvirt adds them.
OF_BUS: Final = {"scsi": "scsi", "fdc": "fdc", "ide": "ide", "sata": "sata"}

#: The first port of each companion of a USB 2 controller.
COMPANIONS: Final = {"ich9-uhci1": "0", "ich9-uhci2": "2", "ich9-uhci3": "4"}

_USB2: Final = ("ich9-ehci1", "ich9-uhci1", "ich9-uhci2", "ich9-uhci3")


class Controllers:
    """The controllers of a guest, by type and index.

    Args:
        devices: of the guest; nobody else adds or moves a controller meanwhile.
    """

    def __init__(self, devices: etree._Element) -> None:
        self._devices = devices
        self._known: dict[tuple[str | None, str | None], etree._Element] = {}
        self._last: etree._Element | None = None
        for one in devices.findall("controller"):
            self._known.setdefault((one.get("type"), one.get("index")), one)
            self._last = one

    def find(self, kind: str, index: int) -> etree._Element | None:
        """Return a controller, or None.

        Args:
            kind: its type.
            index: its index.
        """
        return self._known.get((kind, str(index)))

    def ensure(self, kind: str, index: int, model: str | None = None) -> etree._Element:
        """Return a controller, which is added unless it exists.

        Args:
            kind: its type.
            index: its index.
            model: its model; None for the driver's choice.
        """
        found = self.find(kind, index)
        if found is not None:
            return found
        new = etree.Element("controller", type=kind, index=str(index))
        if model is not None:
            new.set("model", model)
        if self._last is None:
            place(self._devices, new, domain_rules()["%devices"])
        else:
            self._last.addnext(new)
        self._last = self._known[kind, str(index)] = new
        return new


def order(devices: etree._Element) -> None:
    """Sort controllers as libvirt does, and number those without an index."""
    given = devices.findall("controller")
    if not given:
        return
    rules = domain_rules()["%controller"].children[0]
    for controller in given:
        port = COMPANIONS.get(controller.get("model") or "")
        if port is not None and controller.find("master") is None:
            add(controller, rules, "master", startport=port)
    found = inserted((one.get("type"), _place(one), one) for one in given)
    arrange(given, found)
    if any(one.get("index") is None for one in found):
        _number(found)


def _place(controller: etree._Element) -> tuple[int, int] | None:
    """The place of a controller among its like; a companion comes after its master."""
    index = controller.get("index")
    return None if index is None else (int(index), int(controller.find("master") is not None))


def _number(found: list[etree._Element]) -> None:
    """Give controllers without an index that of their group, or the lowest that is free."""
    rules = domain_rules()["%controller"].children[0]
    used = {(one.get("type"), one.get("index")) for one in found}
    models: dict[str | None, set[str | None]] = {}  # of controllers of USB, by index
    for one in found:
        if one.get("type") == "usb":
            models.setdefault(one.get("index"), set()).add(one.get("model"))
    free: dict[str | None, Iterator[int]] = {}
    earlier: etree._Element | None = None  # the last controller of USB before this one
    for controller in found:
        kind, model, index = (controller.get(name) for name in ("type", "model", "index"))
        if index is None:
            if (
                kind == "usb"
                and model in _USB2
                and earlier is not None
                and earlier.get("model") in _USB2
                and model not in models.get(earlier.get("index"), ())
            ):
                index = earlier.get("index")
            else:
                numbers = free.setdefault(kind, count())
                index = next(text for text in map(str, numbers) if (kind, text) not in used)
            assign(controller, rules, "index", index)
            used.add((kind, index))
            if kind == "usb":
                models.setdefault(index, set()).add(model)
        if kind == "usb":
            earlier = controller


def implied(devices: etree._Element) -> None:
    """Add the controllers that disks, channels, consoles, smart cards and host devices need."""
    highest: dict[str | None, int] = {}
    for drive in devices.iterfind("disk/address[@type='drive']"):
        bus = devices_bus(holder(drive))
        highest[bus] = max(highest.get(bus, -1), int(drive.get("controller") or 0))
    controllers = Controllers(devices)
    for needs, kind in OF_BUS.items():
        for index in range(highest.get(needs, -1) + 1):
            controllers.ensure(kind, index)
    for device in (*devices.findall("channel"), *devices.findall("console")):
        target, address = device.find("target"), device.find("address")
        if target is not None and target.get("type") == "virtio":
            serial = address is not None and address.get("type") == "virtio-serial"
            controllers.ensure(
                "virtio-serial",
                int(address.get("controller") or 0) if serial and address is not None else 0,
            )
    if devices.find("smartcard") is not None:
        _smart_cards(devices, controllers)
    if devices.find("hostdev") is not None:
        _host_devices(devices, controllers)


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


def _host_devices(devices: etree._Element, controllers: Controllers) -> None:
    """The controllers of the host's SCSI devices are all of one model."""
    highest, model = -1, None
    for address in devices.findall("hostdev[@type='scsi']/address[@type='drive']"):
        index = int(address.get("controller") or 0)
        if index > highest:
            highest = index
            found = controllers.find("scsi", index)
            model = model if found is None else found.get("model", model)
    for index in range(highest + 1):
        controllers.ensure("scsi", index, model)


def _smart_cards(devices: etree._Element, controllers: Controllers) -> None:
    """Each smart card has a slot of a reader."""
    rules = domain_rules()["%smartcard"].children[0]
    slots = [
        int(other.get("slot") or 0)
        for other in devices.findall("smartcard/address[@type='ccid']")
        if other.get("controller") == "0"
    ]
    highest = max(slots, default=-1)
    for card in devices.findall("smartcard"):
        address = card.find("address")
        if address is None:
            highest += 1
            slot = str(highest)
            address = add(card, rules, "address", None, type="ccid", controller="0", slot=slot)
        controllers.ensure("ccid", int(address.get("controller") or 0))
