"""Documents are read here, and nowhere else in virtd: text in, a tree of lxml out.

Everything that a text can cost is bounded before the parser sees it: its size, the number of its
elements and of its attributes are counted in the bytes. The parser resolves no entity, loads no
document type, opens no file and no connection; libxml2 itself bounds the depth (256) and a single
text. A document type is refused: no libvirt document has one, and entities are declared nowhere else.

Source: libvirt's src/util/virxml.c (virXMLParseHelper).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.rpc.wire.errors import ErrorDomain, RpcError


class Bounds(msgspec.Struct, frozen=True):
    """Limits of one text. size: bytes; elements: their number; attributes: their number, counted as
    `=` before a quote, so a few more are found than exist."""

    size: int
    elements: int
    attributes: int


#: Characters of the shortest element, with its end.
_SHORTEST: Final = 4

#: Those of a document: a guest with 2048 devices has less. Reading and completing one takes the loop.
DOCUMENT: Final = Bounds(1 << 20, 20_000, 60_000)
#: Those of a text that virtd wrote: a completed document that was accepted, in a running guest.
STORED: Final = Bounds(8 << 20, 160_000, 480_000)
#: Those of a world, which has many documents.
WORLD: Final = Bounds(4 << 20, 100_000, 400_000)


def parse(
    text: str | bytes,
    root: str | tuple[str, ...],
    *,
    name: str,
    domain: ErrorDomain = ErrorDomain.DOMAIN,
    bounds: Bounds = DOCUMENT,
) -> etree._Element:
    """Read one document and give its root element; comments and instructions are left out.

    Args:
        text: the document.
        root: the name of its root element, or several that are allowed; none for any.
        name: what errors call the document, as libvirt does: "domain_definition".
        domain: the part of libvirt that owns this kind of document.
        bounds: limits of the text.

    Raises:
        RpcError: XML_DETAIL for text that is not well-formed or too large, XML_ERROR for another root.
    """
    element = _tree(text, name, domain, bounds)
    names = (root,) if isinstance(root, str) else root
    if names and element.tag not in names:
        raise refusals.wrong_root(names[0], str(element.tag))
    return element


def _tree(
    text: str | bytes, name: str, domain: ErrorDomain, bounds: Bounds = DOCUMENT
) -> etree._Element:
    """Parse a text whose cost is bounded."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    _bound(data, name, domain, bounds)
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        attribute_defaults=False,
        huge_tree=False,
        remove_blank_text=True,  # as libvirt does: metadata are indented afresh
        remove_comments=True,
        remove_pis=True,
        encoding="utf-8" if isinstance(text, str) else None,
    )
    try:
        element = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise _syntax(error, data, name, domain) from None
    if element is None:
        raise refusals.broken(f"({name}):1: Document is empty", domain)
    return element


def is_too_large(text: str, bounds: Bounds = DOCUMENT) -> bool:
    """Whether a document is refused for its size alone."""
    return len(text) > bounds.size or text.count("<") > 2 * bounds.elements


def require_within(
    text: str, bounds: Bounds, *, name: str, domain: ErrorDomain = ErrorDomain.DOMAIN
) -> None:
    """Refuse a text that virtd wrote if it could not be read again.

    Args:
        text: the document.
        bounds: limits of the text.
        name: what errors call the document.
        domain: the part of libvirt that owns this kind of document.

    Raises:
        RpcError: XML_DETAIL.
    """
    if len(text) > _SHORTEST * bounds.elements:  # else it cannot have too much of anything
        _bound(text.encode("utf-8", "surrogatepass"), name, domain, bounds)


def _bound(data: bytes, name: str, domain: ErrorDomain, bounds: Bounds) -> None:
    """Refuse a text by what it would cost, from its bytes alone."""
    if len(data) > bounds.size:
        reason = f"document of {len(data)} bytes is too large: at most {bounds.size}"
    elif b"<!DOCTYPE" in data:
        reason = "document types and entities are not allowed"
    elif data.count(b"<") > 2 * bounds.elements:
        reason = f"too many elements: at most {bounds.elements}"
    elif data.count(b'="') + data.count(b"='") > bounds.attributes:
        reason = f"too many attributes: at most {bounds.attributes}"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff", b"\x00", b"<\x00")):
        reason = "document is not in UTF-8"
    else:
        return
    raise refusals.broken(f"({name}):1: {reason}", domain)


def _syntax(error: Exception, data: bytes, name: str, domain: ErrorDomain) -> RpcError:
    """Make the error as libvirt shows it: the line that is wrong, and a pointer below it."""
    if not isinstance(error, etree.XMLSyntaxError):
        return refusals.broken(f"({name}):1: {refusals.shown(str(error))}", domain)
    number, column = error.position
    lines = data.split(b"\n")
    line = lines[number - 1] if 0 < number <= len(lines) else b""
    text = refusals.shown(line.decode(errors="replace")).rstrip("\r")
    pointer = re.sub(r"[^\t]", "-", text[: max(column - 1, 0)])
    reason = (error.msg or "").removesuffix(f", line {number}, column {column}")
    detail = f"({name}):{number}: {refusals.shown(reason)}\n{text or '(null)'}\n{pointer}^"
    return refusals.broken(detail, domain)


def parse_any(text: str, *, name: str, domain: ErrorDomain = ErrorDomain.DOMAIN) -> etree._Element:
    """Read a document whose root may have any name, within the same bounds.

    Args:
        text: the document.
        name: what errors call the document.
        domain: the part of libvirt that owns this kind of document.

    Raises:
        RpcError: XML_DETAIL for text that is not well-formed or too large.
    """
    return _tree(text, name, domain)
