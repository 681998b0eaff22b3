"""The daemons of this package, found by looking: the subpackages that declare a `KIND`."""

from __future__ import annotations

from importlib import import_module

from aiovirt.admin.plugins import own_daemons
from aiovirt.daemons.runtime.kind import DaemonKind


def kinds() -> list[DaemonKind]:
    """The declarations of all daemons here, in alphabetical order of their names."""
    packages = (import_module(f"aiovirt.daemons.{name}") for name in own_daemons())
    found = (getattr(package, "KIND", None) for package in packages)
    return [kind for kind in found if isinstance(kind, DaemonKind)]
