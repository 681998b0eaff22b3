"""Put a document in shape: what the table does not know is dropped, the rest gets libvirt's order.

The result is a new tree. Attributes get the form and the defaults of their types, texts theirs, and
elements that libvirt would not write because they are empty are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

from lxml import etree

from aiovirt.daemons.virtd.xml import refusals, values, wordings
from aiovirt.daemons.virtd.xml.placing import arrange
from aiovirt.daemons.virtd.xml.rules import Attribute, Rule, Scope
from aiovirt.daemons.virtd.xml.texts import TEXTS

#: What a fix of the table does after an element is in shape; False drops the element.
Fix = Callable[[Scope], "bool | None"]


class Shaper:
    """Puts documents of one kind in shape, with the fixes that its table names."""

    def __init__(self, fixes: dict[str, Fix] | None = None) -> None:
        self._fixes = fixes or {}

    def shape(self, rule: Rule, raw: etree._Element, *, live: bool = False) -> etree._Element:
        """Make the tree that libvirt would have made of this one.

        Args:
            rule: the rule of its root.
            raw: the tree as a client gave it; it is not changed.
            live: keep what is part of a running guest only.

        Raises:
            RpcError: for a value that the table does not allow, or a required one that is absent.
        """
        out = etree.Element(rule.tag)
        self._fill(rule, Scope(raw, out, None, live=live), live)
        return out

    def _fill(self, rule: Rule, scope: Scope, live: bool) -> bool:
        """Fill one element; False if libvirt would not write it."""
        raw, out = scope.raw, scope.out
        if raw is not None and "attributes" in rule.flags:
            out.attrib.update(raw.attrib)
        given = {} if raw is None else dict(raw.items())
        for attribute in rule.attributes:
            value = given.get(attribute.name)
            if value is not None or attribute.wanted:
                self._attribute(attribute, value, scope, live)
        if rule.text:
            TEXTS[rule.text](scope)
        if rule.lines:
            self._children(rule, scope, live)
        if rule.flags and not self._fix(rule, scope):
            return False
        if rule.open and out.text is None and not len(out):
            out.text = ""
        return bool(rule.keep or len(out) or out.attrib or out.text is not None) and raw is not out

    def _fix(self, rule: Rule, scope: Scope) -> bool:
        """Make the corrections that a line of the table names; False drops the element."""
        fixed = False
        for flag in rule.flags:
            fix = self._fixes.get(flag)
            if fix is not None:
                fixed = True
                if fix(scope) is False:
                    return False
        found = scope.out.items()
        if fixed and len(found) > 1:
            order = rule.order
            wanted = sorted(found, key=lambda item: order.get(str(item[0]), len(order)))
            if wanted != found:
                scope.out.attrib.clear()
                scope.out.attrib.update(wanted)
        return True

    @staticmethod
    def _attribute(attribute: Attribute, value: str | None, scope: Scope, live: bool) -> None:
        name = attribute.name
        if value is None and scope.out.get(name) is not None:
            return
        if attribute.when is not None and not attribute.when(scope):
            return
        if attribute.live and not live:
            return
        if value is None:
            if attribute.default is None:
                worded = wordings.worded(scope, f"/@{name}!", "")
                raise worded or refusals.missing_attribute(scope.tag, name)
            scope.out.set(name, attribute.default)
            return
        try:
            read = attribute.read(value)
        except values.Unfit as error:
            worded = wordings.worded(scope, f"/@{name}", value)
            raise worded or refusals.bad_attribute(scope.tag, name, value, str(error)) from None
        if read is not None:
            scope.out.set(name, read)

    def _children(self, rule: Rule, scope: Scope, live: bool) -> None:
        found: list[tuple[int, Rule, etree._Element | None]] = []
        by_tag = rule.by_tag
        seen: dict[str, int] = {}
        for raw in scope.raw if scope.raw is not None else ():
            for place, line in by_tag.get(raw.tag, ()):  # type: ignore[arg-type]  # no comments are left
                if not self._counts(line, raw, scope, live):
                    continue
                if line.many:
                    found.append((place, line, raw))
                elif line.tag not in seen:
                    seen[line.tag] = len(found)
                    found.append((place, line, raw))
                elif "last" in line.flags:
                    found[seen[line.tag]] = (place, line, raw)
                break
        if rule.made:
            have = {line.tag for _, line, _ in found}
            for place, line in rule.made:
                if line.tag not in have and (
                    line.when is None or line.when(Scope(None, etree.Element(line.tag), scope))
                ):
                    have.add(line.tag)
                    found.append((place, line, None))
        found.sort(key=_place)
        for _, line, given in found:
            if "whole" in line.flags and given is not None:
                child = _copied(given)
                scope.out.append(child)
                for flag in line.flags & self._fixes.keys():
                    self._fixes[flag](Scope(given, child, scope))
                continue
            child = etree.SubElement(scope.out, line.tag)
            if not self._fill(line, Scope(given, child, scope), live):
                scope.out.remove(child)
        for line in rule.sorted:
            _sort(line, scope.out)

    @staticmethod
    def _counts(line: Rule, raw: etree._Element, scope: Scope, live: bool) -> bool:
        """Whether a line of the table is about this element, in this document."""
        if line.when is not None and not line.when(Scope(raw, raw, scope)):
            return False
        if live or not line.flags:
            return True
        if "live" in line.flags:
            return False
        return "user" not in line.flags or (raw.get("name") or "").startswith("ua-")


def _place(found: tuple[int, Rule, etree._Element | None]) -> int:
    return found[0]


def _copied(raw: etree._Element) -> etree._Element:
    """Copy an element with all it contains, without the white space after it."""
    copy = deepcopy(raw)
    copy.tail = None
    return copy


def _sort(line: Rule, out: etree._Element) -> None:
    """Sort the elements of one line by an attribute; equal ones keep their order."""
    elements = out.findall(line.tag)
    if len(elements) < 2:
        return
    words = line.by_name[line.sort].words

    def key(element: etree._Element) -> tuple[int, str]:
        value = element.get(line.sort) or ""
        if words:
            return (words.index(value) if value in words else len(words), value)
        return (int(value) if value.isdigit() else 0, value)

    arrange(elements, sorted(elements, key=key))
