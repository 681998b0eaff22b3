"""Write a tree as libvirt writes it: two spaces a level, single quotes, `<x/>` for what is empty.

Metadata are written as libxml2 writes them, with double quotes, since libvirt hands them to it.
"""

from __future__ import annotations

from copy import deepcopy

from lxml import etree

from aiovirt.rpc.patterns import pattern

_METADATA = "metadata"
_SPECIAL = pattern("[&<>'\"]")


def _escape(value: str) -> str:
    """Escape a text or a value as virBufferEscapeString does."""
    if not _SPECIAL.search(value):
        return value
    if "&" in value:
        value = value.replace("&", "&amp;")
    for character, entity in (("<", "&lt;"), (">", "&gt;"), ("'", "&apos;"), ('"', "&quot;")):
        if character in value:
            value = value.replace(character, entity)
    return value


def write(element: etree._Element) -> str:
    """Write an element and all below it; the text ends with a line feed."""
    lines: list[str] = []
    _write(element, "", lines)
    return "".join(lines)


def _write(element: etree._Element, indent: str, lines: list[str]) -> None:
    tag = str(element.tag)
    if tag == _METADATA:
        lines.append(_foreign(element, indent))
        return
    head = f"{indent}<{tag}"
    for name, value in element.items():
        head += f" {name}='{_escape(value)}'"
    body = element.text
    if not len(element):
        if body is None:
            lines.append(f"{head}/>\n")
        elif body:
            lines.append(f"{head}>{_escape(body)}</{tag}>\n")
        else:
            lines.append(f"{head}>\n{indent}</{tag}>\n")
        return
    lines.append(f"{head}>\n")
    deeper = indent + "  "
    for child in element:
        _write(child, deeper, lines)
    lines.append(f"{indent}</{tag}>\n")


def _foreign(element: etree._Element, indent: str) -> str:
    """Write metadata with libxml2's own indentation, at the depth of the element."""
    inner = deepcopy(element)
    inner.tail = None
    for _ in range(len(indent) // 2):
        outer = etree.Element("x")
        outer.append(inner)
        inner = outer
    text = etree.tostring(inner, encoding="unicode", pretty_print=True)
    skipped = len(indent) // 2
    return "".join(text.splitlines(keepends=True)[skipped : -skipped or None])
