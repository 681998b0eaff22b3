"""Which libvirt this project speaks for: the version that daemons and virtadm claim."""

from __future__ import annotations

import re
from typing import Final

from aiovirt.rpc.patterns import pattern

_VERSION: Final = pattern(r"([0-9]{1,3})\.([0-9]{1,3})\.([0-9]{1,3})", re.ASCII)

#: The libvirt whose behaviour is followed: major * 1000000 + minor * 1000 + release. A daemon claims it
#: unless it is told another one.
LIBVIRT_VERSION: Final = 9_000_000


def version_number(text: str) -> int:
    """Read a version as people write it: 9.0.0 is 9000000. Raises ValueError for anything else."""
    match = _VERSION.fullmatch(text)
    if match is None:
        raise ValueError("it is not MAJOR.MINOR.RELEASE, each from 0 to 999")
    major, minor, release = map(int, match.groups())
    return major * 1_000_000 + minor * 1000 + release


def version_text(version: int) -> str:
    """Write a version number of libvirt as people do: 9000000 is 9.0.0."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
