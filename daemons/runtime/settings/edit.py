"""Editing the text of a settings file: values change, everything else stays.

No file is touched here (`replace` does that). Each edit is read back with the reader of settings files,
and refused unless the file then says what it said before, with the changes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from aiovirt.admin.conf_file import ConfError, ConfFile, Entry, parse
from aiovirt.daemons.runtime.settings.declaration import Settings, Value
from aiovirt.daemons.runtime.settings.text import spelling
from aiovirt.rpc.patterns import pattern

_REST_OF_LINE: Final = pattern(rb"[^\r\n]*")
_SEPARATOR: Final = pattern(rb"[ \t]*;[ \t]*")
_STRING_OR_COMMENT: Final = pattern(
    rb"\"\"\".*?\"\"\"|'''.*?'''|\"(?:\\\\.|[^\"\\\\])*\"|'[^']*'|(?P<comment>#[^\r\n]*)", re.DOTALL
)
_ENTRIES_MAX: Final = 1000


class EditError(ValueError):
    """A settings file cannot be edited; the text says why."""


def edited(data: bytes, settings: Settings, changes: Mapping[str, Value]) -> bytes:
    """Return a settings file with other values.

    Args:
        data: the file.
        settings: the declarations.
        changes: the new values; None takes a setting out of the file.

    Raises:
        ConfError: the file cannot be read.
        EditError: a change cannot be expressed in it.
    """
    found = parse(data)
    wanted = {name: entry.value for name, entry in found.entries.items() if name not in changes}
    text = data
    for name, value in changes.items():
        if value is None:
            text = _without(text, name)
            continue
        try:
            text = _with(text, name, spelling(settings[name], value, toml=parse(text).is_toml))
        except ValueError as error:
            raise EditError(str(error)) from error
    _check(text, settings, wanted, changes)
    return text


def _check(
    text: bytes, settings: Settings, wanted: Mapping[str, object], changes: Mapping[str, Value]
) -> None:
    """Raise EditError unless a file has the values `wanted`, and those of the changes."""
    try:
        entries = parse(text).entries
        said = {name: entry.value for name, entry in entries.items() if name not in changes}
        right = said == wanted and all(
            (name not in entries)
            if value is None
            else settings[name].kind.check(entries[name].value) == value
            for name, value in changes.items()
        )
    except (ConfError, KeyError, ValueError):
        right = False
    if not right:
        raise EditError(
            f"the settings file cannot be edited for {', '.join(changes)}: edit it by hand"
        )


def _with(text: bytes, name: str, value: str) -> bytes:
    """Give a setting a value, in its line or in a new one."""
    found = parse(text)
    if name in found.entries:
        name_start, start, end = _place(text, found, name)
        replaced = text[:start] + value.encode() + text[end:]
        return _with_comments(replaced, name_start, text[start:end]) if found.is_toml else replaced
    line_end = b"\r\n" if b"\r\n" in text else b"\n"
    line = f"{name} = {value}".encode() + line_end
    for comment in re.finditer(rb"^[ \t]*#[ \t]*%b[ \t]*=.*\n" % name.encode(), text, re.MULTILINE):
        candidate = text[: comment.end()] + line + text[comment.end() :]
        if _adds_only(candidate, found, name):  # and so it is not inside a string or a list
            return candidate
    separator = line_end if text and not text.endswith((b"\n", b"\r")) else b""
    return text + separator + line


def _adds_only(candidate: bytes, found: ConfFile, name: str) -> bool:
    """Return whether a file has one setting more than it had."""
    try:
        fresh = parse(candidate)
    except ConfError:
        return False
    values = {one: entry.value for one, entry in fresh.entries.items() if one != name}
    return name in fresh.entries and values == {
        one: entry.value for one, entry in found.entries.items()
    }


def _without(text: bytes, name: str) -> bytes:
    """Take a setting out, also where it is repeated. A comment in its line stays."""
    for _ in range(_ENTRIES_MAX):
        found = parse(text)
        if name not in found.entries:
            return text
        start, value_start, end = _place(text, found, name)
        without = _cut(text, start, end)
        value = text[value_start:end]
        text = _with_comments(without, start, value) if found.is_toml else without
    raise EditError(f"the settings file sets {name} more than {_ENTRIES_MAX} times")


def _with_comments(text: bytes, at: int, value: bytes) -> bytes:
    """Return a file with the comments of a list that has been in it, in lines above where it was.

    Args:
        text: the file.
        at: a byte of the line.
        value: the list as it was; TOML has comments there.
    """
    found = [match["comment"] for match in _STRING_OR_COMMENT.finditer(value) if match["comment"]]
    if not found:
        return text
    line_end = b"\r\n" if b"\r\n" in value else b"\n"
    start = text.rfind(b"\n", 0, at) + 1
    return text[:start] + b"".join(one + line_end for one in found) + text[start:]


def _cut(text: bytes, start: int, end: int) -> bytes:
    """Take a statement out, and its line if nothing else is in it."""
    line_start = text.rfind(b"\n", 0, start) + 1
    before = text[line_start:start]
    separator = _SEPARATOR.match(text, end)
    if separator is not None:
        return text[:start] + text[separator.end() :]
    rest = _REST_OF_LINE.match(text, end)
    line_end = rest.end() if rest is not None else end
    after = text[end:line_end].strip()
    if before.strip() or after:
        return text[:start] + after + text[line_end:]
    for ending in (b"\r\n", b"\n", b"\r"):
        if text.startswith(ending, line_end):
            line_end += len(ending)
            break
    return text[:line_start] + text[line_end:]


def _place(text: bytes, found: ConfFile, name: str) -> tuple[int, int, int]:
    """Return where a statement begins, where its value begins, and where it ends."""
    entry = found.entries[name]
    return entry.place or _toml_place(text, name, entry)


def _toml_place(text: bytes, name: str, entry: Entry) -> tuple[int, int, int]:
    """Find a statement of TOML: the shortest text at its line that means its value."""
    import tomllib  # most files need it not

    pattern = re.compile(rb"^[ \t]*([\"']?%b[\"']?[ \t]*=[ \t]*)" % name.encode(), re.MULTILINE)
    for match in pattern.finditer(text):
        for end in range(match.end() + 1, len(text) + 1):
            if end < len(text) and text[end] not in b" \t#\r\n":
                continue
            try:
                alone = tomllib.loads(text[match.start(1) : end].decode())
            except ValueError:
                continue
            if alone == {name: entry.value}:
                return match.start(1), match.end(), end
    raise EditError(f"{name} cannot be found in the settings file: edit it by hand")
