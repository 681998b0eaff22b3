"""The chain of files below a disk of a running guest: the disk, and one backing file below the other.

Each file has a number (`index`), by which clients name it: `vda[2]`. A new file gets the next number.

Source: libvirt's src/storage_file/storage_source.c (virStorageSourceChainLookup), src/qemu/qemu_block.c.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Final

from lxml import etree

from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.xml.documents import Document

#: The name of a file by its number.
_NUMBERED: Final = pattern(r"(.*)\[([1-9][0-9]*)\]\Z")


def path_of(element: etree._Element) -> str:
    """The path of a file; the element is a disk, a backing file or a mirror."""
    source = element.find("source")
    if source is None:
        return ""
    return source.get("file") or source.get("dev") or source.get("name") or ""


def files(disk: etree._Element) -> list[etree._Element]:
    """The elements of a chain, the disk first."""
    found = [disk]
    below = disk.find("backingStore")
    while below is not None and below.find("source") is not None:
        found.append(below)
        below = below.find("backingStore")
    return found


def index(element: etree._Element) -> int:
    """The number of a file, 0 for none."""
    source = element.find("source")
    number = element.get("index") or (None if source is None else source.get("index"))
    return int(number or 0)


def highest(document: Document) -> int:
    """The highest number of a file of a guest."""
    numbers = [str(one) for one in document.root.xpath("devices/disk//@index")]
    return max(map(int, numbers), default=0)


def find(
    target: str, chain: list[etree._Element], name: str, above: etree._Element | None = None
) -> etree._Element:
    """Return a file of a chain.

    Args:
        target: of the disk.
        chain: the files.
        name: the path of the file, or its number with the target.
        above: only files below this one count.

    Raises:
        RpcError: INVALID_ARG for a file that is not there.
    """
    match = _NUMBERED.match(name)
    start = 0 if above is None else chain.index(above) + 1
    if match is not None and match[1] != target:
        raise _refused(f"requested target '{match[1]}' does not match target '{target}'")
    for one in chain[start:]:
        if (index(one) == int(match[2])) if match is not None else (path_of(one) == name):
            return one
    if match is not None:
        raise _refused(f"could not find backing store index '{match[2]}' in chain for '{target}'")
    beneath = "" if above is None else f" beneath '{path_of(above)}'"
    raise _refused(f"could not find image '{name}'{beneath} in chain for '{target}'")


def _refused(detail: str) -> RpcError:
    return RpcError.of(ErrorCode.INVALID_ARG, detail, domain=ErrorDomain.STORAGE)


def set_backing(element: etree._Element, backing: etree._Element | None) -> None:
    """Put another file below one.

    Args:
        element: the file.
        backing: the file below it, with all below that; None for none.
    """
    new = etree.Element("backingStore") if backing is None else deepcopy(backing)
    old = element.find("backingStore")
    if old is not None:
        element.replace(old, new)
    elif element.tag == "disk":
        source = element.find("source")
        element.insert(0 if source is None else element.index(source) + 1, new)
    else:
        element.append(new)


def set_file(disk: etree._Element, path: str, form: str, number: int = 0) -> None:
    """Have a disk use another file.

    Args:
        disk: the disk.
        path: of the file.
        form: its format.
        number: its number, 0 for none, in a definition.
    """
    source, driver = disk.find("source"), disk.find("driver")
    if source is None:
        return
    source.set("file", path)
    source.attrib.pop("index", None)
    if number:
        source.set("index", str(number))
    if driver is not None:
        driver.set("type", form)


def number_all(document: Document) -> None:
    """Give all files of a guest that starts their numbers, and say where each chain ends."""
    number = 0
    for disk in document.root.iterfind("devices/disk"):
        source = disk.find("source")
        if source is None or not path_of(disk):
            continue
        for one in files(disk):
            number += 1
            if one is disk:
                source.set("index", str(number))
            else:
                one.set("index", str(number))
        end = files(disk)[-1]
        if end.find("backingStore") is None:
            set_backing(end, None)
