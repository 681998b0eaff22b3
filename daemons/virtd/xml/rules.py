"""The language of the tables: what a kind of document may hold, in libvirt's order.

A table is text. Each line is one element, with two spaces of indentation for each level:

    disk* type:file|block=file device:disk|cdrom=disk rawio:bool
      driver name type:filled %virtio
      source [../type=file] file startupPolicy:(default)|optional
      readonly!

An element's line has its name and these marks:

    *       any number of them, in the document's order; otherwise only the first one counts
    !       kept although it is empty: `<readonly/>`
    !!      kept, and written with an end tag: `<devices></devices>`
    &       mixed with those of the line above, in the document's order
    +       made if the document has none
    ^NAME   sorted by this attribute (its place in an enumeration, or as a number)
    #TYPE   its text is kept, and has this type
    [COND]  the line counts only under a condition; of several lines of one name the first that fits does
    {FLAG}  live: not part of a definition; user: kept in a definition if its name begins with "ua-";
            secure: written only for a client that may see secrets; whole: copied with all it contains;
            last: of several elements the last one counts; attributes: all attributes are kept as given;
            any other flag names a correction (fixes.FIXES)

Every other word is an attribute, `NAME:TYPE=DEFAULT[COND]{FLAG}`, all but the name optional; `NAME!`
is required. A type is a name (values.TYPES), or the words of an enumeration. `%GROUP` is a group of
attributes on an element's line, and a group of elements on a line of its own.

A condition is terms joined by `,`, all of which must hold: `type=a|b`, `type!=a`, `type` (present) and
`!type`. A path leads to other elements: `../type`, `driver/name`, `../../bus`; `<source>` is a child.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Final

import msgspec
from lxml import etree

from aiovirt.daemons.virtd.xml.values import TYPES, ValueType, enumeration
from aiovirt.rpc.patterns import pattern


class Scope:
    """An element being put in shape: as it was given, as it becomes, and its parent.

    live: whether the document may be of a running guest.
    """

    __slots__ = ("live", "out", "raw", "up")

    def __init__(
        self,
        raw: etree._Element | None,
        out: etree._Element,
        up: Scope | None,
        *,
        live: bool = False,
    ) -> None:
        self.raw = raw
        self.out = out
        self.up = up
        self.live: bool = live or (up is not None and up.live)

    @property
    def tag(self) -> str:
        """The element's name."""
        return str(self.out.tag)

    def given(self, name: str) -> str | None:
        """The value of an attribute as it was given."""
        return None if self.raw is None else self.raw.get(name)

    def drop(self, *names: str) -> None:
        """Remove attributes."""
        for name in names:
            self.out.attrib.pop(name, None)

    def attribute(self, name: str) -> str | None:
        """The value as it becomes, or else as it was given."""
        value = self.out.get(name)
        if value is None and self.raw is not None:
            value = self.raw.get(name)
        return value

    def child(self, name: str) -> Scope | None:
        """The first child of this name, as it becomes or else as it was given."""
        raw = None if self.raw is None else self.raw.find(name)
        out = self.out.find(name)
        if out is None:
            out = raw
        return None if out is None else Scope(raw, out, self)


Condition = Callable[[Scope], bool]

_TERM: Final = pattern(r"(!?)((?:\.\./|[A-Za-z_-]+/)*)(<?)([\w-]+)>?(?:(!?=)(.*))?\Z")


def _term(source: str) -> Condition:
    """Compile one term of a condition."""
    match = _TERM.match(source)
    if match is None:
        raise ValueError(f"not a condition: {source}")
    absent, path, child, name, operator, words = match.groups()
    steps = path.split("/")[:-1]
    allowed = frozenset((words or "").split("|"))

    def holds(scope: Scope) -> bool:
        at: Scope | None = scope
        for step in steps:
            if at is None:
                break
            at = at.up if step == ".." else at.child(step)
        if child:
            return (at is not None and at.child(name) is not None) != bool(absent)
        value = None if at is None else at.attribute(name)
        if operator is None:
            return (value is not None) != bool(absent)
        return (value in allowed) == (operator == "=")

    return holds


def condition(source: str) -> Condition:
    """Compile a condition: terms that must all hold."""
    terms = [_term(part) for part in source.split(",")]
    if len(terms) == 1:
        return terms[0]
    return lambda scope: all(term(scope) for term in terms)


class Attribute(msgspec.Struct, eq=False):
    """One attribute of an element: its type, its default, and when it counts."""

    name: str
    read: ValueType
    words: tuple[str, ...] = ()
    required: bool = False
    default: str | None = None
    when: Condition | None = None
    live: bool = False
    secure: bool = False
    #: Whether it counts when a document does not have it; worked out from the others.
    wanted: bool = False

    def __post_init__(self) -> None:
        self.wanted = self.required or self.default is not None


