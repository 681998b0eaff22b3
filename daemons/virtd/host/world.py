"""The world that a new host begins with, from a document in the form of libvirt's test driver.

Such a document has a `<node>` with domains, networks, interfaces, pools and devices in it.

Source: libvirt's src/test/test_driver.c (testOpenParse).
"""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

from lxml import etree

from aiovirt.daemons.virtd.host import lifecycle
from aiovirt.daemons.virtd.xml import reading

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host


def fill(host: Host) -> None:
    """Give a host what its driver begins with. Raises RpcError when the store cannot be written."""
    if host.name == "test":
        text = resources.files("aiovirt.daemons.virtd").joinpath("worlds/test.xml").read_text()
        build(host, text)


def build(host: Host, text: str) -> None:
    """Add what a document describes to a host.

    Args:
        host: the host.
        text: the document, whose root is `<node>`.

    Raises:
        RpcError: it is not such a document.
    """
    root = reading.parse(text, "node", name="node_description")
    for element in root:
        if element.tag == "domain":
            domain = lifecycle.define(host, etree.tostring(element, encoding="unicode"))
            lifecycle.start(domain)
            domain.change(reason=0)  # as a world that has always been
