"""DER that is changed value by value, so that the lengths around a change still fit."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

_SEQUENCE: Final = 0x30
_BITS: Final = b"\3"
#: The algorithm identifier of Ed25519.
ED25519: Final = bytes.fromhex("300506032b6570")
#: Tags worth trying: every kind of string, of time and of container, and one of several bytes.
_TAGS: Final = (
    bytes(range(1, 6)) + b"\x06\x0a\x0c\x12\x13\x14\x16\x17\x18\x1c\x1e\x1f\x30\x31\x80\x82\xa0\xa3"
)


def value(tag: int, content: bytes) -> bytes:
    """One value."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def signed(tbs: bytes, sign: Callable[[bytes], bytes]) -> bytes:
    """A certificate or revocation list around what was to be signed."""
    return value(_SEQUENCE, tbs + ED25519 + _BITS + bytes((65, 0)) + sign(tbs))


def split(data: bytes) -> list[tuple[int, bytes]] | None:
    """The values in `data` by tag and content; None when it is no DER."""
    found = []
    at = 0
    while at < len(data):
        if len(data) - at < 2:
            return None
        tag, size = data[at], data[at + 1]
        at += 2
        if size >= 0x80:
            count = size & 0x7F
            size = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + size > len(data):
            return None
        found.append((tag, data[at : at + size]))
        at += size
    return found


def change(data: bytes, limit: int, random: Random, blind: Callable[[bytes, int], bytes]) -> bytes:
    """Change one value somewhere: take it out, repeat it, give it another tag or other bytes."""
    parts = split(data)
    if not parts:
        return blind(data, limit)
    at = random.randrange(len(parts))
    tag, content = parts[at]
    # Containers hold values, and so do the strings of bytes that extensions are.
    inside = split(content) if tag & 0x20 or tag in (0x03, 0x04) else None
    if inside and random.random() < 0.9:
        parts[at] = tag, change(content, limit, random, blind)
    else:
        match random.randrange(8):
            case 0:
                del parts[at]
            case 1:
                parts.insert(at, parts[at])
            case 2:
                parts[at] = random.choice(_TAGS), content
            case 3:
                parts[at] = parts[random.randrange(len(parts))]
            case 4:
                parts[at] = tag, b""
            case _:
                parts[at] = tag, blind(content, limit)
    return b"".join(value(*part) for part in parts)
