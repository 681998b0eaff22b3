"""The settings of a running daemon: what is in force and why, and every way in which that changes.

A change of the settings file (SIGHUP), one by an administrator, and the difference that a restart finds,
go through the same steps: the receivers of the settings take their changes one after the other. If one
refuses a change by an administrator, those before it get their earlier values back. A change of the file
is applied as far as that goes, and what is refused is tried again at the next reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Any, Final

from aiovirt.admin.extension.protocol.settings import Origin, SettingInfo
from aiovirt.daemons.runtime.settings.catalogue import KNOWN_ELSEWHERE
from aiovirt.daemons.runtime.settings.declaration import (
    Fixed,
    Live,
    Same,
    Setting,
    SettingsError,
    Value,
)
from aiovirt.daemons.runtime.settings.describe import Found, describe
from aiovirt.daemons.runtime.settings.file import BOUNDS, Loaded, load
from aiovirt.daemons.runtime.settings.live import Override, Running, Step, steps
from aiovirt.daemons.runtime.settings.saving import Saving
from aiovirt.daemons.runtime.settings.text import to_text, to_value
from aiovirt.rpc.logs import LogSettingError, get_logger
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

_log = get_logger("daemons.runtime.settings")

_REFUSALS: Final = (RpcError, LogSettingError, ValueError, OSError)

Who = Mapping[str, object]
"""The author of a change, as fields of log lines."""


class Administration:
    """The settings of a running daemon.

    Args:
        names: of the settings file, without a folder: the daemon's own, and that of libvirt's daemon.
        loaded: the settings in force as far as the file is concerned.
        running: the parts of the daemon that settings change.
        required: whether the settings file has to exist.
        fixed: what comes before the file for settings that are not live.
        started: the values that the receivers were made with.
        administered: names of settings that an administrator has changed, before a restart.
    """

    def __init__(
        self,
        names: Sequence[str],
        loaded: Loaded,
        running: Running,
        *,
        required: bool = False,
        fixed: Mapping[str, Override] | None = None,
        started: Mapping[str, Value] | None = None,
        administered: Collection[str] = (),
    ) -> None:
        self._names = names
        self._loaded = loaded
        self._running = running
        self._required = required
        self._fixed = fixed or {}
        self._last = dict(loaded.values if started is None else started)
        self._administered = set(administered)
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loaded(self) -> Loaded:
        """The settings in force as far as the file is concerned; what was refused is tried again."""
        return self._loaded

    @property
    def administered(self) -> dict[str, Value]:
        """The values in force that an administrator has chosen, in whichever way."""
        return {
            name: self.in_force(name)
            for name, setting in self._loaded.settings.items()
            if isinstance(setting.change, Live) and self.origin(name) is Origin.ADMINISTRATOR
        }

    # What is in force ----------------------------------------------------------------------------

    def in_force(self, name: str) -> Value:
        """Return the value in force, as the running object has it."""
        change = self._loaded.settings[name].change
        if isinstance(change, Live):
            return self._running.in_force(change, self._last[name])
        return self._fixed[name].value if name in self._fixed else self._loaded.values[name]

    def origin(self, name: str) -> Origin:
        """Return where the value in force came from."""
        change = self._loaded.settings[name].change
        override = self._fixed.get(name)
        if isinstance(change, Live):
            if name in self._administered or self.in_force(name) != self._expected(name, change):
                return Origin.ADMINISTRATOR
            override = self._override(name, change, self._loaded.values[name])
        if override is not None:
            return override.origin
        return Origin.FILE if name in self._loaded.given else Origin.DEFAULT

    def _override(self, name: str, change: Live, value: Value) -> Override | None:
        return self._running.receivers[change.where].override(change.knob, value)

    def _expected(self, name: str, change: Live) -> Value:
        """Return the value that is in force unless an administrator has changed it."""
        value = self._loaded.values[name]
        override = self._override(name, change, value)
        if override is not None:
            value = override.value
        elif name not in self._loaded.given:
            value = self._default(name, self.in_force)
        return self._running.receivers[change.where].as_in_force(change.knob, value)

    def _default(self, name: str, value_of: Callable[[str], Value]) -> Value:
        """Return the default of a setting, which may depend on the values of others."""
        default = self._loaded.settings[name].default
        if isinstance(default, Same):
            return value_of(default.name)
        for least, most in BOUNDS:
            bound = value_of(most) if name == least else None
            if isinstance(default, int) and isinstance(bound, int):
                return min(default, bound)
        return default

    async def describe(self, names: Sequence[str] | None) -> list[SettingInfo]:
        """Describe some settings, or all. Raises RpcError for an unknown name."""
        wanted = list(self._loaded.settings) if names is None else [self._known(n) for n in names]
        fresh = await self._fresh()
        return [
            describe(
                self._names[0],
                self._loaded.settings[name],
                Found(
                    self.in_force(name),
                    fresh.values[name] if name in fresh.given else None,
                    self._default(name, lambda other: self._loaded.values[other]),
                    self.origin(name),
                ),
            )
            for name in wanted
        ]

    async def _fresh(self) -> Loaded:
        """Return what the file says now; if it cannot be read, what it said."""
        try:
            return await run_blocking(self._read)
        except SettingsError:
            return self._loaded

    def _read(self) -> Loaded:
        return load(self._loaded.settings, self._loaded.path, required=self._required)

    # Changes of the file -------------------------------------------------------------------------

    async def reload(self) -> Loaded:
        """Apply what has changed in the file since it was read; returns the reading.

        Raises SettingsError, and changes nothing, for a bad file.
        """
        fresh = await run_blocking(self._read)
        await self.follow(fresh)
        return fresh

    async def follow(self, fresh: Loaded) -> None:
        """Apply what differs from the reading before this one, as far as that goes. Logs each change."""
        await self._alone(lambda: self._follow(fresh))

    async def _follow(self, fresh: Loaded) -> None:
        old = self._loaded
        moved = fresh.given ^ old.given
        wanted: dict[str, Value] = {}
        kept: set[str] = set()
        for name, setting in fresh.settings.items():
            value = fresh.values[name]
            if value == old.values[name] and name not in moved:
                continue
            if isinstance(setting.change, Live):
                if self._is_overridden(name, setting.change, value):
                    continue
                override = self._override(name, setting.change, value)
                wanted[name] = value if override is None else override.value
            elif value != old.values[name]:
                kept.add(name)
                _log.warning(
                    "setting cannot change while the daemon runs, so it waits for the next start",
                    setting=name,
                    reason=setting.change.why,
                )
        for step in steps(fresh.settings, wanted):
            if not await self._follow_step(step, wanted):
                kept.update(step.names)
        self._loaded = replace(
            fresh,
            values={**fresh.values, **{name: old.values[name] for name in kept}},
            given=(fresh.given - kept) | (old.given & kept),
        )

    def _is_overridden(self, name: str, change: Live, value: Value) -> bool:
        """Return whether a changed value of the file has no effect; warns of that."""
        before = self._override(name, change, self._loaded.values[name])
        after = self._override(name, change, value)
        if after is not None:
            _log.warning("setting has no effect", setting=name, overridden_by=after.by)
        return after is not None and before == after

    async def _follow_step(self, step: Step, wanted: Mapping[str, Value]) -> bool:
        """Change one receiver, and log that or the reason of its refusal."""
        before = {name: self.in_force(name) for name in step.names}
        try:
            await self._change(step, wanted)
        except _REFUSALS as error:
            _log.error("settings not changed", settings=step.names, reason=str(error))
            return False
        self._administered.difference_update(step.names)
        for name in step.names:
            if before[name] != self.in_force(name):
                self._tell(name, before[name], {"by": "settings file"})
        return True

    # Changes by an administrator -----------------------------------------------------------------

    async def set(self, values: Mapping[str, str], who: Who, *, live: bool, config: bool) -> None:
        """Change settings, all or none.

        Args:
            values: texts by name, as the file would have them.
            who: the administrator, for the log.
            live: change the running daemon.
            config: change the settings file.

        Raises:
            RpcError: CONFIG_UNSUPPORTED for an unknown name, INVALID_ARG for a value or for values that
                contradict each other, OPERATION_UNSUPPORTED for a setting that is not live.
        """
        wanted: dict[str, Value] = {}
        for given, text in values.items():
            name = self._known(given)
            if name in wanted:
                raise RpcError.of(ErrorCode.INVALID_ARG, f"{name} is given twice")
            try:
                wanted[name] = to_value(self._loaded.settings[name], text)
            except ValueError as error:
                raise RpcError.of(ErrorCode.INVALID_ARG, str(error)) from None
        if live:
            self._require_live(wanted)
        await self._alone(lambda: self._set(wanted, who, live=live, config=config))

    async def _set(
        self, wanted: Mapping[str, Value], who: Who, *, live: bool, config: bool
    ) -> None:
        saving = Saving(self._loaded, wanted) if config else None
        if saving is not None:
            await run_blocking(saving.rehearse)
        undo = await self._apply(self._with_followers(wanted)) if live else None
        await self._save(saving, undo, who)
        if undo is not None:
            if saving is None:
                self._administered.update(wanted)
            else:
                self._administered.difference_update(wanted)
                self._read_as(wanted, wanted)
            self._tell_all(undo, who)

    async def reset(self, names: Sequence[str], who: Who, *, live: bool, config: bool) -> None:
        """Give the running daemon the values of the file again, or take lines out of the file.

        Args:
            names: of the settings.
            who: the administrator, for the log.
            live: change the running daemon.
            config: change the settings file.

        Raises:
            RpcError: as of `set`.
        """
        wanted = dict.fromkeys(map(self._known, names))
        if live:
            self._require_live(wanted)
        await self._alone(lambda: self._reset(list(wanted), who, live=live, config=config))

    async def _reset(self, names: list[str], who: Who, *, live: bool, config: bool) -> None:
        saving = Saving(self._loaded, dict.fromkeys(names)) if config else None
        target = await (self._fresh() if saving is None else run_blocking(saving.rehearse))
        undo = None
        if live:
            wanted: dict[str, Value] = {}
            for name in names:
                change = self._loaded.settings[name].change
                value = target.values[name]
                override = self._override(name, change, value) if isinstance(change, Live) else None
                wanted[name] = value if override is None else override.value
            undo = await self._apply(self._with_followers(wanted))
        await self._save(saving, undo, who)
        if undo is not None:
            self._administered.difference_update(names)
            values = {name: target.values[name] for name in names}
            self._read_as(values, target.given & values.keys())
            self._tell_all(undo, who)

    async def _save(self, saving: Saving | None, undo: dict[str, Value] | None, who: Who) -> None:
        """Change the file; if that fails, change the daemon back. Raises RpcError."""
        if saving is None:
            return
        try:
            await run_blocking(saving.save)
        except BaseException:
            await self._undo(undo or {})
            raise
        for name, (old, new) in saving.saved.items():
            setting = self._loaded.settings[name]
            _log.info(
                "setting saved",
                setting=name,
                old=_shown(setting, old),
                new=_shown(setting, new),
                file=saving.path,
                **who,
            )

    def _with_followers(self, wanted: Mapping[str, Value]) -> dict[str, Value]:
        """Return changes with those of the settings whose defaults depend on them."""
        found = dict(wanted)

        def value_of(name: str) -> Value:
            return found[name] if name in found else self.in_force(name)

        bound = dict(BOUNDS)
        for name, setting in self._loaded.settings.items():
            default = setting.default
            leader = default.name if isinstance(default, Same) else bound.get(name)
            if leader in found and name not in found and self.origin(name) is Origin.DEFAULT:
                found[name] = self._default(name, value_of)
        return found

    async def _apply(self, wanted: Mapping[str, Value]) -> dict[str, Value]:
        """Change the running daemon, all or nothing; returns the values that were in force.

        Raises RpcError.
        """
        before = {name: self.in_force(name) for name in wanted}
        done: dict[str, Value] = {}
        for step in steps(self._loaded.settings, wanted):
            try:
                await self._change(step, wanted)
            except _REFUSALS as error:
                await self._undo(done)
                raise _refusal(step.names, error) from error
            except BaseException:
                await self._undo(done)
                raise
            done.update((name, before[name]) for name in step.names)
        return before

    async def _undo(self, before: Mapping[str, Value]) -> None:
        for step in reversed(steps(self._loaded.settings, before)):
            try:
                await self._change(step, before)
            except _REFUSALS as error:
                _log.error("settings not changed back", settings=step.names, reason=str(error))

    async def _change(self, step: Step, wanted: Mapping[str, Value]) -> None:
        """Give one receiver its changes. Raises one of `_REFUSALS`, and then nothing has changed."""
        knobs = {}
        for name in step.names:
            change = self._loaded.settings[name].change
            if isinstance(change, Live):
                knobs[change.knob] = wanted[name]
        await self._running.receivers[step.where].change(knobs)
        self._last.update((name, wanted[name]) for name in step.names)

    def _read_as(self, values: Mapping[str, Value], given: Iterable[str]) -> None:
        """Note that these values of the file are in force: the file has not changed as to them."""
        self._loaded = replace(
            self._loaded,
            values={**self._loaded.values, **values},
            given=(self._loaded.given - values.keys()) | set(given),
        )

    # Names ---------------------------------------------------------------------------------------

    def _known(self, given: str) -> str:
        """Return the bare name of a setting. Raises RpcError for one that does not exist here."""
        file, slash, name = given.rpartition("/")
        if slash and file not in self._names:
            raise RpcError.of(
                ErrorCode.CONFIG_UNSUPPORTED,
                f"'{given}': this daemon has no file '{file}', but {self._names[0]}",
            )
        if name in self._loaded.settings:
            return name
        if name in KNOWN_ELSEWHERE:
            raise RpcError.of(
                ErrorCode.CONFIG_UNSUPPORTED,
                f"'{name}' is a setting of libvirt without effect here",
            )
        near = get_close_matches(name, self._loaded.settings, n=3)
        hint = f"; similar: {', '.join(near)}" if near else ""
        raise RpcError.of(
            ErrorCode.CONFIG_UNSUPPORTED, f"there is no setting '{name}' in {self._names[0]}{hint}"
        )

    def _require_live(self, names: Iterable[str]) -> None:
        for name in names:
            change = self._loaded.settings[name].change
            if isinstance(change, Fixed):
                raise RpcError.of(
                    ErrorCode.OPERATION_UNSUPPORTED,
                    f"{name} cannot change while the daemon runs: {change.why}; save it in the file"
                    " (config) for the next start",
                )

    # Order, and the log --------------------------------------------------------------------------

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Make one change at a time, to its end: also when the administrator goes meanwhile."""

        async def in_turn() -> None:
            async with self._lock:
                await work()

        task = asyncio.get_running_loop().create_task(in_turn())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        await asyncio.shield(task)

    def _tell_all(self, before: Mapping[str, Value], who: Who) -> None:
        for name, value in before.items():
            if value != self.in_force(name):
                self._tell(name, value, who)

    def _tell(self, name: str, before: Value, who: Who) -> None:
        setting = self._loaded.settings[name]
        _log.info(
            "setting changed",
            setting=name,
            old=_shown(setting, before),
            new=_shown(setting, self.in_force(name)),
            **who,
        )


def _shown(setting: Setting, value: Value) -> str:
    return to_text(setting, value) or "not set"


def _refusal(names: Sequence[str], error: Exception) -> RpcError:
    if isinstance(error, RpcError) and error.code != ErrorCode.INVALID_ARG:
        return error
    text = error.message if isinstance(error, RpcError) else str(error)
    return RpcError.of(ErrorCode.INVALID_ARG, f"{', '.join(names)} not changed: {text}")
