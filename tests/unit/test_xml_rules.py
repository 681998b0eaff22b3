"""The language of the tables, and what all tables have in common."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from lxml import etree

from aiovirt.daemons.virtd import xml
from aiovirt.daemons.virtd.xml.documents import SHAPER
from aiovirt.daemons.virtd.xml.fixes import FIXES
from aiovirt.daemons.virtd.xml.rules import Rule, compile_table, condition
from aiovirt.daemons.virtd.xml.shaping import Shaper
from aiovirt.daemons.virtd.xml.texts import TEXTS
from aiovirt.daemons.virtd.xml.writing import write
from aiovirt.rpc.wire.errors import RpcError

TABLE = """
%more color:red|green|(plain)
thing kind:a|b=a size:count!
  name #text
  part* [../kind=b] number:uint %more
  flag!
  open!!
  made+ value=1
  kept {live}
"""


def shaped(text: str, *, live: bool = False) -> str:
    """A document after the table above."""
    rule = compile_table([TABLE])["thing"]
    return write(Shaper().shape(rule, etree.fromstring(text), live=live))


def every_rule() -> Iterator[Rule]:
    """All lines of all tables."""
    seen: set[int] = set()
    waiting = [kind.rules for kind in xml.KINDS.values()]
    while waiting:
        rule = waiting.pop()
        if id(rule) not in seen:
            seen.add(id(rule))
            yield rule
            waiting.extend(rule.children)


def test_what_the_table_does_not_know_is_dropped() -> None:
    assert shaped("<thing size='1' x='y'><other/><name>n</name></thing>") == (
        "<thing kind='a' size='1'>\n  <name>n</name>\n  <made value='1'/>\n</thing>\n"
    )


def test_attributes_and_elements_get_the_order_of_the_table() -> None:
    text = shaped(
        "<thing size='1' kind='b'><flag/><part color='red' number='2'/><name>n</name></thing>"
    )
    assert text.index("kind") < text.index("size")
    assert (
        text.index("<name>") < text.index("<part number='2' color='red'/>") < text.index("<flag/>")
    )


def test_a_line_counts_under_its_condition_only() -> None:
    assert "<part" not in shaped("<thing size='1'><part number='1'/></thing>")


def test_a_default_word_is_accepted_and_not_written() -> None:
    assert "<part number='1'/>" in shaped(
        "<thing kind='b' size='1'><part number='1' color='plain'/></thing>"
    )


def test_an_empty_element_goes_unless_it_is_kept() -> None:
    text = shaped("<thing kind='b' size='1'><part/><flag/><open/></thing>")
    assert "<part" not in text
    assert "  <flag/>\n  <open>\n  </open>\n" in text


def test_what_is_live_is_not_part_of_a_definition() -> None:
    text = "<thing size='1'><kept a='b'/></thing>"
    assert shaped(text) == shaped("<thing size='1'/>")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("<thing/>", "Missing required attribute 'size' in element 'thing'"),
        ("<thing size='x'/>", "Invalid value for attribute 'size' in element 'thing': 'x'"),
        ("<thing size='1' kind='c'/>", "(one of a, b expected)"),
        ("<thing size='-1'/>", "(a number from 0 to 4294967295 expected)"),
        ("<thing size='1" + "0" * 5000 + "'/>", "a number from"),
    ],
)
def test_a_wrong_value_is_refused_with_what_would_be_right(text: str, words: str) -> None:
    with pytest.raises(RpcError) as caught:
        shaped(text)
    assert words in caught.value.message


@pytest.mark.parametrize("line", ["a b:nothing", "a %missing", "a [x=1,,]", "a** b", "a b[c"])
def test_a_line_that_is_not_in_the_language_is_an_error(line: str) -> None:
    with pytest.raises((ValueError, KeyError)):
        compile_table([line])


def test_a_condition_looks_at_parents_and_children() -> None:
    tree = etree.fromstring("<a x='1'><b y='2'><c/></b></a>")
    from aiovirt.daemons.virtd.xml.rules import Scope

    inner = Scope(tree[0], tree[0], Scope(tree, tree, None))
    assert condition("../x=1,y=2|3,<c>,!<d>,!z,y!=4")(inner)
    assert not condition("../x=2")(inner)
    assert not condition("../../x")(inner)


def test_every_flag_of_a_table_is_a_correction_or_part_of_the_language() -> None:
    known = {"live", "user", "secure", "whole", "last", "attributes", *FIXES}
    assert {flag for rule in every_rule() for flag in rule.flags} <= known


def test_every_correction_is_named_by_a_table() -> None:
    assert set(FIXES) <= {flag for rule in every_rule() for flag in rule.flags}


def test_every_text_of_a_table_has_a_type() -> None:
    assert {rule.text for rule in every_rule() if rule.text} <= TEXTS.keys()


def test_every_default_of_a_table_has_the_type_of_its_attribute() -> None:
    for rule in every_rule():
        for attribute in rule.attributes:
            if attribute.default is not None:
                assert attribute.read(attribute.default) in (attribute.default, None), attribute


def test_every_element_of_a_table_can_be_read_alone() -> None:
    for kind, what in xml.KINDS.items():
        for child in what.rules.children:
            root = etree.Element(what.root, type="none")
            etree.SubElement(root, child.tag)
            with contextlib.suppress(RpcError):
                assert SHAPER.shape(what.rules, root).tag == what.root, kind
