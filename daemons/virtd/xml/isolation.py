"""Keep names that no table knows from staying in memory.

libxml2 keeps each name that it has read for as long as the thread lives that has read it. The names of
the tables and the first 256 KiB of others (metadata, mistakes) are read in place; after that, a text
with new names is read in a thread of its own, which takes them with it, and its tree is copied out.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import cache
from typing import Final

from lxml import etree

from aiovirt.daemons.virtd.xml.kinds import KINDS
from aiovirt.daemons.virtd.xml.reading import DOCUMENT, Bounds, is_too_large
from aiovirt.daemons.virtd.xml.rules import Rule
from aiovirt.rpc.background import start_thread
from aiovirt.rpc.patterns import pattern

_ELEMENTS: Final = pattern(r"<([^\s/>!?=]+)")
_ATTRIBUTES: Final = pattern(r"\s([^\s<>'\"=]+)\s*=\s*['\"]")


#: Characters of names that no table knows and that may stay in memory.
OTHERS_MAX: Final = 256 * 1024


@cache
def vocabulary() -> frozenset[str]:
    """The names of all elements and attributes that a table knows."""
    names: set[str] = set()
    seen: set[int] = set()
    waiting: list[Rule] = [kind.rules for kind in KINDS.values()]
    while waiting:
        rule = waiting.pop()
        if id(rule) not in seen:
            seen.add(id(rule))
            names.add(rule.tag)
            names.update(rule.by_name)
            waiting.extend(rule.children)
    return frozenset(names)


class _Names:
    """The names that are read in place."""

    def __init__(self) -> None:
        self._others: set[str] = set()
        self._left = OTHERS_MAX

    def admit(self, text: str) -> bool:
        """Whether all names of a text are read in place; new ones are, while there is room for them."""
        found = {*_ELEMENTS.findall(text), *_ATTRIBUTES.findall(text)}
        new = found - vocabulary() - self._others
        size = sum(map(len, new))
        if size > self._left:
            return False
        self._left -= size
        self._others |= new
        return True


_NAMES: Final = _Names()


def read(
    text: str, work: Callable[[], etree._Element], bounds: Bounds = DOCUMENT
) -> etree._Element:
    """Read a text, apart if it has names of its own.

    Args:
        text: what is read.
        work: reads it, and gives a tree in shape.
        bounds: limits of the text, by which the work refuses it.

    Raises:
        RpcError: what the work raises.
    """
    if is_too_large(text, bounds) or _NAMES.admit(text):  # the former is refused at once
        return work()
    results: list[etree._Element] = []
    failures: list[BaseException] = []

    def apart() -> None:
        try:
            results.append(work())
        except BaseException as error:  # what is raised there is raised here
            failures.append(error)

    start_thread(apart, name="document").join()
    if failures:
        raise failures[0]
    return _taken_over(results[0])


def _taken_over(element: etree._Element) -> etree._Element:
    """Copy a tree in shape into this thread; only metadata have names of their own."""
    if element.tag == "metadata" or element.prefix is not None:
        return deepcopy(element)
    copy = etree.Element(str(element.tag), dict(element.items()))
    copy.text = element.text
    copy.extend([_taken_over(child) for child in element])
    return copy
