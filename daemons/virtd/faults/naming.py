"""Names of error codes and domains, as users write them."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from aiovirt.daemons.virtd.faults.rules import RuleError
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain

_INT: Final = 2**31


def code(text: str) -> int:
    """Return an error code: `NO_DOMAIN`, `VIR_ERR_NO_DOMAIN` or a number. Raises RuleError."""
    return _number(text, ErrorCode, "VIR_ERR_", "an error code")


def domain(text: str) -> int:
    """Return an error domain: `QEMU`, `VIR_FROM_QEMU` or a number. Raises RuleError."""
    return _number(text, ErrorDomain, "VIR_FROM_", "an error domain")


def _number(text: str, kind: type[IntEnum], prefix: str, what: str) -> int:
    name = text.upper().removeprefix(prefix)
    if name in kind.__members__:
        return int(kind[name])
    try:
        number = int(text)
    except ValueError:
        number = -1
    if not 0 <= number < _INT:
        example = list(kind)[-1].name
        raise RuleError(f"'{text}' is not {what}: a number, or a name like {example}")
    return number


def shown(number: int, kind: type[IntEnum]) -> str:
    """Return the name of a number, or the number."""
    return kind(number).name if number in set(kind) else str(number)
