"""Regular expressions that are compiled when they are first used."""

from __future__ import annotations

import copy
import re

import pytest

from aiovirt.rpc.patterns import pattern


def test_a_declared_expression_finds_what_a_compiled_one_finds() -> None:
    declared = pattern("B([0-9]+)", re.IGNORECASE)
    assert declared.fullmatch("b12") is not None
    assert declared.sub(r"<\1>", "b1 c2 B3") == "<1> c2 <3>"
    assert declared.findall("b1 b2") == ["1", "2"]
    assert declared.groups == 1


def test_bytes_are_searched_by_an_expression_of_bytes() -> None:
    found = pattern(rb"[^ -~]").search(b"a\x01")
    assert found is not None
    assert found.start() == 1


def test_nothing_is_compiled_until_it_is_used() -> None:
    declared = pattern("(")
    assert repr(declared) == "pattern('(')"
    with pytest.raises(re.error, match="missing \\)"):
        declared.search("(")


def test_after_the_first_use_a_method_is_the_compiled_one() -> None:
    declared = pattern("x")
    assert declared.search("x") is not None
    assert vars(declared)["search"] == re.compile("x").search


def test_a_copy_finds_the_same() -> None:
    assert copy.copy(pattern("x")).search("x") is not None
