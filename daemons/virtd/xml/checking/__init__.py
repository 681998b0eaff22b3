"""The rules by which libvirt refuses a definition that is in shape, as tables.

Three kinds of rules: a condition under which a document is refused, a key that no two elements may
share, and a function for what an XPath cannot say. A rule is looked at only if the document has the
element that it is about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.xml import refusals
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain

#: Sets of elements for which the joined XPath is kept.
_JOINED_MAX: Final = 128
#: The codes that tables name.
CODES: Final = {
    "xml": ErrorCode.XML_ERROR,
    "detail": ErrorCode.XML_DETAIL,
    "unsupported": ErrorCode.CONFIG_UNSUPPORTED,
    "internal": ErrorCode.INTERNAL_ERROR,
    "argument": ErrorCode.INVALID_ARG,
    "target": ErrorCode.NO_TARGET,
    "name": ErrorCode.NO_NAME,
}


class Condition(msgspec.Struct, frozen=True):
    """A document is refused if an XPath holds; source: an XPath that is true then."""

    about: str
    code: ErrorCode
    source: str
    holds: etree.XPath
    detail: str
    values: tuple[etree.XPath, ...]
    domain: ErrorDomain | None = None

    def check(self, root: etree._Element, domain: ErrorDomain) -> None:
        """Refuse the document if the condition holds.

        Args:
            root: the document.
            domain: the part of libvirt that refuses.
        """
        if self.holds(root):
            found = [str(value(root)) for value in self.values]
            detail = self.detail.format(*map(refusals.shown, found))
            raise refusals.refused(self.code, detail, self.domain or domain)


class Unique(msgspec.Struct, frozen=True):
    """No two elements may have the same key; an element without a part of it has none.

    source: an XPath that is true if there are two elements.
    """

    about: str
    code: ErrorCode
    source: str
    elements: etree.XPath
    keys: tuple[etree.XPath, ...]
    detail: str
    named: etree.XPath | None = (
        None  # what `{first}` and `{second}` of the detail are of each element
    )

    def check(self, root: etree._Element, domain: ErrorDomain) -> None:
        """Refuse the document if two elements share a key.

        Args:
            root: the document.
            domain: the part of libvirt that refuses.
        """
        found = self.elements(root)
        if not isinstance(found, list) or len(found) < 2:
            return
        seen: dict[tuple[str, ...], etree._Element] = {}
        for element in found:
            key = tuple(str(part(element)) for part in self.keys)
            if not all(key):
                continue
            if key in seen:
                raise refusals.refused(self.code, self._said(key, seen[key], element), domain)
            seen[key] = element

    def _said(self, key: tuple[str, ...], *elements: etree._Element) -> str:
        names = [str(self.named(one)) if self.named is not None else "" for one in elements]
        parts = map(refusals.shown, key)
        first, second = (refusals.shown(name or "(null)") for name in names)
        return self.detail.format(*parts, first=first, second=second)


class Computed(msgspec.Struct, frozen=True):
    """A document is refused if a function says why; source: an XPath that is true if it may be."""

    about: str
    source: str
    reason: Callable[[etree._Element], tuple[ErrorCode, str] | None]

    def check(self, root: etree._Element, domain: ErrorDomain) -> None:
        """Refuse the document if there is a reason.

        Args:
            root: the document.
            domain: the part of libvirt that refuses.
        """
        found = self.reason(root)
        if found is not None:
            raise refusals.refused(*found, domain)


Rule = Condition | Unique | Computed


def conditions(table: Iterable[tuple[str, ...]]) -> list[Rule]:
    """Compile conditions: element, code, XPath, detail, and an XPath for each `{}` of the detail.

    A code with `@xml` is one of libvirt's XML part, not of the owner of the document.
    """
    return [
        Condition(
            about,
            CODES[code.removesuffix("@xml")],
            f"boolean({holds})",
            etree.XPath(holds),
            detail,
            tuple(map(etree.XPath, values)),
            ErrorDomain.XML if code.endswith("@xml") else None,
        )
        for about, code, holds, detail, *values in table
    ]


def unique(table: Iterable[tuple[str, ...]]) -> list[Rule]:
    """Compile keys: element, code, XPath of the elements, the key's parts, detail, and an XPath for
    `{first}` and `{second}` of the detail, if it has them."""
    return [
        Unique(
            about,
            CODES[code],
            f"count({elements}) > 1",
            etree.XPath(elements),
            tuple(etree.XPath(f"string({key})") for key in keys.split()),
            detail,
            etree.XPath(f"string({named[0]})") if named else None,
        )
        for about, code, elements, keys, detail, *named in table
    ]


class Rules:
    """Rules in the order in which libvirt looks at them.

    One XPath tells of most documents that no rule refuses them: it joins those of all rules about
    elements that the document has.
    """

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._rules = tuple(rules)
        self._abouts = frozenset(rule.about for rule in self._rules)
        self._joined = lru_cache(_JOINED_MAX)(self._join)

    def _join(self, abouts: frozenset[str]) -> tuple[etree.XPath, tuple[Rule, ...]]:
        """The rules about these elements, and an XPath that is true if one of them may be broken."""
        rules = tuple(rule for rule in self._rules if rule.about in abouts)
        return etree.XPath(" or ".join(rule.source for rule in rules) or "false()"), rules

    def check(self, root: etree._Element, domain: ErrorDomain) -> None:
        """Refuse a document that breaks a rule.

        Args:
            root: the document, in shape.
            domain: the part of libvirt that refuses.

        Raises:
            RpcError: for the first rule that is broken.
        """
        suspect, rules = self._joined(self._abouts.intersection([one.tag for one in root.iter()]))
        if suspect(root):
            for rule in rules:
                rule.check(root, domain)
