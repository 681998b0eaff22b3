"""Everything that a daemon can need is loaded by the time it says ready, or a moment later.

When the code is replaced under a running daemon, or removed, nothing new gets into the old process: it
goes on with what it has. The parts that no start needs (structlog, and modules of the standard library
that functions import) are loaded one by one while the daemon serves already. A rehearsal loads all of
it, also the modules that only some settings need, so that a broken module is found by it wherever it is.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from aiovirt.rpc import logs
from aiovirt.rpc.spare import Reserve

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.component import Component
    from aiovirt.rpc.server import Daemon

_log = logs.get_logger("daemons.runtime.handover.modules")

#: Packages of which a daemon uses every module, sooner or later.
_PACKAGES: Final = (
    "aiovirt.rpc.wire",
    "aiovirt.rpc.transport",
    "aiovirt.rpc.server",
    "aiovirt.rpc.security",
    "aiovirt.rpc.logs",
    "aiovirt.daemons.runtime",
)
#: Modules of the standard library that are imported by functions.
_STANDARD: Final = (
    "grp",
    "pwd",
    "ctypes",
    "difflib",
    "hashlib",
    "json",
    "random",
    "urllib.parse",
    "tempfile",
    "tomllib",
)
#: Seconds after ready until the rest is loaded: for the clients that waited for that. Then the seconds
#: between two pieces, and until the next trial where no descriptor was left.
_CALM: Final = 0.1
_BETWEEN: Final = 0.005
_AGAIN: Final = 1.0
#: What the rest is loaded with when no other descriptor is left.
_ROOM: Final = Reserve(2)
#: Modules that write records, with structlog.
_RECORDS: Final = frozenset({"aiovirt.rpc.logs.capture", "aiovirt.rpc.logs.record"})
#: Modules that only a service with TLS needs, and those that only one with SASL needs: loading these
#: takes 50 ms each.
_TLS: Final = frozenset(
    {
        "aiovirt.rpc.security.certificates",
        "aiovirt.rpc.security.rules",
        "aiovirt.rpc.security.strength",
        "aiovirt.rpc.security.tls",
        "aiovirt.rpc.server.encryption",
        "aiovirt.rpc.transport.tls",
    }
)
_SASL: Final = frozenset({"aiovirt.rpc.security.sasl"})
#: Modules that virtd needs for guests with a lock or a log manager only, and the one that is loaded
#: first when guests get some; they take 30 ms.
_EMULATION: Final = frozenset(
    f"aiovirt.daemons.virtd.emulation.{name}"
    for name in (
        "connecting",
        "device_logs",
        "emulator",
        "keeping",
        "locks",
        "logs",
        "process",
        "stand_in",
    )
)
_EMULATOR: Final = "aiovirt.daemons.virtd.emulation.emulator"
#: Loaded with the rest: it needs ctypes.
_ALLOCATOR: Final = "aiovirt.daemons.runtime.allocator"
#: Names in a daemon's own package that stand for no module of it; most are for its clients.
_NOT_OWN: Final = frozenset(
    ("__init__", "__main__", "admin_client", "client", "commands", "playing", "script")
)
#: The ends of the names of files that are modules.
_SUFFIXES: Final = frozenset(importlib.machinery.all_suffixes())


class Loadable(Protocol):
    """A daemon as far as its modules are concerned; see `instance.Instance`."""

    @property
    def daemon(self) -> Daemon:
        """Its servers."""

    @property
    def components(self) -> Sequence[Component]:
        """Its components."""


def load_needed(instance: Loadable) -> None:
    """Load what a daemon can need with the services that it has. Raises whatever a module raises."""
    accesses = [
        service.access for server in instance.daemon.servers.values() for service in server.services
    ]
    without = {*_RECORDS, _ALLOCATOR}
    if not any(access.tls for access in accesses):
        without |= _TLS
    if not any(access.auth == "sasl" for access in accesses):
        without |= _SASL
    if _EMULATOR not in sys.modules:
        without |= _EMULATION
    for name in _modules(instance):
        if name not in without and name not in sys.modules:
            importlib.import_module(name)


def keep_room() -> None:
    """Keep descriptors for `load_rest`, and for a record before it: clients may take all others."""
    logs.keep_room()
    _ROOM.fill()


async def load_rest() -> None:
    """Load what no start needs, in pieces that keep no client waiting for long."""
    await asyncio.sleep(_CALM)
    left: list[Callable[[], object]] = [logs.load]  # first: others may have something to say
    left += [partial(importlib.import_module, name) for name in _STANDARD]
    left.append(_settle_allocator)
    while left:
        try:
            with _ROOM.lent():
                left[0]()
        except OSError:  # no descriptor is left
            await asyncio.sleep(_AGAIN)
            continue
        except Exception as error:
            _log.error("a module cannot be loaded", exc_info=error)
        del left[0]
        await asyncio.sleep(_BETWEEN)
    _ROOM.drain()


def _settle_allocator() -> None:
    from aiovirt.daemons.runtime import allocator

    allocator.settle()


def load_all(instance: Loadable) -> None:
    """Load what a daemon can need with any settings. Raises whatever a module raises."""
    logs.load()
    for name in (*_STANDARD, *_modules(instance)):
        importlib.import_module(name)


def _modules(instance: Loadable) -> Iterator[str]:
    for package in _PACKAGES:
        yield from _below(package)
    for package in {_package(type(one)) for one in instance.components}:
        if package:
            yield from _below(package)


def _package(kind: type) -> str:
    """The package of a component; empty for one of the program that was started."""
    if kind.__module__ == "__main__":
        return ""
    return sys.modules[kind.__module__].__package__ or ""


def _below(package: str) -> Iterator[str]:
    """The modules of a package and of those in it, but for what others use. None is loaded for it."""
    found = importlib.util.find_spec(package)
    for folder in (found and found.submodule_search_locations) or ():
        for file in sorted(os.listdir(folder)):  # `pkgutil.iter_modules` takes ten times as long
            name, dot, suffix = file.partition(".")
            if name in _NOT_OWN:
                continue
            if dot + suffix in _SUFFIXES:
                yield f"{package}.{name}"
            elif not dot and os.path.exists(f"{folder}/{name}/__init__.py"):
                yield f"{package}.{name}"
                yield from _below(f"{package}.{name}")
