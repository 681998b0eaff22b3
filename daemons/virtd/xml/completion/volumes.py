"""Complete a volume: its allocation is its capacity unless it says otherwise.

Source: libvirt's src/conf/storage_conf.c (virStorageVolDefParseXML).
"""

from __future__ import annotations

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.completion.flavours import Flavour
from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.placing import add
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain


def complete(root: etree._Element, flavour: Flavour) -> None:
    """Add everything that is missing.

    Args:
        root: a volume in shape.
        flavour: not used: all drivers do the same.

    Raises:
        RpcError: XML_ERROR for a volume without a name or a capacity.
    """
    del flavour
    rules = KINDS["volume"].rules
    if not root.findtext("name"):
        raise refusals.refused(
            ErrorCode.XML_ERROR, "missing volume name element", ErrorDomain.STORAGE
        )
    capacity = root.findtext("capacity")
    if capacity is None:
        if root.find("backingStore") is None:
            raise refusals.refused(
                ErrorCode.XML_ERROR, "missing capacity element", ErrorDomain.STORAGE
            )
        capacity = add(root, rules, "capacity", "0", unit="bytes").text or "0"
    if root.find("allocation") is None:
        add(root, rules, "allocation", capacity, unit="bytes")
