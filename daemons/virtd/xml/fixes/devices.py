"""Corrections of devices, their addresses and their sources."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiovirt.daemons.virtd.xml.fixes.shared import size_of
from aiovirt.daemons.virtd.xml.rules import Scope

#: Models of network interfaces that have options of virtio.
VIRTIO_MODELS: Final = ("virtio", "virtio-transitional", "virtio-non-transitional")

#: The port of a storage protocol whose host names none.
DEFAULT_PORTS: Final = {
    "http": "80",
    "https": "443",
    "ftp": "21",
    "ftps": "990",
    "tftp": "69",
    "ssh": "22",
    "sheepdog": "7000",
    "nbd": "10809",
    "iscsi": "3260",
    "gluster": "24007",
    "vxhs": "9999",
}


def pci(scope: Scope) -> None:
    """An address of nothing but zeros is one that is still to be assigned."""
    out = scope.out
    if (out.get("domain"), out.get("bus"), out.get("slot")) == ("0x0000", "0x00", "0x00"):
        scope.drop("domain", "bus", "slot", "function")


def label(scope: Scope) -> bool | None:
    """A label of a source that neither has a text nor is refused says nothing in a definition."""
    if scope.out.get("labelskip") == "yes":
        return False
    if scope.out.get("relabel") == "yes" and scope.out.find("label") is None:
        return False
    return None


def storage_host(scope: Scope) -> None:
    """A host of storage has the port of its protocol."""
    protocol = None if scope.up is None else scope.up.attribute("protocol")
    port = DEFAULT_PORTS.get(protocol or "")
    out = scope.out
    if port is not None and out.get("port") is None and out.get("transport") is None:
        out.set("port", port)


def network_source(scope: Scope) -> None:
    """A target of iSCSI names its unit; only NFS has a user."""
    out, parent = scope.out, scope.out.getparent()
    name = out.get("name")
    whole = parent is not None and parent.tag == "nvram"
    if out.get("protocol") == "iscsi" and name is not None and "/" not in name and not whole:
        out.set("name", name + "/0")
    identity = out.find("identity")
    if identity is not None and out.get("protocol") != "nfs":
        out.remove(identity)


def interface(scope: Scope) -> None:
    """Options of virtio need its model; filters need a type of interface that has them."""
    out = scope.out
    model = out.find("model")
    virtio = model is not None and model.get("type") in VIRTIO_MODELS
    driver, backend, chosen = out.find("driver"), out.find("backend"), out.find("filterref")
    if driver is not None and out.get("type") != "hostdev":
        if not virtio:
            out.remove(driver)
        elif driver.get("queues") == "1":
            del driver.attrib["queues"]
    if backend is not None and not virtio:
        backend.attrib.pop("vhost", None)
        if not backend.attrib:
            out.remove(backend)
    if chosen is not None and out.get("type") not in ("network", "bridge", "ethernet"):
        out.remove(chosen)


def ifname(scope: Scope) -> None:
    """The names of tap devices that libvirt makes are not part of a definition."""
    name = scope.out.get("dev") or ""
    if scope.live:
        return
    if name.startswith(("vnet", "macvtap", "macvlan")) and scope.out.get("managed") != "no":
        scope.drop("dev")


def filesystem(scope: Scope) -> None:
    """The mode of access is to pass it through, unless a socket gives it."""
    source = scope.out.find("source")
    if scope.out.get("accessmode") is None and (source is None or source.get("socket") is None):
        scope.out.set("accessmode", "passthrough")


def usage(scope: Scope) -> None:
    """The size of a file system in memory is in KiB."""
    size = size_of(scope, "usage", scope.out.get("usage") or "0", "KiB", "units")
    scope.out.set("usage", str(size // 1024))
    scope.out.set("units", "KiB")


def random(scope: Scope) -> None:
    """Random numbers come from /dev/random unless another source is named."""
    scope.out.text = scope.out.text or "/dev/random"


def unix_source(scope: Scope) -> bool | None:
    """A socket without a path is made by libvirt, and not written."""
    return False if scope.out.get("path") is None else None


def cid(scope: Scope) -> None:
    """The number of a socket is chosen by the host unless it is given."""
    if scope.out.get("auto") is None:
        scope.out.set("auto", "yes" if scope.out.get("address") is None else "no")


def channel(scope: Scope) -> bool | None:
    """A channel of no preference is not listed."""
    return False if scope.out.get("mode") == "any" else None


FIXES: Final[dict[str, Callable[[Scope], bool | None]]] = {
    "pci": pci,
    "label": label,
    "storagehost": storage_host,
    "netsource": network_source,
    "interface": interface,
    "ifname": ifname,
    "filesystem": filesystem,
    "usage": usage,
    "random": random,
    "unixsource": unix_source,
    "cid": cid,
    "channel": channel,
}
