"""The texts that an administrator writes: levels, filters, outputs and formats, as text and as values.

Rules of this file: pure parsing and printing. Nothing here opens a file or a socket, so a text can
be checked in full before anything is touched. Every parser raises `LogSettingError` and has no
other effect.

The grammar is libvirt 9.0.0's (src/util/virlog.c: virLogParseFilter, virLogParseOutput), down to
its corners, because a client sees the result through the admin API.
"""

from __future__ import annotations

import enum
import fnmatch
import os
import re
from collections.abc import Callable, Iterable
from typing import Literal

from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.records import frozen

FormatName = Literal["text", "json"]

_FORMATS: dict[str, FormatName] = {"text": "text", "json": "json"}
_PRIORITY = pattern(r"[ \t\n\v\f\r]*\+?([0-9]+)")


class LogSettingError(ValueError):
    """A log setting that was refused; the settings in force stay as they were.

    `code_name` is the name of libvirt's error code for the same mistake, for the admin layer to
    look up:

    - ``"INVALID_ARG"`` (8): the text is malformed, or a level, a destination or a format does not exist.
    - ``"SYSTEM_ERROR"`` (38): the text is fine, but an output could not be opened; `errno` says why.

    libvirt sends both with error domain 0 (none).
    Source: libvirt: src/util/virlog.c, virLogParseOutput and virLogNewOutputToFile.
    """

    def __init__(self, message: str, *, code_name: str = "INVALID_ARG", errno: int = 0) -> None:
        super().__init__(message)
        self.code_name = code_name
        self.errno = errno