class Rule(msgspec.Struct, eq=False, dict=True):
    """One element: its attributes and children in libvirt's order, and what becomes of it."""

    tag: str
    attributes: list[Attribute] = msgspec.field(default_factory=list)
    lines: list[Rule | str] = msgspec.field(default_factory=list)
    groups: dict[str, Rule] = msgspec.field(default_factory=dict)
    many: bool = False
    keep: bool = False
    open: bool = False
    make: bool = False
    joined: bool = False
    sort: str = ""
    text: str = ""
    when: Condition | None = None
    flags: frozenset[str] = frozenset()

    @cached_property
    def children(self) -> list[Rule]:
        """The lines below, groups taken apart when first used, so that a group may hold itself."""
        found: list[Rule] = []
        for line in self.lines:
            found.extend(self.groups[line].children if isinstance(line, str) else [line])
        return found

    @cached_property
    def by_tag(self) -> dict[str, list[tuple[int, Rule]]]:
        """The lines of each name, with their places."""
        found: dict[str, list[tuple[int, Rule]]] = {}
        place = 0
        for number, child in enumerate(self.children):
            place = place if child.joined else number
            found.setdefault(child.tag, []).append((place, child))
        return found

    @cached_property
    def made(self) -> list[tuple[int, Rule]]:
        """The lines whose elements are made if they are missing."""
        return [(number, child) for number, child in enumerate(self.children) if child.make]

    @cached_property
    def order(self) -> dict[str, int]:
        """The place of each attribute's name in libvirt's order."""
        return {name: number for number, name in enumerate(self.by_name)}

    @cached_property
    def sorted(self) -> list[Rule]:
        """The lines whose elements are sorted."""
        return [child for child in self.children if child.sort]

    @cached_property
    def by_name(self) -> dict[str, Attribute]:
        """The attributes of this element by name; of several lines of one name, the first."""
        found: dict[str, Attribute] = {}
        for attribute in self.attributes:
            found.setdefault(attribute.name, attribute)
        return found

    def below(self, *path: str) -> Rule:
        """The rule of a descendant, by the names that lead to it.

        Raises:
            KeyError: if the table has no such element.
        """
        rule = self
        for name in path:
            rule = rule.by_tag[name][0][1]
        return rule


_ATTRIBUTE: Final = pattern(
    r"([\w.:-]+?)(!?)(?::([^=\[{]+))?(?:=([^\[{]*))?(?:\[([^]]*)\])?(?:\{([^}]*)\})?\Z"
)


def _attribute(source: str) -> Attribute:
    match = _ATTRIBUTE.match(source)
    if match is None:
        raise ValueError(f"not an attribute: {source}")
    name, required, kind, default, when, flags = match.groups()
    kind = kind or "str"
    if kind.endswith("!"):
        kind, required = kind[:-1], "!"
    read = enumeration(kind) if "|" in kind else TYPES[kind]
    return Attribute(
        name,
        read,
        words=tuple(filter(None, re.split("[()|]", kind))) if "|" in kind else (),
        required=bool(required),
        default=default,
        when=condition(when) if when else None,
        live=flags == "live",
        secure=flags == "secure",
    )


_TAG: Final = pattern(r"(%?[\w.:-]+?)(\*?)(!{0,2})(\+?)(&?)(?:\^([\w.]+))?\Z")


def _line(source: str, groups: dict[str, Rule]) -> Rule:
    """Compile one line of a table."""
    head, *words = source.split()
    match = _TAG.match(head)
    if match is None:
        raise ValueError(f"not an element: {source}")
    tag, many, keep, make, joined, sort = match.groups()
    rule = Rule(tag, groups=groups, many=bool(many), keep=bool(keep), make=bool(make))
    rule.open = keep == "!!"
    rule.joined = bool(joined)
    rule.sort = sort or ""
    for word in words:
        if word.startswith("%"):
            rule.attributes.extend(groups[word].attributes)
        elif word.startswith("#"):
            rule.text = word[1:]
        elif word.startswith("["):
            rule.when = condition(word[1:-1])
        elif word.startswith("{"):
            rule.flags = frozenset(word[1:-1].split(","))
        else:
            rule.attributes.append(_attribute(word))
    return rule


def compile_table(sources: Iterable[str]) -> dict[str, Rule]:
    """Compile tables into the rules of their outermost lines, by name; groups keep their `%`.

    Args:
        sources: the tables; a group is defined before an element's line uses its attributes.

    Raises:
        ValueError: for a line that is not in the language.
        KeyError: for a type or a group that does not exist.
    """
    groups: dict[str, Rule] = {}
    for source in sources:
        path: list[Rule] = []
        for line in source.splitlines():
            body = line.strip()
            if not body or body.startswith("//"):
                continue
            depth = (len(line) - len(line.lstrip())) // 2
            del path[depth:]
            if body.startswith("%") and depth:
                path[-1].lines.append(body)
                continue
            rule = _line(body, groups)
            if depth:
                path[-1].lines.append(rule)
            else:
                groups[rule.tag] = rule
            path.append(rule)
    return groups
