"""The rules by which libvirt refuses a definition that is in shape, as tables.

Two kinds of rules: a condition under which a document is refused, and a key that no two elements may
share. A rule is looked at only if the document has the element that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain

#: The codes that tables name.
CODES: Final = {
    "xml": ErrorCode.XML_ERROR,
    "detail": ErrorCode.XML_DETAIL,
    "unsupported": ErrorCode.CONFIG_UNSUPPORTED,
    "internal": ErrorCode.INTERNAL_ERROR,
    "argument": ErrorCode.INVALID_ARG,
    "target": ErrorCode.NO_TARGET,
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A document is refused if an XPath holds."""

    about: str
    code: ErrorCode
    holds: etree.XPath
    detail: str
    values: tuple[etree.XPath, ...]

    def check(self, root: etree._Element, domain: ErrorDomain) -> None:
        """Refuse the document if the condition holds.

        Args:
            root: the document.
            domain: the part of libvirt that refuses.
        """
        if self.holds(root):
            found = [str(value(root)) for value in self.values]
            detail = self.detail.format(*map(refusals.shown, found))
            raise refusals.refused(self.code, detail, domain)


@dataclass(frozen=True, slots=True)
class Unique:
    """No two elements may have the same key; an element without a part of it has none."""

    about: str
    code: ErrorCode
    elements: etree.XPath
    keys: tuple[etree.XPath, ...]
    detail: str

    def check(self, root: etree._Element, domain: ErrorDomain) -> None:
        """Refuse the document if two elements share a key.

        Args:
            root: the document.
            domain: the part of libvirt that refuses.
        """
        found = self.elements(root)
        if not isinstance(found, list) or len(found) < 2:
            return
        seen: set[tuple[str, ...]] = set()
        for element in found:
            key = tuple(str(part(element)) for part in self.keys)
            if not all(key):
                continue
            if key in seen:
                detail = self.detail.format(*map(refusals.shown, key))
                raise refusals.refused(self.code, detail, domain)
            seen.add(key)


Rule = Condition | Unique


def conditions(table: Iterable[tuple[str, ...]]) -> list[Rule]:
    """Compile conditions: element, code, XPath, detail, and an XPath for each `{}` of the detail."""
    return [
        Condition(about, CODES[code], etree.XPath(holds), detail, tuple(map(etree.XPath, values)))
        for about, code, holds, detail, *values in table
    ]


def unique(table: Iterable[tuple[str, str, str, str, str]]) -> list[Rule]:
    """Compile keys: element, code, XPath of the elements, the key's parts, detail."""
    return [
        Unique(
            about,
            CODES[code],
            etree.XPath(elements),
            tuple(etree.XPath(f"string({key})") for key in keys.split()),
            detail,
        )
        for about, code, elements, keys, detail in table
    ]


def check(root: etree._Element, rules: Iterable[Rule], domain: ErrorDomain) -> None:
    """Refuse a document that breaks a rule.

    Args:
        root: the document, in shape.
        rules: what is looked at.
        domain: the part of libvirt that refuses.

    Raises:
        RpcError: for the first rule that is broken.
    """
    names = {element.tag for element in root.iter()}
    for rule in rules:
        if rule.about in names:
            rule.check(root, domain)
