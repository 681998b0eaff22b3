"""A daemon out of the RPC core: process, settings, sockets, logging, restart. No particular daemon.

A package declares a daemon with a `DaemonKind` and runs it with `run`; the example in `examples/fourth`
is a whole one. These names are loaded when they are first used, so that commands which import a daemon's
package stay quick.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.component import Component, Keep
    from aiovirt.daemons.runtime.entry import run
    from aiovirt.daemons.runtime.kind import DaemonKind, TcpSocket, UnixSocket
    from aiovirt.daemons.runtime.settings.catalogue import daemon_settings
    from aiovirt.daemons.runtime.settings.declaration import (
        Choice,
        Fixed,
        Flag,
        Integer,
        Live,
        Same,
        Setting,
        Text,
        Texts,
        Value,
    )
    from aiovirt.daemons.runtime.start import Start

__all__ = [
    "Choice",
    "Component",
    "DaemonKind",
    "Fixed",
    "Flag",
    "Integer",
    "Keep",
    "Live",
    "Same",
    "Setting",
    "Start",
    "TcpSocket",
    "Text",
    "Texts",
    "UnixSocket",
    "Value",
    "daemon_settings",
    "run",
]

#: The modules of the names that are not declarations of settings.
_MODULES: Final = {
    "Component": "component",
    "DaemonKind": "kind",
    "Keep": "component",
    "Start": "start",
    "TcpSocket": "kind",
    "UnixSocket": "kind",
    "daemon_settings": "settings.catalogue",
    "run": "entry",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    module = _MODULES.get(name, "settings.declaration")
    return getattr(importlib.import_module(f"{__name__}.{module}"), name)
