"""Complete a guest of QEMU: its machine, its processor, and the devices that every machine has.

Source: libvirt's src/qemu/qemu_domain.c (qemuDomainDefAddDefaultDevices, qemuDomainDefPostParse,
qemuDomainDeviceDefPostParse and what they call), for x86.
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion import pci
from aiovirt.daemons.virtd.xml.completion.controllers import Controllers
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add, assign, need
from aiovirt.rpc.wire.errors import ErrorCode

#: What the audio of a guest goes to, by its first screen.
AUDIO: Final = {"spice": "spice", "sdl": "sdl", "dbus": "dbus"}

#: The attributes of an element that are set if it does not have them: by name, or by name and a value
#: of another attribute.
DEFAULTS: Final[dict[str, dict[str, str]]] = {
    "disk/driver": {"name": "qemu", "type": "raw"},
    "tpm": {"model": "tpm-tis"},
    "tpm/backend[@type='emulator']": {"version": "2.0"},
    "video/model[@type='qxl']": {"vgamem": "16384"},
    "controller[@type='scsi']": {"model": "lsilogic"},
}

#: The kind of serial port of each kind of machine.
SERIAL: Final = {"x86_64": "isa-serial", "i686": "isa-serial", "aarch64": "system-serial"}
_SERIAL_MODEL: Final = {
    "isa-serial": "isa-serial",
    "system-serial": "pl011",
    "pci-serial": "pci-serial",
}


#: The highest port of USB that a document can have; libvirt, which adds hubs, has less than 1024.
_USB_MAX: Final = 999

#: The folder of the variables of guests' firmware.
VARIABLES: Final = "/var/lib/libvirt/qemu/nvram"


def is_pcie(root: etree._Element) -> bool:
    """Whether the machine's root is a PCI Express one."""
    kind = need(root, "os/type")
    name = kind.get("machine") or ""
    return "q35" in name or (kind.get("arch") == "aarch64" and name.startswith("virt"))


def _arch(root: etree._Element) -> str:
    return need(root, "os/type").get("arch") or ""


def complete(root: etree._Element, flavour: Flavour) -> None:
    """Add the machine, the processor and the controllers; devices follow when all others are complete.

    Args:
        root: a guest whose kind and architecture are known.
        flavour: the driver's defaults.
    """
    rules, kind = domain_rules()["domain"], need(root, "os/type")
    arch, devices = _arch(root), need(root, "devices")
    machines = flavour.machines.get(arch, {})
    name = kind.get("machine") or ""
    if name in machines:
        assign(kind, rules.below("os", "type"), "machine", machines[name])
    if devices.find("emulator") is None and arch in flavour.emulators:
        add(devices, domain_rules()["%devices"], "emulator", flavour.emulators[arch])
    _nvram(root)
    _processor(root)
    if arch in ("x86_64", "i686"):
        _controllers(root, devices)
    if devices.find("memballoon") is None:
        add(devices, domain_rules()["%devices"], "memballoon", model="virtio")


def _nvram(root: etree._Element) -> None:
    """A guest with firmware in a read-only flash chip has a file for the firmware's variables."""
    loader = root.find("os/loader[@type='pflash'][@readonly='yes']")
    if loader is None or loader.get("stateless") == "yes":
        return
    os = need(root, "os")
    found = os.find("nvram")
    if found is None:
        found = add(os, domain_rules()["domain"].below("os"), "nvram")
    if not found.text and not len(found):
        found.text = f"{VARIABLES}/{root.findtext('name')}_VARS.fd"


def _processor(root: etree._Element) -> None:
    """A guest that names no processor has QEMU's; the others say how they are checked."""
    rules = domain_rules()["domain"]
    cpu = root.find("cpu")
    if cpu is None:
        cpu = add(root, rules, "cpu")
    cpu.text = None
    line = rules.below("cpu")
    mode = cpu.get("mode")
    if mode is None and _arch(root) in ("x86_64", "i686"):
        for name, value in (("mode", "custom"), ("match", "exact"), ("check", "none")):
            assign(cpu, line, name, value)
        model = "qemu64" if _arch(root) == "x86_64" else "qemu32"
        add(cpu, line, "model", model, fallback="forbid")
    elif mode in ("host-passthrough", "maximum"):
        assign(cpu, line, "check", cpu.get("check") or "none")
        assign(cpu, line, "migratable", cpu.get("migratable") or "on")
    elif mode is not None:
        # A custom processor that QEMU emulates is not compared with the host's.
        emulated = mode == "custom" and root.get("type") == "qemu"
        assign(cpu, line, "check", cpu.get("check") or ("none" if emulated else "partial"))
    elif not len(cpu) and not cpu.attrib:
        root.remove(cpu)


