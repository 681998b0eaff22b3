"""Screens: how they are reached, and what shows them.

Source: libvirt's src/conf/domain_conf.c (virDomainGraphicsListensParseXML,
virDomainGraphicsDefParseXMLVNC, virDomainGraphicsDefParseXMLSpice, virDomainVideoDefaultRAM) and
domain_postparse.c (virDomainDefPostParseGraphics, virDomainDefPostParseVideo).
"""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.placing import add, assign, need

#: KiB of video memory by model.
VRAM: Final = {
    "vga": 16384,
    "cirrus": 16384,
    "vmvga": 16384,
    "bochs": 16384,
    "xen": 4096,
    "qxl": 65536,
}

#: The same for models whose memory depends on the hypervisor.
VRAM_OF: Final = {"vbox": 8192, "vmware": 4096}


def order(devices: etree._Element) -> None:
    """The primary screen comes first."""
    found = devices.findall("video")
    for video in found:
        model = video.find("model")
        if (
            model is not None
            and model.get("primary") == "yes"
            and video is not devices.find("video")
        ):
            first = devices.index(need(devices, "video"))
            devices.remove(video)
            devices.insert(first, video)


def complete(root: etree._Element, devices: etree._Element, flavour: Flavour) -> None:
    """Complete graphics and video.

    Args:
        root: the guest.
        devices: its devices.
        flavour: the driver's defaults.
    """
    for graphics in devices.findall("graphics"):
        _graphics(graphics)
    rules = domain_rules()["%devices"]
    if devices.find("graphics") is not None and devices.find("video") is None:
        video = add(devices, rules, "video")
        etree.SubElement(video, "model", type="default")
    for number, video in enumerate(devices.findall("video")):
        _video(root, video, flavour, first=number == 0)


def _video(root: etree._Element, video: etree._Element, flavour: Flavour, *, first: bool) -> None:
    model = need(video, "model")
    rules = domain_rules()["%video"].children[0].below("model")
    arch = ""
    kind = root.find("os/type")
    if kind is not None:
        arch = kind.get("arch") or ""
    if model.get("type") == "default":
        paravirtual = kind is not None and kind.text in ("xen", "linux")
        model.set("type", "xen" if paravirtual else flavour.video.get(arch) or flavour.video[""])
    name = model.get("type") or ""
    if name == "none":
        model.attrib.clear()
        model.set("type", "none")
        for child in list(model):
            model.remove(child)
        return
    default = VRAM.get(name, 0)
    if name in ("vga", "cirrus", "vmvga"):
        default = VRAM_OF.get(root.get("type") or "", default)
    for attribute in ("ram", "vram"):
        size = int(model.get(attribute) or (default if attribute == "vram" or name == "qxl" else 0))
        if size:
            assign(model, rules, attribute, str(1 << (size - 1).bit_length()))
    assign(model, rules, "heads", model.get("heads") or "1")
    assign(model, rules, "primary", "yes" if first else None)


def _graphics(graphics: etree._Element) -> None:
    kind = graphics.get("type")
    if kind not in ("vnc", "spice", "rdp"):
        return
    if graphics.get("passwd") is None:
        for name in ("passwdValidTo", "connected"):
            graphics.attrib.pop(name, None)
    rules = domain_rules()["%graphics"].children[0]
    listens = graphics.findall("listen")
    if not listens:
        socket = graphics.get("socket")
        if socket is not None and kind == "vnc":
            listens = [add(graphics, rules, "listen", None, type="socket", socket=socket)]
        else:
            new = add(graphics, rules, "listen", None, type="address")
            if graphics.get("listen"):
                new.set("address", graphics.get("listen") or "")
            listens = [new]
    first = listens[0]
    if (
        kind == "vnc"
        and graphics.get("socket") is not None
        and first.get("type") in ("address", "network")
    ):
        first.attrib.clear()
        first.set("type", "socket")
    if first.get("type") == "socket" and first.get("socket") is None and graphics.get("socket"):
        first.set("socket", graphics.get("socket") or "")
    if first.get("type") == "address" and first.get("address") is None and graphics.get("listen"):
        first.set("address", graphics.get("listen") or "")
    if kind == "vnc":
        _vnc(graphics, first)
    elif kind == "spice":
        _spice(graphics, first)


def forget_ports(root: etree._Element) -> None:
    """Take the ports away that a running guest has by chance."""
    for graphics in root.iterfind("devices/graphics[@autoport='yes']"):
        if graphics.get("type") == "vnc":
            graphics.set("port", "-1")
        else:
            for name in ("port", "tlsPort"):
                graphics.attrib.pop(name, None)


def _where(graphics: etree._Element, first: etree._Element) -> None:
    """The old attribute repeats the first address."""
    rules = domain_rules()["%graphics"].children[0]
    address = first.get("address") if first.get("type") == "address" else None
    assign(graphics, rules, "listen", address)


def _vnc(graphics: etree._Element, first: etree._Element) -> None:
    rules = domain_rules()["%graphics"].children[0]
    port = int(graphics.get("port") or 0)
    auto = port == -1 or graphics.get("port") is None
    if graphics.get("autoport") is not None:
        auto = graphics.get("autoport") == "yes"
    if first.get("type") in ("socket", "none"):
        for name in ("port", "autoport", "websocket", "listen"):
            graphics.attrib.pop(name, None)
        assign(graphics, rules, "socket", first.get("socket"))
        return
    graphics.attrib.pop("socket", None)
    assign(graphics, rules, "port", "-1" if auto else str(port) if port else None)
    assign(graphics, rules, "autoport", "yes" if auto else "no")
    if graphics.get("websocket") == "0":
        del graphics.attrib["websocket"]
    _where(graphics, first)


def _spice(graphics: etree._Element, first: etree._Element) -> None:
    rules = domain_rules()["%graphics"].children[0]
    port, tls = int(graphics.get("port") or 0), int(graphics.get("tlsPort") or 0)
    auto = graphics.get("autoport") == "yes" or (port == -1 and tls == -1)
    if auto:
        port = tls = 0
    if first.get("type") == "address" and not port and not tls and not auto:
        first.attrib.clear()
        first.set("type", "none")
    if first.get("type") in ("socket", "none"):
        for name in ("port", "tlsPort", "autoport", "listen"):
            graphics.attrib.pop(name, None)
        return
    assign(graphics, rules, "port", str(port) if port else None)
    assign(graphics, rules, "tlsPort", str(tls) if tls else None)
    assign(graphics, rules, "autoport", "yes" if auto else "no")
    _where(graphics, first)
