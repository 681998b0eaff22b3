"""Reading a settings file: from a path to checked values.

The syntax is that of `aiovirt.admin.conf_file`: libvirt's own, or TOML.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from aiovirt.admin.conf_file import SIZE_MAX, ConfError, ConfFile, parse
from aiovirt.daemons.runtime.process.failure import one_line, quoted
from aiovirt.daemons.runtime.settings.catalogue import KNOWN_ELSEWHERE
from aiovirt.daemons.runtime.settings.declaration import (
    Same,
    Setting,
    Settings,
    SettingsError,
    Value,
)
from aiovirt.rpc.security.regular import read_regular


class Unused(msgspec.Struct, frozen=True):
    """A name in the file which sets nothing here; `known` when a daemon of libvirt has such a
    setting."""

    name: str
    line: int
    known: bool


class Loaded(msgspec.Struct, frozen=True):
    """The outcome of reading a settings file: a value for every setting, given or default.

    settings: the declarations that it was read by; path: None without a file; given: names that the
    file sets; unused: those that it sets in vain; notes: values that were adjusted, for the log;
    lowered: given values that others bound, with what is said of each.
    """

    settings: Settings
    path: str | None
    values: Mapping[str, Value]
    given: frozenset[str] = frozenset()
    unused: tuple[Unused, ...] = ()
    notes: tuple[str, ...] = ()
    lowered: Mapping[str, str] = msgspec.field(default_factory=dict)

    def integer(self, name: str) -> int:
        """The value of a setting that is a number or a flag."""
        return _number(self.values, name)

    def text(self, name: str) -> str:
        """The value of a setting that is a string; empty when it is not set."""
        value = self.values[name]
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, not a string")
        return value or ""


def below(settings: Settings, folder: str) -> Settings:
    """Return the settings of a daemon that is started with `--rundir`.

    Args:
        settings: as they are declared.
        folder: the run directory, an absolute path; defaults that name a file are below it.
    """
    return {
        name: msgspec.structs.replace(setting, default=f"{folder}/{setting.in_rundir}")
        if setting.in_rundir
        else setting
        for name, setting in settings.items()
    }


def load(settings: Settings, path: str | None, *, required: bool = False) -> Loaded:
    """Read a settings file. Blocks, but never for a FIFO or a device.

    Args:
        settings: the settings of the daemon.
        path: the file; None takes all defaults.
        required: whether a missing file is an error.

    Raises:
        SettingsError: names file, line, setting, value and what is allowed.
    """
    data = _read(path, required=required) if path is not None else None
    if path is None or data is None:
        return _complete(settings, path, ConfFile({}))
    return understood(settings, path, data)


def understood(settings: Settings, path: str, data: bytes) -> Loaded:
    """Return what a settings file with this content says.

    Args:
        settings: the settings of the daemon.
        path: of the file, for messages.
        data: the content.

    Raises:
        SettingsError: as of `load`.
    """
    try:
        return _complete(settings, path, parse(data))
    except ConfError as error:
        raise SettingsError(
            f"{path}:{error.line}: {error} (a setting reads NAME = VALUE, strings in quotes)"
        ) from error


def _read(path: str, *, required: bool) -> bytes | None:
    try:
        return read_regular(path, SIZE_MAX)
    except FileNotFoundError as error:
        if not required:
            return None
        raise SettingsError(f"{path}: there is no such file") from error
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error


def _complete(settings: Settings, path: str | None, file: ConfFile) -> Loaded:
    entries = file.entries
    given = {
        name: _checked(settings[name], entry.value, f"{path}:{entry.line}")
        for name, entry in entries.items()
        if name in settings
    }
    unused = tuple(
        Unused(name, entry.line, name in KNOWN_ELSEWHERE)
        for name, entry in entries.items()
        if name not in settings
    )
    _refuse_two_forms(settings, _FileLines(path, file))
    values: dict[str, Value] = {}
    for name, setting in settings.items():
        default = setting.default
        values[name] = given.get(
            name, values[default.name] if isinstance(default, Same) else default
        )
    repeated = tuple(
        f"{path}:{one.line}: {one.name} is set in line {one.first} already: the value in line"
        f" {one.first} counts"
        for one in file.repeated
    )
    lowered = _cross_check(values, _FileLines(path, file))
    notes = *repeated, *lowered.values()
    return Loaded(settings, path, values, frozenset(given), unused, notes, lowered)


def refuse_unknown(loaded: Loaded) -> None:
    """Raise SettingsError for a name in the file that is a setting neither here nor of libvirt."""
    for unused in loaded.unused:
        if not unused.known:
            near = similar(unused.name, loaded.settings)
            hint = f"; similar: {', '.join(near)}" if near else ""
            raise SettingsError(
                f"{loaded.path}:{unused.line}: there is no setting '{unused.name}'{hint}"
            )


def similar(name: str, settings: Iterable[str]) -> list[str]:
    """Return the names of settings that resemble an unknown one.

    Args:
        name: the unknown one.
        settings: the existing ones.
    """
    from difflib import get_close_matches  # late: no start needs it

    return get_close_matches(name.lower(), list(settings), n=3)


def _checked(setting: Setting, found: object, where: str) -> Value:
    try:
        return setting.kind.check(found)
    except ValueError as error:
        because = f": {one_line(str(error), 200)}" if str(error) else ""
        raise SettingsError(
            f"{where}: {setting.name} = {_as_written(found)} is not possible:"
            f" it has to be {setting.kind.allowed}{because}"
        ) from error


def _as_written(found: object) -> str:
    """A value as its author would recognise it."""
    if isinstance(found, bool):
        return "true" if found else "false"
    return quoted(found) if isinstance(found, str) else quoted(str(found))[1:-1]


# Rules between settings ----------------------------------------------------------------------


class _FileLines(msgspec.Struct, frozen=True):
    path: str | None
    file: ConfFile

    def of(self, *names: str) -> str:
        """FILE:LINE of the first of the settings that the file gives."""
        lines = (self.file.entries[name].line for name in names if name in self.file.entries)
        return f"{self.path}:{next(lines, 1)}"


def _refuse_two_forms(settings: Settings, lines: _FileLines) -> None:
    for name, setting in settings.items():
        if name in lines.file.entries and setting.instead_of in lines.file.entries:
            raise SettingsError(
                f"{lines.of(name)}: {name} and {setting.instead_of} are not possible together:"
                " keep one of them"
            )


#: Least and most numbers of workers: the first is lowered to the second.
BOUNDS: Final = (("min_workers", "max_workers"), ("admin_min_workers", "admin_max_workers"))


def _cross_check(values: dict[str, Value], lines: _FileLines) -> dict[str, str]:
    """Check the rules between settings. Lowers a minimum of workers to its maximum, and notes that.

    libvirt: src/remote/remote_daemon_config.c, daemonConfigLoadOptions; src/rpc/virnetserver.c,
    virNetServerNew; src/util/virthreadpool.c, virThreadPoolNewFull.
    """
    lowered = {}
    anonymous, clients = _number(values, "max_anonymous_clients"), _number(values, "max_clients")
    if anonymous > clients:
        raise SettingsError(
            f"{lines.of('max_anonymous_clients', 'max_clients')}: max_anonymous_clients ="
            f" {anonymous} is not possible: it has to be 0 (no limit) or at most max_clients,"
            f" which is {clients}"
        )
    for least, most in BOUNDS:
        low, high = _number(values, least), _number(values, most)
        if low > high:
            values[least] = high
            if high and least in lines.file.entries:
                lowered[least] = f"{least} = {low} exceeds {most} = {high}: {high} counts"
    return lowered


def _number(values: Mapping[str, Value], name: str) -> int:
    value = values[name]
    if not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}, not a number")
    return value


def known(new: Loaded, earlier: Mapping[str, Value], given: Iterable[str] | None = None) -> Loaded:
    """Return the values that an earlier program had in force, as far as this one has such settings.

    Args:
        new: the settings of this program.
        earlier: the values.
        given: the names that the file set, if that is known.
    """
    values = {name: earlier.get(name, value) for name, value in new.values.items()}
    names = new.given if given is None else frozenset(given) & values.keys()
    return msgspec.structs.replace(new, values=values, given=names)


def in_force(fresh: Loaded, earlier: Loaded, administered: Mapping[str, Value]) -> Loaded:
    """Return the settings that a restarted daemon begins with: those that were in force before.

    Args:
        fresh: what the file says now; it is followed once the daemon is there.
        earlier: what it said when it was followed last.
        administered: values that an administrator had chosen.
    """
    chosen = {name: value for name, value in administered.items() if name in fresh.values}
    return msgspec.structs.replace(fresh, values={**earlier.values, **chosen})
