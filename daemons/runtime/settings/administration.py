"""The settings of a running daemon: what is in force and why, and every way in which that changes.

A change of the settings file (SIGHUP), one by an administrator, and the difference that a restart finds,
go through the same steps: the receivers of the settings take their changes one after the other. If one
refuses a change by an administrator, those before it get their earlier values back. A change of the file
is applied as far as that goes, and what is refused is tried again at the next reading.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import msgspec

from aiovirt.admin.extension.protocol.settings import SettingInfo
from aiovirt.daemons.runtime.settings.declaration import (
    Fixed,
    Live,
    Setting,
    SettingsError,
    Value,
)
from aiovirt.daemons.runtime.settings.file import Loaded, load
from aiovirt.daemons.runtime.settings.in_force import InForce
from aiovirt.daemons.runtime.settings.live import Override, Running, Step
from aiovirt.daemons.runtime.settings.saving import Saving
from aiovirt.daemons.runtime.settings.text import to_text, to_value
from aiovirt.rpc.logs import LogSettingError, get_logger
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

_log = get_logger("daemons.runtime.settings")

_REFUSALS: Final = (RpcError, LogSettingError, ValueError, OSError)

Who = Mapping[str, object]
"""The author of a change, as fields of log lines."""


class _Applied(msgspec.Struct, frozen=True):
    """A change of the running daemon. before: what was in force; undo: what brings it back."""

    before: Mapping[str, Value]
    undo: Mapping[str, Value]


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
        started = loaded.values if started is None else started
        self._now = InForce(names, loaded, running, fixed or {}, started, administered)
        self._running = running
        self._required = required
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def loaded(self) -> Loaded:
        """The settings in force as far as the file is concerned; what was refused is tried again."""
        return self._now.loaded

    @property
    def administered(self) -> dict[str, Value]:
        """The values in force that an administrator has chosen, in whichever way."""
        return self._now.administered

    def in_force(self, name: str) -> Value:
        """Return the value in force, as the running object has it."""
        return self._now.value(name)

    async def describe(self, names: Sequence[str] | None) -> list[SettingInfo]:
        """Describe some settings, or all. Raises RpcError for an unknown name."""
        wanted = (
            list(self._now.loaded.settings)
            if names is None
            else [self._now.known(n) for n in names]
        )
        return self._now.describe(wanted, await self._fresh())

    async def _fresh(self) -> Loaded:
        """Return what the file says now; if it cannot be read, what it said."""
        try:
            return await run_blocking(self._read)
        except SettingsError:
            return self._now.loaded

    def _read(self) -> Loaded:
        return load(self._now.loaded.settings, self._now.loaded.path, required=self._required)

    # Changes of the file -------------------------------------------------------------------------

    async def reload(self) -> Loaded:
        """Apply what has changed in the file since it was read; returns the reading.

        Raises SettingsError, and changes nothing, for a bad file.
        """
        read: list[Loaded] = []

        async def read_and_follow() -> None:  # in turn: a change saved meanwhile is newer
            read.append(await run_blocking(self._read))
            await self._follow(read[0])

        await self._alone(read_and_follow)
        return read[0]

    async def follow(self, fresh: Loaded) -> None:
        """Apply what differs from the reading before this one, as far as that goes. Logs each change."""
        await self._alone(lambda: self._follow(fresh))

    async def _follow(self, fresh: Loaded) -> None:
        old = self._now.loaded
        wanted: dict[str, Value] = {}
        kept: set[str] = set()
        moved = self._now.moved(fresh)
        followers = [name for name in moved if self._now.is_follower(name, fresh)]
        for name in moved:
            if name in followers:
                continue
            setting, value = fresh.settings[name], fresh.values[name]
            if isinstance(setting.change, Live):
                if self._is_overridden(name, setting.change, value):
                    continue
                override = self._now.override(setting.change, value)
                wanted[name] = value if override is None else override.value
            elif value != old.values[name]:
                kept.add(name)
                _log.warning(
                    "setting cannot change while the daemon runs, so it waits for the next start",
                    setting=name,
                    reason=setting.change.why,
                )
        for step in self._running.steps(
            fresh.settings, self._now.with_followers(wanted, followers)
        ):
            if not await self._follow_step(step):
                kept.update(step.names)
        self._now.loaded = msgspec.structs.replace(
            fresh,
            values={**fresh.values, **{name: old.values[name] for name in kept}},
            given=(fresh.given - kept) | (old.given & kept),
        )

    def _is_overridden(self, name: str, change: Live, value: Value) -> bool:
        """Return whether a changed value of the file has no effect; warns of that."""
        before = self._now.override(change, self._now.loaded.values[name])
        after = self._now.override(change, value)
        if after is not None:
            _log.warning("setting has no effect", setting=name, overridden_by=after.by)
        return after is not None and before == after

    async def _follow_step(self, step: Step) -> bool:
        """Change one receiver, and log that or the reason of its refusal."""
        before = {name: self._now.value(name) for name in step.names}
        try:
            await self._change(step)
        except _REFUSALS as error:
            _log.error("settings not changed", settings=step.names, reason=str(error))
            return False
        self._now.chosen.difference_update(step.names)
        for name in step.names:
            if before[name] != self._now.value(name):
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
            name = self._now.known(given)
            if name in wanted:
                raise RpcError.of(ErrorCode.INVALID_ARG, f"{name} is given twice")
            try:
                wanted[name] = to_value(self._now.loaded.settings[name], text)
            except ValueError as error:
                raise RpcError.of(ErrorCode.INVALID_ARG, str(error)) from None
        if live:
            self._require_live(wanted)
        await self._alone(lambda: self._set(wanted, who, live=live, config=config))

    async def _set(
        self, wanted: Mapping[str, Value], who: Who, *, live: bool, config: bool
    ) -> None:
        self._now.require_one_form(wanted, live=live)
        saving = Saving(self._now.loaded, wanted) if config else None
        if saving is not None:
            await self._rehearse(saving)
        applied = await self._apply(self._now.with_followers(wanted)) if live else None
        await self._save(saving, applied, who)
        if applied is not None:
            if saving is None:
                self._now.chosen.update(wanted)
            else:
                self._now.chosen.difference_update(wanted)
                self._now.read_as(wanted, wanted)
            self._tell_all(applied.before, who)

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
        wanted = dict.fromkeys(map(self._now.known, names))
        if live:
            self._require_live(wanted)
        await self._alone(lambda: self._reset(list(wanted), who, live=live, config=config))

    async def _reset(self, names: list[str], who: Who, *, live: bool, config: bool) -> None:
        saving = Saving(self._now.loaded, dict.fromkeys(names)) if config else None
        target = await (self._fresh() if saving is None else self._rehearse(saving))
        applied = None
        if live:
            wanted: dict[str, Value] = {}
            followers = [name for name in names if self._now.is_follower(name, target)]
            for name in names:
                if name in followers:
                    continue
                change = self._now.loaded.settings[name].change
                value = target.values[name]
                override = self._now.override(change, value) if isinstance(change, Live) else None
                wanted[name] = value if override is None else override.value
            applied = await self._apply(self._now.with_followers(wanted, followers))
        await self._save(saving, applied, who)
        if applied is not None:
            self._now.chosen.difference_update(names)
            values = {name: target.values[name] for name in names}
            self._now.read_as(values, target.given & values.keys())
            self._tell_all(applied.before, who)

    async def _rehearse(self, saving: Saving) -> Loaded:
        """Return what the file would say. Raises RpcError if the daemon would not start with it."""
        target = await run_blocking(saving.rehearse)
        try:
            self._running.check_start(target)
        except ValueError as error:
            raise RpcError.of(ErrorCode.INVALID_ARG, str(error)) from error
        return target

    async def _save(self, saving: Saving | None, applied: _Applied | None, who: Who) -> None:
        """Change the file; if that fails, change the daemon back. Raises RpcError."""
        if saving is None:
            return
        try:
            await run_blocking(saving.save)
        except BaseException:
            if applied is not None:
                await self._undo(applied.undo)
            raise
        for name, (old, new) in saving.saved.items():
            setting = self._now.loaded.settings[name]
            _log.warning(
                "setting saved",
                setting=name,
                old=_shown(setting, old),
                new=_shown(setting, new),
                file=saving.path,
                **who,
            )

    async def _apply(self, wanted: Mapping[str, Value]) -> _Applied:
        """Change the running daemon, all or nothing. Raises RpcError."""
        before = {name: self._now.value(name) for name in wanted}
        undo = {name: self._now.settable(name) for name in wanted}
        done: dict[str, Value] = {}
        for step in self._running.steps(self._now.loaded.settings, wanted):
            try:
                await self._change(step)
            except _REFUSALS as error:
                await self._undo(done)
                raise _refusal(step.names, error) from error
            except BaseException:
                await self._undo(done)
                raise
            done.update((name, undo[name]) for name in step.names)
        return _Applied(before, undo)

    async def _undo(self, before: Mapping[str, Value]) -> None:
        for step in self._running.steps(self._now.loaded.settings, before):
            try:
                await self._change(step)
            except _REFUSALS as error:
                _log.error("settings not changed back", settings=step.names, reason=str(error))

    async def _change(self, step: Step) -> None:
        """Give one receiver its changes. Raises one of `_REFUSALS`, and then nothing has changed."""
        await self._running.receivers[step.where].change(step.knobs)
        self._now.last.update(zip(step.names, step.knobs.values(), strict=True))

    @contextmanager
    def noted(self, who: Who) -> Iterator[None]:
        """Log what changes in the block, in another way than by a setting. who: the administrator."""
        live = [n for n, one in self._now.loaded.settings.items() if isinstance(one.change, Live)]
        before = {name: self._now.value(name) for name in live}
        yield
        self._tell_all(before, who)

    # Names ---------------------------------------------------------------------------------------

    def _require_live(self, names: Iterable[str]) -> None:
        for name in names:
            change = self._now.loaded.settings[name].change
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
            if value != self._now.value(name):
                self._tell(name, value, who)

    def _tell(self, name: str, before: Value, who: Who) -> None:
        setting = self._now.loaded.settings[name]
        _log.warning(
            "setting changed",
            setting=name,
            old=_shown(setting, before),
            new=_shown(setting, self._now.value(name)),
            **who,
        )


def _shown(setting: Setting, value: Value) -> str:
    return to_text(setting, value) or "not set"


def _refusal(names: Sequence[str], error: Exception) -> RpcError:
    if isinstance(error, RpcError) and error.code != ErrorCode.INVALID_ARG:
        return error
    text = error.message if isinstance(error, RpcError) else str(error)
    return RpcError.of(ErrorCode.INVALID_ARG, f"{', '.join(names)} not changed: {text}")
