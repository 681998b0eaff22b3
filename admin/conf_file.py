"""Settings files: the syntax of libvirt's own files, and TOML.

A file that libvirt's reader accepts means here what it means there: of two lines that set the same
name the first counts, a backslash in a string is a backslash, `0100` is one hundred, and bytes that
are not UTF-8 may stand anywhere. Any other file is read as TOML, without tables.

The daemons and virtadm read their files with this module. Nothing is opened here.

Source: libvirt's src/util/virconf.c (virConfParse).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.records import frozen

ConfValue = int | str | bool | float | list["ConfValue"] | object
"""A value as the file has it; TOML's dates and times are passed on as they are."""

#: Bytes that a settings file may have (libvirt: MAX_CONFIG_FILE_SIZE).
SIZE_MAX: Final = 10 * 1024 * 1024
#: Digits that a number may have: libvirt keeps numbers in 64 bits.
_DIGITS_MAX: Final = 20
#: Lists within lists.
_DEPTH_MAX: Final = 8

_BLANKS: Final = pattern(rb"[ \t]*")
_BLANKS_AND_LINES: Final = pattern(rb"[ \t\r\n]*")
_COMMENT: Final = pattern(rb"[^\r\n]*")
_NAME: Final = pattern(rb"[A-Za-z][A-Za-z0-9_]*")
_NUMBER: Final = pattern(rb"[-+]?[0-9]+")
_SINGLE_QUOTED: Final = pattern(rb"'([^'\r\n]*)'")
_DOUBLE_QUOTED: Final = pattern(rb'"([^"\r\n]*)"')
_TRIPLE_QUOTED: Final = pattern(rb'"""(.*?)"""', re.DOTALL)


class ConfError(ValueError):
    """A settings file that cannot be read. line: where, counted from 1."""

    def __init__(self, line: int, text: str) -> None:
        super().__init__(text)
        self.line = line


class _TooDeep(ConfError):
    """Lists within lists within lists: TOML's reader would only spend more memory on them."""


@frozen
class Entry:
    """One setting of a file.

    line: where it stands, counted from 1. place: the first byte of its name, the first of its value, and
    the one after its value; None in TOML.
    """

    value: ConfValue
    line: int
    place: tuple[int, int, int] | None = None


@frozen
class Repeated:
    """A line that sets a name again, and so sets nothing. first: the line that counts."""

    name: str
    line: int
    first: int


@frozen
class ConfFile:
    """The content of a settings file.

    entries: by name, in the order of the file; is_toml: whether only TOML's rules accept it.
    """

    entries: Mapping[str, Entry]
    repeated: tuple[Repeated, ...] = ()
    is_toml: bool = False


def parse(data: bytes) -> ConfFile:
    """Read the content of a settings file.

    Raises ConfError, with the line, for a file that neither libvirt's reader nor TOML accepts, that has
    a TOML table, or that is larger than SIZE_MAX.
    """
    if len(data) > SIZE_MAX:
        raise ConfError(1, f"the file is too large: the maximum is {SIZE_MAX} bytes")
    try:
        return _Reader(data).read()
    except _TooDeep:
        raise
    except ConfError as error:
        return _parse_toml(data, error)


