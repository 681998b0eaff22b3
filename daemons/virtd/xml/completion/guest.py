"""Complete a guest: what libvirt adds to every definition, in its order of steps.

Source: libvirt's src/conf (virDomainDefParseXML, virDomainDefPostParse).
"""

from __future__ import annotations

import os
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion import consoles, controllers, disks, machine, screens
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add, arrange, assign, holder, need
from aiovirt.daemons.virtd.xml.values import members_of
from aiovirt.rpc.wire.errors import ErrorCode

#: The devices that some steps are about.
_SCREENS: Final = frozenset(("graphics", "video"))
_CONSOLES: Final = frozenset(("console", "serial", "parallel"))


def complete(root: etree._Element, flavour: Flavour) -> None:
    """Add everything that is missing.

    Args:
        root: a guest in shape.
        flavour: the driver's defaults.

    Raises:
        RpcError: for a definition that libvirt refuses.
    """
    operating_system(root, flavour)
    devices = need(root, "devices")
    controllers.order(devices)
    if flavour.emulators:
        machine.complete(root, flavour)
    memory(root, flavour)
    processors(root)
    lifecycle(root)
    disks.order(devices)
    if not _SCREENS.isdisjoint(device.tag for device in devices):
        screens.order(devices)
        screens.complete(root, devices, flavour)
    distances(root)
    inputs(root, devices)
    interfaces(devices, flavour)
    disks.complete(devices, flavour)
    controllers.host_addresses(devices, flavour.scsi_units)
    if not _CONSOLES.isdisjoint(device.tag for device in devices):
        consoles.complete(root, devices)
    controllers.implied(devices)
    if flavour.emulators:
        machine.finish(root, devices)


def operating_system(root: etree._Element, flavour: Flavour) -> None:
    """The kind of guest must be named; its architecture and its boot device have defaults."""
    os = root.find("os")
    kind = None if os is None else os.find("type")
    if os is None or kind is None or not kind.text:
        raise refusals.refused(ErrorCode.XML_ERROR, "an os <type> must be specified")
    rules = domain_rules()["domain"].below("os")
    if kind.get("arch") is None:
        assign(kind, rules.below("type"), "arch", flavour.arch)
    if root.get("type") == "xen" and kind.text == "xen":
        kind.text = "linux"
    if root.find("bootloader") is not None:
        for name in ("boot", "bootmenu", "bios"):
            for element in os.findall(name):
                os.remove(element)
    elif kind.text == "hvm" and os.find("boot") is None and root.find("devices/*/boot") is None:
        add(os, rules, "boot", dev="hd")


def memory(root: etree._Element, flavour: Flavour) -> None:
    """Give a guest its memory: what its nodes and modules add up to, and at most that is current."""
    cells = root.findall("cpu/numa/cell") if root.find("cpu") is not None else []
    total = root.find("memory")
    rules = domain_rules()["domain"]
    if cells and (total is None or not total.text or flavour.memory_of_nodes):
        modules = root.findall("devices/memory/target/size")
        amount = sum(int(cell.get("memory") or 0) for cell in cells)
        amount += sum(int(size.text or 0) for size in modules)
        if total is None:
            total = add(root, rules, "memory")
        assign(total, rules.below("memory"), "unit", "KiB")
        total.text = str(amount)
    if total is None or total.text in (None, "0"):
        raise refusals.refused(
            ErrorCode.XML_ERROR,
            "Memory size must be specified via <memory> or in the <numa> configuration",
        )
    current = root.find("currentMemory")
    if current is None:
        current = add(root, rules, "currentMemory", total.text, unit="KiB")
    elif not current.text or int(current.text) > int(total.text) or current.text == "0":
        current.text = total.text
        current.set("unit", "KiB")


def processors(root: etree._Element) -> None:
    """A guest has a processor; a number of current ones is written if it is not all of them."""
    vcpu = need(root, "vcpu")
    vcpu.text = vcpu.text or "1"
    if vcpu.get("current") == vcpu.text:
        del vcpu.attrib["current"]
    automatic = root.find("numatune") is not None and (
        root.find("numatune/memory[@placement='auto']") is not None
    )
    if (
        automatic
        and vcpu.get("cpuset") is None
        and root.find("cputune/vcpupin") is None
        and root.find("cputune/emulatorpin") is None
        and root.find("cputune/iothreadpin") is None
    ):
        vcpu.set("placement", "auto")
    rules = domain_rules()["domain"]
    if vcpu.get("placement") == "auto" and root.find("numatune/memory") is None:
        tuning = root.find("numatune")
        if tuning is None:
            tuning = add(root, rules, "numatune")
        add(tuning, rules.below("numatune"), "memory", mode="strict", placement="auto")
    threads(root)
    schedulers(root, int(vcpu.text))


def threads(root: etree._Element) -> None:
    """Number the threads of a guest: those without a number get the lowest free ones."""
    ids = root.find("iothreadids")
    total = root.find("iothreads")
    if ids is None:
        return
    used = {int(thread.get("id") or 0) for thread in ids}
    count = int((total.text if total is not None else None) or 0)
    for number in range(1, count + 1):
        if len(ids) >= count:
            break
        if number not in used:
            etree.SubElement(ids, "iothread", id=str(number))
    rules = domain_rules()["domain"]
    if total is None:
        total = add(root, rules, "iothreads")
    total.text = str(len(ids))


