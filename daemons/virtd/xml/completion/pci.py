"""Slots of PCI for the devices of a machine, and the ports that a PCI Express machine needs for them.

A machine with PCI has one bus, of which slot 0 is the root's, slot 1 the chipset's and slot 2 the
primary screen's. A machine with PCI Express has a root whose slots take ports, each of which has a bus
for one device; devices of plain PCI go behind a bridge of their own.

Source: libvirt's src/qemu/qemu_domain_address.c (qemuDomainAssignDevicePCISlots,
qemuDomainValidateDevicePCISlotsPIIX3, qemuDomainValidateDevicePCISlotsQ35) and
src/conf/domain_addr.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion.controllers import ensure
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

#: The devices that have a slot, in the order in which they get one, as paths of lxml.
ORDER: Final = (
    "filesystem",
    "interface",
    "sound",
    "controller",
    "disk",
    "hostdev",
    "memballoon",
    "rng",
    "watchdog",
    "video",
    "shmem",
    "input",
    "vsock",
)

#: Places of the chipset: by machine, type, index and model of a controller.
FIXED: Final = {
    ("pci", "usb", "piix3-uhci"): ("0x01", "0x2"),
    ("pci", "ide", None): ("0x01", "0x1"),
    ("pcie", "sata", None): ("0x1f", "0x2"),
    ("pcie", "usb", "ich9-ehci1"): ("0x1d", "0x7"),
    ("pcie", "usb", "ich9-uhci1"): ("0x1d", "0x0"),
    ("pcie", "usb", "ich9-uhci2"): ("0x1d", "0x1"),
    ("pcie", "usb", "ich9-uhci3"): ("0x1d", "0x2"),
}

#: Models of plain PCI, which a PCI Express machine puts behind a bridge.
PLAIN: Final = {
    "interface": ("rtl8139", "e1000", "ne2k_pci", "pcnet"),
    "sound": ("ac97", "es1370", "ich6"),
    "controller": ("lsilogic", "piix3-uhci", "piix4-uhci", "ehci", "pci-ohci"),
    "watchdog": ("i6300esb",),
    "shmem": ("ivshmem", "ivshmem-plain", "ivshmem-doorbell"),
    "video": ("cirrus", "vga", "qxl", "bochs", "vmvga"),
}

#: The functions of the parts of one USB 2 controller, which share a slot.
COMPANIONS: Final = {"ich9-ehci1": 7, "ich9-uhci1": 0, "ich9-uhci2": 1, "ich9-uhci3": 2}

Slot = tuple[int, int]


def _needs_slot(device: etree._Element) -> bool:
    """Whether a device has a slot at all."""
    tag, kind, model = str(device.tag), device.get("type") or "", device.get("model") or ""
    target, name = device.find("target"), device.find("model")
    if tag == "controller":
        if kind == "ide":
            return device.get("index") != "0"
        return model != "none" and kind in ("scsi", "virtio-serial", "usb", "sata")
    if tag == "disk":
        return target is not None and target.get("bus") == "virtio"
    if tag == "sound":
        return model not in ("sb16", "pcspk", "usb")
    if tag == "input":
        return device.get("bus") == "virtio"
    if tag == "hostdev":
        return kind == "pci"
    if tag in ("memballoon", "watchdog"):
        return model not in ("none", "ib700", "diag288")
    return not (tag == "video" and name is not None and name.get("type") in ("none", "ramfb"))


def _model(device: etree._Element) -> str:
    inner = device.find("model")
    return device.get("model") or (
        "" if inner is None else inner.get("type") or inner.get("name") or ""
    )


def _full(reason: str) -> RpcError:
    return refusals.refused(ErrorCode.INTERNAL_ERROR, reason)


class _Buses:
    """The slots that are taken, and the buses that exist."""

    def __init__(self, devices: etree._Element, *, pcie: bool) -> None:
        self._devices = devices
        self._pcie = pcie
        self._used: dict[int, set[Slot]] = {0: {(0, 0)}}
        for address in devices.iterfind("*/address[@type='pci']"):
            if address.get("slot") is not None:
                place = tuple(
                    int(address.get(name) or "0", 0) for name in ("bus", "slot", "function")
                )
                taken = self._used.setdefault(place[0], set())
                if place[1:] in taken and place != (0, 0, 0):
                    raise refusals.refused(
                        ErrorCode.XML_ERROR,
                        "Attempted double use of PCI Address "
                        f"{int(address.get('domain') or '0', 0):04x}:{place[0]:02x}:{place[1]:02x}"
                        f".{place[2]}",
                    )
                taken.add((place[1], place[2]))

    def reserve(self, slot: int, *, bus: int = 0) -> None:
        """Take a whole slot."""
        self._used.setdefault(bus, set()).add((slot, 0))

    def is_free(self, slot: int, bus: int = 0) -> bool:
        """Whether no function of a slot is taken."""
        return all(taken != slot for taken, _ in self._used.get(bus, ()))

    def place(
        self, device: etree._Element, bus: int, slot: int, function: int = 0, *, multi: bool = False
    ) -> None:
        """Write a device's address and take it."""
        self._used.setdefault(bus, set()).add((slot, function))
        rules = domain_rules()["%devices"].below(str(device.tag))
        more = {"multifunction": "on"} if multi else {}
        where = {"bus": f"0x{bus:02x}", "slot": f"0x{slot:02x}", "function": f"0x{function:x}"}
        add(device, rules, "address", None, type="pci", domain="0x0000", **where, **more)

    def first_free(self, bus: int) -> int:
        """The first free slot of a bus. Raises RpcError."""
        for slot in range(1, 32):
            if self.is_free(slot, bus):
                return slot
        raise _full("No more available PCI slots")

    def add_bridges(self, wanted: int) -> None:
        """Give a machine with PCI as many bridges as its devices need.

        libvirt keeps one slot free, and does not count those of the bridges themselves, so that some
        numbers of devices are refused.

        Args:
            wanted: how many devices are without a slot.

        Raises:
            RpcError: if no slot is left for a bridge.
        """
        path = "controller[@model='pci-bridge']"
        bridges = [int(one.get("index") or 0) for one in self._devices.iterfind(path)]
        free = sum(self.is_free(slot, bus) for bus in (0, *bridges) for slot in range(1, 32))
        while wanted and wanted + 1 > free:
            self._new("pci-bridge")
            free += 31
        added = [one for one in self._devices.iterfind(path) if one.find("address") is None]
        if wanted and wanted + len(added) + 1 > free:
            raise _full(
                "a PCI slot is needed to connect a PCI controller model='pci-bridge', but none is "
                "available, and it cannot be automatically added"
            )
        rules = domain_rules()["%controller"].children[0]
        for one in added:
            if one.find("model") is None:
                add(one, rules, "model", name="pci-bridge")
            if one.find("target") is None:
                add(one, rules, "target", chassisNr=one.get("index") or "1")
            self.place(one, *self.for_plain(pcie=False))

    def ports(self) -> None:
        """Number the ports of a PCI Express root, eight to a slot."""
        for port in self._devices.findall("controller[@model='pcie-root-port']"):
            rules = domain_rules()["%controller"].children[0]
            if port.find("address") is None:
                slot, function = self._next_port()
                self.place(port, 0, slot, function, multi=function == 0)
            address = port.find("address")
            if port.find("model") is None:
                add(port, rules, "model", name="pcie-root-port")
            if port.find("target") is None and address is not None:
                number = int(address.get("slot") or "0", 0) * 8 + int(
                    address.get("function") or "0", 0
                )
                add(port, rules, "target", chassis=port.get("index") or "0", port=f"0x{number:x}")

    def _next_port(self) -> Slot:
        groups = {
            int(address.get("slot") or "0", 0)
            for address in self._devices.iterfind("controller[@model='pcie-root-port']/address")
        }
        for slot in range(1, 32):
            functions = {function for taken, function in self._used[0] if taken == slot}
            if not functions or (slot in groups and len(functions) < 8):
                return slot, next(number for number in range(8) if number not in functions)
        raise _full("No more available PCI slots")

    def express(self) -> int:
        """The bus of a port that has no device; a port is added if there is none."""
        for port in self._devices.findall("controller[@model='pcie-root-port']"):
            bus = int(port.get("index") or 0)
            if not self._used.get(bus):
                return bus
        return self._new("pcie-root-port")

    def _new(self, model: str) -> int:
        found = self._devices.findall("controller[@type='pci']")
        index = max(int(controller.get("index") or 0) for controller in found) + 1
        ensure(self._devices, "pci", index, model)
        if model == "pcie-root-port":
            self.ports()
        return index

    def for_plain(self, *, pcie: bool) -> Slot:
        """The bus and the slot for the next device of plain PCI."""
        if pcie:
            bus = self.bridge()
            return bus, self.first_free(bus)
        path = "controller[@model='pci-bridge']"
        for bridge in (None, *self._devices.iterfind(path)):
            bus = 0 if bridge is None else int(bridge.get("index") or 0)
            if any(self.is_free(slot, bus) for slot in range(1, 32)):
                return bus, self.first_free(bus)
        return 0, self.first_free(0)

    def bridge(self) -> int:
        """The bus of the bridge to plain PCI; one is added if there is none."""
        found = self._devices.find("controller[@model='pcie-to-pci-bridge']")
        if found is not None:
            return int(found.get("index") or 0)
        port = self.express()
        self._used.setdefault(port, set()).add((0, 0))
        index = self._new("pcie-to-pci-bridge")
        new = self._devices.find(f"controller[@type='pci'][@index='{index}']")
        if new is not None:
            add(new, domain_rules()["%controller"].children[0], "model", name="pcie-pci-bridge")
            self.place(new, port, 0)
        return index


