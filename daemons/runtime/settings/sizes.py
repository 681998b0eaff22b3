"""A size in a settings file: a number of bytes, or a text of a number and a unit, as from libvirt
12.8 on.

Source: libvirt's src/util/virutil.c (virScaleInteger).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.rpc.patterns import pattern

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings.declaration import Value

_TEXT: Final = pattern(
    r"\s*\+?([0-9]+)(?:(?:b|bytes?)|([kmgtpe])(ib|b)?)?", re.IGNORECASE | re.ASCII
)
_UNITS: Final = "kmgtpe"


class Size(msgspec.Struct, frozen=True):
    """Bytes, at most `highest`.

    A text may have a unit, in any case of letters: b, byte and bytes; k, M, G, T, P and E, alone or with
    iB, for powers of 1024; with B for powers of 1000.
    """

    highest: int

    @property
    def allowed(self) -> str:
        """See `ValueKind`."""
        return (
            f"a whole number of bytes from 0 to {self.highest},"
            ' or a text like "2MiB" (1024 based), "2M" (the same) or "2MB" (1000 based)'
        )

    def check(self, found: object) -> int:
        """See `ValueKind`. The result is in bytes."""
        size = found
        if isinstance(found, str):
            match = _TEXT.fullmatch(found)
            if match is None:
                raise ValueError
            number, unit, rest = match.groups()
            base = 1000 if rest and rest.lower() == "b" else 1024
            size = int(number[:40]) * base ** (_UNITS.index(unit.lower()) + 1 if unit else 0)
        if type(size) is int and 0 <= size <= self.highest:
            return size
        raise ValueError

    def show(self, value: Value) -> str:
        """See `ValueKind`."""
        return str(value)
