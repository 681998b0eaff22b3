"""Settings of a daemon of ours: `conn.settings`.

    await conn.settings.set({"max_workers": 30, "log_filters": "1:rpc"}, live=True, config=True)
    for setting in await conn.settings.list():
        print(setting.name, setting.in_force, setting.origin.name)

libvirt's daemons do not have this; their settings change at a restart.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from aiovirt.admin.arguments import text, whole_number
from aiovirt.admin.extension.protocol import EXTENSION
from aiovirt.admin.extension.protocol import settings as protocol
from aiovirt.admin.extension.protocol.settings import Effect, Origin, SettingFlags

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aiovirt.rpc.wire.program import Procedure, Program

__all__ = ["Effect", "Origin", "Setting", "Settings"]

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")

_LEVEL_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting of a daemon, and its values.

    name: as in "virtd.conf/max_workers"; type: "number", "flag", "size", "text", "list", "word" or
    "mode"; lowest, highest: for numbers and sizes, else 0; words: for words; allowed: the allowed
    values, as the end of a sentence; unit: empty for none. default, in_force, in_file: as a settings
    file has them; None for a value that is not set. origin: of the value in force; effect: when a change
    counts; reason: why it does not count at once, empty if it does; ours: whether libvirt has no such
    setting.
    """

    name: str
    type: str
    lowest: int
    highest: int
    words: tuple[str, ...]
    allowed: str
    unit: str
    default: str | None
    in_force: str | None
    in_file: str | None
    origin: Origin
    effect: Effect
    reason: str
    ours: bool
    group: str
    description: str

    @property
    def bare_name(self) -> str:
        """The name without that of the file."""
        return self.name.rpartition("/")[2]


class Caller(Protocol):
    """A connection, as far as settings need it; see `admin.client.Connection`."""

    async def call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        """Call a procedure."""

    def needing(self, program: Program, daemon: str) -> AbstractContextManager[None]:
        """Raise MissingProgram in place of the error reply for an unknown program."""


class Settings:
    """The settings of the daemon at the other end of a connection.

    Every call raises RpcError: CONFIG_UNSUPPORTED for an unknown setting; INVALID_ARG for a value, or
    for values that contradict each other; OPERATION_UNSUPPORTED for a setting that changes at a restart
    only; and MissingProgram for a daemon of libvirt.
    """

    def __init__(self, connection: Caller) -> None:
        self._connection = connection

    async def list(self) -> Sequence[Setting]:
        """All settings, in the order of the documents."""
        answer = await self._call(protocol.LIST_SETTINGS, protocol.ListSettingsArgs(flags=0))
        return [_setting(each) for each in answer.settings]

    async def get(self, *names: str) -> Sequence[Setting]:
        """The settings of these names, "FILE/NAME" or "NAME"."""
        args = protocol.SettingNamesArgs([text("a setting's name", one) for one in names], flags=0)
        answer = await self._call(protocol.GET_SETTINGS, args)
        return [_setting(each) for each in answer.settings]

    async def set(
        self, values: Mapping[str, str | int], *, live: bool = True, config: bool = False
    ) -> None:
        """Change settings, all or none.

        Args:
            values: by name; a text as the settings file would have it, in which quotes may be left out.
            live: change the running daemon.
            config: change the settings file.

        Raises:
            TypeError: a value is neither a str nor an int.
            ValueError: nothing is to be changed.
        """
        given = [
            protocol.SettingValue(text("a setting's name", name), _value_text(value))
            for name, value in values.items()
        ]
        args = protocol.SetSettingsArgs(given, _flags(live=live, config=config))
        await self._call(protocol.SET_SETTINGS, args)

    async def reset(self, names: Iterable[str], *, live: bool = True, config: bool = False) -> None:
        """Give settings back.

        Args:
            names: of the settings.
            live: give the running daemon the values of the file, or the defaults.
            config: take the settings out of the file.

        Raises:
            ValueError: nothing is to be changed.
        """
        wanted = [text("a setting's name", one) for one in names]
        args = protocol.SettingNamesArgs(wanted, _flags(live=live, config=config))
        await self._call(protocol.RESET_SETTINGS, args)

    async def get_log_level(self) -> int:
        """The log level: 1 debug, 2 info, 3 warning, 4 error."""
        answer = await self._call(protocol.GET_LOG_LEVEL, protocol.GetLogLevelArgs(flags=0))
        return answer.level

    async def set_log_level(self, level: int) -> None:
        """Change the log level: 1 to 4, or 0 for the default."""
        number = whole_number("a log level", level, _LEVEL_MAX)
        await self._call(protocol.SET_LOG_LEVEL, protocol.SetLogLevelArgs(number, flags=0))

    async def _call(self, procedure: Procedure[Any, _ResultT], args: object) -> _ResultT:
        with self._connection.needing(EXTENSION, "a daemon of aiovirt"):
            return await self._connection.call(procedure, args)


def _value_text(value: str | int) -> str:
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, int):
        return str(value)
    return text("a setting's value", value)


def _flags(*, live: bool, config: bool) -> int:
    if not live and not config:
        raise ValueError("nothing is to be changed: live or config has to be true")
    return (SettingFlags.LIVE if live else 0) | (SettingFlags.CONFIG if config else 0)


def _setting(found: protocol.SettingInfo) -> Setting:
    fields = {name: getattr(found, name) for name in Setting.__dataclass_fields__}
    fields["words"] = tuple(found.words)
    fields["origin"] = Origin(found.origin)
    fields["effect"] = Effect(found.effect)
    fields["ours"] = bool(found.ours)
    return Setting(**fields)
