"""Settings on their way into a daemon: at its start, and while it runs.

Both read the `Live` declarations of the settings and nothing else. A change is planned first; a step
that may wait for a file system (logging, TLS) can be done on a thread, all others belong on the loop.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

from aiovirt.daemons.runtime.settings.declaration import Fixed, Live, Value
from aiovirt.daemons.runtime.settings.file import Loaded, changed
from aiovirt.rpc.logs import LogSettingError, get_logger
from aiovirt.rpc.wire.errors import RpcError

if TYPE_CHECKING:
    from aiovirt.rpc.server import Server, ServerOptions

_log = get_logger("daemons.runtime.settings")

_TLS = "tls"


class Receiver(Protocol):
    """A part of the daemon that takes changed settings: logging, or a component."""

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings, keyed by their knobs; all or none.

        Raises ValueError, RpcError, LogSettingError when they are refused.
        """


@dataclass(frozen=True, slots=True)
class Running:
    """The parts of a running daemon that settings change. receivers: by the `where` of `Live`."""

    main: Server
    admin: Server
    receivers: Mapping[str, Receiver]

    def check(self, loaded: Loaded) -> None:
        """Raise ValueError for a setting whose receiver does not exist: a mistake in a declaration."""
        known = {"main", "admin", *self.receivers}
        for setting in loaded.settings.values():
            if isinstance(setting.change, Live) and setting.change.where not in known:
                raise ValueError(
                    f"setting {setting.name} is for '{setting.change.where}', which the daemon does"
                    f" not have; it has {', '.join(sorted(known))}"
                )


def server_options(name: str, where: Literal["main", "admin"], loaded: Loaded) -> ServerOptions:
    """The options that the daemon's own server, or its admin server, is started with."""
    from aiovirt.rpc.server import ServerOptions

    fields: dict[str, Any] = {
        setting.name.removeprefix("admin_"): loaded.values[setting.name]
        for setting in loaded.settings.values()
        if isinstance(setting.change, Live)
        and setting.change.where == where
        and _split(setting.change)[0] != _TLS
    }
    if where == "admin":
        # Nobody is anonymous there: who may not administer is not let in at all.
        return ServerOptions(name="admin", max_anonymous_clients=0, **fields)
    return ServerOptions(name=name, **fields)


def tls_knobs(loaded: Loaded) -> dict[str, Value]:
    """The values of the settings of TLS, by their knobs; empty for a daemon without such settings."""
    return {
        _split(setting.change)[1]: loaded.values[setting.name]
        for setting in loaded.settings.values()
        if isinstance(setting.change, Live) and _split(setting.change)[0] == _TLS
    }


def _split(change: Live) -> tuple[str, str]:
    """The object of a knob ("workers"; "" for the receiver itself) and its field there."""
    part, _, knob = change.knob.rpartition(".")
    return part, knob


class _Step(NamedTuple):
    """The changed settings of one object: its receiver, its name there, and knob -> setting."""

    where: str
    part: str
    knobs: Mapping[str, str]

    @property
    def may_block(self) -> bool:
        """Whether files are read or opened."""
        return self.where == "log" or self.part == _TLS


class Change:
    """The way from one reading of a settings file to the next, in a running daemon.

    Go through `steps` and `act` on each, in order; `finish` gives the settings that are then in force.
    """

    def __init__(self, old: Loaded, new: Loaded, running: Running) -> None:
        self._old = old
        self._new = new
        self._running = running
        self._changes = changed(old, new)
        self._in_force = dict(new.values)

    def steps(self) -> Iterator[_Step]:
        """The changed settings by the object that takes them. Logs those that have to wait."""
        found: dict[tuple[str, str], dict[str, str]] = {}
        for name, setting in self._new.settings.items():
            if name not in self._changes:
                continue
            if isinstance(setting.change, Fixed):
                _log.warning(
                    "setting cannot change while the daemon runs, so it waits for the next start",
                    setting=name,
                    reason=setting.change.why,
                )
                self._in_force[name] = self._old.values[name]
            else:
                part, knob = _split(setting.change)
                found.setdefault((setting.change.where, part), {})[knob] = name
        for (where, part), knobs in found.items():
            yield _Step(where, part, knobs)

    def act(self, step: _Step) -> None:
        """Change one object, and log that or the reason of its refusal."""
        names = sorted(step.knobs.values())
        values = {knob: self._changes[name] for knob, name in step.knobs.items()}
        try:
            _set(self._running, step, values)
        except (RpcError, LogSettingError, ValueError) as error:
            _log.error("settings not changed", settings=names, reason=str(error))
            self._in_force.update({name: self._old.values[name] for name in names})
        else:
            for name in names:
                _log.info("setting changed", setting=name, value=self._changes[name])

    def finish(self) -> Loaded:
        """The settings in force as far as the file is concerned, so that a later reading tries again."""
        return replace(self._new, values=self._in_force)


def apply(old: Loaded, new: Loaded, running: Running) -> Loaded:
    """Change all that differs between two readings, at once; the settings then in force. May block."""
    change = Change(old, new, running)
    for step in change.steps():
        change.act(step)
    return change.finish()


def _set(running: Running, step: _Step, values: Mapping[str, Value]) -> None:
    """Raises RpcError, LogSettingError or ValueError for refused values; then nothing has changed."""
    if step.where in running.receivers:
        running.receivers[step.where].apply(values)
        return
    server = running.main if step.where == "main" else running.admin
    if step.part == _TLS and server.tls is None:
        return  # it is not used
    if step.part:
        getattr(server, step.part).set(**values)
    else:
        for knob, value in values.items():
            setattr(server, knob, value)
