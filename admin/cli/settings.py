"""The commands about settings of a daemon of ours, and its log level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from aiovirt.admin.cli.failure import CommandFailed, explained
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import columns, table
from aiovirt.admin.extension.protocol.settings import Effect, Origin

if TYPE_CHECKING:
    from aiovirt.admin.settings import Setting

_LEVELS: Final = ("debug", "info", "warning", "error")
#: Values of a number that are few enough to be completed.
_FEW: Final = 10
_EFFECTS: Final = {
    Effect.AT_ONCE: "at once",
    Effect.NEW_CONNECTIONS: "for new connections",
    Effect.RESTART: "after a restart",
}
_ORIGINS: Final = {
    Origin.DEFAULT: "default",
    Origin.FILE: "file",
    Origin.COMMAND_LINE: "command line",
    Origin.ENVIRONMENT: "environment",
    Origin.ADMINISTRATOR: "administrator",
}


async def _config_list(session: AdminSession, command: Invocation) -> None:
    from fnmatch import fnmatchcase

    pattern = command.text("glob") or "*"
    with explained("Unable to list the settings"):
        found = await session.connection.settings.list()
    shown = [
        one
        for one in found
        if fnmatchcase(one.bare_name, pattern) or fnmatchcase(one.name, pattern)
    ]
    if command.given("changed"):
        shown = [one for one in shown if one.origin is not Origin.DEFAULT or one.in_file]
    session.terminal.answer(
        [_as_data(one) for one in shown],
        table(
            ("Name", "In force", "In file", "Origin", "A change counts"),
            [
                (
                    one.bare_name,
                    _shown(one.in_force),
                    _shown(one.in_file),
                    _ORIGINS[one.origin],
                    _EFFECTS[one.effect],
                )
                for one in shown
            ],
            with_header=not session.terminal.quiet,
        ),
    )


async def _config_get(session: AdminSession, command: Invocation) -> None:
    with explained("Unable to get the settings"):
        found = await session.connection.settings.get(*_given(command, "name"))
    session.terminal.answer(
        [_as_data(one) for one in found],
        "\n".join(columns(_lines(one), 15) for one in found),
    )


def _lines(one: Setting) -> Sequence[tuple[str, object]]:
    effect = _EFFECTS[one.effect]
    return [
        ("name", one.name),
        ("in_force", _shown(one.in_force)),
        ("in_file", _shown(one.in_file)),
        ("default", _shown(one.default)),
        ("origin", _ORIGINS[one.origin]),
        ("allowed", one.allowed),
        *([("unit", one.unit)] if one.unit else []),
        ("change_counts", f"{effect}: {one.reason}" if one.reason else effect),
        ("known_to", "aiovirt only" if one.ours else "libvirt"),
        ("description", one.description),
    ]


def _shown(value: str | None) -> str:
    return "-" if value is None else value


def _as_data(one: Setting) -> dict[str, Any]:
    return {
        "name": one.name,
        "type": one.type,
        "lowest": one.lowest if one.type in ("number", "size", "flag") else None,
        "highest": one.highest if one.type in ("number", "size", "flag") else None,
        "words": list(one.words),
        "allowed": one.allowed,
        "unit": one.unit,
        "default": one.default,
        "in_force": one.in_force,
        "in_file": one.in_file,
        "origin": _ORIGINS[one.origin],
        "effect": _EFFECTS[one.effect],
        "reason": one.reason,
        "ours": one.ours,
        "group": one.group,
        "description": one.description,
    }


async def _config_set(session: AdminSession, command: Invocation) -> None:
    values: dict[str, str] = {}
    for word in _given(command, "setting"):
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise CommandFailed(f"'{word}' is not NAME=VALUE")
        if name in values:
            raise CommandFailed(f"setting '{name}' is given twice")
        values[name] = value
    live, config = _affected(command)
    with explained("Unable to change the settings; nothing has changed"):
        await session.connection.settings.set(values, live=live, config=config)
    _answer(session, "changed", list(values), live=live, config=config)


async def _config_reset(session: AdminSession, command: Invocation) -> None:
    names = _given(command, "name")
    live, config = _affected(command)
    with explained("Unable to reset the settings; nothing has changed"):
        await session.connection.settings.reset(names, live=live, config=config)
    _answer(session, "reset", names, live=live, config=config)


def _given(command: Invocation, option: str) -> list[str]:
    """Return the values of an option that has to be there. Raises CommandFailed."""
    found = command.all(option)
    if not found:
        raise CommandFailed(f"command '{command.command.name}' requires <{option}> option")
    return found


def _affected(command: Invocation) -> tuple[bool, bool]:
    config = command.given("config")
    return command.given("live") or not config, config


def _answer(
    session: AdminSession, done: str, names: list[str], *, live: bool, config: bool
) -> None:
    if session.terminal.json:
        session.terminal.answer({done: names, "live": live, "config": config}, "")
        return
    places = [
        *(["in the running daemon"] if live else []),
        *(["in the settings file"] if config else []),
    ]
    session.terminal.notice(f"{', '.join(names)} {done} {' and '.join(places)}\n")


async def _log_level(session: AdminSession, command: Invocation) -> None:
    settings = session.connection.settings
    wanted = command.text("level")
    if wanted is None:
        with explained("Unable to get the log level"):
            level = await settings.get_log_level()
        name = _LEVELS[level - 1] if 0 < level <= len(_LEVELS) else "unknown"
        session.terminal.answer({"level": level, "name": name}, f"{level} ({name})\n")
        return
    if wanted in _LEVELS:
        level = _LEVELS.index(wanted) + 1
    elif wanted in ("0", "1", "2", "3", "4"):
        level = int(wanted)
    else:
        raise CommandFailed(
            f"'{wanted}' is not a log level: it has to be 1 (debug), 2 (info), 3 (warning), 4 (error),"
            " or 0 for the default"
        )
    with explained("Unable to change the log level"):
        await settings.set_log_level(level)
    session.terminal.answer({"changed": ["log_level"], "level": level}, "")


# Completion --------------------------------------------------------------------------------------


async def _names(session: AdminSession, invocation: Invocation) -> list[str]:
    """Names of settings, without their file and with it."""
    found = await session.connection.settings.list()
    return [*(one.bare_name for one in found), *(one.name for one in found)]


async def _assignments(session: AdminSession, invocation: Invocation) -> list[str]:
    """NAME= of every setting, or the values of the setting whose name is there already."""
    name, equals, _ = (invocation.all("setting") or [""])[-1].partition("=")
    if not equals:
        return [f"{one}=" for one in await _names(session, invocation)]
    (found,) = await session.connection.settings.get(name)
    values = list(found.words)
    if found.type in ("flag", "number") and found.highest - found.lowest < _FEW:
        values = [str(number) for number in range(found.lowest, found.highest + 1)]
    return [*values, *(f"{name}={value}" for value in values)]


async def level_names(session: AdminSession, invocation: Invocation) -> list[str]:
    """The words for log levels."""
    return list(_LEVELS)


_LIVE: Final = Option("live", OptionKind.FLAG, "affect the running daemon (default)")
_CONFIG: Final = Option("config", OptionKind.FLAG, "affect the settings file")
_NAMES: Final = Option(
    "name",
    OptionKind.REST,
    "names of settings, as in max_workers or virtd.conf/max_workers",
    complete=_names,
)

GROUP: Final = Group(
    "Settings commands",
    "settings",
    (
        Command(
            "daemon-config-list",
            _config_list,
            "list the daemon's settings",
            "List the settings of the daemon with the value in force, the value in the file, and the"
            " origin of the value in force. Only daemons of aiovirt can be asked.",
            (
                Option("changed", OptionKind.FLAG, "only settings that differ from their defaults"),
                Option(
                    "glob",
                    OptionKind.STRING,
                    "only settings whose names match, as in 'log_*'",
                    complete=_names,
                ),
            ),
        ),
        Command(
            "daemon-config-get",
            _config_get,
            "describe settings of the daemon",
            "Show everything about some settings: values, default, origin, allowed values, and when a"
            " change counts. Only daemons of aiovirt can be asked.",
            (_NAMES,),
        ),
        Command(
            "daemon-config-set",
            _config_set,
            "change settings of the daemon",
            "Change settings of the daemon, all or none: in the running daemon, in its settings file,"
            " or in both. Values are written as in the file; quotes may be left out. Only daemons of"
            " aiovirt can be changed so.",
            (
                _LIVE,
                _CONFIG,
                Option(
                    "setting",
                    OptionKind.REST,
                    "NAME=VALUE, as in max_workers=30",
                    complete=_assignments,
                ),
            ),
        ),
        Command(
            "daemon-config-reset",
            _config_reset,
            "give settings of the daemon back",
            "Give settings of the running daemon the values of the file again, or their defaults;"
            " with --config, take them out of the file. Only daemons of aiovirt can be changed so.",
            (_LIVE, _CONFIG, _NAMES),
        ),
        Command(
            "daemon-log-level",
            _log_level,
            "show or change the daemon's log level",
            "Show the log level, or change it: 1 (debug), 2 (info), 3 (warning), 4 (error), by number"
            " or by name; 0 stands for the default. Only daemons of aiovirt can be asked.",
            (Option("level", OptionKind.STRING, "the new log level", complete=level_names),),
        ),
    ),
)
