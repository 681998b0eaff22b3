"""Values that calls ask of a guest's document and set in it: numbers, names, metadata.

Sizes of memory are in KiB, as in the documents.

Source: libvirt's src/conf/domain_conf.c (virDomainDefGetMemoryTotal, virDomainDefSetVcpus,
virDomainObjGetMetadata, virDomainDefSetMetadata).
"""

from __future__ import annotations

import re
from copy import deepcopy
from enum import IntEnum
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import reading, refusals
from aiovirt.daemons.virtd.xml.documents import Document
from aiovirt.daemons.virtd.xml.placing import add, assign, writable
from aiovirt.rpc.wire.errors import ErrorCode

#: Namespaces that only XML itself has.
_XML_NAMESPACES: Final = ("http://www.w3.org/XML/1998/namespace", "http://www.w3.org/2000/xmlns/")


class MetadataType(IntEnum):
    """The kinds of metadata (virDomainMetadataType)."""

    DESCRIPTION = 0
    TITLE = 1
    ELEMENT = 2


def name(document: Document) -> str:
    """The name of a guest, a network, a pool or the like."""
    return document.root.findtext("name") or ""


def uuid(document: Document) -> str:
    """The UUID in its usual form."""
    return document.root.findtext("uuid") or ""


def identity(document: Document) -> int:
    """The number of a running guest; -1 for a definition."""
    return int(document.root.get("id") or -1)


def os_type(document: Document) -> str:
    """The kind of guest, as calls report it: a paravirtual one of Xen is "xen"."""
    found = document.root.findtext("os/type") or ""
    return "xen" if found == "linux" and document.root.get("type") == "xen" else found


def max_memory(document: Document) -> int:
    """The memory that a guest has at most without hot plug, in KiB."""
    return int(document.root.findtext("memory") or 0)


def memory(document: Document) -> int:
    """The memory that a guest has now, in KiB."""
    return int(document.root.findtext("currentMemory") or 0)


def max_vcpus(document: Document) -> int:
    """The number of processors that a guest can have."""
    return int(document.root.findtext("vcpu") or 1)


def vcpus(document: Document) -> int:
    """The number of processors that are in use."""
    vcpu = document.root.find("vcpu")
    return int((None if vcpu is None else vcpu.get("current")) or max_vcpus(document))


def iothreads(document: Document) -> tuple[int, ...]:
    """The numbers of a guest's threads for input and output: those named, and the free ones below."""
    named = [int(one.get("id") or 0) for one in document.root.iterfind("iothreadids/iothread")]
    count = int(document.root.findtext("iothreads") or len(named))
    taken = set(named)
    number = 0
    while len(named) < count:
        number += 1
        if number not in taken:
            named.append(number)
    return tuple(named)


def set_iothreads(document: Document, numbers: tuple[int, ...], *, named: bool) -> None:
    """Set which threads for input and output a guest has.

    Args:
        document: the guest.
        numbers: of the threads.
        named: their numbers are written; those that count from 1 need not be.
    """
    _set_text(document, "iothreads", str(len(numbers)) if numbers else None)
    old = document.root.find("iothreadids")
    if old is not None:
        document.root.remove(old)
    if numbers and (named or numbers != tuple(range(1, len(numbers) + 1))):
        holder = add(document.root, document.rules, "iothreadids")
        rule = document.rules.below("iothreadids")
        for number in numbers:
            add(holder, rule, "iothread", id=str(number))
    document.changed()


def _set_text(document: Document, tag: str, text: str | None) -> None:
    """Set, make or remove an element of the root."""
    element = document.root.find(tag)
    if not text:
        if element is not None:
            document.root.remove(element)
    elif element is None:
        add(document.root, document.rules, tag, text)
    else:
        element.text = writable(text)
    document.changed()


def set_name(document: Document, new: str) -> None:
    """Rename a guest.

    Args:
        document: the guest.
        new: its new name.
    """
    _set_text(document, "name", new)


def set_memory(document: Document, kib: int) -> None:
    """Set the memory that a guest has now.

    Args:
        document: the guest.
        kib: the memory in KiB.

    Raises:
        RpcError: INVALID_ARG for more than its maximum.
    """
    if kib > max_memory(document):
        detail = (
            f"cannot set memory of {kib} KiB higher than max memory of {max_memory(document)} KiB"
        )
        raise refusals.refused(ErrorCode.INVALID_ARG, detail)
    _set_text(document, "currentMemory", str(kib))


def set_max_memory(document: Document, kib: int) -> None:
    """Set the memory that a guest can have; the current one is lowered to it.

    Args:
        document: the guest.
        kib: the memory in KiB.

    Raises:
        RpcError: OPERATION_INVALID for a guest with nodes of memory, whose sum is the maximum.
    """
    if document.root.find("cpu/numa/cell") is not None:
        detail = "initial memory size of a domain with NUMA nodes cannot be modified with this API"
        raise refusals.refused(ErrorCode.OPERATION_INVALID, detail)
    _set_text(document, "memory", str(kib))
    if memory(document) > kib:
        _set_text(document, "currentMemory", str(kib))


