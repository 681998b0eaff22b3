"""Everything that a daemon can need is loaded by the time it says ready, or a moment later.

When the code is replaced under a running daemon, or removed, nothing new gets into the old process: it
goes on with what it has. The parts that no start needs (structlog, modules of the standard library that
functions import, and modules of its own that only some requests need) are loaded one by one while the
daemon serves already; of those for TLS and SASL, which settings can turn on later, the code is kept. A
rehearsal loads all of it, so that a broken module is found by it wherever it is.
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
from itertools import chain
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

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
#: takes 50 ms each, and 13 MiB.
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
#: The calling side of a daemon that calls others of its kind: virtd, at a migration from peer to peer.
_CALLING: Final = {"aiovirt.daemons.virtd": ("aiovirt.daemons.virtd.client",)}
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


class KeptModules:
    """The code of modules that are not loaded; a finder and a loader, as `importlib` knows them.

    Some settings that can be turned on later need large libraries. To load these in every daemon would
    cost 13 MiB. The code costs nothing, and keeps that of a new release out of an old process.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[CodeType, str]] = {}  # and the paths of the files

    def keep(self, name: str) -> None:
        """Read the code of a module, not of a package, unless it is loaded.

        Does nothing if the code is not in a file of its own. Raises OSError, SyntaxError.
        """
        package = name.rpartition(".")[0]
        if name in sys.modules:
            return
        spec = importlib.machinery.PathFinder.find_spec(name, sys.modules[package].__path__)
        if spec is None or not isinstance(spec.loader, importlib.machinery.SourceFileLoader):
            return
        code = spec.loader.get_code(name)
        if code is not None:
            self._kept[name] = code, spec.loader.path
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See `importlib.abc.MetaPathFinder`."""
        if name not in self._kept:
            return None
        spec = importlib.machinery.ModuleSpec(name, cast(Any, self), origin=self._kept[name][1])
        spec.has_location = True
        return spec

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """See `importlib.abc.Loader`."""

    def exec_module(self, module: ModuleType) -> None:
        """See `importlib.abc.Loader`."""
        exec(self._kept[module.__name__][0], vars(module))  # noqa: S102  what an import does


#: Kept in this process.
KEPT: Final = KeptModules()


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


async def load_rest(instance: Loadable) -> None:
    """Load what no start needs, in pieces that keep no client waiting for long."""
    await asyncio.sleep(_CALM)
    left: list[Callable[[], object]] = [logs.load]  # first: others may have something to say
    left += [partial(importlib.import_module, name) for name in _STANDARD]
    left.append(_settle_allocator)
    left.append(lambda: left.extend([*_of_its_own(instance)]))
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


def _of_its_own(instance: Loadable) -> Iterator[Callable[[], object]]:
    """Functions that load, or keep, the modules of ours that the daemon may come to need, one each."""
    for name in chain(*map(_below, _packages(instance)), _calling(instance)):
        if name not in sys.modules:
            yield partial(importlib.import_module, name)
    for name in sorted((_TLS | _SASL) - sys.modules.keys()):
        yield partial(KEPT.keep, name)


def _settle_allocator() -> None:
    from aiovirt.daemons.runtime import allocator

    allocator.settle()


def load_all(instance: Loadable) -> None:
    """Load what a daemon can need with any settings. Raises whatever a module raises."""
    logs.load()
    for name in (*_STANDARD, *_modules(instance), *_calling(instance)):
        importlib.import_module(name)


def _modules(instance: Loadable) -> Iterator[str]:
    return chain.from_iterable(map(_below, (*_PACKAGES, *_packages(instance))))


def _calling(instance: Loadable) -> Iterator[str]:
    """The calling sides of the components' daemons."""
    return chain.from_iterable(_CALLING.get(one, ()) for one in _packages(instance))


def _packages(instance: Loadable) -> set[str]:
    """The packages of the components."""
    return {_package(type(one)) for one in instance.components} - {""}


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
