"""What people write: logging settings, URIs, command lines, settings files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.failure import CommandFailed, CommandSyntaxError
from aiovirt.admin.cli.invocation import UINT_MAX, Invocation, to_integer, to_number
from aiovirt.admin.cli.parser import ArgumentWords, LineWords, parse, parse_partial
from aiovirt.admin.uri import AdminUri, Directories, UriError, read_settings
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.settings import SettingsError, load
from aiovirt.rpc.logs.settings import (
    Level,
    LogSettingError,
    filters_text,
    level_chooser,
    outputs_text,
    parse_filters,
    parse_formats,
    parse_level,
    parse_outputs,
)
from tests.fuzz.scratch import file_with
from tests.fuzz.target import Target, expect

_CONF: Final = Path(__file__).parents[2] / "conf"


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


# Logging -------------------------------------------------------------------------------------------


def _check_log_settings(data: bytes) -> None:
    text = _text(data)
    for check in (_check_filters, _check_outputs, _check_formats, parse_level):
        try:
            check(text)
        except LogSettingError as error:
            expect(error.code_name == "INVALID_ARG", "a text is refused for what it says")


def _check_filters(text: str) -> None:
    filters = parse_filters(text)
    printed = filters_text(filters)
    expect(len(parse_filters(printed)) == len(filters), "filters that are shown can be set")
    choose = level_chooser(filters, Level.ERROR)
    for source in ("rpc.server", "daemons.runtime.settings.declaration"):
        expect(choose(source) in Level, "a level")


def _check_outputs(text: str) -> None:
    outputs = parse_outputs(text)
    expect(parse_outputs(outputs_text(outputs)) == outputs, "outputs that are shown can be set")
    expect(len({output.place for output in outputs}) == len(outputs), "a place is there once")


def _check_formats(text: str) -> None:
    formats = parse_formats(text)
    expect(parse_formats(str(formats)) == formats, "formats that are shown can be set")
    for output in parse_outputs("1:stderr 1:file:/x 1:syslog:x"):
        expect(formats.of(output) in ("text", "json"), "a format")


_LOG_SEEDS: Final = (
    b"1:rpc.server 3:rpc.wire 2:*a?b* +3:+x",
    b"1:file:/var/log/x 3:stderr 2:syslog:virtd 4:journald 1:file:relative/../x",
    b"text file=json syslog:virtd=text file:/x=json stderr=text",
    b"debug",
    b"3:" + b"?*" * 14 + b"x",
)
_LOG_WORDS: Final = (
    *(b":", b" ", b"+", b"*", b"?", b"=", b"1:", b"4:", b"0", b"stderr", b"file", b"file:/"),
    *(b"syslog", b"syslog:", b"journald", b"text", b"json", b"debug", b"warning", b"/../"),
)


def log_target() -> Target:
    """Filters, outputs, formats and levels."""
    return Target(
        "log-settings",
        _check_log_settings,
        lambda: _LOG_SEEDS,
        30,
        _LOG_WORDS,
        max_len=200,
        slack=1 << 20,  # compiled patterns are kept by `re`
    )


# URIs ----------------------------------------------------------------------------------------------

_PLACES: Final = tuple(
    Directories(root, "/home/x", "/run/x", "/home/x/.config", "/home/x/.cache")
    for root in (False, True)
)


def _check_uri(data: bytes) -> None:
    try:
        uri = AdminUri.parse(_text(data))
    except UriError:
        return
    expect(bool(str(uri)), "a URI can be shown")
    expect(all(name for name, _ in uri.parameters()), "a parameter has a name")
    for where in _PLACES:
        try:
            path = uri.socket_path(where)
        except UriError:
            continue
        expect("\0" not in path, "a path has no NUL")


_URI_SEEDS: Final = (
    b"libvirtd:///system",
    b"virtqemud:///session?socket=/run/x%20y",
    b"virtd://user@host:16509/path?socket=/a&b=c#fragment",
    b"lockd://[::1]:1/",
    b"logd:///",
    b"alias",
    b"a:?socket=%00;x",
    b"%c3%a4/%ff",
)
_URI_WORDS: Final = (
    *(b"://", b"/", b"?", b"#", b"@", b":", b"[", b"]", b"%00", b"%ff", b"&", b";", b"="),
    *(b"socket=", b"libvirtd", b"virtd", b"/system", b"/session", b"65536"),
)


def uri_target() -> Target:
    """URIs of daemons."""
    # A regular expression remembers every turn of a repeated group: that is 700 bytes for each one.
    _check_uri(b"unknown:///system")  # the first unknown scheme loads what looks for plugins
    return Target("uri", _check_uri, lambda: _URI_SEEDS, 40, _URI_WORDS, max_len=200, factor=1024)


# Command lines -------------------------------------------------------------------------------------

_TABLE: Final = command_table()


def _check_command_line(data: bytes) -> None:
    line = _text(data)
    try:
        commands = parse(LineWords(line), _TABLE)
    except CommandSyntaxError as error:
        expect(bool(error.lines), "a mistake is explained")
    else:
        for command in commands:
            _check_invocation(command)
    partial = parse_partial(line, _TABLE)
    expect(all(value.option for value in partial.values), "an option")
    try:
        commands = parse(ArgumentWords(line.split("\0")), _TABLE)
    except CommandSyntaxError:
        return
    expect(len(commands) <= 1, "words that are separated already are one command")


def _check_invocation(command: Invocation) -> None:
    for value in command.values:
        if value.text is not None:
            number = to_number(value.text, UINT_MAX)
            expect(number is None or 0 <= number <= UINT_MAX, "a number is in its range")
            to_integer(value.text)
        for ask in (command.text, command.number):
            try:
                ask(value.option.name)
            except CommandFailed as error:
                expect(bool(error.lines), "a mistake is explained")
            except StopIteration:  # --help, which no command declares
                expect(value.option.name == "help", "an option belongs to its command")


_COMMAND_SEEDS: Final = (
    b"server-list; client-list virtd\necho 'a b' \"c d\" e\\ f # no more",
    b"server-threadpool-set virtd --min-workers 3 --max-workers=5 --priority-workers -1",
    b"client-info --server virtd --client 1",
    b"daemon-log-filters --filters '1:rpc 3:x'",
    b"help --command echo; cd /; echo --shell --xml a -- --b",
    b"lock-break --force /dir name; log-follow /x",
    b"srv-clients-set\0virtd\0--max-clients\0005",
    b'echo "open',
)


def _command_words() -> tuple[bytes, ...]:
    names = [command.name for command in _TABLE.listed()]
    options = {f"--{option.name}" for command in _TABLE.listed() for option in command.options}
    signs = (b";", b"\n", b" ", b"'", b'"', b"\\", b"#", b"--", b"=", b"\\\n", b"\0")
    return (*signs, *(name.encode() for name in (*names, *sorted(options))))


def command_target() -> Target:
    """Command lines of virtadm, as a person types them and as a shell hands them over."""
    return Target(
        "command-line",
        _check_command_line,
        lambda: _COMMAND_SEEDS,
        8,
        _command_words(),
        max_len=200,
    )


# Settings files ------------------------------------------------------------------------------------

_SETTINGS: Final = tuple(kind.settings() for kind in kinds())


def _check_settings(data: bytes) -> None:
    path = file_with(data)
    for settings in _SETTINGS:
        try:
            loaded = load(settings, path, required=True)
        except SettingsError as error:
            expect(str(error).startswith(path), "a mistake has a place")
            continue
        expect(loaded.values.keys() == settings.keys(), "every setting has a value")
        expect(loaded.given <= settings.keys(), "only settings are given")
    try:
        found = read_settings(path)
        found.lookup("alias")
    except UriError as error:
        expect(path in str(error), "a mistake has a place")


def _settings_seeds() -> Iterator[bytes]:
    for path in sorted(_CONF.glob("*.conf")):
        text = path.read_text()
        given = [line[1:] for line in text.splitlines() if line.startswith("#") and " = " in line]
        lines = [line for line in given if line[0].isalpha()]
        yield from (line.encode() for line in lines)
        yield from ("\n".join(lines[at : at + 8]).encode() for at in range(0, len(lines), 8))
    yield b'uri_aliases = ["alias=libvirtd:///system"]\nuri_default = "alias"\n'


def _settings_words() -> tuple[bytes, ...]:
    names = {name for settings in _SETTINGS for name in settings}
    signs = (
        b"=",
        b'"',
        b"'",
        b"#",
        b"\n",
        b"[",
        b"]",
        b"{",
        b"}",
        b'"""',
        b"\\u0000",
        b"\\U00110000",
    )
    values = (b"4294967296", b"-1", b"true", b"0x", b"1e9", b"inf", b"1979-05-27T07:32:00Z")
    return (*signs, *values, *(name.encode() for name in sorted(names)))


def settings_target() -> Target:
    """Settings files of every daemon, and virtadm's."""
    _check_settings(b"max_clients = true\n")  # the first file that is TOML loads its reader
    return Target(
        "settings-file",
        _check_settings,
        _settings_seeds,
        4,
        _settings_words(),
        max_len=600,
        slack=1 << 20,
    )