def set_vcpus(document: Document, count: int, *, maximum: bool = False) -> None:
    """Set the number of processors in use, or of those that a guest can have.

    Args:
        document: the guest.
        count: how many.
        maximum: set the maximum; those in use are lowered to it.

    Raises:
        RpcError: INVALID_ARG for none, or more than the maximum.
    """
    limit = max_vcpus(document)
    if count < 1 or (not maximum and count > limit):
        detail = (
            "requested vcpus is greater than max allowable vcpus for the persistent domain:"
            f" {count} > {limit}"
        )
        raise refusals.refused(ErrorCode.INVALID_ARG, detail)
    vcpu = document.root.find("vcpu")
    if vcpu is None:
        vcpu = add(document.root, document.rules, "vcpu", str(count), placement="static")
    current = min(vcpus(document), count) if maximum else count
    if maximum:
        vcpu.text = str(count)
    value = None if str(current) == vcpu.text else str(current)
    assign(vcpu, document.rules.below("vcpu"), "current", value)
    document.changed()


def metadata(document: Document, kind: int, uri: str | None = None) -> str:
    """Read a title, a description, or the metadata of a namespace.

    Args:
        document: a guest or a network.
        kind: a MetadataType.
        uri: the namespace.

    Raises:
        RpcError: NO_DOMAIN_METADATA if there is none, INVALID_ARG for another kind.
    """
    found: str | None = None
    if kind == MetadataType.DESCRIPTION:
        found = document.root.findtext("description")
    elif kind == MetadataType.TITLE:
        found = document.root.findtext("title")
    elif kind == MetadataType.ELEMENT:
        element = _of_namespace(document.root.find("metadata"), uri)
        found = None if element is None else _without_namespace(element, uri or "")
    else:
        raise refusals.refused(ErrorCode.INVALID_ARG, f"unknown metadata type '{kind}'")
    if found is None:
        detail = "Requested metadata element is not present"
        raise refusals.refused(ErrorCode.NO_DOMAIN_METADATA, detail)
    return found


def set_metadata(
    document: Document, kind: int, text: str | None, key: str | None = None, uri: str | None = None
) -> None:
    """Set or remove a title, a description, or the metadata of a namespace.

    Args:
        document: a guest or a network.
        kind: a MetadataType.
        text: the title or description, or an element without its namespace; None removes it.
        key: the prefix of the namespace.
        uri: the namespace.

    Raises:
        RpcError: INVALID_ARG for another kind, XML_DETAIL for an element that is not well-formed,
            XML_ERROR for a title of several lines.
    """
    if kind == MetadataType.DESCRIPTION:
        _set_text(document, "description", text)
        return
    if kind == MetadataType.TITLE:
        if text and "\n" in text:
            raise refusals.refused(ErrorCode.XML_ERROR, "Domain title can't contain newlines")
        _set_text(document, "title", text)
        return
    if kind != MetadataType.ELEMENT:
        raise refusals.refused(ErrorCode.INVALID_ARG, f"unknown metadata type '{kind}'")
    new = None if text is None else _with_namespace(text, key or "", uri or "")
    holder = document.root.find("metadata")
    old = _of_namespace(holder, uri)
    if old is not None and holder is not None:
        holder.remove(old)
    if new is not None:
        if holder is None:
            holder = add(document.root, document.rules, "metadata")
        holder.append(new)
    document.changed()


def _of_namespace(holder: etree._Element | None, uri: str | None) -> etree._Element | None:
    for child in holder if holder is not None else ():
        if etree.QName(child).namespace == uri:
            return child
    return None


def _with_namespace(text: str, key: str, uri: str) -> etree._Element:
    """Read an element and put it and all in it that has no namespace into one."""
    given = reading.parse_any(text, name="metadata_xml")
    _check_namespace(key, uri)
    if key in given.nsmap:
        detail = "failed to create a new XML namespace"
        raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail)
    return _renamed(given, uri, {key: uri})


def _check_namespace(key: str, uri: str) -> None:
    """Refuse what no document can declare. Raises RpcError INTERNAL_ERROR, as libvirt does."""
    if key in ("xml", "xmlns") or not re.fullmatch(r"[^\W\d][\w.-]*", key):
        detail = "failed to validate prefix for a new XML namespace"
        raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail)
    try:
        if not uri or uri.startswith(_XML_NAMESPACES):
            raise ValueError("reserved")
        etree.Element(f"{{{uri}}}any", nsmap={key: uri})
    except ValueError:
        detail = f"failed to create a new XML namespace '{ascii(refusals.shown(uri))[1:-1]}'"
        raise refusals.refused(ErrorCode.INTERNAL_ERROR, detail) from None


def _renamed(given: etree._Element, uri: str, prefixes: dict[str, str]) -> etree._Element:
    tag = given.tag if given.prefix else f"{{{uri}}}{etree.QName(given).localname}"
    new = etree.Element(
        tag, given.attrib, nsmap={**{p: u for p, u in given.nsmap.items() if p}, **prefixes}
    )
    new.text, new.tail = given.text, given.tail
    for child in given:
        new.append(_renamed(child, uri, prefixes))
    return new


def _without_namespace(element: etree._Element, uri: str) -> str:
    """Write an element of metadata as its writer gave it: without the namespace that was added."""
    copy = deepcopy(element)
    copy.tail = None
    for node in copy.iter():
        if isinstance(node.tag, str) and etree.QName(node).namespace == uri:
            node.tag = etree.QName(node).localname
    etree.cleanup_namespaces(copy)
    return etree.tostring(copy, encoding="unicode", pretty_print=True).rstrip("\n")
