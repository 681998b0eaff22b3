"""Discovery: which daemons this package has, and what other packages add to virtadm and its URIs.

A daemon of ours is a subpackage of `aiovirt.daemons` (all but `runtime`, on which they are built). Its
module `commands`, if there is one, declares the commands that virtadm has for it as `GROUP`. Looking
costs one listing of a folder.

A package of somebody else declares entry points instead:

    [project.entry-points."aiovirt.daemons"]
    mined = "mined:KIND"                        # mined:///system leads to aiovirt/mined-admin-sock
    [project.entry-points."aiovirt.virtadm"]
    mined = "mined.commands:GROUP"

Its name does not begin with `virt`: such a scheme leads to a daemon of libvirt.
Entry points are asked only for a name that nothing of ours explains, and for lists of everything:
`importlib.metadata` takes longer to load and to search than most commands take to run.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

#: Entry points NAME = "module:GROUP", GROUP an `aiovirt.admin.cli.table.Group`.
COMMANDS: Final = "aiovirt.virtadm"
#: Entry points NAME = "module:KIND", KIND an `aiovirt.daemons.runtime.kind.DaemonKind`.
DAEMONS: Final = "aiovirt.daemons"

_PACKAGE: Final = "aiovirt.daemons"
_FOUNDATION: Final = "runtime"


class PluginError(Exception):
    """An entry point of another package that cannot be used; the text names it and says why."""


@cache
def own_daemons() -> tuple[str, ...]:
    """The names of the daemons in this package, in alphabetical order."""
    return tuple(name for name in _modules_in(_PACKAGE) if name != _FOUNDATION)


def own_commands() -> Iterator[Any]:
    """Yield the commands of this package's daemons; each module is imported when it is reached."""
    for name in own_daemons():
        if "commands" in _modules_in(f"{_PACKAGE}.{name}", packages=False):
            yield import_module(f"{_PACKAGE}.{name}.commands").GROUP


def is_daemon(name: str) -> bool:
    """Whether a daemon of this name is ours or another package's that is built like ours."""
    return name in own_daemons() or any(entry.name == name for entry in entry_points(DAEMONS))


def daemon_names() -> list[str]:
    """The names of our daemons, then of those that other packages declare."""
    strangers = sorted({entry.name for entry in entry_points(DAEMONS)})
    return list(dict.fromkeys((*own_daemons(), *strangers)))


def entry_points(group: str) -> Iterator[EntryPoint]:
    """The entry points of this group, of all installed packages."""
    from importlib import metadata

    yield from metadata.entry_points(group=group)


def load(entry: EntryPoint) -> Any:
    """The object that an entry point names. Raises PluginError when it cannot be imported."""
    try:
        return entry.load()
    except Exception as error:  # a stranger's module may fail in any way
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"entry point '{entry.name} = {entry.value}' of group {entry.group} cannot be loaded: "
            f"{reason}"
        ) from error


def _modules_in(package: str, *, packages: bool = True) -> list[str]:
    """The names of a package's subpackages, or of its plain modules; the package is imported."""
    from pkgutil import iter_modules

    paths = import_module(package).__path__
    return sorted(found.name for found in iter_modules(paths) if found.ispkg == packages)
