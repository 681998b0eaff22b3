"""Answers laid out for reading: tables, and columns of names and values.

Source of the layout: libvirt's tools/vsh-table.c and virt-admin.c.
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from aiovirt.rpc.wire.typedparams import ParamType, TypedParam

#: What would disturb the columns, and a backslash that could be taken for such an escape.
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f]|\\(?=x)")


def table(header: Sequence[str], rows: Iterable[Sequence[str]], *, with_header: bool = True) -> str:
    """A table: a blank before each cell, two at least after it, a rule under the header."""
    body = [[_safe(cell) for cell in row] for row in rows]
    lines = [list(header), *body] if with_header else body
    widths = [max((_width(line[at]) for line in lines), default=0) for at in range(len(header))]
    text = [_line(line, widths) for line in lines]
    if with_header:
        text.insert(1, "-" * (sum(widths) + 3 * len(widths)))
    return "".join(f"{line}\n" for line in text)


def columns(pairs: Iterable[tuple[str, object]], width: int) -> str:
    """Lines of `name: value`, the colons in column `width`."""
    return "".join(f"{name:<{width}}: {value}\n" for name, value in pairs)


def when(timestamp: int) -> str:
    """A time in seconds since the epoch, as local time with its zone."""
    try:
        return time.strftime("%Y-%m-%d %H:%M:%S%z", time.localtime(timestamp))
    except (OverflowError, OSError, ValueError):
        return f"@{timestamp}"  # no calendar reaches it


def value_text(param: TypedParam) -> str:
    """A typed parameter's value as a person reads it."""
    kind, content = param.value
    if kind == ParamType.BOOLEAN:
        return "yes" if content else "no"
    if kind == ParamType.DOUBLE:
        return f"{content:f}"
    return str(content)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell + " " * (width - _width(cell) + 2) for cell, width in zip(cells, widths, strict=True)
    ]
    return " " + " ".join([*padded[:-1], cells[-1]])


def _safe(cell: str) -> str:
    """The cell with everything written as \\xNN that has no place in a column."""
    cell = _UNPRINTABLE.sub(lambda match: _escaped(match[0]), cell)
    if cell.isascii():
        return cell
    return "".join(char if char.isprintable() else _escaped(char) for char in cell)


def _escaped(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode("utf-8", "surrogateescape"))


def _width(cell: str) -> int:
    """How many columns a terminal needs."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in cell
    )
