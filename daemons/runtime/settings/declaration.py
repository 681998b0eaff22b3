"""The declaration of a setting: its name, its values, and the effect of a change while the daemon runs.

Nothing here knows any particular setting (`catalogue` does) or any file (`file` does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

Value = int | str | bool | tuple[str, ...] | None
"""The value of a setting; `None` stands for "not set"."""

UINT_MAX = 2**32 - 1
INT_MAX = 2**31 - 1
SIZE_MAX = 2**63 - 1


class SettingsError(Exception):
    """A settings file cannot be used; the text names the file, the line, the setting and what is
    allowed."""


def _require_text(text: str) -> None:
    """Raise ValueError for a text that cannot be a path, or cannot be passed on at a restart."""
    if "\0" in text:
        raise ValueError("it has a NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it has bytes that are not UTF-8") from None


class ValueKind(Protocol):
    """A kind of value: says whether a value found in a file belongs to it."""

    @property
    def allowed(self) -> str:
        """The allowed values, as the end of the sentence "it has to be ..."."""

    def check(self, found: object) -> Value:
        """The value as the daemon uses it. Raises ValueError when `found` is not of this kind."""

    def show(self, value: Value) -> str:
        """How a value is written in a settings file; the inverse of reading and `check`."""


class Integer(msgspec.Struct, frozen=True):
    """A whole number between two bounds, both included."""

    lowest: int = 0
    highest: int = UINT_MAX

    @property
    def allowed(self) -> str:
        """See `ValueKind`."""
        return f"a whole number from {self.lowest} to {self.highest}"

    def check(self, found: object) -> int:
        """See `ValueKind`. TOML's `true` is not a number, though Python's `True` is an int."""
        if type(found) is int and self.lowest <= found <= self.highest:
            return found
        raise ValueError

    def show(self, value: Value) -> str:
        """See `ValueKind`."""
        return str(value)


class Flag(msgspec.Struct, frozen=True):
    """Yes or no: 0 or 1 as in libvirt's files, or TOML's own false and true."""

    @property
    def allowed(self) -> str:
        """See `ValueKind`."""
        return "0 or 1 (false and true do as well)"

    def check(self, found: object) -> bool:
        """See `ValueKind`."""
        if not isinstance(found, int) or found not in (0, 1):
            raise ValueError
        return bool(found)

    def show(self, value: Value) -> str:
        """See `ValueKind`."""
        return "1" if value else "0"


class Text(msgspec.Struct, frozen=True):
    """A string, which `verify` may look at more closely (it raises ValueError and says why)."""

    what: str = "a string in quotes"
    verify: Callable[[str], object] | None = None

    @property
    def allowed(self) -> str:
        """See `ValueKind`."""
        return self.what

    def check(self, found: object) -> str:
        """See `ValueKind`."""
        if not isinstance(found, str):
            raise ValueError  # noqa: TRY004  one exception for every kind, whatever is wrong
        _require_text(found)
        if self.verify is not None:
            self.verify(found)
        return found

    def show(self, value: Value) -> str:
        """See `ValueKind`. No default has a character that TOML requires to be escaped."""
        return f'"{value}"'


class Texts(msgspec.Struct, frozen=True):
    """A list of strings, each of which `verify` may look at as with `Text`."""

    what: str = "a list of strings"
    verify: Callable[[str], object] | None = None

    @property
    def allowed(self) -> str:
        """See `ValueKind`."""
        return self.what

    def check(self, found: object) -> tuple[str, ...]:
        """See `ValueKind`. A tuple does as well: values travel as JSON at a restart."""
        if not isinstance(found, list | tuple) or not all(isinstance(one, str) for one in found):
            raise ValueError
        for one in found:
            _require_text(one)
            if self.verify is not None:
                self.verify(one)
        return tuple(found)

    def show(self, value: Value) -> str:
        """See `ValueKind`."""
        inside = ", ".join(f'"{one}"' for one in value) if isinstance(value, tuple) else ""
        return f"[{inside}]"


class Choice(msgspec.Struct, frozen=True):
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        """See `ValueKind`."""
        return " or ".join(f'"{word}"' for word in self.words)

    def check(self, found: object) -> str:
        """See `ValueKind`."""
        if not isinstance(found, str) or found not in self.words:
            raise ValueError
        return found

    def show(self, value: Value) -> str:
        """See `ValueKind`."""
        return f'"{value}"'


class Permissions(msgspec.Struct, frozen=True):
    """The mode of a socket file, in octal digits and in quotes, as libvirt writes it."""

    @property
    def allowed(self) -> str:
        """See `ValueKind`."""
        return 'octal digits in quotes, from "0" to "0777"'

    def check(self, found: object) -> int:
        """See `ValueKind`. The result is the number that chmod takes."""
        if not isinstance(found, str) or not found or set(found) - set("01234567"):
            raise ValueError
        mode = int(found, 8)
        if mode > 0o777:
            raise ValueError
        return mode

    def show(self, value: Value) -> str:
        """See `ValueKind`."""
        return f'"{value or 0:04o}"'


class Live(msgspec.Struct, frozen=True):
    """A change takes effect without a restart.

    where: the receiver of the change: "main" or "admin" (a server), "log", "tls", "sockets", or the name
    of a component of the daemon. knob: the field that it sets there; in a server, "workers.minimum" is
    the argument `minimum` of `server.workers.set()`, and a knob without a dot is an attribute. Knobs of
    one object are set together, in one call, so that two settings that bound each other can both move.
    existing: why existing connections do not follow a change; empty if it counts for all at once.
    """

    where: str
    knob: str
    existing: str = ""


class Fixed(msgspec.Struct, frozen=True):
    """A change waits for the next start; `why` ends the sentence "it cannot change while running:
    ..."."""

    why: str


class Same(msgspec.Struct, frozen=True):
    """A default that is whatever another setting is."""

    name: str


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting of a daemon.

    name: as it stands in the file; group: the heading under which the documents show it; kind: the
    values that it takes; default: its value when the file does not set it; change: what becomes of a
    change while the daemon runs; doc: its description. example: shown in the files when there is no
    default. after: the setting that it follows in the documents; empty for the setting that was
    declared before it. ours: whether libvirt's file for the same daemon has no such setting.
    instead_of: the setting that a file cannot give together with this one.
    in_rundir: the default with `--rundir`, relative to that folder; empty for a default without a path.
    unit: of a number, in the plural; empty for none.
    """

    name: str
    group: str
    kind: ValueKind
    default: Value | Same
    change: Live | Fixed
    doc: str
    example: str = ""
    after: str = ""
    ours: bool = False
    in_rundir: str = ""
    instead_of: str = ""
    unit: str = ""


Settings = Mapping[str, Setting]
"""The settings of one daemon by name, in the order in which the documents show them."""
