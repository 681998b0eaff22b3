"""Changes of a display of a running guest: of its password only.

Source: libvirt's src/qemu/qemu_hotplug.c (qemuDomainChangeGraphics).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import devices
from aiovirt.daemons.virtd.xml.documents import Document
from aiovirt.daemons.virtd.xml.placing import assign
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: Characters of a password of VNC.
_PASSWORD_MAX: Final = 8
#: What can be changed.
_AUTHENTICATION: Final = ("passwd", "passwdValidTo", "connected")
#: The part of each kind of place to listen that stays.
_PLACES: Final = {"address": "address", "network": "network", "socket": "socket"}
#: Displays with a password.
_SERVERS: Final = ("vnc", "spice")


def update(document: Document, device: etree._Element) -> None:
    """Change the password of a display, its end, and what it does to a client that is connected.

    Args:
        document: the running guest; it is not changed if the display is refused.
        device: the client's display (devices.read_device).

    Raises:
        RpcError: DEVICE_MISSING without such a display, CONFIG_UNSUPPORTED for a long password,
            OPERATION_UNSUPPORTED for another change.
    """
    kind = device.get("type") or ""
    password = device.get("passwd") or ""
    if kind == "vnc" and len(password) > _PASSWORD_MAX:
        detail = f"VNC password is {len(password)} characters long, only {_PASSWORD_MAX} permitted"
        raise _refused(ErrorCode.CONFIG_UNSUPPORTED, detail)
    if kind == "vnc" and device.get("connected") not in (None, "keep"):
        raise _refused(ErrorCode.CONFIG_UNSUPPORTED, "VNC supports connected='keep' only")
    old = document.root.find(f"devices/graphics[@type='{kind}']")
    if old is None:
        detail = f"cannot find existing graphics device to modify of type '{kind}'"
        raise _refused(ErrorCode.DEVICE_MISSING, detail)
    _require_same_places(old, device, kind)
    if kind not in _SERVERS:
        detail = f"unable to change config on '{kind}' graphics type"
        raise _refused(ErrorCode.INTERNAL_ERROR, detail)
    _require_same_ports(old, device, kind)
    if old.get("keymap") != device.get("keymap"):
        detail = f"cannot change keymap setting on {kind} graphics"
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)
    for name in _AUTHENTICATION:
        given = device.get(name)
        if given is not None and "passwd" in device.attrib:
            assign(old, devices.rule_of("graphics"), name, given)
        elif name in old.attrib:
            del old.attrib[name]
    document.changed()


def _refused(code: ErrorCode, detail: str) -> RpcError:
    return RpcError.of(code, detail, domain=ErrorDomain.QEMU)


def _require_same_places(old: etree._Element, device: etree._Element, kind: str) -> None:
    """The places to listen stay. Raises RpcError."""
    found: list[list[tuple[str, Mapping[str, str | None]]]] = [
        [(one.get("type") or "", dict(one.attrib)) for one in display.findall("listen")]
        for display in (old, device)
    ]
    if not found[1]:
        kept = {"socket": device.get("socket")} if device.get("socket") else {}
        place = "socket" if kept else "address"
        found[1] = [(place, kept or {"address": device.get("listen")})]
    detail = ""
    if len(found[0]) != len(found[1]):
        detail = f"cannot change the number of listen addresses on '{kind}' graphics"
    for (was, before), (is_now, after) in zip(*found, strict=False):
        part = _PLACES.get(was, "")
        if was != is_now:
            detail = detail or f"cannot change the type of listen address on '{kind}' graphics"
        elif part and before.get(part) != after.get(part):
            word = "socket" if part == "socket" else "address"
            detail = detail or f"cannot change listen {word} setting on '{kind}' graphics"
    if detail:
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)


def _require_same_ports(old: etree._Element, device: etree._Element, kind: str) -> None:
    """The ports stay. Raises RpcError."""
    port = device.get("port")
    chosen = device.get("autoport") == "yes" or port in (None, "-1")
    names = ("port",) if kind == "vnc" else ("port", "tlsPort")
    same = all((old.get(name) or "-1") == (device.get(name) or "-1") for name in names)
    if chosen != (old.get("autoport") == "yes") or not (chosen or same):
        detail = f"cannot change port settings on {kind} graphics"
        raise _refused(ErrorCode.OPERATION_UNSUPPORTED, detail)
