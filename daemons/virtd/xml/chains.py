"""The chain of files below a disk of a running guest: the disk, and one backing file below the other.

Each file has a number (`index`), by which clients name it: `vda[2]`. A new file gets the next number.

Source: libvirt's src/storage_file/storage_source.c (virStorageSourceChainLookup), src/qemu/qemu_block.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from typing import TYPE_CHECKING, Final

from lxml import etree

from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.xml.documents import Document

#: Gives the path and the format of the file below a file, None for none.
Below = Callable[[str], "tuple[str, str] | None"]

#: Attributes of a source, of which a disk has one unless it is an empty drive.
_PLACES: Final = ("file", "dev", "dir", "volume")

#: Formats that name the file below them.
_WITH_BACKING: Final = ("cow", "qcow", "qcow2", "qed", "vmdk")

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


def unnumbered(backing: etree._Element | None) -> etree._Element:
    """Copy a file of a running guest, with all below it, for a definition, which has no numbers.

    Args:
        backing: the file; None for the end of a chain.
    """
    new = etree.Element("backingStore") if backing is None else deepcopy(backing)
    for one in new.iter("backingStore", "source"):
        one.attrib.pop("index", None)
    return new


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


def number_all(document: Document, below: Below) -> None:
    """Give all files of a guest that starts their numbers, and say where each chain ends.

    libvirt counts from the last disk to the first. An empty drive has a number as well, but does not
    show it.

    Args:
        document: the running guest.
        below: finds what lies below a file.
    """
    disks = list(document.root.iterfind("devices/disk"))[::-1]
    numbers = count(1)
    for disk in disks:
        _number(disk, numbers)
    for disk in disks:
        _end(disk, numbers, below)


def number_one(document: Document, disk: etree._Element, below: Below) -> None:
    """Give the files of a disk that a running guest got their numbers, and say where the chain ends.

    Args:
        document: the running guest.
        disk: the disk.
        below: finds what lies below a file.
    """
    numbers = count(highest(document) + 1)
    _number(disk, numbers)
    _end(disk, numbers, below)
    source = disk.find("source")
    if not _has_source(disk) and source is not None:  # an emptied drive shows its number
        source.set("index", str(next(numbers) - 1))
    document.changed()


def keep(document: Document, old: etree._Element, new: etree._Element) -> None:
    """Give the disk that takes the place of one with the same source the files of that one.

    Args:
        document: the running guest.
        old: the disk as it was.
        new: the disk as it is now.
    """
    if not _has_source(new):
        return
    _set_number(new, index(old))
    below = old.find("backingStore")
    if below is not None and new.find("backingStore") is None:
        _hang(new, deepcopy(below))
    document.changed()


def _has_source(disk: etree._Element) -> bool:
    """Whether a disk is not an empty drive."""
    source = disk.find("source")
    if source is None:
        return False
    return disk.get("type") in ("network", "nvme", "vhostuser") or any(map(source.get, _PLACES))


def _number(disk: etree._Element, numbers: Iterator[int]) -> None:
    target = disk.find("target")
    bus = None if target is None else target.get("bus")
    if bus == "sd" or disk.get("type") == "vhostuser":  # QEMU's -drive and -chardev have no numbers
        return
    for one in files(disk):
        _set_number(one, next(numbers))


def _set_number(one: etree._Element, number: int) -> None:
    holder = one.find("source") if one.tag == "disk" else one
    if number and holder is not None and (one.tag != "disk" or _has_source(one)):
        holder.set("index", str(number))


def _end(disk: etree._Element, numbers: Iterator[int], below: Below) -> None:
    if not _has_source(disk):
        return
    end = files(disk)[-1]
    if end.find("backingStore") is not None:
        return
    path, seen = path_of(end), set[str]()
    driver = end.find("driver" if end is disk else "format")
    form = "raw" if driver is None else driver.get("type") or "raw"
    while form in _WITH_BACKING and path not in seen and (found := below(path)) is not None:
        seen.add(path)
        path, form = found
        lower = etree.Element("backingStore", type="file")
        _set_number(lower, next(numbers))
        etree.SubElement(lower, "format", type=form)
        etree.SubElement(lower, "source", file=path)
        _hang(end, lower)
        end = files(disk)[-1]
    _hang(end, etree.Element("backingStore"))


def _hang(element: etree._Element, below: etree._Element) -> None:
    """Put an element below a file that has none."""
    source = element.find("source")
    if element.tag == "disk" and source is not None:
        source.addnext(below)
    else:
        element.append(below)
