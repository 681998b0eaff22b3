"""The command line with which libvirt would start QEMU for a document.

The common devices are on it: disks, interfaces, character devices, displays, input, the balloon, and the
controllers of these. Other devices are left out, since no QEMU is ever started.

Source: the form is that of libvirt's src/qemu/qemu_command.c; the words are options of QEMU 7.2.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml import devices, guests, live

if TYPE_CHECKING:
    from lxml import etree

    from aiovirt.daemons.virtd.host.host import Host

#: Descriptors that libvirt would pass begin here.
_DESCRIPTOR: Final = 29
_SANDBOX: Final = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_DISK_DRIVERS: Final = {
    "virtio": "virtio-blk-pci",
    "usb": "usb-storage",
    "sata": "ide",
    "ide": "ide",
}
_NIC_DRIVERS: Final = {"virtio": "virtio-net-pci", "": "rtl8139"}
_VIDEO_DRIVERS: Final = {
    "vga": "VGA",
    "cirrus": "cirrus-vga",
    "qxl": "qxl-vga",
    "virtio": "virtio-vga",
    "bochs": "bochs-display",
}
_CONTROLLERS: Final = {
    "usb": {
        "": "piix3-usb-uhci",
        "piix3-uhci": "piix3-usb-uhci",
        "ehci": "usb-ehci",
        "qemu-xhci": "qemu-xhci",
        "nec-xhci": "nec-usb-xhci",
        "ich9-ehci1": "ich9-usb-ehci1",
        "ich9-uhci1": "ich9-usb-uhci1",
    },
    "virtio-serial": {"": "virtio-serial-pci"},
    "scsi": {"": "lsi", "lsilogic": "lsi", "virtio-scsi": "virtio-scsi-pci"},
}


def command_line(host: Host, text: str) -> str:
    """Return the command line for a document, as one line of a shell.

    Args:
        host: whose defaults complete it.
        text: the document.

    Raises:
        RpcError: see `xml.documents.read`.
    """
    document = cached("domain", host.documents.define("domain", text).text).copy()
    live.assign_aliases(document)
    root = document.root
    name = root.findtext("name") or ""
    home = f"/var/lib/libvirt/qemu/domain--1-{name[: live.SHORT_NAME]}"
    environment = {
        "LC_ALL": "C",
        "PATH": os.environ.get("PATH", "/usr/bin"),
        "HOME": home,
        "XDG_DATA_HOME": f"{home}/.local/share",
        "XDG_CACHE_HOME": f"{home}/.cache",
        "XDG_CONFIG_HOME": f"{home}/.config",
    }
    words = [f"{key}={shlex.quote(value)}" for key, value in environment.items()]
    words.append(root.findtext("devices/emulator") or "/usr/bin/qemu-system-x86_64")
    is_headless = root.find("devices/graphics") is None
    machine = _machine(root, document, home)
    for words_of in (machine, _boot(root, headless=is_headless, home=home), _devices(root)):
        words += [one if one.startswith("-") else shlex.quote(one) for one in words_of]
    return " ".join(words)


def _json(**fields: Any) -> str:
    """An option in JSON; a `_` in a name stands for a `-`, and None is left out."""
    given = {key.rstrip("_").replace("__", "-"): kept for key, kept in fields.items()}
    return json.dumps(
        {key: kept for key, kept in given.items() if kept is not None}, separators=(",", ":")
    )


def _machine(root: etree._Element, document: Any, home: str) -> Iterator[str]:
    """The machine: its kind, its memory, its processors."""
    name = root.findtext("name") or ""
    yield from ("-name", f"guest={name},debug-threads=on", "-S", "-object")
    yield _json(qom__type="secret", id="masterKey0", format="raw", file=f"{home}/master-key.aes")
    kind = devices.value(root, "os/type/@machine") or "pc"
    size = guests.max_memory(document) * 1024
    yield from ("-machine", f"{kind},usb=off,dump-guest-core=off,memory-backend=pc.ram")
    yield from ("-accel", "kvm" if root.get("type") == "kvm" else "tcg")
    yield from ("-cpu", root.findtext("cpu/model") or "qemu64", "-m", str(size >> 20), "-object")
    yield _json(qom__type="memory-backend-ram", id="pc.ram", size=size)
    yield from ("-overcommit", "mem-lock=off", "-smp")
    most, now = guests.max_vcpus(document), guests.vcpus(document)
    topology = root.find("cpu/topology")
    parts = {"sockets": str(most), "cores": "1", "threads": "1"}
    if topology is not None:
        parts = {part: topology.get(part) or "1" for part in parts}
    shape = ",".join(f"{part}={number}" for part, number in parts.items())
    yield f"{now}{f',maxcpus={most}' if most != now else ''},{shape}"
    for number in guests.iothreads(document):
        yield from ("-object", _json(qom__type="iothread", id=f"iothread{number}"))
    yield from ("-uuid", root.findtext("uuid") or "")


def _boot(root: etree._Element, *, headless: bool, home: str) -> Iterator[str]:
    """How it is controlled, and how it boots."""
    if headless:
        yield from ("-display", "none")
    yield from ("-no-user-config", "-nodefaults", "-chardev")
    yield f"socket,id=charmonitor,path={home}/monitor.sock,server=on,wait=off"
    yield from ("-mon", "chardev=charmonitor,id=monitor,mode=control")
    offset = devices.value(root, "clock/@offset") or "utc"
    yield from ("-rtc", f"base={'localtime' if offset == 'localtime' else 'utc'}")
    yield "-no-shutdown"
    if root.find("features/acpi") is None:
        yield "-no-acpi"
    yield from ("-boot", "strict=on")
    for tag, option in (("kernel", "-kernel"), ("initrd", "-initrd"), ("cmdline", "-append")):
        value = root.findtext(f"os/{tag}")
        if value is not None:
            yield from (option, value)


def _devices(root: etree._Element) -> Iterator[str]:
    """The devices, in libvirt's order of their kinds."""
    find = root.findall
    for device in find("devices/controller"):
        yield from _controller(device)
    disks = find("devices/disk")
    for at, disk in enumerate(disks):
        yield from _disk(disk, len(disks) - at, at + 1)
    for at, nic in enumerate(find("devices/interface")):
        yield from _nic(nic, at)
    for tag in ("serial", "channel"):
        for device in find(f"devices/{tag}"):
            yield from _character(device, root.findtext("name") or "")
    for device in find("devices/input[@bus='usb']"):
        driver = {"mouse": "usb-mouse", "keyboard": "usb-kbd"}.get(device.get("type") or "")
        yield from ("-device", _device(device, driver or "usb-tablet"))
    yield from ("-audiodev", _json(id="audio1", driver="none"))
    for device in find("devices/graphics"):
        yield from _display(device)
    for device in find("devices/video"):
        kind = devices.value(device, "model/@type") or ""
        if kind in _VIDEO_DRIVERS:
            size = int(devices.value(device, "model/@vram") or 0) >> 10 if kind == "vga" else 0
            driver = _VIDEO_DRIVERS[kind]
            yield from ("-device", _device(device, driver, {"vgamem_mb": size} if size else {}))
    for device in find("devices/memballoon[@model='virtio']"):
        yield from ("-device", _device(device, "virtio-balloon-pci"))
    yield from ("-sandbox", _SANDBOX, "-msg", "timestamp=on")


