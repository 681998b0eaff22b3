"""Devices of guests: read one from a client, and find the one that it means.

A device is found by the parts that identify its kind (`IDENTITY`), and by its alias and its address as
far as a client gives them.

Source: libvirt's src/conf/domain_conf.c (virDomainDeviceDefParse, virDomainDiskIndexByName,
virDomainNetFindIdx, virDomainHostdevFind, virDomainChrEquals, virDomainInputDefFind and the like).
"""

from __future__ import annotations

from copy import deepcopy
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import checking, isolation, reading, refusals
from aiovirt.daemons.virtd.xml.checking import guests
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.documents import SHAPER, Document
from aiovirt.daemons.virtd.xml.kinds import domain_rules
from aiovirt.daemons.virtd.xml.rules import Rule
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

_CHARACTER: Final = (
    "@type",
    "target/@type",
    "target/@name",
    "target/@port",
    "source/@path",
    "source/@service",
)

#: What identifies a device of each kind; parts that a client leaves out are not compared.
IDENTITY: Final[dict[str, tuple[str, ...]]] = {
    "disk": ("target/@dev",),
    "controller": ("@type", "@index"),
    "lease": ("key", "lockspace"),
    "filesystem": ("target/@dir",),
    "interface": ("mac/@address",),
    "smartcard": ("@mode",),
    "serial": _CHARACTER,
    "parallel": _CHARACTER,
    "console": _CHARACTER,
    "channel": _CHARACTER,
    "input": ("@type", "@bus", "source/@dev", "source/@evdev"),
    "tpm": ("@model",),
    "graphics": ("@type",),
    "sound": ("@model",),
    "audio": ("@id",),
    "video": ("model/@type",),
    "hostdev": (
        "@mode",
        "@type",
        "source/address/@domain",
        "source/address/@bus",
        "source/address/@slot",
        "source/address/@function",
        "source/address/@device",
        "source/address/@target",
        "source/address/@unit",
        "source/address/@uuid",
        "source/adapter/@name",
        "source/@name",
        "source/@wwpn",
        "source/vendor/@id",
        "source/product/@id",
        "source/block",
        "source/char",
        "source/interface",
    ),
    "redirdev": ("@bus", "@type", "source/@service", "source/@path"),
    "hub": ("@type",),
    "watchdog": ("@model",),
    "memballoon": ("@model",),
    "rng": ("@model", "backend/@model", "backend", "backend/@type"),
    "panic": ("@model",),
    "shmem": ("@name", "model/@type", "size"),
    "memory": ("@model", "target/size", "target/node", "source/path"),
    "iommu": ("@model",),
    "vsock": ("@model", "cid/@address"),
    "nvram": (),
}


def rule_of(tag: str) -> Rule:
    """The rule of a kind of device.

    Raises:
        RpcError: CONFIG_UNSUPPORTED for a name that no device has.
    """
    lines = domain_rules()["%devices"].by_tag.get(tag)
    if lines is None or tag == "emulator":
        detail = f"unknown device type '{refusals.shown(tag)}'"
        raise refusals.refused(ErrorCode.CONFIG_UNSUPPORTED, detail)
    return lines[0][1]


def read_device(text: str) -> etree._Element:
    """Read a device, put in shape; nothing is added to it.

    Raises:
        RpcError: XML_DETAIL for text that is not well-formed, XML_ERROR for a device or a value that
            is not allowed.
    """

    def shaped() -> etree._Element:
        raw = reading.parse_any(text, name="device_definition")
        holder = etree.Element("domain")
        etree.SubElement(holder, "devices").append(deepcopy(raw))
        checking.check([guests.device()], holder, ErrorDomain.DOMAIN)
        return SHAPER.shape(rule_of(str(raw.tag)), raw, live=True)

    return isolation.read(text, shaped)


def complete_device(document: Document, device: etree._Element, flavour: Flavour) -> None:
    """Add what a definition with this device would have got.

    Args:
        document: the guest that it is for.
        device: the device, in shape.
        flavour: the driver's defaults.
    """
    from aiovirt.daemons.virtd.xml.completion import guest

    guest.complete_device(document.root, device, flavour)


def value(device: etree._Element, path: str) -> str | None:
    """The text or attribute at a path like "target/@dev"; None if there is none.

    Args:
        device: a device.
        path: names of elements, and of an attribute after `@`.
    """
    way, sign, attribute = path.rpartition("@")
    if not sign:
        way, attribute = path, ""
    at = device.find(way.rstrip("/")) if way else device
    if at is None:
        return None
    return at.get(attribute) if sign else at.text


def _same_address(mine: etree._Element, theirs: etree._Element | None) -> bool:
    return theirs is not None and all(theirs.get(name) == found for name, found in mine.items())


