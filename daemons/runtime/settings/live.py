"""Settings on their way into a daemon: at its start, and while it runs.

Both read the `Live` declarations of the settings and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from aiovirt.admin.extension.protocol.settings import Origin
from aiovirt.daemons.runtime.settings.declaration import Live, Settings, Value
from aiovirt.daemons.runtime.settings.file import Loaded
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.rpc.server import Server, ServerOptions


class Override(msgspec.Struct, frozen=True):
    """A value that comes before the settings file. by: its source, as an administrator knows it."""

    value: Value
    origin: Origin
    by: str


class Receiver(Protocol):
    """A part of the daemon that takes changed settings: a server, logging, TLS, or a component."""

    async def change(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings, keyed by their knobs; all or none.

        Raises ValueError, RpcError, LogSettingError or OSError when they are refused.
        """

    def in_force(self, knob: str, last: Value) -> Value:
        """Return the value in force.

        Args:
            knob: what is asked for.
            last: the value that the settings gave last; the answer, unless somebody else changes it.
        """

    def override(self, knob: str, value: Value) -> Override | None:
        """Return what comes before a value of the settings file, if anything does."""

    def as_in_force(self, knob: str, value: Value) -> Value:
        """Return a value of the settings as `in_force` tells it once it is in force."""

    def check(self, values: Mapping[str, Value]) -> None:
        """Raise ValueError for values, of all knobs, with which the daemon would not start."""

    def rank(self, changes: Mapping[str, Value]) -> int:
        """Return when these changes are made: -1 before those of others, 0, or 1 after them."""


class ServerReceiver:
    """A server as settings change it."""

    def __init__(self, server: Server) -> None:
        self._server = server

    async def change(self, changes: Mapping[str, Value]) -> None:
        """See `Receiver`. The knobs are those of one part: that is how `steps` divides them."""
        (part,) = {path.rpartition(".")[0] for path in changes}
        knobs: dict[str, Any] = {path.rpartition(".")[2]: changes[path] for path in changes}
        if part == "workers":
            self._require_pool_kept(knobs)
        if part:
            getattr(self._server, part).set(**knobs)
        else:
            for knob, value in knobs.items():
                setattr(self._server, knob, value)

    def _require_pool_kept(self, knobs: Mapping[str, Any]) -> None:
        """Raise RpcError for a server that would get a pool, or lose its pool."""
        now = self._server.workers.maximum
        wanted = knobs.get("maximum", now)
        if (now == 0) != (wanted == 0):
            raise RpcError.of(
                ErrorCode.OPERATION_UNSUPPORTED,
                f"a maximum of {now} workers can become {wanted} at a restart only: calls run with a"
                " pool of workers or without",
            )

    def in_force(self, knob: str, last: Value) -> Value:
        """See `Receiver`."""
        found: Any = self._server
        for name in knob.split("."):
            found = getattr(found, name)
        value: Value = found
        return value

    def override(self, knob: str, value: Value) -> Override | None:
        """See `Receiver`."""
        return None

    def as_in_force(self, knob: str, value: Value) -> Value:
        """See `Receiver`."""
        return value

    def check(self, values: Mapping[str, Value]) -> None:
        """See `Receiver`."""

    def rank(self, changes: Mapping[str, Value]) -> int:
        """See `Receiver`."""
        return 0


class Step(msgspec.Struct, frozen=True):
    """Settings that are changed together, all or none.

    where: their receiver; names: of the settings; knobs: their new values by knob.
    """

    where: str
    names: list[str]
    knobs: dict[str, Value]


class Running(msgspec.Struct, frozen=True):
    """The parts of a running daemon that settings change, by the `where` of `Live`."""

    receivers: Mapping[str, Receiver]

    def check(self, settings: Settings) -> None:
        """Raise ValueError for a setting whose receiver does not exist: a mistake in a declaration."""
        for setting in settings.values():
            if isinstance(setting.change, Live) and setting.change.where not in self.receivers:
                raise ValueError(
                    f"setting {setting.name} is for '{setting.change.where}', which the daemon does"
                    f" not have; it has {', '.join(sorted(self.receivers))}"
                )

    def check_start(self, loaded: Loaded) -> None:
        """Raise ValueError for settings with which the daemon would not start."""
        for where, receiver in self.receivers.items():
            receiver.check(knobs_of(where, loaded))

    def steps(self, settings: Settings, wanted: Mapping[str, Value]) -> list[Step]:
        """Divide changes by the objects that take them, in the order in which that is done.

        Args:
            settings: the declarations.
            wanted: the new values by name.
        """
        found: dict[tuple[str, str], Step] = {}
        for name, setting in settings.items():
            if name in wanted and isinstance(setting.change, Live):
                where, part = setting.change.where, setting.change.knob.rpartition(".")[0]
                step = found.setdefault((where, part), Step(where, [], {}))
                step.names.append(name)
                step.knobs[setting.change.knob] = wanted[name]
        return sorted(found.values(), key=lambda one: self.receivers[one.where].rank(one.knobs))

    def in_force(self, change: Live, last: Value) -> Value:
        """Return the value in force of a setting; see `Receiver.in_force`."""
        return self.receivers[change.where].in_force(change.knob, last)


def server_options(name: str, where: Literal["main", "admin"], loaded: Loaded) -> ServerOptions:
    """Return the options that the daemon's own server, or its admin server, is started with."""
    from aiovirt.rpc.server import ServerOptions

    fields: dict[str, Any] = {
        setting.name.removeprefix("admin_"): loaded.values[setting.name]
        for setting in loaded.settings.values()
        if isinstance(setting.change, Live) and setting.change.where == where
    }
    if where == "admin":
        # Nobody is anonymous there: who may not administer is not let in at all.
        return ServerOptions(name="admin", max_anonymous_clients=0, **fields)
    return ServerOptions(name=name, **fields)


def knobs_of(where: str, loaded: Loaded) -> dict[str, Value]:
    """Return the values of the settings of one receiver, by their knobs."""
    return {
        setting.change.knob: loaded.values[setting.name]
        for setting in loaded.settings.values()
        if isinstance(setting.change, Live) and setting.change.where == where
    }
