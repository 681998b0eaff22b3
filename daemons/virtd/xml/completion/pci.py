"""Places on PCI for the devices of a machine, and the controllers that it needs for them.

A machine with PCI has a root bus, with more bridges if there are more devices than slots. A machine
with PCI Express has a root whose slots take ports, each of which is a bus for one device; devices of
plain PCI are on a bridge of their own. A new guest with PCI Express gets one port more than it needs.

Source: libvirt's src/qemu/qemu_domain_address.c (qemuDomainAssignPCIAddresses and what it calls,
qemuDomainDeviceCalculatePCIConnectFlags).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion.controllers import Controllers
from aiovirt.daemons.virtd.xml.completion.pci_buses import CONTROLLERS, Buses, Place, Plug
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain

#: The devices besides the PCI controllers, in the order in which they get a place.
ORDER: Final = (
    *("filesystem", "interface", "sound", "controller", "disk", "hostdev", "memballoon", "rng"),
    *("watchdog", "video", "shmem", "input", "serial", "iommu", "vsock", "memory"),
)

_TAGS: Final = frozenset(ORDER)

#: Models of plain PCI; those that end in "-transitional" are as well.
_PLAIN: Final = {
    "interface": (
        "rtl8139",
        "e1000",
        "ne2k_pci",
        "pcnet",
        "i82551",
        "i82557b",
        "i82559er",
        "vmxnet3",
    ),
    "video": ("cirrus", "vga", "qxl", "vmvga", "xen", "vbox", "parallels"),
}

#: The functions of the parts of one USB 2 controller, which share a slot.
COMPANIONS: Final = {"ich9-ehci1": 7, "ich9-uhci1": 0, "ich9-uhci2": 1, "ich9-uhci3": 2}

#: The names of the devices that QEMU has for controllers.
_NAMES: Final = {
    "pci-bridge": "pci-bridge",
    "pci-expander-bus": "pxb",
    "pcie-expander-bus": "pxb-pcie",
    "dmi-to-pci-bridge": "i82801b11-bridge",
    "pcie-to-pci-bridge": "pcie-pci-bridge",
    "pcie-root-port": "pcie-root-port",
    "pcie-switch-upstream-port": "x3130-upstream",
    "pcie-switch-downstream-port": "xio3130-downstream",
}

_PCI: Final = Plug.PCI | Plug.AUTO


def _model(device: etree._Element) -> str:
    inner = device.find("model")
    return device.get("model") or (
        "" if inner is None else inner.get("type") or inner.get("name") or ""
    )


def _controller(device: etree._Element, express: int) -> int:
    """Return what a controller is; see `_plug`."""
    kind, model = device.get("type") or "", device.get("model") or ""
    if kind == "pci":
        return CONTROLLERS.get(model, 0)
    if kind == "usb":
        if model == "none":
            return 0
        return express if model in ("nec-xhci", "qemu-xhci") else _PCI
    if kind == "scsi":
        if model == "ncr53c90":
            return 0
        return express if model in ("virtio-scsi", "virtio-non-transitional") else _PCI
    if kind == "virtio-serial":
        return _PCI if model == "virtio-transitional" else express
    return _PCI if kind in ("sata", "ide") else 0


def _plug(device: etree._Element, express: int) -> int:
    """Return what a device is on PCI; nothing if it has no place there.

    Args:
        device: the device.
        express: what devices of PCI Express are on this machine.
    """
    tag, model = str(device.tag), _model(device)
    if tag == "controller":
        return _controller(device, express)
    absent = False
    if tag == "interface":
        absent = device.get("type") == "hostdev" or model == "usb-net"
    elif tag == "sound":
        absent = model not in ("es1370", "ac97", "ich6", "ich9")
    elif tag == "disk":
        target = device.find("target")
        absent = target is None or target.get("bus") != "virtio"
    elif tag == "hostdev":
        kind = device.get("type")
        absent = kind not in ("pci", "scsi_host") and not (kind == "mdev" and model == "vfio-pci")
    elif tag == "memballoon":
        absent = model in ("none", "xen")
    elif tag == "watchdog":
        absent = model != "i6300esb"
    elif tag == "video":
        absent = model in ("none", "ramfb", "gop")
    elif tag == "input":
        absent = device.get("bus") != "virtio"
    elif tag == "serial":
        absent = device.find("target[@type='pci-serial']") is None
    elif tag == "iommu":
        return express | Plug.INTEGRATED if model == "virtio" else 0
    elif tag == "memory":
        absent = model not in ("virtio-pmem", "virtio-mem")
    if absent:
        return 0
    plain = (
        tag in ("sound", "watchdog", "shmem", "serial")
        or (model.endswith("-transitional") and not model.endswith("non-transitional"))
        or model in _PLAIN.get(tag, ())
    )
    return _PCI if plain else express


def _place_of(device: etree._Element) -> Place | None:
    """The place of a device; None if it has none, or all of it is zero, which is none either."""
    address = device.find("address[@type='pci']")
    if address is None:
        return None
    bus, slot, function = (int(address.get(name) or "0", 0) for name in ("bus", "slot", "function"))
    return Place(bus, slot, function) if bus or slot or function else None


def _is_waiting(device: etree._Element) -> bool:
    address = device.find("address")
    return address is None or (address.get("type") == "pci" and _place_of(device) is None)


def _write(device: etree._Element, place: Place) -> None:
    rules = domain_rules()["%devices"].below(str(device.tag))
    old = device.find("address")
    if old is not None:
        device.remove(old)
    where = {
        "bus": f"0x{place.bus:02x}",
        "slot": f"0x{place.slot:02x}",
        "function": f"0x{place.function:x}",
    }
    add(device, rules, "address", None, type="pci", domain="0x0000", **where)


_Devices = dict[str, list[tuple[etree._Element, int]]]


def _on_pci(devices: etree._Element, express: int) -> _Devices:
    """The devices that are on PCI, or have a place there, with what they are; see `_plug`."""
    found: _Devices = {}
    for device in devices:
        tag = str(device.tag)
        plug = _plug(device, express) if tag in _TAGS else 0
        if (
            plug
            or tag in ("video", "controller")
            or device.find("address[@type='pci']") is not None
        ):
            found.setdefault(tag, []).append((device, plug))
    return found


class _Assignment:
    """One round of giving places to all devices of a guest.

    Args:
        devices: the devices that have a place on PCI, by tag, with what they are.
        buses: of the guest.
        pcie: whether its machine has PCI Express.
    """

    def __init__(self, devices: _Devices, buses: Buses, *, pcie: bool) -> None:
        self._devices = devices
        self.buses = buses
        self._pcie = pcie
        self.express = Plug.PCIE | Plug.AUTO if pcie else _PCI
        #: The parts of USB 2 controllers, by index.
        self._parts: dict[str | None, list[etree._Element]] = {}
        for one, _ in devices.get("controller", ()):
            if one.get("model") in COMPANIONS:
                self._parts.setdefault(one.get("index"), []).append(one)

    def collect(self) -> None:
        """Take the places that devices have already. Raises RpcError."""
        for found in self._devices.values():
            for device, plug in found:
                place = _place_of(device)
                if place is not None and not self._is_piix3(device, place):
                    self.buses.reserve(place, plug or Plug.PCI, given=True)

    def _is_piix3(self, device: etree._Element, place: Place) -> bool:
        """Whether a device is a part of the chipset, whose places are taken by themselves."""
        parts = {("ide", 1), ("usb", 2)}
        return (
            not self._pcie
            and device.tag == "controller"
            and device.get("index") == "0"
            and (place.bus, place.slot) == (0, 1)
            and (device.get("type") or "", place.function) in parts
            and device.get("model") in (None, "piix3-uhci")
        )

    def chipset(self) -> None:
        """Give the parts of the chipset and the primary screen their places. Raises RpcError."""
        (self._q35 if self._pcie else self._piix3)()

    def _piix3(self) -> None:
        parts = {("ide", None): Place(0, 1, 1), ("usb", "piix3-uhci"): Place(0, 1, 2)}
        for device, _ in self._devices.get("controller", ()):
            place = parts.get((device.get("type") or "", device.get("model")))
            if place is not None and device.get("index") == "0":
                if _is_waiting(device):
                    _write(device, place)
                self.buses.reserve(place, _PCI, given=True)
        for function in (0, 3):
            self.buses.reserve(Place(0, 1, function), _PCI, given=True)
        self._screen(Place(0, 2), _PCI)

    def _q35(self) -> None:
        for device, _ in self._devices.get("controller", ()):
            kind, model = device.get("type"), device.get("model")
            if not _is_waiting(device):
                continue
            if kind == "sata" and device.get("index") == "0":
                _write(device, Place(0, 0x1F, 2))
                self.buses.reserve(Place(0, 0x1F, 2), Plug.PCIE, given=True)
            elif model in ("ich9-uhci1", "dmi-to-pci-bridge"):
                slots = (0x1E,) if model == "dmi-to-pci-bridge" else (0x1D, 0x1A)
                free = [slot for slot in slots if self.buses.is_free(Place(0, slot))]
                if free:
                    self.buses.reserve(Place(0, free[0]), Plug.PCIE, given=True)
                    _write(device, Place(0, free[0]))
        for function in (0, 3):
            self.buses.reserve(Place(0, 0x1F, function), Plug.PCIE, given=True)
        self._screen(Place(0, 1), Plug.PCIE)
        if self.buses.is_free(Place(0, 0x1B)):
            for sound, _ in self._devices.get("sound", ()):
                if sound.get("model") == "ich9" and _is_waiting(sound):
                    self.buses.reserve(Place(0, 0x1B), Plug.PCIE, given=True)
                    _write(sound, Place(0, 0x1B))
                    break

    def _screen(self, place: Place, plug: int) -> None:
        """The primary screen has a slot of its own if that is free."""
        video, kind = self._devices.get("video", [(None, 0)])[0]
        if video is None or not kind or not _is_waiting(video):
            return
        if self.buses.is_free(place):
            self.buses.reserve(place, plug, given=True)
            _write(video, place)
        else:
            self._take(video, kind)

    def assign(self) -> None:
        """Give all devices that wait their places. Raises RpcError."""
        for device, plug in self._devices.get("controller", ()):
            if plug and device.get("type") == "pci" and _is_waiting(device):
                self._take(device, plug)
        for device, plug in self._waiting():
            function = None
            if device.tag == "controller":
                function = COMPANIONS.get(device.get("model") or "")
            shared = None if function is None else self._companion(device)
            if function is not None and shared is not None:
                place = Place(shared.bus, shared.slot, function)
                self.buses.reserve(place, _PCI, given=True)
                _write(device, place)
            else:
                self._take(device, plug, function)

    def _waiting(self) -> Iterator[tuple[etree._Element, int]]:
        for tag in ORDER:
            for device, plug in self._devices.get(tag, ()):
                if tag == "controller" and (
                    device.get("type") == "pci"
                    or (device.get("type") == "ide" and device.get("index") == "0")
                ):
                    continue
                if plug and _is_waiting(device):
                    yield device, plug

    def _take(self, device: etree._Element, plug: int, function: int | None = None) -> None:
        place = self.buses.take(plug, function)
        if not self.buses.grows:
            _write(device, place)

    def _companion(self, controller: etree._Element) -> Place | None:
        """The place of another part of a USB 2 controller, if it has one."""
        places = map(_place_of, self._parts.get(controller.get("index"), ()))
        return next((place for place in places if place is not None), None)


def assign_addresses(devices: etree._Element, *, pcie: bool, grows: bool = True) -> None:
    """Give every device on PCI its place, and add the controllers that are needed for that.

    Args:
        devices: the devices of a guest.
        pcie: whether its machine has PCI Express.
        grows: whether controllers can be added.

    Raises:
        RpcError: there is no place for a device, or a place in the document does not exist.
    """
    known = _on_pci(devices, Plug.PCIE | Plug.AUTO if pcie else _PCI)
    models = _models(known)
    count = _plan(devices, known, pcie=pcie) if grows else max(models) + 1
    final = _Assignment(known, Buses(_models(known), count, grows=False), pcie=pcie)
    final.collect()
    final.chipset()
    final.assign()
    _share(known)
    for controller, _ in known["controller"]:
        if controller.get("type") == "pci":
            _options(controller)


def _models(known: _Devices) -> dict[int, str]:
    return {
        int(one.get("index") or 0): one.get("model") or ""
        for one, _ in known.get("controller", ())
        if one.get("type") == "pci"
    }


def _plan(devices: etree._Element, known: _Devices, *, pcie: bool) -> int:
    """Add the controllers that are needed. Returns the number of buses."""
    models = _models(known)
    highest = max(models)
    root, wanted = models.get(0, ""), "pcie-root" if pcie else "pci-root"
    if root != wanted:
        detail = (
            f"The PCI controller with index='0' must be model='{wanted}' for this machine type, but "
            f"model='{root}' was found instead"
        )
        raise refusals.refused(ErrorCode.XML_ERROR, detail, ErrorDomain.QEMU)
    trial = _Assignment(known, Buses(models, highest + 1, grows=True), pcie=pcie)
    buses = trial.buses
    trial.collect()
    trial.chipset()
    if not pcie and not buses.is_full():
        buses.take(_PCI)  # a slot is left free for a device to come
    trial.assign()
    if pcie and highest <= 0 and len(buses) > highest + 1:
        buses.take(trial.express)
    controllers = Controllers(devices)
    index = 1
    while index < len(buses):
        if index not in models:
            model = buses.model(index)
            new = controllers.ensure("pci", index, model)
            known["controller"].append((new, CONTROLLERS[model]))
            buses.take(CONTROLLERS[model])
        index += 1
    return len(buses)


def _share(known: _Devices) -> None:
    """Function 0 of a slot says whether the slot has others."""
    places: dict[tuple[int, int], list[tuple[int, etree._Element]]] = {}
    for device, _ in itertools.chain.from_iterable(known.values()):
        place = _place_of(device)
        if place is not None:
            places.setdefault((place.bus, place.slot), []).append((place.function, device))
    for found in places.values():
        for function, device in found:
            address = device.find("address")
            if not function and len(found) > 1 and address is not None:
                address.set("multifunction", address.get("multifunction") or "on")


def _options(controller: etree._Element) -> None:
    """Name the device of a controller, and number it."""
    rules = domain_rules()["%controller"].children[0]
    model, index = controller.get("model") or "", controller.get("index") or "0"
    place = _place_of(controller) or Place(0, 0)
    if model in _NAMES and controller.find("model") is None:
        add(controller, rules, "model", name=_NAMES[model])
    if model == "pci-bridge" and int(index) <= place.bus:
        raise refusals.refused(
            ErrorCode.CONFIG_UNSUPPORTED,
            f"PCI controller at index {index} (0x{int(index):02x}) has bus='0x{place.bus:02x}', but "
            "index must be larger than bus",
        )
    if controller.find("target") is not None:
        return
    if model == "pci-bridge":
        add(controller, rules, "target", chassisNr=index)
    elif model in ("pcie-root-port", "pcie-switch-downstream-port"):
        port = place.slot
        if model == "pcie-root-port":
            port = place.slot * 8 + place.function
        add(controller, rules, "target", chassis=index, port=f"0x{port:x}")
