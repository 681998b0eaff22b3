"""Reading a settings file: from a path to checked values.

TOML is read by `tomllib`, which loads libvirt's own files as they are. It does not say where in the
file a value stands, so that a line number is found by looking for the key.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from aiovirt.daemons.runtime.settings.catalogue import KNOWN_ELSEWHERE, settings_of
from aiovirt.daemons.runtime.settings.declaration import Same, Setting, SettingsError, Value
from aiovirt.rpc.security.regular import read_regular

#: Bytes of a settings file that are read.
_FILE_MAX = 16 << 20


@dataclass(frozen=True, slots=True)
class Unused:
    """A name in the file which sets nothing here; `known` when a daemon of libvirt has such a
    setting."""

    name: str
    line: int
    known: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a settings file came to: a value for every setting of the daemon, given or default."""

    path: str | None
    values: Mapping[str, Value]
    given: frozenset[str] = frozenset()
    unused: tuple[Unused, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def integer(self, name: str) -> int:
        """The value of a setting that is a number or a flag."""
        return _number(self.values, name)

    def text(self, name: str) -> str:
        """The value of a setting that is a string; empty when it is not set."""
        value = self.values[name]
        if value is not None and not isinstance(value, str):
            raise TypeError(f"{name} is {value!r}, no string")
        return value or ""


def load(daemon: str, path: str | None, *, required: bool = False) -> Loaded:
    """Read the settings of a daemon ("virtd", "lockd" or "logd") from `path`, or take all defaults.

    A file that is not there is an error only when `required`. Raises SettingsError, which names
    file, line, setting, value and what is allowed.
    """
    text = _read(path, required=required) if path is not None else None
    if path is None or text is None:
        return _complete(daemon, path, {}, "")
    return _complete(daemon, path, _parse(path, text), text)


def _read(path: str, *, required: bool) -> str | None:
    try:
        return read_regular(path, _FILE_MAX).decode()
    except FileNotFoundError as error:
        if not required:
            return None
        raise SettingsError(f"{path}: there is no such file") from error
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise SettingsError(f"{path}:{line}: the file has to be UTF-8 text") from error


def _parse(path: str, text: str) -> dict[str, Any]:
    import tomllib  # only a daemon that has a file pays for it

    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # not all that tomllib refuses is its own error
        found = re.search(r"\(at line (\d+), column \d+\)", str(error))
        line = int(found.group(1)) if found else text.count("\n") + 1
        what = str(error).split(" (at ")[0]
        raise SettingsError(
            f"{path}:{line}: not TOML: {what} (a setting reads NAME = VALUE, strings in quotes,"
            " each name once)"
        ) from error


def _complete(daemon: str, path: str | None, raw: Mapping[str, Any], text: str) -> Loaded:
    settings = settings_of(daemon)
    given = {
        name: _checked(settings[name], found, f"{path}:{_line(text, name)}")
        for name, found in raw.items()
        if name in settings
    }
    unused = tuple(
        Unused(name, _line(text, name), name in KNOWN_ELSEWHERE)
        for name in raw
        if name not in settings
    )
    values: dict[str, Value] = {}
    for name, setting in settings.items():
        default = setting.default_for(daemon)
        values[name] = given.get(
            name, values[default.name] if isinstance(default, Same) else default
        )
    notes = _cross_check(daemon, values, _FileLines(path, text, given.keys()))
    return Loaded(path, values, frozenset(given), unused, notes)


def _line(text: str, name: str) -> int:
    found = re.search(
        rf"^[ \t]*[\[\"']*{re.escape(name)}[\"'\]]*[ \t]*(=|\.|$)", text, re.MULTILINE
    )
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _checked(setting: Setting, found: object, where: str) -> Value:
    try:
        return setting.kind.check(found)
    except ValueError as error:
        because = f": {error}" if str(error) else ""
        raise SettingsError(
            f"{where}: {setting.name} = {_as_written(found)} is not possible:"
            f" it has to be {setting.kind.allowed}{because}"
        ) from error


def _as_written(found: object) -> str:
    """A TOML value as its author would recognise it."""
    if isinstance(found, bool):
        return "true" if found else "false"
    return f'"{found}"' if isinstance(found, str) else str(found)


# Rules between settings ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _FileLines:
    path: str | None
    text: str
    given: Any

    def of(self, *names: str) -> str:
        """FILE:LINE of the first of the settings that the file gives."""
        name = next((name for name in names if name in self.given), names[0])
        return f"{self.path}:{_line(self.text, name)}"


def _cross_check(daemon: str, values: dict[str, Value], lines: _FileLines) -> tuple[str, ...]:
    """Check what no setting can say alone. Lowers a minimum of workers to its maximum, and says so.

    libvirt: src/remote/remote_daemon_config.c, daemonConfigLoadOptions; src/rpc/virnetserver.c,
    virNetServerNew; src/util/virthreadpool.c, virThreadPoolNewFull.
    """
    notes = []
    if daemon == "virtd" and values["max_workers"] == 0:
        raise SettingsError(
            f"{lines.of('max_workers')}: max_workers = 0 is not possible:"
            " virtd needs at least 1 worker"
        )
    anonymous, clients = _number(values, "max_anonymous_clients"), _number(values, "max_clients")
    if anonymous > clients:
        raise SettingsError(
            f"{lines.of('max_anonymous_clients', 'max_clients')}: max_anonymous_clients ="
            f" {anonymous} is not possible: it has to be 0 (no limit) or at most max_clients,"
            f" which is {clients}"
        )
    for least, most in (("min_workers", "max_workers"), ("admin_min_workers", "admin_max_workers")):
        low, high = _number(values, least), _number(values, most)
        if low > high:
            values[least] = high
            if high and least in lines.given:
                notes.append(f"{least} = {low} exceeds {most} = {high}: {high} counts")
    return tuple(notes)


def _number(values: Mapping[str, Value], name: str) -> int:
    value = values[name]
    if not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}, no number")
    return value


def changed(old: Loaded, new: Loaded) -> dict[str, Value]:
    """The settings whose values differ between two readings, with their new values."""
    return {name: value for name, value in new.values.items() if value != old.values[name]}