def _place(device: etree._Element) -> Mapping[str, Any]:
    """Where a device is, as QEMU says it."""
    address = device.find("address")
    kind = None if address is None else address.get("type")
    if address is None or kind not in ("pci", "usb", "drive"):
        return {}
    if kind == "usb":
        return {"bus": f"usb.{address.get('bus') or 0}", "port": address.get("port")}
    if kind == "drive":
        return {"bus": f"ide.{address.get('bus')}", "unit": int(address.get("unit") or 0)}
    slot, function = (int(address.get(part) or "0", 16) for part in ("slot", "function"))
    bus = int(address.get("bus") or "0", 16)
    place = f"0x{slot:x}" + (f".0x{function:x}" if function else "")
    return {"bus": f"pci.{bus}", "addr": place}


def _device(device: etree._Element, driver: str, more: Mapping[str, Any] | None = None) -> str:
    alias = devices.value(device, "alias/@name")
    return _json(driver=driver, id=alias, **(more or {}), **_place(device))


def _controller(device: etree._Element) -> Iterator[str]:
    kind, model = device.get("type") or "", device.get("model") or ""
    driver = _CONTROLLERS.get(kind, {}).get(model)
    if driver is not None:
        yield from ("-device", _device(device, driver))


def _disk(disk: etree._Element, node: int, boot: int) -> Iterator[str]:
    bus = devices.value(disk, "target/@bus") or "ide"
    source = disk.find("source")
    path = (
        None
        if source is None
        else next(filter(None, map(source.get, ("file", "dev", "name"))), None)
    )
    is_disk = disk.get("device") != "cdrom"
    drive = None
    if path is not None:
        storage, drive = f"libvirt-{node}-storage", f"libvirt-{node}-format"
        yield "-blockdev"
        yield _json(
            driver="host_device" if disk.get("type") == "block" else "file",
            filename=path,
            node__name=storage,
            auto__read__only=True,
            discard="unmap",
        )
        yield "-blockdev"
        kind = devices.value(disk, "driver/@type") or "raw"
        is_fixed = disk.find("readonly") is not None
        yield _json(node__name=drive, read__only=is_fixed, driver=kind, file=storage)
    driver = _DISK_DRIVERS.get(bus, "scsi")
    if driver in ("ide", "scsi"):
        driver = f"{driver}-{'hd' if is_disk else 'cd'}"
    yield "-device"
    yield _json(
        driver=driver,
        **_place(disk),
        drive=drive,
        id=devices.value(disk, "alias/@name"),
        bootindex=boot if is_disk and boot == 1 else None,
        serial=disk.findtext("serial"),
    )


