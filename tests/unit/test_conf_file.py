"""Settings files: what libvirt's reader accepts means what it means there; any other file is TOML."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiovirt.admin.conf_file import SIZE_MAX, ConfError, Repeated, parse


def values(data: bytes) -> dict[str, object]:
    return {name: entry.value for name, entry in parse(data).entries.items()}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", {}),
        (b"\n \t\r\n# nothing\n", {}),
        (b"a = 1", {"a": 1}),
        (b"a=0100 # a hundred\n", {"a": 100}),
        (b"a = +5\nb = -7;c = 0\r\n", {"a": 5, "b": -7, "c": 0}),
        (b"a = 'it\"s'\nb = \"it's\"\n", {"a": 'it"s', "b": "it's"}),
        (b'a = "x\\ty\\,z\\"\n', {"a": "x\\ty\\,z\\"}),
        (b'a = """\none "two"\n"""\n', {"a": '\none "two"\n'}),
        (b"a = []\nb = [ 'x', # one\n]\n", None),
        (b"a = []\nb = [ 'x',\n  'y' ,\n]\n", {"a": [], "b": ["x", "y"]}),
        (b"# r\xe9glages\na = '\xe9'\n", {"a": "\udce9"}),
        (b"a_B9 = [1, [2]]\n", {"a_B9": [1, [2]]}),
    ],
)
def test_libvirts_syntax(data: bytes, found: dict[str, object] | None) -> None:
    if found is None:  # a comment within a list is TOML's only
        found = {"a": [], "b": ["x"]}
    assert values(data) == found


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"a = true\nb = 0x10\n", {"a": True, "b": 16}),
        (b'a = false\nb = "x\\ty"\n', {"a": False, "b": "x\ty"}),
        (b"a-b = 1_000\n", {"a-b": 1000}),
    ],
)
def test_a_file_that_libvirts_reader_refuses_is_toml(data: bytes, found: dict[str, object]) -> None:
    assert values(data) == found


def test_of_two_lines_that_set_a_name_the_first_counts() -> None:
    found = parse(b"a = 1\nb = 2\na = 3\n")
    assert {name: entry.value for name, entry in found.entries.items()} == {"a": 1, "b": 2}
    assert found.repeated == (Repeated("a", 3, 1),)


def test_lines_are_known() -> None:
    found = parse(b"\n# x\na = [\n 'y',\n]\n\nb = 1\n")
    assert {name: entry.line for name, entry in found.entries.items()} == {"a": 3, "b": 7}
    found = parse(b"# x\na = true\nb = '''x\ny'''\n\nc = 1\n")
    assert {name: entry.line for name, entry in found.entries.items()} == {"a": 2, "b": 3, "c": 6}


@pytest.mark.parametrize(
    ("data", "line", "text"),
    [
        (b"a = 1\n[section]\nb = 2\n", 2, "section is a table"),
        (b"a.b = 1\n", 1, "a is a table"),
        (b"a = { b = 1 }\n", 1, "a is a table"),
        (b"a = [{ b = 1 }]\n", 1, "a is a table"),
        (b"\na\n", 2, "expected = after a"),
        (b"\n\na = \n", 3, "expected a value"),
        (b"a = 'x\n", 1, "no closing quote"),
        (b"a = 1 b = 2\n", 1, "expected the end of the line"),
        (b"a = [1 2]\n", 1, "expected , or ]"),
        (b"a = " + b"9" * 5000, 1, "at most 20 digits"),
        (b"a = " + b"[" * 5000, 1, "more than 8 deep"),
        (b"a = true\nb = 'x'\nb = true\nc = 1\n", 3, "not TOML"),
        (b"a = true # \xe9\n", 1, "expected a value"),
        (b"#" * (SIZE_MAX + 1), 1, "maximum"),
    ],
)
def test_any_other_file_is_refused_with_its_line(data: bytes, line: int, text: str) -> None:
    with pytest.raises(
        ConfError, match="^.*" + text.replace("[", r"\[").replace("]", r"\]")
    ) as got:
        parse(data)
    assert got.value.line == line


def test_libvirts_own_files_are_read() -> None:
    folder = Path("/etc/libvirt")
    files = [*folder.glob("*.conf")] if folder.is_dir() else []
    if not files:
        if os.environ.get("CI") == "true":
            pytest.fail("libvirt's settings files are not installed")
        pytest.skip("libvirt's settings files are not installed")
    for file in files:
        parse(file.read_bytes())
