"""Corrections of a guest's document apart from its devices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.fixes.shared import size_of
from aiovirt.daemons.virtd.xml.rules import Scope
from aiovirt.rpc.wire.errors import ErrorCode

#: A limit of memory that is none, in KiB (VIR_DOMAIN_MEMORY_PARAM_UNLIMITED).
_UNLIMITED: Final = 9007199254740991


def limit(scope: Scope) -> bool | None:
    """A limit at or above the highest is none."""
    return False if int(scope.out.text or 0) >= _UNLIMITED else None


def pretty_size(size: int) -> tuple[str, str]:
    """Write bytes in the largest unit that divides them (virFormatIntPretty): number and unit."""
    unit = "B"
    for name in ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB"):
        if not size or size % 1024:
            break
        size //= 1024
        unit = name
    return str(size), unit


def pretty(scope: Scope) -> None:
    """A text in KiB, in the largest unit that divides it."""
    scope.out.text, unit = pretty_size(int(scope.out.text or 0) * 1024)
    scope.out.set("unit", unit)


def cache(scope: Scope) -> None:
    """The part of a processor's cache, in the largest unit that divides it."""
    size = size_of(scope, "size", scope.out.get("size") or "0", "KiB")
    number, unit = pretty_size(size)
    scope.out.set("size", number)
    scope.out.set("unit", unit)


def placement(scope: Scope) -> None:
    """A set of nodes implies a static placement, which is not written; an automatic one has no set."""
    out = scope.out
    if out.get("nodeset") is None and out.get("placement") is None:
        vcpu = None if scope.up is None or scope.up.up is None else scope.up.up.child("vcpu")
        if vcpu is not None and vcpu.attribute("placement") == "auto":
            out.set("placement", "auto")
    if out.get("placement") == "auto":
        scope.drop("nodeset")
    elif out.get("nodeset") is not None:
        scope.drop("placement")


def mode(scope: Scope) -> None:
    """Enlightenments that are all passed through are not listed."""
    if scope.out.get("mode") == "passthrough":
        for child in list(scope.out):
            scope.out.remove(child)


def capabilities(scope: Scope) -> bool | None:
    """The default policy alone says nothing."""
    return False if scope.out.get("policy") == "default" and not len(scope.out) else None


def cpu(scope: Scope) -> None:
    """A processor of one's own needs a model; the host's has none."""
    out = scope.out
    model_element = out.find("model")
    named = model_element is not None and bool(model_element.text)
    found = out.get("mode") or ("custom" if named else None)
    if found is None or (found == "custom" and not named):
        scope.drop("mode", "match", "check", "migratable")
        return
    if found in ("host-passthrough", "maximum"):
        scope.drop("match")
        if model_element is not None:
            out.remove(model_element)
    else:
        scope.drop("migratable")
    out.set("mode", found)
    if found == "custom":
        out.set("match", out.get("match") or "exact")
    else:
        scope.drop("match")


def model(scope: Scope) -> bool | None:
    """A model without a name has no fallback."""
    text = (scope.out.text or "").strip()
    scope.out.text = text or None
    if not text:
        scope.drop("fallback")
    return None if text or scope.out.attrib else False


def cell(scope: Scope) -> None:
    """A node of memory: its size is in KiB, its number that of its place if it has none."""
    out, parent = scope.out, scope.out.getparent()
    size = size_of(scope, "memory", out.get("memory") or "0", "KiB")
    out.set("memory", str(-(-size // 1024)))
    out.set("unit", "KiB")
    if out.get("id") is None:
        out.set("id", str(0 if parent is None else parent.index(out)))


#: The attributes of each kind of clock.
_CLOCKS: Final = {
    "utc": ("adjustment",),
    "localtime": ("adjustment",),
    "variable": ("adjustment", "basis"),
    "timezone": ("timezone",),
    "absolute": ("start",),
}


def clock(scope: Scope) -> None:
    """A clock that is set apart from UTC or local time is a variable one."""
    out = scope.out
    offset, adjustment = out.get("offset") or "utc", out.get("adjustment")
    if offset in ("utc", "localtime") and adjustment not in (None, "reset"):
        out.set("basis", offset)
        offset = "variable"
        out.set("offset", offset)
    if offset == "variable":
        try:
            out.set("adjustment", str(int(adjustment or "0")))
        except ValueError:
            raise refusals.bad_attribute(
                "clock", "adjustment", adjustment or "", "seconds"
            ) from None
        out.set("basis", out.get("basis") or "utc")
    scope.drop(*{"adjustment", "basis", "timezone", "start"}.difference(_CLOCKS[offset]))
    if offset in ("timezone", "absolute") and out.get(_CLOCKS[offset][0]) is None:
        detail = f"missing '{_CLOCKS[offset][0]}' attribute for clock with offset='{offset}'"
        raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail)


def seclabel(scope: Scope) -> bool | None:
    """A label of a guest: a dynamic one is relabelled, one of none has nothing else."""
    out = scope.out
    if not out.attrib and not len(out):
        return False
    kind = out.get("type") or "dynamic"
    out.set("type", kind)
    unwanted = {"none": ("label", "imagelabel", "baselabel"), "dynamic": ("label",)}.get(kind, ())
    for child in list(out):
        if child.tag in unwanted:
            out.remove(child)
    if kind == "none":
        scope.drop("relabel")
    else:
        out.set("relabel", out.get("relabel") or ("yes" if kind == "dynamic" else "no"))
    return None


def loader(scope: Scope) -> None:
    """A loader with a path is read-only memory unless it says otherwise."""
    if scope.out.text and scope.out.get("type") is None:
        scope.out.set("type", "rom")


def firmware(scope: Scope) -> None:
    """Enrolled keys imply a secure boot."""
    out = scope.out
    enrolled = out.find("feature[@name='enrolled-keys'][@enabled='yes']") is not None
    if enrolled and out.find("feature[@name='secure-boot']") is None:
        etree.SubElement(out, "feature", enabled="yes", name="secure-boot")


FIXES: Final[dict[str, Callable[[Scope], bool | None]]] = {
    "limit": limit,
    "pretty": pretty,
    "cache": cache,
    "placement": placement,
    "mode": mode,
    "capabilities": capabilities,
    "cpu": cpu,
    "model": model,
    "cell": cell,
    "clock": clock,
    "seclabel": seclabel,
    "loader": loader,
    "firmware": firmware,
}
