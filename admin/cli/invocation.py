"""One parsed command with the values of its options, and the rules for reading those.

Source: libvirt's tools/vsh.c (vshCommandOpt*) and src/util/virstring.c (virStrToLong_*).
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.table import Command, Option

UINT_MAX: Final = 0xFFFFFFFF
ULONG_MAX: Final = 0xFFFFFFFFFFFFFFFF

#: What C's strtoul takes in base 10, and nothing after it.
_NUMBER: Final = re.compile(r"[ \t\n\v\f\r]*([+-]?)([0-9]+)", re.ASCII)


class Value(NamedTuple):
    """An option that was given. text: its value, None for a flag; here: the line ends with it."""

    option: Option
    text: str | None
    here: bool = False


class Invocation(NamedTuple):
    """A command and the options it was given, in their order."""

    command: Command
    values: tuple[Value, ...] = ()

    def given(self, name: str) -> bool:
        """Whether the option is there."""
        return any(value.option.name == name for value in self.values)

    def all(self, name: str) -> list[str]:
        """Every value of an option that may be repeated."""
        return [value.text or "" for value in self.values if value.option.name == name]

    def peek(self, name: str) -> str | None:
        """The option's value as it stands, None when it isn't there. Never fails."""
        return next(iter(self.all(name)), None)

    def text(self, name: str) -> str | None:
        """The option's value, None when it isn't there. Raises CommandFailed for an empty one."""
        text = self.peek(name)
        if text == "" and not self._option(name).empty_ok:
            raise CommandFailed(f"Failed to get option '{name}': Option argument is empty")
        return text

    def required(self, name: str) -> str:
        """The value of an option that the parser has insisted on."""
        text = self.text(name)
        if text is None:
            raise CommandFailed(f"Failed to get option '{name}': Mandatory option not present")
        return text

    def number(self, name: str, maximum: int = UINT_MAX, *, wrap: bool = False) -> int | None:
        """The option's value as a number from 0 to `maximum`, None when it isn't there.

        wrap: -1 means `maximum` and so on. Raises CommandFailed for anything else.
        """
        text = self.peek(name)
        if text is None:
            return None
        number = to_number(text, maximum, wrap=wrap)
        if number is None:
            raise CommandFailed(
                f"Numeric value '{text}' for <{name}> option is malformed or out of range"
            )
        return number

    def _option(self, name: str) -> Option:
        return next(option for option in self.command.options if option.name == name)


def to_number(text: str, maximum: int, *, wrap: bool = False) -> int | None:
    """Read a decimal number from 0 to `maximum` as C does; None when it is none.

    wrap: -1 means `maximum` and so on.
    """
    number = to_integer(text)
    if number is None or abs(number) > maximum:
        return None
    if "-" in text:  # so -0 is refused, too
        return number & maximum if wrap else None
    return number


def to_integer(text: str) -> int | None:
    """Read a decimal number as C does: blanks and a sign may lead; None when it is none."""
    match = _NUMBER.fullmatch(text)
    # Python refuses to convert thousands of digits; nobody has a use for more than C's twenty.
    if match is None or len(digits := match[2].lstrip("0")) > 20:
        return None
    return int(match[1] + (digits or "0"))
