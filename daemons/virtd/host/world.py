"""The world that a new host begins with, from a document in the form of libvirt's test driver.

Such a document has a `<node>` with domains, networks, interfaces, pools and devices in it.

Source: libvirt's src/test/test_driver.c (testOpenParse).
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from lxml import etree

from aiovirt.daemons.virtd.host import (
    device,
    interface,
    network,
    pool_life,
    volume_making,
    world_domain,
)
from aiovirt.daemons.virtd.xml import reading

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host


def fill(host: Host) -> None:
    """Give a host what its driver begins with. Raises RpcError when the store cannot be written."""
    text = pkgutil.get_data("aiovirt.daemons.virtd", f"worlds/{host.name}.xml") or b""
    build(host, text.decode())


def build(host: Host, text: str) -> None:
    """Add what a document describes to a host.

    Args:
        host: the host.
        text: the document, whose root is `<node>`.

    Raises:
        RpcError: it is not such a document.
    """
    build_node(host, reading.parse(text, "node", name="node_description"))


def build_node(host: Host, root: etree._Element) -> None:
    """Add what a `<node>` describes to a host; see `build`."""
    for element in sorted(root, key=lambda one: one.tag == "domain"):  # guests need the rest
        builder = _BUILDERS.get(str(element.tag))
        if builder is not None:
            builder(host, etree.tostring(element, encoding="unicode"))


def _network(host: Host, text: str) -> None:
    found = network.define(host, text)
    network.start(found)
    if host.name == "qemu":
        network.set_autostart(found, wanted=True)


def _pool(host: Host, text: str) -> None:
    element = reading.parse(text, "pool", name="pool_definition")
    found = pool_life.define(host, text)
    pool_life.start(found)
    for volume in element.findall("volume"):
        volume_making.create(found, etree.tostring(volume, encoding="unicode"))


def _interface(host: Host, text: str) -> None:
    interface.define(host, text, active=True)


_BUILDERS: Final[dict[str, Callable[[Host, str], object]]] = {
    "domain": world_domain.add,
    "network": _network,
    "pool": _pool,
    "interface": _interface,
    "device": device.add,
}
