"""Tables and columns, as virt-admin lays them out."""

from __future__ import annotations

import time

import pytest

from aiovirt.admin.cli.tabular import columns, table, value_text, when
from aiovirt.rpc.wire.typedparams import ParamType, ParamValue, TypedParam, boolean, string, uint


def test_a_table_has_a_header_a_rule_and_rows() -> None:
    assert table(("Id", "Name"), [("0", "admin"), ("1", "libvirtd")]) == (
        " Id   Name\n----------------\n 0    admin\n 1    libvirtd\n"
    )


def test_a_table_without_rows_keeps_its_header() -> None:
    assert table(("Id", "Name"), []) == " Id   Name\n------------\n"


def test_a_table_without_header_is_as_wide_as_its_rows() -> None:
    rows = [("0", "a", "x"), ("10", "bcd", "y")]
    assert (
        table(("Identity", "B", "C"), rows, with_header=False) == " 0    a     x\n 10   bcd   y\n"
    )
    assert table(("A",), [], with_header=False) == ""


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("a\tb", "a\\x09b"),
        ("a\nb", "a\\x0ab"),
        ("\x7f", "\\x7f"),
        ("\\x41", "\\x5cx41"),
        ("\\y", "\\y"),
        ("é", "é"),
        ("\udcff", "\\xff"),
        ("\u200b", "\\xe2\\x80\\x8b"),
    ],
)
def test_what_would_break_the_columns_is_escaped(cell: str, shown: str) -> None:
    assert table(("A", "B"), [(cell, "|")], with_header=False) == f" {shown}   |\n"


def test_columns_line_up_for_wide_and_combining_characters() -> None:
    rows = [("\u6f22\u5b57", "|"), ("e\u0301", "|"), ("abcd", "|")]
    assert table(("A", "B"), rows, with_header=False) == (
        " \u6f22\u5b57   |\n e\u0301      |\n abcd   |\n"
    )


def test_names_and_values_stand_in_columns() -> None:
    assert columns([("id", 1), ("a-name-that-is-long", "x")], 6) == (
        "id    : 1\na-name-that-is-long: x\n"
    )


@pytest.mark.parametrize(
    ("param", "text"),
    [
        (uint("a", 5), "5"),
        (boolean("a", True), "yes"),
        (boolean("a", False), "no"),
        (string("a", ""), ""),
        (TypedParam("a", ParamValue(ParamType.DOUBLE, 1.5)), "1.500000"),
        (TypedParam("a", ParamValue(ParamType.LLONG, -5)), "-5"),
    ],
)
def test_values_of_all_types_can_be_read(param: TypedParam, text: str) -> None:
    assert value_text(param) == text


def test_times_are_local_and_name_their_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "XYZ-05:30")
    time.tzset()
    try:
        assert when(86_400) == "1970-01-02 05:30:00+0530"
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()


def test_a_time_beyond_all_calendars_is_shown_as_a_number() -> None:
    assert when(2**62) == f"@{2**62}"
