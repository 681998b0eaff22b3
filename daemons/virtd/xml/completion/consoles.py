"""Serial ports and consoles: their numbers, and the first console that is the first serial port.

Source: libvirt's src/conf/domain_conf.c (virDomainDefAddConsoleCompat, virDomainDefFormatInternal) and
domain_postparse.c (virDomainChrDefPostParse).
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import assign, duplicate, place
from aiovirt.rpc.wire.errors import ErrorCode

#: Serial ports of these kinds have no console.
_WITHOUT_CONSOLE: Final = ("pci-serial", "usb-serial", "isa-debug")


def complete(root: etree._Element, devices: etree._Element) -> None:
    """Number the ports, and pair the first console of a full guest with its first serial port.

    Args:
        root: the guest.
        devices: its devices.
    """
    for number, console in enumerate(devices.findall("console")):
        _set_port(console, str(number))
        target = console.find("target")
        if target is not None and target.get("type") is None:
            assign(target, domain_rules()["%console"].children[0].below("target"), "type", "serial")
    if root.findtext("os/type") == "hvm":
        _pair(devices)
    for tag in ("parallel", "serial"):
        _number(devices.findall(tag))
    if root.findtext("os/type") == "hvm":
        _mirror(devices)


def _set_port(device: etree._Element, port: str) -> None:
    rules = domain_rules()[f"%{device.tag!s}"].children[0]
    target = device.find("target")
    if target is not None:
        assign(target, rules.below("target"), "port", port)


def _number(found: list[etree._Element]) -> None:
    """Give every port without a number the one after the highest."""
    ports = [int(other.get("port") or -1) for d in found for other in d.findall("target")]
    highest = max(ports, default=-1)
    for device in found:
        target = device.find("target")
        if target is not None and target.get("port") is None:
            highest += 1
            _set_port(device, str(highest))


def _pair(devices: etree._Element) -> None:
    """Make the serial port that the first console stands for, or the console of a serial port."""
    found = devices.findall("console")
    for console in found[1:]:
        if console.find("target[@type='serial']") is not None:
            raise refusals.refused(
                ErrorCode.CONFIG_UNSUPPORTED, "Only the first console can be a serial port"
            )
    first = found[0] if found and found[0].find("target[@type='serial']") is not None else None
    serial = devices.find("serial")
    rules = domain_rules()["%devices"]
    if first is not None and serial is None:
        made = duplicate(first, "serial")
        target = made.find("target")
        if target is not None:
            target.attrib.clear()
            target.set("port", "0")
        place(devices, made, rules)
    elif first is None and serial is not None:
        target = serial.find("target")
        if target is None or target.get("type") not in _WITHOUT_CONSOLE:
            console = etree.Element("console")
            if found:
                devices.insert(devices.index(found[0]), console)
            else:
                place(devices, console, rules)
            etree.SubElement(console, "target", type="serial", port="0")


def _mirror(devices: etree._Element) -> None:
    """The first console shows what its serial port is."""
    console, serial = devices.find("console"), devices.find("serial")
    if console is None or serial is None or console.find("target[@type='serial']") is None:
        return
    at = devices.index(console)
    devices.remove(console)
    copy = duplicate(serial, "console")
    target = copy.find("target")
    if target is not None:
        port = target.get("port") or "0"
        for child in list(target):
            target.remove(child)
        target.text = None
        target.attrib.clear()
        target.set("type", "serial")
        target.set("port", port)
    devices.insert(at, copy)
