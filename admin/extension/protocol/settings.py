"""Settings of a daemon: listed, described, set, reset; and the log level."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated, Final

from aiovirt.admin.extension.protocol.program import EXTENSION
from aiovirt.rpc.wire import xdr

#: The most settings in one call or answer.
SETTINGS_MAX: Final = 1024
#: The most words that a setting can be one of.
WORDS_MAX: Final = 64


class Origin(IntEnum):
    """The source of a value in force."""

    DEFAULT = 0
    FILE = 1
    COMMAND_LINE = 2
    ENVIRONMENT = 3
    ADMINISTRATOR = 4


class Effect(IntEnum):
    """When a change counts."""

    AT_ONCE = 0
    NEW_CONNECTIONS = 1
    RESTART = 2


class SettingFlags(IntFlag):
    """The scope of a change; 0 means LIVE.

    LIVE: the running daemon; CONFIG: the settings file. The numbers are those of libvirt's
    virDomainModificationImpact.
    """

    LIVE = 1
    CONFIG = 2


class Level(IntEnum):
    """Log levels, with the numbers of libvirt's log settings."""

    DEBUG = 1
    INFO = 2
    WARNING = 3
    ERROR = 4


@xdr.struct
class SettingInfo:
    """A setting, all about it.

    name: as in "virtd.conf/max_workers"; type: "number", "flag", "size", "text", "list", "word" or
    "mode"; lowest, highest: for numbers and sizes, else 0; words: for words; allowed: the allowed
    values, as the end of a sentence; unit: empty for none. default, in_force, in_file: as a file has
    them; none for a value that is not set. origin: an `Origin`, of the value in force; effect: an
    `Effect`; reason: why a change does not count at once, empty if it does; ours: whether libvirt has no
    such setting.
    """

    name: xdr.Str
    type: xdr.Str
    lowest: xdr.Hyper
    highest: xdr.Hyper
    words: Annotated[list[str], xdr.Array(xdr.Str, WORDS_MAX)]
    allowed: xdr.Str
    unit: xdr.Str
    default: xdr.OptStr
    in_force: xdr.OptStr
    in_file: xdr.OptStr
    origin: Annotated[xdr.UInt, Origin]
    effect: Annotated[xdr.UInt, Effect]
    reason: xdr.Str
    ours: xdr.Bool
    group: xdr.Str
    description: xdr.Str


@xdr.struct
class SettingList:
    """Settings, in the order of the documents or of the names that were asked for."""

    settings: Annotated[list[SettingInfo], xdr.Array(SettingInfo, SETTINGS_MAX)]


@xdr.struct
class ListSettingsArgs:
    """All settings of the daemon."""

    flags: xdr.UInt


@xdr.struct
class SettingNamesArgs:
    """Some settings, by name; "FILE/NAME" and "NAME" mean the same."""

    names: Annotated[list[str], xdr.Array(xdr.Str, SETTINGS_MAX)]
    flags: xdr.UInt


@xdr.struct
class SettingValue:
    """A new value for a setting. value: as a settings file has it; quotes may be left out."""

    name: xdr.Str
    value: xdr.Str


@xdr.struct
class SetSettingsArgs:
    """New values, all or none. flags: `SettingFlags`."""

    values: Annotated[list[SettingValue], xdr.Array(SettingValue, SETTINGS_MAX)]
    flags: xdr.UInt


@xdr.struct
class LogLevel:
    """The log level in force. level: a `Level`."""

    level: Annotated[xdr.UInt, Level]


@xdr.struct
class GetLogLevelArgs:
    """Arguments of GET_LOG_LEVEL."""

    flags: xdr.UInt


@xdr.struct
class SetLogLevelArgs:
    """A new log level. level: a `Level`, or 0 for the default."""

    level: Annotated[xdr.UInt, Level]
    flags: xdr.UInt


EXTENSION.enums = (*EXTENSION.enums, Level, Origin, Effect)

LIST_SETTINGS: Final = EXTENSION.procedure(
    2, "LIST_SETTINGS", ListSettingsArgs, SettingList, flags=0, reads=True
)
GET_SETTINGS: Final = EXTENSION.procedure(
    3, "GET_SETTINGS", SettingNamesArgs, SettingList, flags=0, reads=True
)
SET_SETTINGS: Final = EXTENSION.procedure(
    4, "SET_SETTINGS", SetSettingsArgs, xdr.Void, flags=SettingFlags
)
RESET_SETTINGS: Final = EXTENSION.procedure(
    5, "RESET_SETTINGS", SettingNamesArgs, xdr.Void, flags=SettingFlags
)
GET_LOG_LEVEL: Final = EXTENSION.procedure(
    6, "GET_LOG_LEVEL", GetLogLevelArgs, LogLevel, flags=0, reads=True
)
SET_LOG_LEVEL: Final = EXTENSION.procedure(7, "SET_LOG_LEVEL", SetLogLevelArgs, xdr.Void, flags=0)
