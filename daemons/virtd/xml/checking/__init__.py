"""The rules by which libvirt refuses a definition that is in shape, as tables.

Four kinds of rules: a condition under which a document is refused, a key that no two elements may
share, a value that another element has to have, and a function for what an XPath cannot say. A rule is
looked at only if the document has the element that it is about. No condition compares each element with
all others (`preceding-sibling::x/@id`): keys and references do that in one pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

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


class Key(msgspec.Struct, frozen=True):
    """A part of a key: an attribute of an element, or of the first one at a path below it."""

    path: str
    attribute: str

    def of(self, element: etree._Element) -> str:
        """Return the value that an element has; "" for none.

        Args:
            element: the element.
        """
        at = element.find(self.path) if self.path else element
        return "" if at is None else at.get(self.attribute) or ""


class Unique(msgspec.Struct, frozen=True):
    """No two elements may have the same key; an element without a part of it has none."""

    about: str
    code: ErrorCode
    elements: etree.XPath
    keys: tuple[Key, ...]
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
            key = tuple([part.of(element) for part in self.keys])
            if "" in key:
                continue
            first = seen.setdefault(key, element)
            if first is not element:
                raise refusals.refused(self.code, self._said(key, first, element), domain)

    def _said(self, key: tuple[str, ...], *elements: etree._Element) -> str:
        names = [str(self.named(one)) if self.named is not None else "" for one in elements]
        parts = map(refusals.shown, key)
        first, second = (refusals.shown(name or "(null)") for name in names)
        return self.detail.format(*parts, first=first, second=second)


class Reference(msgspec.Struct, frozen=True):
    """A value that an element names has to exist.

    holders: the elements that name a value; known: the attributes that have one; bound: a number up to
    which all values exist; detail: what is said, with the value.
    """

    about: str
    code: ErrorCode
    holders: etree.XPath
    key: Key
    known: etree.XPath
    bound: etree.XPath | None
    detail: str

    def check(self, root: etree._Element, domain: ErrorDomain) -> None:
        """Refuse the document if a value does not exist.

        Args:
            root: the document.
            domain: the part of libvirt that refuses.
        """
        found = self.holders(root)
        if not isinstance(found, list) or not found:
            return
        known, last = self.known(root), None if self.bound is None else self.bound(root)
        values = set(known) if isinstance(known, list) else set()
        for holder in found:
            value = self.key.of(holder)
            if value in values:
                continue
            if isinstance(last, float) and value.isdecimal() and int(value) <= last:
                continue
            raise refusals.refused(self.code, self.detail.format(refusals.shown(value)), domain)


class Computed(msgspec.Struct, frozen=True):
    """A document is refused if a function says why."""

    about: str
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


Rule = Condition | Unique | Reference | Computed


class References(NamedTuple):
    """A line of a table about values that have to exist: element, code, XPath of the elements that name
    one, the value's path from there, XPath of those that exist, XPath of a number up to which all do
    ("" for none), and the detail."""

    about: str
    code: str
    holders: str
    key: str
    known: str
    bound: str
    detail: str


class Keys(NamedTuple):
    """A line of a table about a key; see `unique`."""

    about: str
    code: str
    elements: str
    keys: str
    detail: str
    named: str = ""


#: Parts of libvirt that a code can name.
_OWNERS: Final = {"xml": ErrorDomain.XML, "cpu": ErrorDomain.CPU}

Line = tuple[str, ...] | References | Keys


def conditions(table: Iterable[Line]) -> list[Rule]:
    """Compile conditions: element, code, XPath, detail, and an XPath for each `{}` of the detail.

    A code with `@xml` or `@cpu` is one of libvirt's part for XML or for processors, not of the owner of
    the document. Other lines may come between them, since the order is libvirt's.
    """
    return [_compiled(line) for line in table]


def _compiled(line: Line) -> Rule:
    if isinstance(line, References):
        return Reference(
            line.about,
            CODES[line.code],
            etree.XPath(line.holders),
            _key(line.key),
            etree.XPath(line.known),
            etree.XPath(f"number({line.bound})") if line.bound else None,
            line.detail,
        )
    if isinstance(line, Keys):
        return Unique(
            line.about,
            CODES[line.code],
            etree.XPath(line.elements),
            tuple(map(_key, line.keys.split())),
            line.detail,
            etree.XPath(f"string({line.named})") if line.named else None,
        )
    about, code, holds, detail, *values = line
    return Condition(
        about,
        CODES[code.partition("@")[0]],
        f"boolean({holds})",
        etree.XPath(holds),
        detail,
        tuple(map(etree.XPath, values)),
        _OWNERS.get(code.partition("@")[2]),
    )


def _key(source: str) -> Key:
    """Compile a part of a key, like `source/address/@bus`."""
    path, _, attribute = source.rpartition("@")
    return Key(path.rstrip("/"), attribute)


def unique(table: Iterable[tuple[str, ...]]) -> list[Rule]:
    """Compile keys: element, code, XPath of the elements, the key's parts, detail, and an XPath for
    `{first}` and `{second}` of the detail, if it has them."""
    return [_compiled(Keys(*line)) for line in table]


class Rules:
    """Rules in the order in which libvirt looks at them.

    One XPath tells of most documents that no condition refuses them: it joins all conditions about
    elements that the document has. all: the rules.
    """

    def __init__(self, rules: Iterable[Rule], owner: ErrorDomain | None = None) -> None:
        """Join rules.

        Args:
            rules: in libvirt's order.
            owner: the part of libvirt that refuses by them, if it is not the document's own.
        """
        self.all = tuple(rules)
        self._owner = owner
        self._abouts = frozenset(rule.about for rule in self.all)
        self._joined = lru_cache(_JOINED_MAX)(self._join)

    def _join(self, abouts: frozenset[str]) -> _Joined:
        """The rules about these elements, and what is enough for a document that is not refused."""
        rules = tuple(rule for rule in self.all if rule.about in abouts)
        holds = [rule.source for rule in rules if isinstance(rule, Condition)]
        others = tuple(rule for rule in rules if not isinstance(rule, Condition))
        return _Joined(etree.XPath(" or ".join(holds)) if holds else None, others, rules)

    def check(self, root: etree._Element, domain: ErrorDomain, tags: set[Any]) -> None:
        """Refuse a document that breaks a rule.

        Args:
            root: the document, in shape.
            domain: the part of libvirt that refuses.
            tags: the names of its elements.

        Raises:
            RpcError: for the first rule that is broken.
        """
        joined = self._joined(self._abouts.intersection(tags))
        broken = joined.suspect is not None and joined.suspect(root)
        for rule in joined.rules if broken else joined.others:
            rule.check(root, self._owner or domain)


class _Joined(NamedTuple):
    """The rules about some elements. suspect: an XPath that is true if one of the conditions holds;
    others: the rules that are no conditions."""

    suspect: etree.XPath | None
    others: tuple[Rule, ...]
    rules: tuple[Rule, ...]


def check(rules: Iterable[Rules], root: etree._Element, domain: ErrorDomain) -> None:
    """Refuse a document that breaks a rule.

    Args:
        rules: one after the other.
        root: the document.
        domain: the part of libvirt that refuses.

    Raises:
        RpcError: for the first rule that is broken.
    """
    tags = {element.tag for element in root.iter()}
    for one in rules:
        one.check(root, domain, tags)
