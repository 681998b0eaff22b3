"""A document: a tree that is read, completed, changed and written; the tree is the state.

Its texts are kept until it changes, so that asking for the same text again costs nothing. Whoever
changes the tree with functions of another package calls `changed`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from functools import cache, partial
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml import checking, isolation, kinds, reading, writing
from aiovirt.daemons.virtd.xml.checking import guests as guest_checks
from aiovirt.daemons.virtd.xml.checking import host_objects as object_checks
from aiovirt.daemons.virtd.xml.checking import networks as network_checks
from aiovirt.daemons.virtd.xml.checking import order
from aiovirt.daemons.virtd.xml.checking import qemu as qemu_checks
from aiovirt.daemons.virtd.xml.completion import (
    FLAVOURS,
    Flavour,
    guest,
    networks,
    pools,
    screens,
    volumes,
)
from aiovirt.daemons.virtd.xml.fixes import FIXES
from aiovirt.daemons.virtd.xml.kinds import Kind
from aiovirt.daemons.virtd.xml.rules import Rule
from aiovirt.daemons.virtd.xml.shaping import Shaper
from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.errors import RpcError

SHAPER: Final = Shaper(FIXES)

#: An element that is written with an end tag although it is empty.
_OPEN: Final = pattern(r"<\w[^<>]*(?<!/)>\n *</")

#: What completes a document of each kind; the others are complete when they are in shape.
_COMPLETIONS: Final[dict[str, Callable[[etree._Element, Flavour], None]]] = {
    "domain": guest.complete,
    "network": networks.complete,
    "pool": pools.complete,
    "volume": volumes.complete,
}

#: What is refused of a document of each kind before and after it is completed.
_Part = Callable[[], checking.Rules]
_LIMITS: Final[dict[str, _Part]] = {"domain": guest_checks.bounds}
_GIVEN: Final[dict[str, _Part]] = {
    "domain": guest_checks.given,
    "network": network_checks.given,
    "pool": object_checks.pools,
    "secret": object_checks.secrets,
    "nwfilter": object_checks.filters,
}
#: The rules of one driver, before and after those of all of them.
_DRIVERS: Final[dict[tuple[str, str], tuple[_Part, _Part]]] = {
    ("domain", "qemu"): (qemu_checks.places, qemu_checks.rules),
}
_COMPLETED: Final[dict[str, _Part]] = {
    "domain": guest_checks.completed,
    "network": network_checks.rules,
}


class Document:
    """One document of a kind (kinds.KINDS): `root` is its tree, in shape."""

    __slots__ = ("_texts", "kind", "root")

    def __init__(self, kind: str, root: etree._Element) -> None:
        self.kind = kind
        self.root = root
        self._texts: dict[tuple[bool, bool], str] = {}

    @property
    def rules(self) -> Rule:
        """The rule of the root."""
        return kinds.KINDS[self.kind].rules

    def copy(self) -> Document:
        """Make an independent copy."""
        return Document(self.kind, deepcopy(self.root))

    def changed(self) -> None:
        """Forget the texts: the tree is no longer what it was."""
        self._texts.clear()

    def complete(self, flavour: Flavour | str = "test") -> None:
        """Add what a driver adds to a definition, and refuse what it refuses.

        Args:
            flavour: the driver's defaults, or its name in FLAVOURS.

        Raises:
            RpcError: for a definition that libvirt refuses.
        """
        found = FLAVOURS[flavour] if isinstance(flavour, str) else flavour
        domain = kinds.KINDS[self.kind].domain
        if self.kind == "domain":
            guest_checks.shaped().check(self.root, domain, {"name"})
        completion = _COMPLETIONS.get(self.kind)
        if completion is not None:
            completion(self.root, found)
        extra = _DRIVERS.get((self.kind, found.name))
        parts = [_COMPLETED.get(self.kind)]
        if extra is not None:
            parts = [extra[0], *parts, extra[1]]
        checking.check([part() for part in parts if part is not None], self.root, domain)
        self.changed()

    def check(self) -> None:
        """Refuse what libvirt refuses of a completed document.

        Raises:
            RpcError: for the first rule that is broken.
        """
        rules = _COMPLETED.get(self.kind)
        if rules is not None:
            checking.check([rules()], self.root, kinds.KINDS[self.kind].domain)

    def require_readable(self) -> None:
        """Refuse a completed document that no client could define again.

        Raises:
            RpcError: XML_DETAIL for a text that is too large.
        """
        what = kinds.KINDS[self.kind]
        name = f"completed {what.label}"
        reading.require_within(
            self.text(secure=True), reading.DOCUMENT, name=name, domain=what.domain
        )

    def text(self, *, secure: bool = False, inactive: bool = False) -> str:
        """Write the document.

        Args:
            secure: write passwords and cookies, too (VIR_DOMAIN_XML_SECURE).
            inactive: leave out what only a running guest has (VIR_DOMAIN_XML_INACTIVE).
        """
        key = (secure, inactive)
        found = self._texts.get(key)
        if found is None:
            found = self._texts[key] = writing.write(self._view(secure, inactive))
        return found

    def _view(self, secure: bool, inactive: bool) -> etree._Element:
        root = self.root
        hidden = {} if secure else _secrets(kinds.KINDS[self.kind])
        secret = list(root.iter(*hidden)) if hidden else []
        if not secret and not inactive:
            return root
        root = deepcopy(root)
        if inactive:
            _strip(self.rules, root)
            screens.forget_ports(root)
        for element in list(root.iter(*hidden)) if hidden else ():
            name = hidden[str(element.tag)]
            parent = element.getparent()
            if name:
                element.attrib.pop(name, None)
            elif parent is not None:
                parent.remove(element)
        return root


@cache
def _secrets(kind: Kind) -> dict[str, str]:
    """The elements of a kind that are secret, or whose attribute of that name is."""
    found: dict[str, str] = {}
    seen: set[int] = set()
    waiting = [kind.rules]
    while waiting:
        rule = waiting.pop()
        if id(rule) in seen:
            continue
        seen.add(id(rule))
        if "secure" in rule.flags:
            found[rule.tag] = ""
        for attribute in rule.attributes:
            if attribute.secure:
                found[rule.tag] = attribute.name
        waiting.extend(rule.children)
    return found


@cache
def _secret_text(kind: Kind) -> re.Pattern[str]:
    """Finds the elements that have something secret in a written text."""
    found = _secrets(kind).items()
    parts = [rf"{tag} [^<>]*\b{name}=" if name else rf"{tag}[ />]" for tag, name in found]
    return re.compile(f"<(?:{'|'.join(parts)})" if parts else "(?!)")


def has_secrets(kind: str, text: str) -> bool:
    """Return whether a text that this package wrote has something that not every client may see.

    Args:
        kind: one of kinds.KINDS.
        text: what `Document.text` gave with secrets.
    """
    return _secret_text(kinds.KINDS[kind]).search(text) is not None


def _strip(rule: Rule, element: etree._Element) -> None:
    """Remove what only a running guest has."""
    for attribute in rule.attributes:
        if attribute.live:
            element.attrib.pop(attribute.name, None)
    for child in list(element):
        for _, line in rule.by_tag.get(str(child.tag), ()):
            name = child.get("name") or ""
            if "live" in line.flags or ("user" in line.flags and not name.startswith("ua-")):
                element.remove(child)
            elif "whole" not in line.flags:
                _strip(line, child)
            break


def read(kind: str, text: str, *, live: bool = False, own: bool = False) -> Document:
    """Read a document: parsed within bounds, put in shape, and not yet completed.

    Args:
        kind: one of kinds.KINDS: "domain", "network", "pool", "volume" and so on.
        text: what a client sent, or what a store kept.
        live: keep what only a running guest has, for a text that this package wrote.
        own: this package wrote the text, and it has the bounds of stored ones.

    Raises:
        RpcError: XML_DETAIL (35) for text that is not well-formed or too large, XML_ERROR (27) for
            another root or a value that is not allowed, or another code of libvirt's.
    """
    what = kinds.KINDS[kind]
    bounds = reading.STORED if live or own else reading.DOCUMENT

    def shaped() -> etree._Element:
        raw = reading.parse(text, what.root, name=what.label, domain=what.domain, bounds=bounds)
        if live:
            return SHAPER.shape(what.rules, raw, live=True)
        limits = None if own else _LIMITS.get(kind)
        if limits is not None:
            checking.check([limits()], raw, what.domain)
        try:
            return _shaped(kind, raw)
        except RpcError as error:
            raise order.first(kind, raw, error, partial(_shaped, kind)) from None

    return Document(kind, isolation.read(text, shaped, bounds))


def _shaped(kind: str, raw: etree._Element) -> etree._Element:
    """Put a document in shape. Raises RpcError for a value, or for what libvirt refuses to read."""
    what = kinds.KINDS[kind]
    rules = _GIVEN.get(kind)
    if rules is not None:
        checking.check([rules()], raw, what.domain)
    return SHAPER.shape(what.rules, raw)


def stored(kind: str, text: str) -> Document:
    """Read a text that this package wrote: it is in shape already, and so is its tree.

    Args:
        kind: one of kinds.KINDS.
        text: what `Document.text` gave with secrets.

    Raises:
        RpcError: see `read`.
    """
    if _OPEN.search(text):  # the parser cannot tell it from one with white space in it
        return read(kind, text, live=True)
    what, bounds = kinds.KINDS[kind], reading.STORED

    def parsed() -> etree._Element:
        return reading.parse(text, what.root, name=what.label, domain=what.domain, bounds=bounds)

    return Document(kind, isolation.read(text, parsed, bounds))
