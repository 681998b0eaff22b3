"""Settings on their way into a daemon: at its start, and while it runs.

Both read the `Live` declarations of the catalogue and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from aiovirt.daemons.runtime.settings.catalogue import settings_of
from aiovirt.daemons.runtime.settings.declaration import Fixed, Live, Value
from aiovirt.daemons.runtime.settings.file import Loaded, changed
from aiovirt.rpc.logs import LogSettingError, get_logger
from aiovirt.rpc.wire.errors import RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.kind import Own
    from aiovirt.daemons.runtime.logging import LogSettings
    from aiovirt.rpc.server import Server, ServerOptions

_log = get_logger("daemons.runtime.settings")


def server_options(name: str, where: Literal["main", "admin"], loaded: Loaded) -> ServerOptions:
    """What the daemon's own server, or its admin server, is started with."""
    from aiovirt.rpc.server import ServerOptions

    fields: dict[str, Any] = {
        setting.name.removeprefix("admin_"): loaded.values[setting.name]
        for setting in settings_of(name).values()
        if isinstance(setting.change, Live)
        and setting.change.where == where
        and not setting.change.knob.startswith("tls.")
    }
    if where == "admin":
        # Nobody is anonymous there: who may not administer is not let in at all.
        return ServerOptions(name="admin", max_anonymous_clients=0, **fields)
    return ServerOptions(name=name, **fields)


@dataclass(frozen=True, slots=True)
class Running:
    """What settings change in a running daemon."""

    main: Server
    admin: Server
    log: LogSettings
    own: Own | None


def apply(name: str, old: Loaded, new: Loaded, running: Running) -> Loaded:
    """Change in the daemon `name` what differs between two readings of its file, and log it.

    What cannot change while running, and what is refused, is logged with the reason and stays.
    Returns the settings that are then in force as far as the file is concerned, so that a later
    reading tries again.
    """
    changes = changed(old, new)
    in_force = dict(new.values)
    for setting in settings_of(name).values():
        if setting.name in changes and isinstance(setting.change, Fixed):
            _log.warning(
                "setting cannot change while the daemon runs, so it waits for the next start",
                setting=setting.name,
                because=setting.change.why,
            )
            in_force[setting.name] = old.values[setting.name]
    for target, knobs in _turns(name, changes):
        names = sorted(knobs.values())
        try:
            _turn(running, target, {knob: changes[of] for knob, of in knobs.items()})
        except (RpcError, LogSettingError, ValueError) as error:
            _log.error("settings not changed", settings=names, because=str(error))
            in_force.update({of: old.values[of] for of in names})
        else:
            for of in names:
                _log.info("setting changed", setting=of, value=changes[of])
    return replace(new, values=in_force)


_Target = tuple[str, str]
"""Who is changed ("main", "admin", "log", "own") and which object there ("workers"; "" for itself)."""


def _turns(name: str, changes: Mapping[str, Value]) -> Iterator[tuple[_Target, dict[str, str]]]:
    """The changed settings by the object that takes them, each as knob -> setting."""
    turns: dict[_Target, dict[str, str]] = {}
    for setting in settings_of(name).values():
        if setting.name in changes and isinstance(setting.change, Live):
            part, _, knob = setting.change.knob.rpartition(".")
            turns.setdefault((setting.change.where, part), {})[knob] = setting.name
    yield from turns.items()


def _turn(running: Running, target: _Target, knobs: Mapping[str, Value]) -> None:
    """Raises RpcError, LogSettingError or ValueError when the new values are refused; then nothing has
    changed."""
    where, part = target
    if where == "log":
        running.log.apply(knobs)
        return
    if where == "own":
        if running.own is not None:
            running.own.apply(knobs)
        return
    server = running.main if where == "main" else running.admin
    if part == "tls" and server.tls is None:
        return  # it is not used
    if part:
        getattr(server, part).set(**knobs)
    else:
        for knob, value in knobs.items():
            setattr(server, knob, value)