def schedulers(root: etree._Element, vcpus: int) -> None:
    """Write the scheduler of each processor and each thread on a line of its own."""
    tuning = root.find("cputune")
    if tuning is None:
        return
    for tag, attribute in (("vcpusched", "vcpus"), ("iothreadsched", "iothreads")):
        found = tuning.findall(tag)
        lines: dict[int, etree._Element] = {}
        for element in found:
            members = element.get(attribute)
            for number in range(vcpus) if members is None else members_of(members):
                if number in lines:
                    detail = f"'{tag}' attributes '{attribute}' must not overlap"
                    raise refusals.refused(ErrorCode.XML_DETAIL, detail)
                line = etree.Element(tag, {attribute: str(number)})
                line.attrib.update({n: v for n, v in element.items() if n != attribute})
                lines[number] = line
        if found:
            arrange(found, [lines[number] for number in sorted(lines)])


def distances(root: etree._Element) -> None:
    """Distances between nodes hold both ways."""
    if root.find("cpu") is None or root.find("cpu/numa/cell/distances") is None:
        return
    cells = {int(cell.get("id") or 0): cell for cell in root.findall("cpu/numa/cell")}
    table: dict[int, dict[int, str]] = {}
    for number, cell in cells.items():
        for sibling in cell.findall("distances/sibling"):
            other, value = int(sibling.get("id") or 0), sibling.get("value") or "10"
            table.setdefault(number, {number: "10"})[other] = value
            table.setdefault(other, {other: "10"}).setdefault(number, value)
    rules = domain_rules()["%cpu"].children[0].below("numa", "cell")
    for number, values in table.items():
        cell_element = cells.get(number)
        if cell_element is None:
            continue
        old = cell_element.find("distances")
        if old is not None:
            cell_element.remove(old)
        new = add(cell_element, rules, "distances")
        for other in sorted(values):
            etree.SubElement(new, "sibling", id=str(other), value=values[other])


def inputs(root: etree._Element, devices: etree._Element) -> None:
    """A keyboard, mouse or tablet has the bus of its machine."""
    kind = root.find("os/type")
    arch = "" if kind is None else kind.get("arch") or ""
    rules = domain_rules()["%input"].children[0]
    for device in devices.findall("input"):
        if device.get("bus") is None:
            name = device.get("type") or ""
            assign(device, rules, "bus", _input_bus(kind, arch, root.get("type") or "", name))


def _input_bus(
    kind: etree._Element | None, arch: str, virtualization: str, name: str
) -> str | None:
    os = None if kind is None else kind.text
    if os in ("xen", "linux", "xenpvh"):
        return "xen" if os != "linux" or virtualization == "xen" else None
    if os != "hvm":
        return "parallels" if virtualization in ("vz", "parallels") else None
    if name in ("mouse", "keyboard") and arch in ("i686", "x86_64"):
        return "ps2"
    if name == "passthrough" or arch.startswith("s390"):
        return "virtio"
    return None if name == "evdev" else "usb"


def lifecycle(root: etree._Element) -> None:
    """Say what becomes of a guest that powers off, reboots or crashes."""
    rules = domain_rules()["domain"]
    given = {child.tag for child in root}
    for name, action in (
        ("on_poweroff", "destroy"),
        ("on_reboot", "restart"),
        ("on_crash", "destroy"),
    ):
        if name not in given:
            add(root, rules, name, action)


def interfaces(devices: etree._Element, flavour: Flavour) -> None:
    """An interface has a hardware address, and with some drivers a name on the host."""
    found = devices.findall("interface")
    rules = domain_rules()["%interface"].children[0]
    used = {target.get("dev") for target in devices.findall("interface/target")}
    number = 0
    for interface in found:
        if interface.find("mac") is None:
            add(interface, rules, "mac", address=make_mac(flavour.mac_prefix))
        if not flavour.interface_prefix:
            continue
        target = interface.find("target")
        if target is None:
            target = add(interface, rules, "target")
        if target.get("dev") is None:
            while f"{flavour.interface_prefix}{number}" in used:
                number += 1
            name = f"{flavour.interface_prefix}{number}"
            used.add(name)
            assign(target, rules.below("target"), "dev", name)


def make_mac(prefix: str) -> str:
    """Make a hardware address with a prefix of three bytes."""
    return f"{prefix}:" + ":".join(f"{byte:02x}" for byte in os.urandom(3))


def complete_device(root: etree._Element, device: etree._Element, flavour: Flavour) -> None:
    """Complete one device that has been added to a guest.

    Args:
        root: the guest, otherwise complete.
        device: the new device, among its others.
        flavour: the driver's defaults.
    """
    devices = holder(device)
    if device.tag == "disk":
        disks.complete_disk(device, flavour)
        disks.order(devices)
    elif device.tag == "interface":
        interfaces(devices, flavour)
    elif device.tag in ("graphics", "video"):
        screens.complete(root, devices, flavour)
    elif device.tag in ("serial", "parallel", "console"):
        consoles.complete(root, devices)
    elif device.tag == "input":
        inputs(root, devices)
    elif device.tag == "controller":
        controllers.order(devices)
    elif device.tag == "hostdev":
        controllers.host_addresses(devices, flavour.scsi_units)
    controllers.implied(devices)
    if flavour.emulators:
        machine.complete_device(root, devices, device)
