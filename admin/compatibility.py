"""Which libvirt this project speaks for: the version that daemons and virtadm claim."""

from __future__ import annotations

from typing import Final

#: The libvirt whose behaviour is followed: major * 1000000 + minor * 1000 + release. A daemon claims it
#: unless it is told another one.
LIBVIRT_VERSION: Final = 9_000_000


def version_text(version: int) -> str:
    """Write a version number of libvirt as people do: 9000000 is 9.0.0."""
    return f"{version // 1_000_000}.{version // 1000 % 1000}.{version % 1000}"
