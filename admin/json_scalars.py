"""Numbers, names, strings and bytes of JSON: the values without parts of `json_values`."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Sequence
from typing import Any, Final

from aiovirt.admin.extension.protocol.introspection import EnumerationInfo

_WORDS: Final = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}
DIGITS: Final = re.compile(r"[+-]?[0-9]{1,20}", re.ASCII)

#: Names that an error lists, and characters of a wrong name that are compared with these.
_NAMES_SHOWN: Final = 12
_NAME_MAX: Final = 100


class JsonError(ValueError):
    """A JSON value that does not fit its type; the text names its place."""


def first_of(enumeration: EnumerationInfo) -> Any:
    """Return the name of the first member, or 0 without any."""
    return enumeration.members[0].name if enumeration.members else 0


def value_of(enumeration: EnumerationInfo, value: Any, path: str) -> Any:
    """Turn names of members into a number; any other value stays. Raises JsonError."""
    if enumeration.is_flags and isinstance(value, list):
        bits = 0
        for item in value:
            number = _member(enumeration, item, path)
            if isinstance(number, bool) or not isinstance(number, int):
                raise misfit(path, "names of flags", item)
            bits |= number
        return bits
    if enumeration.is_flags and isinstance(value, str) and not DIGITS.fullmatch(value):
        names = [word.strip() for word in value.split("|") if word.strip()]
        return value_of(enumeration, names, path)
    return _member(enumeration, value, path)


def _member(enumeration: EnumerationInfo, value: Any, path: str) -> Any:
    if not isinstance(value, str):
        return value
    for member in enumeration.members:
        if member.name.lower() == value.lower():
            return member.value
    if DIGITS.fullmatch(value):
        return int(value)
    names = [member.name for member in enumeration.members]
    raise JsonError(f"{at(path)}{enumeration.name} has no '{value}'{meant(value, names)}")


def named(enumeration: EnumerationInfo, number: int) -> Any:
    """Turn a number into the names of members."""
    if not enumeration.is_flags:
        names = (member.name for member in enumeration.members if member.value == number)
        return next(names, number)
    if number < 0:
        return [number]
    found: list[Any] = []
    for member in enumeration.members:
        bit = member.value
        if bit > 0 and number & bit == bit and not bit & (bit - 1):
            found.append(member.name)
            number &= ~bit
    return [*found, number] if number else found


def double(value: Any, path: str) -> float:
    """Check a number for a double. Raises JsonError."""
    if isinstance(value, str) and value in _WORDS:
        return _WORDS[value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise misfit(path, "a number", value)
    try:
        return float(value)
    except OverflowError:
        raise JsonError(f"{at(path)}the number is too large for a double") from None


def word_of(value: float) -> str:
    """Return the word for a number that JSON does not have."""
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def text_of(value: Any, path: str) -> bytes:
    """Return a string as bytes. Raises JsonError."""
    if not isinstance(value, str):
        raise misfit(path, "a string", value)
    if "\0" in value:
        raise JsonError(f"{at(path)}a string cannot contain a NUL")
    try:
        return value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise JsonError(f"{at(path)}the string is not text that UTF-8 can encode") from None


def octets(value: Any, path: str) -> bytes:
    """Return the bytes of hexadecimal digits. Raises JsonError."""
    if not isinstance(value, str):
        raise misfit(path, "a string of hexadecimal digits", value)
    try:
        return bytes.fromhex(value.replace("-", ""))
    except ValueError:
        raise misfit(path, "a string of hexadecimal digits", value) from None


def widened(data: bytes) -> bytes:
    """Return each byte as an int; signed, as C has them on most machines."""
    return struct.pack(f">{len(data)}i", *struct.unpack(f"{len(data)}b", data))


def too_long(path: str, bound: int, size: int, what: str) -> JsonError:
    """Make the error for more than a bound allows."""
    return JsonError(f"{at(path)}at most {bound} {what} are allowed, not {size}")


def misfit(path: str, wanted: str, value: Any) -> JsonError:
    """Make the error for a value of another type than the one that is wanted."""
    try:
        shown = json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        shown = repr(value)
    if len(shown) > 60:
        shown = f"{shown[:57]}..."
    return JsonError(f"{at(path)}expected {wanted}, not {shown}")


def meant(wrong: str, names: Sequence[str]) -> str:
    """Return the end of an error about a wrong name: names that are close to it, or the first ones.

    Args:
        wrong: the wrong name.
        names: the right ones.
    """
    from difflib import get_close_matches  # needed for a mistyped name only

    known = {name.lower(): name for name in names}
    if near := get_close_matches(wrong.lower()[:_NAME_MAX], known, cutoff=0.6):
        return f"; did you mean {' or '.join(known[name] for name in near)}?"
    more = ", ..." if len(names) > _NAMES_SHOWN else ""
    return f"; it has {', '.join(names[:_NAMES_SHOWN]) or 'none'}{more}"


def at(path: str) -> str:
    """Return the place as the beginning of an error's text."""
    return f"{path}: " if path else ""