def _controllers(root: etree._Element, devices: etree._Element) -> None:
    """A machine has a controller of USB, a root of PCI, and with PCI Express one of SATA."""
    pcie = is_pcie(root)
    usb = devices.findall("controller[@type='usb']")
    for controller in usb:
        if controller.get("model") is None:
            rules = domain_rules()["%controller"].children[0]
            usual = "qemu-xhci" if _arch(root) == "aarch64" else "piix3-uhci"
            assign(controller, rules, "model", usual)
    known = Controllers(devices)
    if not usb:
        known.ensure("usb", 0, "qemu-xhci" if pcie else "piix3-uhci")
    if pcie:
        known.ensure("sata", 0)
    if devices.find("controller[@model='pcie-root']") is None:
        known.ensure("pci", 0, "pcie-root" if pcie else "pci-root")


def finish(root: etree._Element, devices: etree._Element) -> None:
    """Add the devices that every machine has, and give all devices their addresses.

    Args:
        root: a guest that is otherwise complete.
        devices: its devices.
    """
    rules = domain_rules()["%devices"]
    if _arch(root) in ("x86_64", "i686"):
        for kind in ("mouse", "keyboard"):
            if devices.find(f"input[@type='{kind}'][@bus='ps2']") is None:
                add(devices, rules, "input", type=kind, bus="ps2")
    if devices.find("audio") is None:
        graphics = devices.find("graphics")
        screen = "" if graphics is None else graphics.get("type") or ""
        add(devices, rules, "audio", id="1", type=AUDIO.get(screen, "none"))
    for device in devices:
        _defaults(device, _arch(root))
    _addresses(root, devices)


def complete_device(root: etree._Element, devices: etree._Element, device: etree._Element) -> None:
    """Complete one device that has been added.

    Args:
        root: the guest.
        devices: its devices.
        device: the new one.
    """
    _defaults(device, _arch(root))
    _addresses(root, devices)


def _defaults(device: etree._Element, arch: str) -> None:
    """Set what a device of this kind has by default."""
    tag = str(device.tag)
    rules = domain_rules()["%devices"].below(tag)
    if tag == "disk" and device.find("driver") is None:
        add(device, rules, "driver")
    for path, attributes in DEFAULTS.items():
        name, slash, rest = path.partition("/")
        if name.split("[")[0] != tag:
            continue
        found = device.findall(rest) if slash else _itself(device, name)
        for element in found:
            line = rules.below(str(element.tag)) if slash else rules
            for attribute, value in attributes.items():
                assign(element, line, attribute, element.get(attribute) or value)
    if tag == "interface" and device.find("model") is None and device.get("type") != "hostdev":
        add(device, rules, "model", type="rtl8139" if arch in ("x86_64", "i686") else "virtio")
    if tag == "serial":
        _serial(device, arch)


def _itself(device: etree._Element, name: str) -> list[etree._Element]:
    """The device, if it has the attribute's value that a name like "a[@b='c']" asks for."""
    if "[" not in name:
        return [device]
    attribute, _, value = name.partition("[@")[2].rstrip("]").partition("=")
    return [device] if device.get(attribute) == value.strip("'") else []


def _serial(device: etree._Element, arch: str) -> None:
    """A serial port is of its machine's kind, with that kind's model."""
    rules = domain_rules()["%serial"].children[0]
    target = need(device, "target")
    kind = target.get("type") or SERIAL.get(arch)
    assign(target, rules.below("target"), "type", kind)
    if target.find("model") is None and kind in _SERIAL_MODEL:
        add(target, rules.below("target"), "model", name=_SERIAL_MODEL[kind])


def _addresses(root: etree._Element, devices: etree._Element) -> None:
    """Give devices a port of USB, of virtio-serial, or a slot of PCI."""
    usb = devices.findall("input[@bus='usb']")
    _ports(
        devices, [*usb, *devices.findall("redirdev"), *devices.findall("hub")], "usb", {"bus": "0"}
    )
    channels = devices.findall("channel") + devices.findall("console")
    virtio = [device for device in channels if device.find("target[@type='virtio']") is not None]
    _ports(devices, virtio, "virtio-serial", {"controller": "0", "bus": "0"})
    if _arch(root) in ("x86_64", "i686"):
        # No controller of PCI can be added to a guest that runs.
        pci.assign_addresses(devices, pcie=is_pcie(root), grows=root.get("id") is None)


def _ports(
    devices: etree._Element, found: list[etree._Element], kind: str, where: dict[str, str]
) -> None:
    """Give each device without an address the next port. Raises RpcError if USB has none."""
    used = {address.get("port") for address in devices.iterfind(f"*/address[@type='{kind}']")}
    number = 1
    for device in found:
        if device.find("address") is None:
            while str(number) in used:
                number += 1
            if kind == "usb" and number > _USB_MAX:
                raise refusals.refused(ErrorCode.INTERNAL_ERROR, "No free USB ports")
            used.add(str(number))
            rules = domain_rules()["%devices"].below(str(device.tag))
            add(device, rules, "address", None, type=kind, **where, port=str(number))