def matches(document: Document, wanted: etree._Element) -> list[etree._Element]:
    """The devices of a guest that a client's device may mean.

    Args:
        document: the guest.
        wanted: the client's device, in shape.
    """
    address, alias = wanted.find("address"), value(wanted, "alias/@name")
    found = []
    for device in document.root.findall(f"devices/{wanted.tag!s}"):
        parts = ((value(wanted, path), value(device, path)) for path in IDENTITY[str(wanted.tag)])
        if any(mine is not None and mine != theirs for mine, theirs in parts):
            continue
        if (
            wanted.tag != "disk"
            and address is not None
            and not _same_address(address, device.find("address"))
        ):
            continue
        theirs = value(device, "alias/@name")
        if alias is not None and theirs is not None and alias != theirs:
            continue
        found.append(device)
    return found


def find(document: Document, wanted: etree._Element) -> etree._Element:
    """The device that a client means.

    Args:
        document: the guest.
        wanted: the client's device, in shape.

    Raises:
        RpcError: DEVICE_MISSING if there is none, OPERATION_FAILED if several interfaces match.
    """
    found = matches(document, wanted)
    if not found:
        raise _missing(wanted, is_live=document.root.get("id") is not None)
    if len(found) > 1 and wanted.tag == "interface":
        mac = value(wanted, "mac/@address")
        which = (
            f"multiple devices matching MAC address {mac} found"
            if mac
            else "multiple matching devices found"
        )
        raise refusals.refused(ErrorCode.OPERATION_FAILED, which)
    return found[0]


def by_alias(document: Document, alias: str) -> etree._Element:
    """The device with an alias.

    Args:
        document: the guest.
        alias: the alias.

    Raises:
        RpcError: INTERNAL_ERROR if there is none.
    """
    for device in document.root.findall("devices/*"):
        if value(device, "alias/@name") == alias:
            return device
    detail = f"no device found with alias {refusals.shown(alias)}"
    raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail)


def disk(document: Document, path: str) -> etree._Element | None:
    """The disk with this target, or else with this source; None for an empty path.

    Args:
        document: the guest.
        path: a target like "vda", or the source's file, device or name.
    """
    found = document.root.findall("devices/disk")
    for element in found:
        if path and value(element, "target/@dev") == path:
            return element
    for element in found:
        source = element.find("source")
        if (
            path
            and source is not None
            and path in (source.get("file"), source.get("dev"), source.get("name"))
        ):
            return element
    return None


def disks(document: Document) -> dict[str, etree._Element]:
    """The disks by all that `disk` finds them by, for a call about several of them."""
    elements = document.root.findall("devices/disk")
    found: dict[str, etree._Element] = {}
    for element in elements:
        found.setdefault(value(element, "target/@dev") or "", element)
    for element in elements:
        source = element.find("source")
        if source is not None:
            for name in ("file", "dev", "name"):
                found.setdefault(source.get(name) or "", element)
    found.pop("", None)
    return found


def interface(document: Document, device: str) -> etree._Element | None:
    """The interface with this name on the host, or this hardware address.

    Args:
        document: the guest.
        device: a name like "vnet0", or a hardware address.
    """
    for element in document.root.findall("devices/interface"):
        mac = value(element, "mac/@address") or ""
        if device and (value(element, "target/@dev") == device or mac.lower() == device.lower()):
            return element
    return None


def _missing(wanted: etree._Element, *, is_live: bool) -> RpcError:
    tag = str(wanted.tag)
    if tag == "disk":
        detail = f"no target device {value(wanted, 'target/@dev') or ''}"
    elif tag == "interface":
        address = wanted.find("address")
        place = "(<null>)" if address is None else "/".join(map(str, address.attrib.values()))
        mac = value(wanted, "mac/@address") or "(<null>)"
        alias = value(wanted, "alias/@name") or "(<null>)"
        detail = (
            f"no device found at address '{place}' matching MAC address '{mac}' and alias '{alias}'"
        )
    elif tag == "lease":
        key, space = value(wanted, "key"), value(wanted, "lockspace")
        detail = f"Lease {key or ''} in lockspace {space or ''} does not exist"
    elif tag in ("filesystem", "rng", "redirdev"):
        detail = f"no matching {tag} device was found"
    else:
        detail = "device not present in domain configuration"
    code = ErrorCode.DEVICE_MISSING
    if IDENTITY[tag] is _CHARACTER and not is_live:
        code = ErrorCode.INVALID_ARG
    domain = ErrorDomain.DOMAIN if tag == "interface" else ErrorDomain.QEMU
    return refusals.refused(code, detail, domain)
