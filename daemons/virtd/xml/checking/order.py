"""Which of several mistakes in a document libvirt would have found first.

A document is put in shape in the order in which it is written, and libvirt reads it in another one. So
the parts of a refused document are put in shape again one by one, in libvirt's order, each within a
document that has nothing else; the first part that is refused has the mistake that libvirt tells of.

Source: libvirt's src/conf (virDomainDefParseXML, virNetworkDefParseXML, virStoragePoolDefParseXML,
virNWFilterDefParseXML and what they call).
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Final

from lxml import etree

from aiovirt.rpc.wire.errors import RpcError

_DEVICES: Final = (
    *("disk", "controller", "lease", "filesystem", "interface", "smartcard", "parallel", "serial"),
    *("console", "channel", "input", "graphics", "sound", "audio", "video", "hostdev", "watchdog"),
    *("memballoon", "rng", "tpm", "nvram", "hub", "redirdev", "redirfilter", "panic", "shmem"),
    *("memory", "iommu", "vsock"),
)

#: The parts of a document, by kind. `@type` is an attribute of the root, `os/type/text()` an element
#: without its attributes, `disk` all elements of that name, and `*` all that are left.
PARTS: Final[dict[str, tuple[str, ...]]] = {
    "domain": (
        *("name", "uuid", "genid", "@type", "os/type/text()", "os/type", "title"),
        *("seclabel", "memory", "currentMemory", "maxMemory", "memoryBacking"),
        *("blkiotune", "vcpu", "vcpus", "iothreads", "iothreadids", "defaultiothread"),
        *("cputune", "cpu", "numatune", "resource", "features"),
        *("on_reboot", "on_poweroff", "on_crash", "perf", "clock", "os/*"),
        *(f"devices/{name}" for name in _DEVICES),
        *("devices/*", "idmap", "sysinfo"),
    ),
    "network": (
        *("name", "uuid", "@ipv6", "@trustGuestRxFilters", "domain", "bandwidth", "vlan"),
        *("port", "bridge", "mac", "mtu", "dns", "virtualport", "portgroup", "ip", "route"),
        *("forward",),
    ),
    "pool": ("@type", "source", "name", "uuid", "features", "target"),
    "secret": ("@ephemeral", "@private", "uuid", "usage"),
    "nwfilter": ("@name", "@priority", "@chain", "uuid"),
}

#: What the document around a part has, unless it is the part itself: texts by path.
_AROUND: Final[dict[str, dict[str, str]]] = {
    "domain": {"@type": "qemu", "name": "x", "os/type": "hvm"},
    "network": {"name": "x"},
    "pool": {"name": "x"},
    "nwfilter": {"@name": "x"},
    "secret": {"usage/@type": "none"},
}


def first(
    kind: str, raw: etree._Element, found: RpcError, shape: Callable[..., object]
) -> RpcError:
    """Return the refusal that libvirt would have given.

    Args:
        kind: of the document.
        raw: the document as it was given.
        found: a refusal of it.
        shape: refuses a document, or puts it in shape.
    """
    for path in PARTS.get(kind, ()):
        part = _reduced(kind, raw, path)
        if part is not None:
            try:
                shape(part)
            except RpcError as error:
                return error
    return found


def _reduced(kind: str, raw: etree._Element, path: str) -> etree._Element | None:
    """A document with one part of another; None if it does not have the part and need not have it."""
    path, text_only, _ = path.partition("/text()")
    around = {
        key: value for key, value in _AROUND.get(kind, {}).items() if not key.startswith(path)
    }
    name = raw.findtext("name")
    if name and "name" in around:
        around["name"] = name
    if kind == "pool" and path != "@type":  # the other parts depend on it, and it is read first
        around["@type"] = raw.get("type") or ""
    made = etree.Element(str(raw.tag), nsmap=raw.nsmap)
    for key, value in around.items():
        _put(made, key, value)
    if path.startswith("@"):
        given = raw.get(path[1:])
        if given is not None:
            made.set(path[1:], given)
        elif path not in _AROUND.get(kind, {}) and (kind, path) != ("pool", "@type"):
            return None
        return made
    return made if _copied(kind, raw, path, made, text_only=bool(text_only)) else None


def _put(root: etree._Element, path: str, value: str) -> None:
    *steps, last = path.split("/")
    for step in steps:
        inner = root.find(step)
        root = etree.SubElement(root, step) if inner is None else inner
    if last.startswith("@"):
        root.set(last[1:], value)
    else:
        etree.SubElement(root, last).text = value


def _copied(
    kind: str, raw: etree._Element, path: str, made: etree._Element, *, text_only: bool
) -> bool:
    """Copy a part. Returns whether there is something to look at."""
    holder, _, name = path.rpartition("/")
    named = {one.rpartition("/")[2] for one in PARTS[kind] if one.rpartition("/")[0] == holder}
    parents = raw.findall(holder) if holder else [raw]
    elements = [
        one
        for parent in parents[:1]
        for one in parent
        if (one.tag == name if name != "*" else one.tag not in named)
    ]
    target = made
    for step in filter(None, holder.split("/")):
        inner = target.find(step)
        target = etree.SubElement(target, step) if inner is None else inner
    for one in elements:
        copy = deepcopy(one)
        if text_only:
            copy.attrib.clear()
        target.append(copy)
    return bool(elements) or any(one.startswith(path) for one in _AROUND.get(kind, {}))
