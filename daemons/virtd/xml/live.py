"""The document of a running guest: its number, and the aliases of its devices.

Source: libvirt's src/qemu/qemu_alias.c (qemuAssignDeviceAliases) and src/test/test_driver.c, which
assigns no aliases.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import chains, devices
from aiovirt.daemons.virtd.xml.documents import Document
from aiovirt.daemons.virtd.xml.placing import add, assign

#: The beginning of the alias of each kind of device; a number follows.
ALIASES: Final = {
    "interface": "net",
    "filesystem": "fs",
    "smartcard": "smartcard",
    "serial": "serial",
    "parallel": "parallel",
    "channel": "channel",
    "input": "input",
    "tpm": "tpm",
    "sound": "sound",
    "video": "video",
    "hostdev": "hostdev",
    "redirdev": "redir",
    "hub": "hub",
    "watchdog": "watchdog",
    "memballoon": "balloon",
    "rng": "rng",
    "panic": "panic",
    "shmem": "shmem",
    "memory": "dimm",
    "iommu": "iommu",
    "vsock": "vsock",
}

#: Interfaces that have a device on the host.
_TAPS: Final = ("network", "bridge", "ethernet", "internal", "direct")
#: Where a display listens that has no address.
_LOCAL: Final = "127.0.0.1"
#: Terminals that one guest has at most, for their numbers.
_TERMINALS: Final = 8

#: KiB, in which documents count memory.
_MEBIBYTE: Final = 1024

#: Where libvirt has the sockets of channels, and the characters of a guest's name there.
CHANNELS: Final = "/var/lib/libvirt/qemu/channel/target"
SHORT_NAME: Final = 20
#: Where libvirt has a folder for each running guest.
_PRIVATE: Final = "/var/lib/libvirt/qemu"

#: Drives that can be empty.
_DRIVES_EMPTY: Final = ("cdrom", "floppy")
#: The bus in the alias of a disk with an address on a controller, and how many parts follow.
_DRIVES: Final = {"ide": ("bus",), "sata": ("bus",), "fdc": ("bus",), "scsi": ("bus", "target")}


def start(document: Document, number: int, *, aliases: bool) -> Document:
    """Make the document of a guest that starts.

    Args:
        document: its definition.
        number: its number.
        aliases: whether its driver gives devices aliases.
    """
    running = document.copy()
    assign(running.root, running.rules, "id", str(number))
    if aliases:
        assign_aliases(running)
    running.changed()
    return running


def open_disks(document: Document, below: chains.Below) -> None:
    """Number the files of all disks; an empty drive has no format then.

    Args:
        document: the running guest.
        below: finds what lies below a file.

    Source: libvirt's src/qemu/qemu_process.c (qemuProcessPrepareDomainStorage, qemuProcessRefreshDisks).
    """
    chains.number_all(document, below)
    for disk in document.root.iterfind("devices/disk"):
        driver = disk.find("driver")
        if (
            driver is not None
            and disk.get("device") in _DRIVES_EMPTY
            and disk.find("source") is None
        ):
            driver.attrib.pop("type", None)
    document.changed()


def align_memory(document: Document) -> None:
    """Round the memory of a guest that starts up to whole MiB, which is what QEMU gives it.

    Source: libvirt's src/qemu/qemu_domain.c (qemuDomainAlignMemorySizes).
    """
    root = document.root
    for cell in root.findall("cpu/numa/cell[@memory]"):
        cell.set("memory", str(_aligned(int(cell.get("memory", "0")))))
    total, now = root.find("memory"), root.find("currentMemory")
    if total is None or not total.text:
        return
    size = int(total.text)
    total.text = str(_aligned(size))
    if now is not None and now.text and int(now.text) >= size:
        now.text = total.text
    document.changed()


def _aligned(size: int) -> int:
    return -(-size // _MEBIBYTE) * _MEBIBYTE


def assign_aliases(document: Document) -> None:
    """Give every device without an alias one that no other device has."""
    holder = document.root.find("devices")
    taken = {alias.get("name") for alias in document.root.findall("devices/*/alias")}
    numbers: dict[str, Iterator[int]] = {}
    for device in holder if holder is not None else ():
        if device.tag in ("emulator", "graphics", "lease", "audio", "redirfilter"):
            continue
        if device.find("alias") is None:
            alias = _alias(device, taken, numbers)
            if alias is not None:
                taken.add(alias)
                add(device, devices.rule_of(str(device.tag)), "alias", name=alias)
    document.changed()


def name_interfaces(document: Document, names: Iterator[str]) -> None:
    """Name the interfaces that have a device on the host.

    Args:
        document: the running guest.
        names: names that no other interface has.
    """
    for device in document.root.iterfind("devices/interface"):
        if device.get("type") not in _TAPS:
            continue
        target = device.find("target")
        if target is None:
            target = add(device, devices.rule_of("interface"), "target")
        if target.get("dev") is None:
            assign(target, devices.rule_of("interface").below("target"), "dev", next(names))
    document.changed()


def open_terminals(document: Document, number: int) -> None:
    """Give every character device of type pty a terminal of its own.

    Args:
        document: the running guest.
        number: its id.
    """
    made = 0
    serial: str | None = None
    for device in document.root.iterfind("devices/*[@type='pty']"):
        if device.tag not in ("serial", "parallel", "console", "channel", "redirdev"):
            continue
        target = device.find("target")
        mirrors = target is not None and target.get("type") == "serial"
        if device.tag == "console" and mirrors and serial is not None:
            path = serial
        else:
            path = f"/dev/pts/{number * _TERMINALS + made}"
            made += 1
        if device.tag == "serial" and serial is None:
            serial = path
        rule = devices.rule_of(str(device.tag))
        if device.tag == "console":
            assign(device, rule, "tty", path)
        source = device.find("source")
        if source is None:
            source = add(device, rule, "source")
        source.set("path", path)
    document.changed()


def open_channels(document: Document, number: int) -> None:
    """Give every channel between guest and host a socket; nothing in the guest has opened it.

    Args:
        document: the running guest.
        number: its id.
    """
    folder = f"{CHANNELS}/domain-{number}-{(document.root.findtext('name') or '')[:SHORT_NAME]}"
    rule = devices.rule_of("channel")
    for device in document.root.iterfind("devices/channel"):
        target, source = device.find("target"), device.find("source")
        if target is None or target.get("type") != "virtio":
            continue
        assign(target, rule.below("target"), "state", "disconnected")
        if device.get("type") != "unix" or (source is not None and source.get("path") is not None):
            continue
        if source is None:
            source = add(device, rule, "source")
        source.set("mode", "bind")
        name = target.get("name") or devices.value(device, "alias/@name")
        source.set("path", f"{folder}/{name}")
    document.changed()


def set_agent(document: Document, state: str) -> None:
    """Change the state of the channel of the guest agent.

    Args:
        document: the running guest.
        state: "connected" or "disconnected".
    """
    for target in document.root.iterfind(
        "devices/channel/target[@name='org.qemu.guest_agent.0'][@type='virtio']"
    ):
        assign(target, devices.rule_of("channel").below("target"), "state", state)
    document.changed()


def open_displays(document: Document, number: int, ports: Iterator[int]) -> None:
    """Give every display that wants one a port, and an address or a socket.

    Args:
        document: the running guest.
        number: its id.
        ports: ports that are free.
    """
    name = (document.root.findtext("name") or "")[:SHORT_NAME]
    for device in document.root.iterfind("devices/graphics[@autoport='yes']"):
        if device.get("type") in ("vnc", "spice") and device.get("port") in (None, "-1", "0"):
            assign(device, devices.rule_of("graphics"), "port", str(next(ports)))
    for device in document.root.iterfind("devices/graphics"):
        listen = device.find("listen[@type='address']")
        if listen is not None and listen.get("address") is None:
            listen.set("address", _LOCAL)
            assign(device, devices.rule_of("graphics"), "listen", _LOCAL)
        listen = device.find("listen[@type='socket']")
        if listen is not None and listen.get("socket") is None:
            path = f"{_PRIVATE}/domain-{number}-{name}/{device.get('type')}.sock"
            listen.set("socket", path)
            if device.get("type") == "vnc":
                assign(device, devices.rule_of("graphics"), "socket", path)
    document.changed()


def _alias(
    device: etree._Element, taken: set[str | None], numbers: dict[str, Iterator[int]]
) -> str | None:
    tag = str(device.tag)
    if tag == "disk":
        return _of_disk(device)
    if tag == "controller":
        return _of_controller(device)
    if tag == "console":
        target = device.find("target")
        port = "0" if target is None else target.get("port") or "0"
        serial = target is not None and target.get("type") == "serial"
        return f"serial{port}" if serial else f"console{port}"
    head = ALIASES.get(tag)
    if head is None:
        return None
    found = (f"{head}{number}" for number in numbers.setdefault(head, count()))
    return next(alias for alias in found if alias not in taken)


def _of_disk(device: etree._Element) -> str:
    from aiovirt.daemons.virtd.xml.completion.disks import target_index

    bus, name = (
        devices.value(device, "target/@bus") or "",
        devices.value(device, "target/@dev") or "",
    )
    address = device.find("address")
    if bus in _DRIVES and address is not None and address.get("type") == "drive":
        lsi = bus == "scsi" and _is_lsilogic(device, address.get("controller") or "0")
        parts = ("controller", *(("bus",) if lsi else _DRIVES[bus]), "unit")
        return bus + "-".join(address.get(part) or "0" for part in parts)
    return f"{bus}-disk{max(target_index(name), 0)}"


def _is_lsilogic(device: etree._Element, index: str) -> bool:
    """Whether a SCSI controller is one whose drives have no target."""
    holder = device.getparent()
    found = () if holder is None else holder.iterfind("controller[@type='scsi']")
    return any(one.get("index") == index and one.get("model") == "lsilogic" for one in found)


def _of_controller(device: etree._Element) -> str:
    kind, index = device.get("type") or "", device.get("index") or "0"
    if kind == "pci":
        return f"pcie.{index}" if device.get("model") == "pcie-root" else f"pci.{index}"
    if kind == "usb" and index == "0":
        return "usb"
    if kind == "ide" and index == "0":
        return kind
    if kind == "sata" and index == "0":
        return "ide"
    return f"{kind}{index}"
