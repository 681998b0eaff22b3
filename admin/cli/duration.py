"""A time that a command lasts: `30`, `30s`, `1.5m`, `2h`."""

from __future__ import annotations

import re
from typing import Final

from aiovirt.admin.cli.failure import CommandFailed

_DURATION: Final = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?)([smh]?)", re.ASCII)
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


def seconds_of(text: str) -> float:
    """Read a duration, in seconds. Raises CommandFailed for another text."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise CommandFailed(
            f"'{text}' is not a duration: a number of seconds, or a number with s, m or h, like 1.5m"
        )
    return float(match[1]) * _UNITS[match[2]]
