"""The daemons of this package: the subpackages here that declare a `KIND`. Nothing else lists them."""

from __future__ import annotations

import importlib
import pkgutil

from aiovirt import daemons
from aiovirt.daemons.runtime.kind import DaemonKind


def kinds() -> list[DaemonKind]:
    """The declarations of all daemons, sorted by name."""
    found = []
    for module in pkgutil.iter_modules(daemons.__path__, f"{daemons.__name__}."):
        if module.ispkg:
            kind = getattr(importlib.import_module(module.name), "KIND", None)
            if isinstance(kind, DaemonKind):
                found.append(kind)
    return sorted(found, key=lambda kind: kind.name)