def _nic(nic: etree._Element, number: int) -> Iterator[str]:
    model = devices.value(nic, "model/@type") or ""
    yield from ("-netdev", _json(type="tap", fd=str(_DESCRIPTOR + number), id=f"hostnet{number}"))
    yield "-device"
    yield _json(
        driver=_NIC_DRIVERS.get(model, model),
        netdev=f"hostnet{number}",
        id=devices.value(nic, "alias/@name"),
        mac=devices.value(nic, "mac/@address"),
        **_place(nic),
    )


def _character(device: etree._Element, guest: str) -> Iterator[str]:
    alias = devices.value(device, "alias/@name")
    kind = device.get("type") or "pty"
    path = devices.value(device, "source/@path")
    backend = f"{kind},id=char{alias}"
    name = devices.value(device, "target/@name")
    if kind == "unix":
        path = path or f"{live.CHANNELS}/domain--1-{guest[: live.SHORT_NAME]}/{name}"
        backend = f"socket,id=char{alias},path={path},server=on,wait=off"
    elif kind == "file":
        backend += f",path={path}"
    yield from ("-chardev", backend, "-device")
    if device.tag == "serial":
        port = int(devices.value(device, "target/@port") or 0)
        yield _json(driver="isa-serial", chardev=f"char{alias}", id=alias, index=port)
        return
    address = device.find("address")
    number = 1 if address is None else int(address.get("port") or 1)
    yield _json(
        driver="virtserialport",
        bus="virtio-serial0.0",
        nr=number,
        chardev=f"char{alias}",
        id=alias,
        name=name,
    )


def _display(device: etree._Element) -> Iterator[str]:
    address = devices.value(device, "listen/@address") or "127.0.0.1"
    port = int(device.get("port") or "-1")
    if device.get("type") == "vnc":
        password = ",password=on" if device.get("passwd") else ""
        yield from ("-vnc", f"{address}:{max(0, port - 5900)}{password},audiodev=audio1")
    elif device.get("type") == "spice":
        tail = "" if device.get("passwd") else ",disable-ticketing=on"
        yield from ("-spice", f"port={max(5900, port)},addr={address}{tail},seamless-migration=on")