class _Reader:
    """Reads libvirt's syntax."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0
        self._line = 1
        self._counted = 0

    def read(self) -> ConfFile:
        entries: dict[str, Entry] = {}
        repeated: list[Repeated] = []
        self._skip(_BLANKS_AND_LINES)
        while self._at < len(self._data):
            if self._next() == b"#":
                self._skip(_COMMENT)
            else:
                name, entry = self._statement()
                if name in entries:
                    repeated.append(Repeated(name, entry.line, entries[name].line))
                else:
                    entries[name] = entry
            self._separator()
        return ConfFile(entries, tuple(repeated))

    def _statement(self) -> tuple[str, Entry]:
        line, start = self._here(), self._at
        name = self._take(_NAME)
        if name is None:
            raise self._refusal("expected the name of a setting")
        self._skip(_BLANKS)
        if self._next() != b"=":
            raise self._refusal(f"expected = after {name.decode()}")
        self._at += 1
        self._skip(_BLANKS)
        value_start = self._at
        value = self._value(0)
        place = start, value_start, self._at
        self._skip(_BLANKS)
        if self._next() == b"#":
            self._skip(_COMMENT)
        return name.decode(), Entry(value, line, place)

    def _separator(self) -> None:
        self._skip(_BLANKS)
        if self._at == len(self._data):
            return
        if self._next() == b";":
            self._at += 1
        elif self._next() not in (b"\n", b"\r"):
            raise self._refusal("expected the end of the line after the value")
        self._skip(_BLANKS_AND_LINES)

    def _value(self, depth: int) -> ConfValue:
        self._skip(_BLANKS)
        start = self._next()
        if start in (b"'", b'"'):
            return self._string()
        if start == b"[":
            if depth == _DEPTH_MAX:
                raise _TooDeep(self._here(), f"lists are nested more than {_DEPTH_MAX} deep")
            return self._list(depth + 1)
        number = self._take(_NUMBER)
        if number is None:
            raise self._refusal(
                "expected a value: a number, a string in quotes, or a list in brackets"
            )
        if len(number) > _DIGITS_MAX:
            raise self._refusal(f"a number has at most {_DIGITS_MAX} digits")
        return int(number)

    def _string(self) -> str:
        for form in (_TRIPLE_QUOTED, _SINGLE_QUOTED, _DOUBLE_QUOTED):
            match = form.match(self._data, self._at)
            if match is not None:
                self._at = match.end()
                return match[1].decode(errors="surrogateescape")
        raise self._refusal("a string has no closing quote")

    def _list(self, depth: int) -> list[ConfValue]:
        found: list[ConfValue] = []
        self._at += 1
        self._skip(_BLANKS_AND_LINES)
        while self._next() != b"]":
            found.append(self._value(depth))
            self._skip(_BLANKS_AND_LINES)
            if self._next() == b",":
                self._at += 1
                self._skip(_BLANKS_AND_LINES)
            elif self._next() != b"]":
                raise self._refusal("expected , or ] in a list")
        self._at += 1
        return found

    def _next(self) -> bytes:
        return self._data[self._at : self._at + 1]

    def _skip(self, what: re.Pattern[bytes]) -> None:
        self._take(what)

    def _take(self, what: re.Pattern[bytes]) -> bytes | None:
        match = what.match(self._data, self._at)
        if match is None:
            return None
        self._at = match.end()
        return match[0]

    def _here(self) -> int:
        """The line of the next byte."""
        self._line += self._data.count(b"\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _refusal(self, text: str) -> ConfError:
        return ConfError(self._here(), text)


def _parse_toml(data: bytes, refused: ConfError) -> ConfFile:
    """Read a file that libvirt's reader refused with `refused`."""
    import tomllib  # most files need it not

    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise refused from None  # TOML is UTF-8
    try:
        table: dict[str, Any] = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not all that tomllib refuses is its own error
        raise _clearer(error, text, refused) from None
    lines = {name: _line_of(text, name) for name in table}
    for name, value in table.items():
        if _has_table(value):
            raise ConfError(lines[name], f"{name} is a table; a settings file has no tables")
    entries = {name: Entry(value, lines[name]) for name, value in table.items()}
    return ConfFile(entries, is_toml=True)


def _clearer(error: Exception, text: str, refused: ConfError) -> ConfError:
    """The refusal of the reader that came further."""
    found = re.search(r"\(at line (\d+), column \d+\)", str(error))
    line = int(found[1]) if found else text.count("\n") + 1
    if line <= refused.line + 1 or isinstance(error, RecursionError):
        return refused
    return ConfError(line, f"not TOML: {str(error).split(' (at ')[0].lower()}")


def _has_table(value: object) -> bool:
    if isinstance(value, list):
        return any(_has_table(item) for item in value)
    return isinstance(value, dict)


def _line_of(text: str, name: str) -> int:
    """The line of a top-level name; tomllib does not tell it."""
    found = re.search(
        rf"^[ \t]*[\[\"']*{re.escape(name)}[\"'\]]*[ \t]*(=|\.|$)", text, re.MULTILINE
    )
    return text.count("\n", 0, found.start()) + 1 if found else 1
