"""The settings in force in a running daemon, and where each value came from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Final

import msgspec

from aiovirt.admin.extension.protocol.settings import Origin, SettingInfo
from aiovirt.daemons.runtime.settings.catalogue import KNOWN_ELSEWHERE
from aiovirt.daemons.runtime.settings.declaration import Live, Same, Value
from aiovirt.daemons.runtime.settings.describe import Found, describe
from aiovirt.daemons.runtime.settings.file import BOUNDS, Loaded, similar
from aiovirt.daemons.runtime.settings.live import Override, Running
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

#: Characters of an unknown name that are looked at, and shown.
_SHOWN: Final = 100


class InForce:
    """The values in force; no receiver is asked to change anything here.

    Args:
        names: of the settings file, without a folder: the daemon's own, and that of libvirt's daemon.
        loaded: the settings in force as far as the file is concerned.
        running: the parts of the daemon that have the values.
        fixed: what comes before the file for settings that are not live.
        started: the values that the parts of the daemon were made with.
        administered: names of settings that an administrator has changed.
    """

    def __init__(
        self,
        names: Sequence[str],
        loaded: Loaded,
        running: Running,
        fixed: Mapping[str, Override],
        started: Mapping[str, Value],
        administered: Collection[str],
    ) -> None:
        self.loaded = loaded
        self.last = dict(started)
        self.chosen = set(administered)
        self._names = names
        self._running = running
        self._fixed = fixed

    @property
    def administered(self) -> dict[str, Value]:
        """The values in force that an administrator has chosen, in whichever way."""
        return {
            name: self.value(name)
            for name, setting in self.loaded.settings.items()
            if isinstance(setting.change, Live) and self.origin(name) is Origin.ADMINISTRATOR
        }

    def value(self, name: str) -> Value:
        """Return the value in force, as the running object has it."""
        change = self.loaded.settings[name].change
        if isinstance(change, Live):
            return self._running.in_force(change, self.last[name])
        return self._fixed[name].value if name in self._fixed else self.loaded.values[name]

    def origin(self, name: str) -> Origin:
        """Return where the value in force came from."""
        change = self.loaded.settings[name].change
        override = self._fixed.get(name)
        if isinstance(change, Live):
            if name in self.chosen or self.value(name) != self._expected(name, change):
                return Origin.ADMINISTRATOR
            override = self.override(change, self.loaded.values[name])
        if override is not None:
            return override.origin
        return Origin.FILE if name in self.loaded.given else Origin.DEFAULT

    def override(self, change: Live, value: Value) -> Override | None:
        """Return what comes before a value of the settings file, if anything does."""
        return self._running.receivers[change.where].override(change.knob, value)

    def _expected(self, name: str, change: Live) -> Value:
        """Return the value that is in force unless an administrator has changed it."""
        value = self.loaded.values[name]
        override = self.override(change, value)
        if override is not None:
            value = override.value
        elif name not in self.loaded.given:
            value = self.default(name, self.value)
        return self._running.receivers[change.where].as_in_force(change.knob, value)

    def default(self, name: str, value_of: Callable[[str], Value]) -> Value:
        """Return the default of a setting, which may depend on the values of others."""
        default = self.loaded.settings[name].default
        if isinstance(default, Same):
            return value_of(default.name)
        for least, most in BOUNDS:
            bound = value_of(most) if name == least else None
            if isinstance(default, int) and isinstance(bound, int):
                return min(default, bound)
        return default

    def is_follower(self, name: str, read: Loaded) -> bool:
        """Return whether a setting follows another one, as a reading of the file does not set it."""
        return name not in read.given and self._leader(name) is not None

    def _leader(self, name: str) -> str | None:
        """Return the setting that the default of another one depends on."""
        default = self.loaded.settings[name].default
        return default.name if isinstance(default, Same) else dict(BOUNDS).get(name)

    def with_followers(
        self, wanted: Mapping[str, Value], reset: Collection[str] = ()
    ) -> dict[str, Value]:
        """Return changes with those of the settings that follow them.

        Args:
            wanted: the new values by name.
            reset: followers that get their defaults again, whatever they have now.
        """
        found = dict(wanted)

        def value_of(name: str) -> Value:
            return found[name] if name in found else self.value(name)

        for name in self.loaded.settings:
            follows = self._leader(name) in found and self.origin(name) is Origin.DEFAULT
            if name in reset or (follows and name not in found):
                found[name] = self.default(name, value_of)
        return found

    def moved(self, fresh: Loaded) -> list[str]:
        """Return the settings whose own lines differ from the reading before, or their defaults.

        A default that only follows another setting is left out, as is one that an administrator's
        value has replaced: no line of theirs has changed.
        """
        old = self.loaded
        found = []
        for name in fresh.settings:
            if name in fresh.given ^ old.given:
                found.append(name)
            elif fresh.values[name] == old.values[name]:
                continue
            elif name in fresh.given:
                lowered = name in fresh.lowered and name in old.lowered
                if not lowered or self.origin(name) is not Origin.ADMINISTRATOR:
                    found.append(name)
            elif self._leader(name) is None and self.origin(name) is not Origin.ADMINISTRATOR:
                found.append(name)
        return found

    def require_one_form(self, wanted: Collection[str], *, live: bool) -> None:
        """Raise RpcError for changes of a setting and of the one that replaces it.

        Args:
            wanted: the names.
            live: whether what is in force counts as well: it would make the change one without effect.
        """
        for name, setting in self.loaded.settings.items():
            other = setting.instead_of
            if other not in wanted:
                continue
            if name in wanted:
                text = f"{name} and {other} cannot be set together"
            elif live and self.origin(name) is not Origin.DEFAULT:
                text = (
                    f"{other} cannot be set: {name} is in force and replaces it; reset {name} first"
                )
            else:
                continue
            raise RpcError.of(ErrorCode.INVALID_ARG, text)

    def settable(self, name: str) -> Value:
        """Return the value that brings back what is in force now: as it was given, if it was."""
        change = self.loaded.settings[name].change
        now, last = self.value(name), self.last[name]
        if isinstance(change, Live):
            receiver = self._running.receivers[change.where]
            return last if receiver.as_in_force(change.knob, last) == now else now
        return now

    def describe(self, names: Iterable[str], fresh: Loaded) -> list[SettingInfo]:
        """Describe settings.

        Args:
            names: of the settings.
            fresh: what the file says now.
        """
        return [
            describe(
                self._names[0],
                self.loaded.settings[name],
                Found(
                    self.value(name),
                    fresh.values[name] if name in fresh.given else None,
                    self.default(name, lambda other: self.loaded.values[other]),
                    self.origin(name),
                ),
            )
            for name in names
        ]

    def known(self, given: str) -> str:
        """Return the bare name of a setting. Raises RpcError for one that does not exist here."""
        file, slash, name = given.rpartition("/")
        if name in self.loaded.settings and (not slash or file in self._names):
            return name
        given, file, name = (text[:_SHOWN] for text in (given, file, name))
        if slash and file not in self._names:
            raise RpcError.of(
                ErrorCode.CONFIG_UNSUPPORTED,
                f"'{given}': this daemon has no file '{file}', but {self._names[0]}",
            )
        near = similar(name, self.loaded.settings)
        hint = f"; similar: {', '.join(near)}" if near else ""
        if name in KNOWN_ELSEWHERE:
            text = f"'{name}' is a setting of libvirt without effect here"
        else:
            text = f"there is no setting '{name}' in {self._names[0]}"
        raise RpcError.of(ErrorCode.CONFIG_UNSUPPORTED, f"{text}{hint}")

    def read_as(self, values: Mapping[str, Value], given: Iterable[str]) -> None:
        """Note that these values of the file are in force: the file has not changed as to them."""
        self.loaded = msgspec.structs.replace(
            self.loaded,
            values={**self.loaded.values, **values},
            given=(self.loaded.given - values.keys()) | set(given),
        )
