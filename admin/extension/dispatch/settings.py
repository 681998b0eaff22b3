"""Settings of the daemon, and its log level."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from aiovirt.admin.extension.protocol import settings as protocol
from aiovirt.admin.extension.protocol.settings import SettingFlags, SettingInfo, SettingList
from aiovirt.rpc.server import Client, run_blocking, serves
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

_LOG_LEVEL = "log_level"


class SettingsAdministration(Protocol):
    """The settings of a daemon, as the runtime knows them. Names may begin with "FILE/"."""

    async def describe(self, names: Sequence[str] | None) -> list[SettingInfo]:
        """Return some settings, or all. Raises RpcError for an unknown name."""

    async def set(
        self, values: Mapping[str, str], who: Mapping[str, object], *, live: bool, config: bool
    ) -> None:
        """Change settings, all or none.

        Args:
            values: texts by name.
            who: the administrator, as fields of log lines.
            live: change the running daemon.
            config: change the settings file.

        Raises:
            RpcError: the change is refused.
        """

    async def reset(
        self, names: Sequence[str], who: Mapping[str, object], *, live: bool, config: bool
    ) -> None:
        """Give settings back: to the file, or in the file to the default; otherwise as `set`."""


class SettingsDispatch:
    """Serves the procedures about settings."""

    def __init__(self, settings: SettingsAdministration) -> None:
        self._settings = settings

    @serves(protocol.LIST_SETTINGS)
    async def list(self, client: Client, args: protocol.ListSettingsArgs) -> SettingList:
        return SettingList(await self._settings.describe(None))

    @serves(protocol.GET_SETTINGS)
    async def get(self, client: Client, args: protocol.SettingNamesArgs) -> SettingList:
        return SettingList(await self._settings.describe(args.names))

    @serves(protocol.SET_SETTINGS)
    async def set(self, client: Client, args: protocol.SetSettingsArgs) -> None:
        values: dict[str, str] = {}
        for each in args.values:
            if each.name in values:
                raise RpcError.of(ErrorCode.INVALID_ARG, f"{each.name} is given twice")
            values[each.name] = each.value
        live, config = _affected(args.flags)
        await self._settings.set(values, await _who(client), live=live, config=config)

    @serves(protocol.RESET_SETTINGS)
    async def reset(self, client: Client, args: protocol.SettingNamesArgs) -> None:
        live, config = _affected(args.flags)
        await self._settings.reset(args.names, await _who(client), live=live, config=config)

    @serves(protocol.GET_LOG_LEVEL)
    async def get_log_level(
        self, client: Client, args: protocol.GetLogLevelArgs
    ) -> protocol.LogLevel:
        (found,) = await self._settings.describe([_LOG_LEVEL])
        return protocol.LogLevel(int(found.in_force or 0))

    @serves(protocol.SET_LOG_LEVEL)
    async def set_log_level(self, client: Client, args: protocol.SetLogLevelArgs) -> None:
        values = {_LOG_LEVEL: str(args.level)}
        await self._settings.set(values, await _who(client), live=True, config=False)


def _affected(flags: int) -> tuple[bool, bool]:
    """Return whether a change is for the running daemon, and whether for the file."""
    return bool(flags & SettingFlags.LIVE) or not flags, bool(flags & SettingFlags.CONFIG)


async def _who(client: Client) -> dict[str, object]:
    """Return what a log line says of an administrator: user, process, address."""
    try:
        if not client.is_local:
            return {"client": client.id, "address": client.address()}
        peer = client.identity()
        name = await run_blocking(peer.user_name)
    except OSError:  # it went meanwhile
        return {"client": client.id}
    return {"client": client.id, "user": name or peer.uid, "process": peer.pid, "address": "local"}
