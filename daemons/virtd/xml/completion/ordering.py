"""The order of devices of one kind: where libvirt inserts each of them, in one pass.

libvirt puts a device before the first of its like that comes later, or after the last of its like, so
the devices of one bus or type stay together, in the order in which their buses came.

Source: libvirt's src/conf/domain_conf.c (virDomainDiskInsert, virDomainControllerInsertPreAlloced).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from lxml import etree


def inserted(
    devices: Iterable[tuple[str | None, tuple[int, ...] | None, etree._Element]],
) -> list[etree._Element]:
    """Return devices in the order that they have after libvirt has inserted one after the other.

    Args:
        devices: of each, what it is among (its bus or its type), its place among those, and itself;
            without a place it comes after the last one.
    """
    blocks: dict[str | None, tuple[list[tuple[int, ...]], list[etree._Element]]] = {}
    for kind, place, device in devices:
        places, block = blocks.setdefault(kind, ([], []))
        if place is None:
            at, place = len(block), places[-1] if places else ()
        else:
            at = bisect_right(places, place)
        places.insert(at, place)
        block.insert(at, device)
    return [device for _, block in blocks.values() for device in block]
