"""Put elements and attributes where libvirt's order has them."""

from __future__ import annotations

from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.daemons.virtd.xml.rules import Rule, Scope
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import ErrorCode

#: Characters that no XML document may have.
_UNWRITABLE: Final = pattern("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def writable(value: str) -> str:
    """Return a text from outside a document, if a document can have it.

    Raises RpcError INVALID_ARG for a control character, and for bytes that are not UTF-8.
    """
    if _UNWRITABLE.search(value):
        shown = ascii(refusals.shown(value))
        raise refusals.refused(ErrorCode.INVALID_ARG, f"{shown} has a character that XML forbids")
    return value


def need(parent: etree._Element, path: str) -> etree._Element:
    """The element at a path that every document in shape has.

    Args:
        parent: where the path begins.
        path: names of elements.

    Raises:
        LookupError: if there is none.
    """
    found = parent.find(path)
    if found is None:
        raise LookupError(f"<{parent.tag!s}> has no <{path}>")
    return found


def duplicate(element: etree._Element, tag: str | None = None) -> etree._Element:
    """Copy a small element; for these it takes a fraction of the time of `deepcopy`.

    Args:
        element: what is copied.
        tag: the name of the copy; None for the same.
    """
    copy = etree.Element(tag or str(element.tag), dict(element.items()))
    copy.text = element.text
    copy.extend([duplicate(child) for child in element])
    return copy


def holder(element: etree._Element) -> etree._Element:
    """The parent of an element that is part of a document.

    Raises:
        LookupError: for a root.
    """
    found = element.getparent()
    if found is None:
        raise LookupError(f"<{element.tag!s}> is a root")
    return found


def arrange(given: list[etree._Element], wanted: list[etree._Element]) -> None:
    """Put siblings in another order, from the place of the first one on.

    Args:
        given: the siblings, in the order of the document.
        wanted: the same ones, or others in their place, in the new order.
    """
    if given == wanted:
        return
    parent, before = holder(given[0]), given[0].getprevious()
    kept = set(wanted)
    for element in given:
        if element not in kept:
            parent.remove(element)
    for element in wanted:  # by neighbours: a child's number takes long to find
        if before is None:
            parent.insert(0, element)
        else:
            before.addnext(element)
        before = element


def place(parent: etree._Element, child: etree._Element, rule: Rule) -> None:
    """Add a child after its like and before all that libvirt writes after it.

    Args:
        parent: the element that gets it.
        child: what is added.
        rule: the parent's rule.
    """
    mine = _position(rule, parent, child, default=len(rule.children))
    after: etree._Element | None = None  # by neighbours: a child's number takes long to find
    for other in parent.iterchildren(reversed=True):
        if _position(rule, parent, other, default=-1) <= mine:
            break
        after = other
    if after is None:
        parent.append(child)
    else:
        after.addprevious(child)


def _position(rule: Rule, parent: etree._Element, child: etree._Element, *, default: int) -> int:
    """The number of the line that is about this child."""
    lines = rule.by_tag.get(child.tag, ())  # type: ignore[arg-type]  # no comments are left
    if len(lines) > 1:
        scope = Scope(child, child, Scope(parent, parent, None))
        for number, line in lines:
            if line.when is None or line.when(scope):
                return number
    return lines[0][0] if lines else default


def add(
    parent: etree._Element, rule: Rule, tag: str, text: str | None = None, **attributes: str
) -> etree._Element:
    """Make a child and put it in its place.

    Args:
        parent: the element that gets it.
        rule: the parent's rule.
        tag: the child's name.
        text: its text.
        attributes: its attributes.

    Raises:
        RpcError: as `writable` does.
    """
    child = etree.Element(tag, {name: writable(value) for name, value in attributes.items()})
    child.text = None if text is None else writable(text)
    place(parent, child, rule)
    return child


def assign(element: etree._Element, rule: Rule, name: str, value: str | None) -> None:
    """Set an attribute in its place among the others; None removes it.

    Args:
        element: the element.
        rule: its rule.
        name: the attribute's name.
        value: the new value.

    Raises:
        RpcError: as `writable` does.
    """
    if value is None:
        element.attrib.pop(name, None)
        return
    value = writable(value)
    order = rule.order
    mine = order.get(name, len(order))
    later: list[tuple[str, str]] = []
    for other, kept in element.items():
        if other == name:
            element.set(name, value)
            return
        if order.get(str(other), -1) > mine:
            later.append((str(other), str(kept)))
    for other, _ in later:
        del element.attrib[other]
    element.set(name, value)
    for other, kept in later:
        element.set(other, kept)
