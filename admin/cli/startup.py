"""The program's own options: those in front of the command.

The rules are getopt_long's, as virt-admin uses it: the first word that is no option ends them; short
options may stand together; long ones may be cut short and take their value after `=` or as the next
word.

Source: libvirt's tools/virt-admin.c (vshAdmParseArgv) and vsh.c (vshInitDebug).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from typing import Final

from aiovirt import __version__
from aiovirt.admin.cli.failure import Leave
from aiovirt.admin.cli.invocation import to_integer, to_number
from aiovirt.admin.cli.terminal import Level, Terminal
from aiovirt.admin.compatibility import LIBVIRT_VERSION, version_text

#: virt-admin's own prefix, so that its users' environment works here as well.
ENVIRONMENT: Final = "VIRT_ADMIN"

_LIBVIRT: Final = version_text(LIBVIRT_VERSION)

_VERSION: Final = f"""\
Virtadm command line tool of aiovirt {__version__}, speaking for virt-admin of libvirt {_LIBVIRT}
See web site at https://libvirt.org/ for libvirt itself

Compiled with support for: Daemon Debug Readline
"""


#: A number of seconds, without what else Python takes for a number.
_SECONDS: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?", re.ASCII)


class _Takes(Enum):
    NOTHING = auto()
    VALUE = auto()
    MAYBE = auto()  # after `=` only


_LONG: Final[Mapping[str, tuple[str, _Takes]]] = {
    "connect": ("c", _Takes.VALUE),
    "debug": ("d", _Takes.VALUE),
    "help": ("h", _Takes.NOTHING),
    "log": ("l", _Takes.VALUE),
    "output": ("o", _Takes.VALUE),
    "quiet": ("q", _Takes.NOTHING),
    "timeout": ("timeout", _Takes.VALUE),  # without a letter
    "version": ("v", _Takes.MAYBE),
}
_SHORT: Final = {
    "V": _Takes.NOTHING,
    **{letter: takes for letter, takes in _LONG.values() if letter not in ("v", "timeout")},
    "v": _Takes.NOTHING,
}


class Startup:
    """The request to the program.

    uris: what -c named, in order, without repetitions. words: the command, empty for the interactive
    shell. timeout: seconds that a daemon has for each answer, None for ever.
    """

    def __init__(self) -> None:
        self.uris: list[str] = []
        self.words: list[str] = []
        self.timeout: float | None = None


def read_environment(terminal: Terminal, environ: Mapping[str, str] = os.environ) -> None:
    """Take over the debug level and the log file of the environment. Raises Leave."""
    if (debug := environ.get(f"{ENVIRONMENT}_DEBUG")) is not None:
        level = to_number(debug, Level.ERROR)
        if level is None:
            terminal.error(f"{ENVIRONMENT}_DEBUG not set with a valid numeric value")
        else:
            terminal.debug_level = Level(level)
    if log := environ.get(f"{ENVIRONMENT}_LOG_FILE"):
        terminal.open_log(log)


def read_arguments(words: Sequence[str], terminal: Terminal) -> Startup:
    """Take the options off the command line, into the terminal and a Startup.

    Raises Leave for one that only prints something, and, having said why, for a bad one.
    """
    startup = Startup()
    rest = iter(words)
    for word in rest:
        if word == "--":
            break
        if not word.startswith("-") or word == "-":
            startup.words.append(word)
            break
        for letter, name, value in _options(word, rest, terminal):
            _apply(startup, terminal, letter, name, value)
    startup.words.extend(rest)
    return startup


def _options(
    word: str, rest: Iterator[str], terminal: Terminal
) -> Iterator[tuple[str, str, str | None]]:
    """The options in one word: letter, name as given, value. Takes a value from `rest` if need be."""
    if word.startswith("--"):
        yield _long_option(word, rest, terminal)
        return
    for at, letter in enumerate(word[1:], 2):
        if letter not in _SHORT:
            raise _refuse(terminal, f"unsupported option '-{letter}'. See --help.")
        if _SHORT[letter] is _Takes.VALUE:
            value = word[at:] or next(rest, None)
            yield letter, f"-{letter}", _demand(terminal, letter, value)
            return
        yield letter, f"-{letter}", None


def _long_option(word: str, rest: Iterator[str], terminal: Terminal) -> tuple[str, str, str | None]:
    given, equals, text = word[2:].partition("=")
    names = [name for name in _LONG if name.startswith(given)]
    if len(names) != 1:
        raise _refuse(terminal, f"unsupported option '{word}'. See --help.")
    letter, takes = _LONG[names[0]]
    value = text if equals else None
    if takes is _Takes.NOTHING and equals:
        raise _refuse(terminal, f"unsupported option '-{letter}'. See --help.")
    if takes is _Takes.VALUE:
        value = _demand(terminal, letter, value if equals else next(rest, None))
    return letter, f"--{names[0]}", value


def _demand(terminal: Terminal, letter: str, value: str | None) -> str:
    if value is None:
        name = next(name for name, (other, _) in _LONG.items() if other == letter)
        spelling = f"'--{name}'" if letter == name else f"'-{letter}'/'--{name}'"
        raise _refuse(terminal, f"option {spelling} requires an argument")
    return value


def _apply(startup: Startup, terminal: Terminal, letter: str, name: str, value: str | None) -> None:
    text = value or ""
    match letter:
        case "c":
            if text not in startup.uris:
                startup.uris.append(text)
        case "d":
            _set_debug(terminal, name, text)
        case "h":
            from aiovirt.admin.cli.commands import command_table
            from aiovirt.admin.cli.manual import usage

            table = command_table()
            terminal.write(usage(table, terminal.progname))
            for problem in table.problems:
                terminal.error(problem)
            raise Leave(0)
        case "l":
            terminal.open_log(text)
        case "o":
            if text not in ("text", "json"):
                raise _refuse(terminal, f"option {name} takes text or json, not '{text}'")
            terminal.json = text == "json"
        case "q":
            terminal.quiet = True
        case "timeout":
            startup.timeout = _timeout(terminal, text)
        case _:
            long = letter == "V" or text == "long"
            terminal.write(_VERSION if long else f"{_LIBVIRT}\n")
            raise Leave(0)


def _timeout(terminal: Terminal, text: str) -> float:
    seconds = float(text) if _SECONDS.fullmatch(text) else 0.0
    if not 0 < seconds < float("inf"):
        raise _refuse(
            terminal, f"option --timeout takes a positive number of seconds, not '{text}'"
        )
    return seconds


def _set_debug(terminal: Terminal, name: str, text: str) -> None:
    level = to_integer(text)
    if level is None:
        raise _refuse(terminal, f"option {name} takes a numeric argument")
    if not Level.DEBUG <= level <= Level.ERROR:
        terminal.error(
            f"ignoring debug level {level} out of range [{Level.DEBUG:d}-{Level.ERROR:d}]"
        )
    else:
        terminal.debug_level = Level(level)


def _refuse(terminal: Terminal, text: str) -> Leave:
    terminal.error(text)
    return Leave(1)
