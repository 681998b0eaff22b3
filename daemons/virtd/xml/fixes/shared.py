"""Corrections for several kinds of documents: identifiers, sizes, addresses, metadata."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals, values
from aiovirt.daemons.virtd.xml.rules import Scope
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain


def _identifier(code: ErrorCode, domain: ErrorDomain) -> Callable[[Scope], None]:
    """Make the correction of a UUID, which is made if it is not given."""

    def fix(scope: Scope) -> None:
        try:
            text = scope.out.text
            scope.out.text = values.uuid(text) if text else str(uuid.uuid4())
        except values.Unfit:
            raise refusals.refused(code, "malformed uuid element", domain) from None

    return fix


def capacity(attribute: str, default: str, scale: int, unit: str) -> Callable[[Scope], None]:
    """Make the correction of a size in an attribute with its unit in another.

    Args:
        attribute: the name of the size.
        default: the unit of a size without one.
        scale: bytes of the unit that is written.
        unit: the unit that is written.
    """

    def fix(scope: Scope) -> None:
        value = scope.out.get(attribute)
        if value is not None:
            size = size_of(scope, attribute, value, default)
            scope.out.set(attribute, str(-(-size // scale)))
            scope.out.set("unit", unit)

    return fix


def size_of(scope: Scope, attribute: str, value: str, default: str, unit: str = "unit") -> int:
    """The bytes of a size in an attribute.

    Args:
        scope: the element.
        attribute: the name of the size.
        value: its value.
        default: the unit of a size without one.
        unit: the name of the unit's attribute.

    Raises:
        RpcError: XML_ERROR for a value that is not a size.
    """
    try:
        return values.size_in_bytes(value, scope.given(unit), default)
    except values.Unfit as error:
        raise refusals.bad_attribute(scope.tag, attribute, value, str(error)) from None


def nonzero(scope: Scope) -> bool | None:
    """A zero says nothing."""
    return False if scope.out.text == "0" else None


def ip(scope: Scope) -> None:
    """The family of an address follows from the address."""
    address = scope.out.get("address") or ""
    if address:
        scope.out.set("family", "ipv6" if ":" in address else "ipv4")


def vlan(scope: Scope) -> bool | None:
    """A set of tags with more than one, or with a native one, is a trunk."""
    tags = scope.out.findall("tag")
    if not tags:
        return False
    if len(tags) > 1 or any(tag.get("nativeMode") for tag in tags):
        scope.out.set("trunk", "yes")
    return None


#: The parameters of each type of port, in their order.
_PROFILES: Final[dict[str, tuple[str, ...]]] = {
    "802.1Qbg": ("managerid", "typeid", "typeidversion", "instanceid"),
    "802.1Qbh": ("profileid",),
    "openvswitch": ("interfaceid", "profileid"),
    "midonet": ("interfaceid",),
}
_MADE: Final = {"802.1Qbg": "instanceid", "openvswitch": "interfaceid", "midonet": "interfaceid"}


def virtualport(scope: Scope) -> bool | None:
    """A port has the parameters of its type; one of a guest gets the identifier that is missing."""
    out, kind = scope.out, scope.out.get("type")
    parameters = out.find("parameters")
    found = {} if parameters is None else dict(parameters.items())
    wanted = _MADE.get(kind or "")
    guest = scope.up is not None and scope.up.tag == "interface"
    if guest and wanted is not None and (found or kind != "802.1Qbg"):
        found.setdefault(wanted, str(uuid.uuid4()))
    if kind is not None:
        found = {name: found[name] for name in _PROFILES[kind] if name in found}
    if parameters is not None:
        out.remove(parameters)
    if found:
        etree.SubElement(out, "parameters", found)
    return None if found or kind else False


def metadata(scope: Scope) -> None:
    """Metadata have a namespace, and of each namespace the first element counts."""
    seen: set[str | None] = set()
    for child in list(scope.out):
        space = etree.QName(child).namespace
        if space is None or space in seen:
            scope.out.remove(child)
        seen.add(space)


def forward(scope: Scope) -> None:
    """The device of a network is its first interface, and the other way round."""
    out = scope.out
    first, device = out.find("interface"), out.get("dev")
    if out.find("pf") is not None:
        return
    if first is None and device is not None:
        out.append(etree.Element("interface", dev=device))
    elif first is not None:
        out.set("dev", first.get("dev") or "")


def adapter(scope: Scope) -> None:
    """An adapter without a type is one of SCSI, whose name is that of the host."""
    out = scope.out
    if out.get("type") is None:
        out.set("type", "scsi_host")
        if (given := scope.given("name")) is not None:
            out.set("name", given)
    if out.get("type") == "scsi_host" and (name := out.get("name")) is not None:
        out.set("name", re.sub(r"^scsi_host", "host", name))


FIXES: Final[dict[str, Callable[[Scope], bool | None]]] = {
    "uuid": _identifier(ErrorCode.INTERNAL_ERROR, ErrorDomain.DOMAIN),
    "netuuid": _identifier(ErrorCode.INTERNAL_ERROR, ErrorDomain.NETWORK),
    "filteruuid": _identifier(ErrorCode.XML_ERROR, ErrorDomain.NWFILTER),
    "secretuuid": _identifier(ErrorCode.INTERNAL_ERROR, ErrorDomain.SECRET),
    "pooluuid": _identifier(ErrorCode.XML_ERROR, ErrorDomain.STORAGE),
    "page": capacity("size", "KiB", 1024, "KiB"),
    "kib": capacity("value", "KiB", 1024, "KiB"),
    "bytes": capacity("value", "B", 1, "B"),
    "nonzero": nonzero,
    "ip": ip,
    "vlan": vlan,
    "virtualport": virtualport,
    "metadata": metadata,
    "forward": forward,
    "adapter": adapter,
}