def _companion(devices: etree._Element, controller: etree._Element) -> Slot | None:
    """The bus and the slot of another part of a USB 2 controller, if it has them."""
    for other in devices.findall("controller[@type='usb']"):
        address = other.find("address[@type='pci']")
        same = other.get("index") == controller.get("index")
        if same and other.get("model") in COMPANIONS and address is not None:
            return int(address.get("bus") or "0", 0), int(address.get("slot") or "0", 0)
    return None


def _waiting(devices: etree._Element) -> Iterator[etree._Element]:
    for tag in ORDER:
        for device in devices.findall(tag):
            if device.find("address") is None and _needs_slot(device):
                yield device


def assign_addresses(devices: etree._Element, *, pcie: bool) -> None:
    """Give every device that has a slot its address.

    Args:
        devices: the devices of a guest.
        pcie: whether its machine has PCI Express.
    """
    buses = _Buses(devices, pcie=pcie)
    _chipset(devices, buses, pcie=pcie)
    if pcie:
        buses.ports()
    waiting = list(_waiting(devices))
    if not pcie:
        parts = sum(COMPANIONS.get(one.get("model") or "", 0) > 0 for one in waiting)
        buses.add_bridges(len(waiting) - parts)
    for device in waiting:
        function = COMPANIONS.get(device.get("model") or "") if device.tag == "controller" else None
        if function is not None:
            bus, slot = _companion(devices, device) or buses.for_plain(pcie=pcie)
            buses.place(device, bus, slot, function, multi=function == 0)
        elif not pcie:
            buses.place(device, *buses.for_plain(pcie=False))
        elif device.tag == "sound" and device.get("model") == "ich9" and buses.is_free(0x1B):
            buses.place(device, 0, 0x1B)
        elif _model(device) in PLAIN.get(str(device.tag), ()):
            buses.place(device, *buses.for_plain(pcie=pcie))
        else:
            buses.place(device, buses.express(), 0)


def _chipset(devices: etree._Element, buses: _Buses, *, pcie: bool) -> None:
    """Take the places of the chipset and of the primary screen."""
    kind = "pcie" if pcie else "pci"
    buses.reserve(0x1F if pcie else 0x01)
    for controller in devices.findall("controller"):
        model = controller.get("model")
        place = FIXED.get((kind, controller.get("type") or "", model))
        if controller.get("index") != "0":
            continue
        if place is not None and controller.find("address") is None:
            first = model == "ich9-uhci1"
            buses.place(controller, 0, int(place[0], 0), int(place[1], 0), multi=first)
    video = devices.find("video")
    if video is not None and video.find("address") is None and _needs_slot(video):
        slot = 0x01 if pcie else 0x02
        if buses.is_free(slot):
            buses.place(video, 0, slot)
