"""What filters, outputs, levels and formats may say, as seen on libvirt 9.0.0's own daemons."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from aiovirt.rpc.logs import (
    Destination,
    Filter,
    Level,
    LogSettingError,
    Output,
    filters_text,
    outputs_text,
    parse_filters,
    parse_formats,
    parse_level,
    parse_outputs,
)
from aiovirt.rpc.logs.settings import level_chooser


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1:foo 2:bar  3:foobar", "1:*foo* 2:*bar* 3:*foobar* "),
        ("1:foo 2:*bar* 3:+baz 1:a:b:c 01:z[ab]", "1:*foo* 2:**bar** 3:*baz* 1:*a* 1:*z[ab]* "),
        ("1:++", "1:*+* "),
        (" +1:plus  ", "1:*plus* "),
        ("1:tab\t2:x", "1:*tab\t2* "),
        ("\t1:x", "1:*x* "),
        ("1:é", "1:*é* "),
        ("1:a 1:a", "1:*a* 1:*a* "),
        ("", ""),
        ("   ", ""),
    ],
)
def test_filters_are_shown_back_as_libvirt_shows_them(text: str, shown: str) -> None:
    assert filters_text(parse_filters(text)) == shown


@pytest.mark.parametrize(
    "text",
    [
        "5:foo",
        "0:foo",
        "-1:x",
        "1:",
        "1:+",
        ":foo",
        "foo",
        "1x:foo",
        "+:foo",
        "1:a 9:b",
        "1 :a",
        "²:x",
    ],
)
def test_a_filter_that_libvirt_refuses_is_refused_as_an_invalid_argument(text: str) -> None:
    with pytest.raises(LogSettingError) as caught:
        parse_filters(text)
    assert caught.value.code_name == "INVALID_ARG"
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("1:file:/dev/null  2:stderr", "1:file:/dev/null 2:stderr"),
        ("1:syslog:", "1:syslog:"),
        ("1:syslog:a 2:syslog:b", "1:syslog:a 2:syslog:b"),
        ("1:syslog:a 3:syslog:a", "3:syslog:a"),
        ("1:journald 2:journald", "2:journald"),
        ("1:stderr 2:stderr", "2:stderr"),
        ("1:file:/a 2:file:/b 3:file:/x/.././a", "2:file:/b 3:file:/a"),
        ("001:stderr", "1:stderr"),
        ("   ", ""),
    ],
)
def test_outputs_are_shown_back_as_libvirt_shows_them(text: str, shown: str) -> None:
    assert outputs_text(parse_outputs(text)) == shown


def test_a_relative_path_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_outputs("1:file:x.log") == [
        Output(Level.DEBUG, Destination.FILE, str(tmp_path / "x.log"))
    ]


@pytest.mark.parametrize(
    "text",
    [
        "foo:stderr",
        "1:bar",
        "1:stderr:x",
        "1:journald:x",
        "1",
        "1:syslog",
        "1:file",
        "1:file:/a:b",
        "1:STDERR",
        "0:stderr",
        "5:stderr",
        "-1:stderr",
        "99999999999999999999:stderr",
        "1:stderr bad",
        ":",
    ],
)
def test_an_output_that_libvirt_refuses_is_refused_as_an_invalid_argument(text: str) -> None:
    with pytest.raises(LogSettingError) as caught:
        parse_outputs(text)
    assert caught.value.code_name == "INVALID_ARG"


def test_a_refusal_names_the_text_and_what_would_be_right() -> None:
    with pytest.raises(LogSettingError, match=r"'9:stderr'.*'9'.*1 \(debug\).*4 \(error\)"):
        parse_outputs("1:journald 9:stderr")


def test_the_first_filter_that_matches_decides() -> None:
    choose = level_chooser(parse_filters("4:rpc.server 1:rpc"), Level.INFO)
    assert choose("rpc.server.client") == Level.ERROR
    assert choose("rpc.wire") == Level.DEBUG
    assert choose("admin") == Level.INFO


@pytest.mark.parametrize(
    ("pattern", "source", "matches"),
    [
        ("rpc", "x.rpc.y", True),
        ("r?c", "xrpcx", True),
        ("r*server", "rpc.server", True),
        ("r[pq]c", "rpc", False),
        ("r[pq]c", "r[pq]c", True),
        (".", "rpc", False),
        ("RPC", "rpc", False),
    ],
)
def test_only_star_and_question_mark_are_special(pattern: str, source: str, matches: bool) -> None:
    choose = level_chooser([Filter(Level.DEBUG, f"*{pattern}*")], Level.ERROR)
    assert (choose(source) is Level.DEBUG) is matches


@pytest.mark.parametrize("text", [1, "1", "debug"])
def test_a_level_is_a_number_or_a_word(text: int | str) -> None:
    assert parse_level(text) is Level.DEBUG


@pytest.mark.parametrize("text", [0, 5, "0", "DEBUG", "", "warn"])
def test_another_level_is_refused(text: int | str) -> None:
    with pytest.raises(LogSettingError):
        parse_level(text)


def test_a_format_is_chosen_by_place_then_by_destination_then_in_general() -> None:
    formats = parse_formats("json file=text file:/a/../b=json")
    chosen = [formats.of(one) for one in parse_outputs("1:stderr 1:file:/a 1:file:/b 1:syslog:x")]
    assert chosen == ["json", "text", "json", "json"]
    assert parse_formats(str(formats)) == formats


@pytest.mark.parametrize(
    "text", ["xml", "text file=xml", "journald=json", "stderr:x=json", "=json"]
)
def test_another_format_is_refused(text: str) -> None:
    with pytest.raises(LogSettingError):
        parse_formats(text)


def test_an_error_carries_the_errno_of_a_failed_open() -> None:
    error = LogSettingError("x", code_name="SYSTEM_ERROR", errno=errno.ENOENT)
    assert (error.code_name, error.errno) == ("SYSTEM_ERROR", errno.ENOENT)
