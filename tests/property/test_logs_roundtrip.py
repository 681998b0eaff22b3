"""Filters, outputs and formats survive being printed and read; odd texts are refused properly."""

from __future__ import annotations

import contextlib
import os

from hypothesis import given
from hypothesis import strategies as st

from aiovirt.rpc.logs import (
    Destination,
    Filter,
    Formats,
    Level,
    LogSettingError,
    Output,
    filters_text,
    outputs_text,
    parse_filters,
    parse_formats,
    parse_outputs,
)
from aiovirt.rpc.logs.settings import level_chooser

LEVELS = st.sampled_from(Level)
WORD = st.text(st.characters(exclude_characters=" :\x00"), min_size=1, max_size=20)
SOURCE = st.text("rpc.se*?[", max_size=12)
PATTERN = st.text("rpc.se*?[", min_size=1, max_size=4)
PATHS = st.lists(WORD, min_size=1, max_size=4).map(
    lambda parts: os.path.abspath("/" + "/".join(parts))
)
FILTERS = st.lists(
    st.builds(lambda level, match: f"{level.value}:{match}", LEVELS, PATTERN), max_size=5
)
OUTPUTS = st.one_of(
    st.builds(Output, LEVELS, st.sampled_from([Destination.STDERR, Destination.JOURNALD])),
    st.builds(Output, LEVELS, st.just(Destination.SYSLOG), WORD),
    st.builds(Output, LEVELS, st.just(Destination.FILE), PATHS),
)
OUTPUT_SETS = st.lists(OUTPUTS, max_size=6, unique_by=lambda one: one.place)
ANY_TEXT = st.one_of(st.text(max_size=40), st.text("01234 :+-*?filesyogtdrjna/.\t", max_size=40))


def _matches(pattern: str, source: str) -> bool:
    """GLib's pattern language the slow way."""
    if not pattern:
        return not source
    if pattern[0] == "*":
        return _matches(pattern[1:], source) or (bool(source) and _matches(pattern, source[1:]))
    return bool(source) and pattern[0] in ("?", source[0]) and _matches(pattern[1:], source[1:])


@given(OUTPUT_SETS)
def test_outputs_read_as_they_were_printed(outputs: list[Output]) -> None:
    assert parse_outputs(outputs_text(outputs)) == outputs


@given(OUTPUT_SETS, OUTPUT_SETS)
def test_of_outputs_named_twice_the_last_counts(first: list[Output], then: list[Output]) -> None:
    parsed = parse_outputs(outputs_text(first + then))
    assert parsed[len(parsed) - len(then) :] == then
    assert len({one.place for one in parsed}) == len(parsed)


@given(FILTERS, SOURCE)
def test_filters_choose_the_same_level_after_being_printed_and_read(
    filters: list[str], source: str
) -> None:
    once = parse_filters(" ".join(filters))
    again = parse_filters(filters_text(once))
    assert [one.level for one in again] == [one.level for one in once]
    assert level_chooser(again, Level.ERROR)(source) == level_chooser(once, Level.ERROR)(source)


@given(PATTERN, SOURCE)
def test_a_filter_matches_as_glib_does(pattern: str, source: str) -> None:
    choose = level_chooser([Filter(Level.DEBUG, f"*{pattern}*")], Level.ERROR)
    assert (choose(source) is Level.DEBUG) == _matches(f"*{pattern}*", source)


@given(
    st.sampled_from(["text", "json"]),
    st.dictionaries(
        st.one_of(st.sampled_from(["stderr", "file", "syslog"]), PATHS.map("file:{}".format)),
        st.sampled_from(["text", "json"]),
        max_size=4,
    ),
)
def test_formats_read_as_they_were_printed(otherwise: str, exceptions: dict[str, str]) -> None:
    formats = Formats(otherwise, tuple(exceptions.items()))  # type: ignore[arg-type]
    assert parse_formats(str(formats)) == formats


@given(ANY_TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_filters, parse_outputs, parse_formats):
        with contextlib.suppress(LogSettingError):
            parse(text)