class Level(enum.IntEnum):
    """How grave a record is, with libvirt's numbers (virLogPriority)."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4


DEFAULT_LEVEL = Level.WARNING


class Destination(enum.StrEnum):
    """Where an output leads; the value is the word used in its text."""

    STDERR = "stderr"
    SYSLOG = "syslog"
    FILE = "file"
    JOURNALD = "journald"

    @property
    def has_name(self) -> bool:
        """Whether the text goes on after the destination (`:IDENT`, `:PATH`)."""
        return self in (Destination.SYSLOG, Destination.FILE)


@frozen
class Filter:
    """Which level a source needs to be heard.

    `match` is the whole pattern, with the `*` that libvirt puts on both sides. Only `*` and `?` are
    special (GLib's pattern language: unlike in a shell, `[` is an ordinary character).
    """

    level: Level
    match: str

    def __str__(self) -> str:
        return f"{self.level.value}:{self.match}"


@frozen
class Output:
    """One place that records go to, and the least level that goes there.

    `name` is the absolute path of a file, the identity for syslog, and None otherwise.
    """

    level: Level
    destination: Destination
    name: str | None = None

    def __str__(self) -> str:
        text = f"{self.level.value}:{self.destination.value}"
        return text if self.name is None else f"{text}:{self.name}"

    @property
    def place(self) -> tuple[Destination, str | None]:
        """The key by which two outputs are the same one; a set holds each place once."""
        return self.destination, self.name


def parse_level(value: int | str) -> Level:
    """Returns the level that a number (1 to 4) or a word (`debug` ... `error`) stands for.

    Raises LogSettingError (INVALID_ARG) for anything else.
    Source: libvirt: src/util/virlog.c, virLogParseDefaultPriority.
    """
    for level in Level:
        if value in (level.value, str(level.value), level.name.lower()):
            return level
    raise LogSettingError(
        f"log level {value!r} does not exist: it is 1 (debug), 2 (info), 3 (warning) or 4 (error)"
    )


def _priority(text: str, whole: str, kind: str) -> Level:
    """Reads a level the way C's strtoul does: leading blanks, a plus sign and zeros are accepted."""
    found = _PRIORITY.fullmatch(text)
    digits = found.group(1).lstrip("0") if found else ""
    if digits not in ("1", "2", "3", "4"):
        raise LogSettingError(
            f"log {kind} {whole!r} has the level {text!r}: "
            "it has to be 1 (debug), 2 (info), 3 (warning) or 4 (error)"
        )
    return Level(int(digits))


def parse_filter(text: str) -> Filter:
    """Reads one `LEVEL:MATCH`.

    A `+` before MATCH once asked for stack traces and is dropped; whatever follows a second colon
    is ignored, as libvirt does. MATCH always gets a `*` on each side, even if it brings its own.

    Raises LogSettingError (INVALID_ARG).
    Source: libvirt: src/util/virlog.c, virLogParseFilter, virLogFilterNew.
    """
    level_text, colon, rest = text.partition(":")
    if not colon:
        raise LogSettingError(f"log filter {text!r} has no colon: a filter reads LEVEL:MATCH")
    level = _priority(level_text, text, "filter")
    match = rest.partition(":")[0].removeprefix("+")
    if not match:
        raise LogSettingError(
            f"log filter {text!r} matches nothing: after the colon comes part of a source's name"
        )
    return Filter(level, f"*{match}*")


def parse_filters(text: str) -> list[Filter]:
    """Reads filters separated by spaces, in order; an empty text gives none.

    Raises LogSettingError (INVALID_ARG) for the first that is wrong.
    Source: libvirt: src/util/virlog.c, virLogParseFilters.
    """
    return [parse_filter(word) for word in text.split(" ") if word]


def parse_output(text: str) -> Output:
    """Reads one `LEVEL:stderr`, `LEVEL:journald`, `LEVEL:syslog:IDENT` or `LEVEL:file:PATH`.

    A relative PATH is taken from the working directory and made absolute; `.` and `..` are resolved
    by name, symbolic links are not. A path with a colon cannot be written down in this grammar.

    Raises LogSettingError (INVALID_ARG).
    Source: libvirt: src/util/virlog.c, virLogParseOutput.
    """
    words = text.split(":")
    if len(words) < 2:
        raise LogSettingError(
            f"log output {text!r} has no colon: an output reads LEVEL:DESTINATION"
        )
    level = _priority(words[0], text, "output")
    try:
        destination = Destination(words[1])
    except ValueError:
        raise LogSettingError(
            f"log output {text!r} leads to {words[1]!r}: "
            "it has to be stderr, syslog:IDENT, file:PATH or journald"
        ) from None
    if len(words) != (3 if destination.has_name else 2):
        form = {"syslog": ":IDENT", "file": ":PATH"}.get(destination.value, "")
        raise LogSettingError(
            f"log output {text!r} has {len(words)} parts: "
            f"this destination reads LEVEL:{destination.value}{form}, without further colons"
        )
    if destination is Destination.FILE:
        return Output(level, destination, os.path.abspath(words[2]))
    return Output(level, destination, words[2] if destination.has_name else None)


def parse_outputs(text: str) -> list[Output]:
    """Reads outputs separated by spaces; a place named twice counts once, where and as it came last.

    Raises LogSettingError (INVALID_ARG) for the first that is wrong.
    Source: libvirt: src/util/virlog.c, virLogParseOutputs.
    """
    found: dict[tuple[Destination, str | None], Output] = {}
    for word in text.split(" "):
        if word:
            output = parse_output(word)
            found.pop(output.place, None)
            found[output.place] = output
    return list(found.values())


def filters_text(filters: Iterable[Filter]) -> str:
    """Prints filters as libvirt's admin API does: each one followed by a space.

    Source: libvirt: src/util/virlog.c, virLogGetFilters.
    """
    return "".join(f"{one} " for one in filters)


def outputs_text(outputs: Iterable[Output]) -> str:
    """Prints outputs as libvirt's admin API does: separated by single spaces.

    Source: libvirt: src/util/virlog.c, virLogGetOutputs.
    """
    return " ".join(map(str, outputs))


def level_chooser(filters: Iterable[Filter], otherwise: Level) -> Callable[[str], Level]:
    """Returns a function from a source's name to its level.

    That is the level of the first filter that matches, or else `otherwise`.

    Source: libvirt: src/util/virlog.c, virLogSourceUpdate (g_pattern_match_simple).
    """
    # A pattern made by hand would try every way to share a name out among many `*`.
    rules = [
        (re.compile(fnmatch.translate(one.match.replace("[", "[[]"))), one.level) for one in filters
    ]

    def choose(source: str) -> Level:
        return next((level for rule, level in rules if rule.fullmatch(source)), otherwise)

    return choose


@frozen
class Formats:
    """Which format each output's records are written in (ours: libvirt knows only text).

    `exceptions` maps a destination (`file`, `stderr`, `syslog`) or one output's place
    (`file:/var/log/x`) to a format; the place is asked first. journald takes fields by name and has
    no format.
    """

    otherwise: FormatName = "text"
    exceptions: tuple[tuple[str, FormatName], ...] = ()

    def of(self, output: Output) -> FormatName:
        """Returns the format for one output."""
        chosen = dict(self.exceptions)
        place = f"{output.destination.value}:{output.name}"
        return chosen.get(place) or chosen.get(output.destination.value) or self.otherwise

    def __str__(self) -> str:
        return " ".join([self.otherwise, *(f"{key}={value}" for key, value in self.exceptions)])


def parse_formats(text: str) -> Formats:
    """Reads a `log_format` setting: `text` or `json`, and exceptions, separated by spaces.

    `json` writes JSON everywhere; `text file=json` only into files; `text
    file:/var/log/virtd.json=json` only into that one; `json syslog:virtd=text` all but that. An
    empty text means `text`.

    Raises LogSettingError (INVALID_ARG).
    """
    otherwise: FormatName = "text"
    exceptions: dict[str, FormatName] = {}
    for word in filter(None, text.split(" ")):
        place, equals, name = word.rpartition("=")
        chosen = _FORMATS.get(name)
        if chosen is None:
            raise LogSettingError(f"log format {word!r} does not exist: it is text or json")
        if not equals:
            otherwise = chosen
        else:
            exceptions[_format_place(place, word)] = chosen
    return Formats(otherwise, tuple(exceptions.items()))


def _format_place(place: str, word: str) -> str:
    destination, colon, name = place.partition(":")
    if destination in ("file", "syslog") and colon:
        return f"file:{os.path.abspath(name)}" if destination == "file" else place
    if destination in ("file", "syslog", "stderr") and not colon:
        return place
    raise LogSettingError(
        f"log format {word!r} is for {place!r}: "
        "a format is for stderr, syslog, file, syslog:IDENT or file:PATH"
    )
