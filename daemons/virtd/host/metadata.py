"""Title, description and metadata of a domain or a network: words that only people and programs read.

Source: libvirt's src/conf/domain_conf.c (virDomainDefSetMetadata).
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Final

from lxml import etree

from aiovirt.daemons.virtd.constants.domain import DomainMetadataType
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.host.editing import edit, facts, impact
from aiovirt.daemons.virtd.xml import kinds, placing, reading, writing
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

_TEXTS: Final = {
    int(DomainMetadataType.DESCRIPTION): "description",
    int(DomainMetadataType.TITLE): "title",
}


def get(domain: Domain, kind: int, uri: str | None, flags: int) -> str:
    """Return a piece of metadata.

    Args:
        domain: the domain.
        kind: DomainMetadataType.
        uri: the name space of an element.
        flags: DomainModificationImpact.

    Raises:
        RpcError: NO_DOMAIN_METADATA if it has none, INVALID_ARG for an unknown kind.
    """
    _check(kind)
    root = facts(domain, flags).root
    found: str | None
    if kind in _TEXTS:
        found = root.findtext(_TEXTS[kind])
    else:
        element = _element(root, uri or "")
        found = None if element is None else _shown(element)
    if found is None:
        raise RpcError.of(
            ErrorCode.NO_DOMAIN_METADATA,
            "Requested metadata element is not present",
            domain=ErrorDomain.DOMAIN,
        )
    return found


def set_(
    domain: Domain, kind: int, text: str | None, key: str | None, uri: str | None, flags: int
) -> None:
    """Set a piece of metadata, or remove it.

    Args:
        domain: the domain.
        kind: DomainMetadataType.
        text: the words, or an element; None removes it.
        key: the prefix of an element's name space.
        uri: the name space of an element.
        flags: DomainModificationImpact.

    Raises:
        RpcError: INVALID_ARG for an unknown kind, XML_DETAIL for an element that cannot be read.
    """
    _check(kind)
    meant = impact(domain, flags)
    added = None
    if kind not in _TEXTS and text is not None:
        added = _in_namespace(text, key or "", uri or "")

    def change(root: etree._Element) -> None:
        rule = kinds.KINDS["domain"].rules
        if kind in _TEXTS:
            old = root.find(_TEXTS[kind])
            if old is not None:
                root.remove(old)
            if text:
                placing.add(root, rule, _TEXTS[kind], text)
            return
        old = _element(root, uri or "")
        if old is not None:
            old.getparent().remove(old)  # type: ignore[union-attr]  # it was found below the root
        if added is not None:
            holder = root.find("metadata")
            if holder is None:
                holder = placing.add(root, rule, "metadata")
            holder.append(deepcopy(added))

    edit(domain, meant, change)
    domain.emit(DomainEventID.METADATA_CHANGE, kind, uri)


def _check(kind: int) -> None:
    if kind not in (*_TEXTS, DomainMetadataType.ELEMENT):
        raise RpcError.of(
            ErrorCode.INVALID_ARG, f"unknown metadata type '{kind}'", domain=ErrorDomain.DOMAIN
        )


def _element(root: etree._Element, uri: str) -> etree._Element | None:
    for child in root.iterfind("metadata/*"):
        if isinstance(child.tag, str) and etree.QName(child).namespace == uri:
            return child
    return None


def _shown(element: etree._Element) -> str:
    """The element as the client gave it: without the name space that libvirt gives it."""
    copy = deepcopy(element)
    copy.tail = None
    for one in copy.iter():
        if isinstance(one.tag, str):
            one.tag = etree.QName(one).localname
    etree.cleanup_namespaces(copy)
    return writing.write(copy).rstrip("\n")


def _in_namespace(text: str, key: str, uri: str) -> etree._Element:
    """The element of a text, in a name space with a prefix."""
    given = reading.parse(text, (), name="(metadata_xml)")
    root = etree.Element(f"{{{uri}}}{given.tag}", nsmap={key: uri})
    _copy(given, root, uri)
    return root


def _copy(source: etree._Element, target: etree._Element, uri: str) -> None:
    target.attrib.update(source.attrib)
    target.text = source.text
    for child in source:
        made = etree.SubElement(target, f"{{{uri}}}{child.tag}")
        made.tail = child.tail
        _copy(child, made, uri)
