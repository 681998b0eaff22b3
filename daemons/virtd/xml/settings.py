"""Single settings of a document, by their path: found, made in libvirt's order, removed.

A path is names of elements below the root: "memtune/hard_limit". An element that is left without
attributes, text and children is removed with its last setting.
"""

from __future__ import annotations

from lxml import etree

from aiovirt.daemons.virtd.xml.documents import Document
from aiovirt.daemons.virtd.xml.placing import add, assign, writable
from aiovirt.daemons.virtd.xml.rules import Rule


def reach(
    document: Document, path: str, within: etree._Element | None = None, rule: Rule | None = None
) -> etree._Element:
    """Return the element at a path; what is missing on the way is made.

    Args:
        document: the document.
        path: names of elements.
        within: the element that the path begins at; None for the root.
        rule: the rule of that element; None for the root's.
    """
    at = document.root if within is None else within
    line = document.rules if rule is None else rule
    for tag in path.split("/"):
        found = at.find(tag)
        at, line = (add(at, line, tag) if found is None else found), line.below(tag)
    return at


def put(
    document: Document,
    path: str,
    text: str | None,
    *,
    within: etree._Element | None = None,
    rule: Rule | None = None,
) -> None:
    """Set the text of the element at a path; None removes the element.

    Args:
        document: the document.
        path: names of elements.
        text: the new text.
        within: the element that the path begins at; None for the root.
        rule: the rule of that element; None for the root's.
    """
    start = document.root if within is None else within
    if text is not None:
        reach(document, path, within, rule).text = writable(text)
    else:
        found = start.find(path)
        if found is not None:
            remove(found, start)
    document.changed()


def put_attributes(element: etree._Element, rule: Rule, values: dict[str, str | None]) -> None:
    """Set several attributes of an element; None removes one.

    Args:
        element: the element.
        rule: its rule.
        values: by name.
    """
    for name, value in values.items():
        assign(element, rule, name, value)


def remove(element: etree._Element, upto: etree._Element) -> None:
    """Remove an element, and those above it that are left empty.

    Args:
        element: what is removed.
        upto: the element that stays in any case.
    """
    parent = element.getparent()
    if parent is None or element is upto:
        return
    parent.remove(element)
    if (
        parent is not upto
        and not len(parent)
        and not parent.attrib
        and not (parent.text or "").strip()
    ):
        remove(parent, upto)
