"""Sets of processors: as documents write them ("0-3,^2"), and as maps of bits.

Source: libvirt's src/util/virbitmap.c.
"""

from __future__ import annotations

from collections.abc import Iterable


def parse(text: str) -> set[int]:
    """Read a set of numbers.

    Args:
        text: numbers and ranges; one after `^` is left out.

    Raises:
        ValueError: it is not such a set.
    """
    found: set[int] = set()
    for part in text.split(","):
        word = part.strip()
        if word.startswith("^"):
            found.discard(int(word[1:]))
            continue
        first, _, last = word.partition("-")
        low, high = int(first), int(last or first)
        if not 0 <= low <= high < 65536:
            raise ValueError(f"'{word}' is not a range of processors")
        found.update(range(low, high + 1))
    return found


def text_of(numbers: Iterable[int]) -> str:
    """Write a set of numbers: "0-3,5"."""
    parts: list[str] = []
    begin = last = -2
    for number in [*sorted(numbers), -1]:
        if number == last + 1:
            last = number
            continue
        if begin >= 0:
            parts.append(str(begin) if begin == last else f"{begin}-{last}")
        begin = last = number
    return ",".join(parts)


def bits(numbers: Iterable[int], size: int) -> bytes:
    """Make the map of a set.

    Args:
        numbers: the set; what does not fit is left out.
        size: bytes of the map.
    """
    made = bytearray(size)
    for number in numbers:
        if number // 8 < size:
            made[number // 8] |= 1 << number % 8
    return bytes(made)


def numbers_of(data: bytes) -> set[int]:
    """Return the set of a map."""
    return {at * 8 + bit for at, octet in enumerate(data) for bit in range(8) if octet & (1 << bit)}
