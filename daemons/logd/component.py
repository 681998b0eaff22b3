"""logd's component: the open logs at restarts, their settings, and the removal of old ones."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from aiovirt.daemons.runtime.component import Component, Keep

if TYPE_CHECKING:
    from aiovirt.daemons.logd.dispatch import LogManagerDispatch
    from aiovirt.daemons.logd.state import LogsState
    from aiovirt.daemons.runtime.settings.declaration import Value


class Ageing(msgspec.Struct):
    """The age at which logs are removed.

    log_root: the folder above the drivers' folders; max_age_days: 0 for never.
    """

    log_root: str
    max_age_days: int


class LogsComponent(Component):
    """The open logs of a dispatch. Old logs are removed at once and every day, if there is an age."""

    name = "logs"

    @property
    def state_type(self) -> type[LogsState]:
        """See `Component`."""
        from aiovirt.daemons.logd.state import LogsState

        return LogsState

    def __init__(self, dispatch: LogManagerDispatch, ageing: Ageing) -> None:
        self._dispatch = dispatch
        self._ageing = ageing
        self._cleaning: asyncio.Task[None] | None = None
        self._stop_sweep = threading.Event()

    def start(self) -> None:
        """See `Component`. A killed logd leaves nothing: its pipes broke when it ended."""
        self._clean()

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings; they count from the next write on, for open logs, too."""
        rotation = self._dispatch.rotation
        for name, value in changes.items():
            setattr(rotation if hasattr(rotation, name) else self._ageing, name, value)
        self._clean()

    def busy(self) -> list[str]:
        """See `Component`."""
        return self._dispatch.busy()

    async def pause(self) -> None:
        """See `Component`."""
        self._stop_sweep.set()
        await self._dispatch.pause()

    def save(self, keep: Keep) -> LogsState:
        """See `Component`."""
        from aiovirt.daemons.logd.state import save

        return save(self._dispatch, keep)

    def restore(self, state: LogsState) -> None:
        """See `Component`."""
        from aiovirt.daemons.logd.state import restore

        restore(self._dispatch, state)

    def resume(self) -> None:
        """Move the bytes of all logs that stand still."""
        self._dispatch.resume()
        if self._cleaning is None or self._stop_sweep.is_set():
            self._clean()

    # Old logs ------------------------------------------------------------------------------------

    def _clean(self) -> None:
        if self._cleaning is not None:
            self._cleaning.cancel()
            self._cleaning = None
            self._stop_sweep.set()
        if self._ageing.max_age_days and self._ageing.log_root:
            self._cleaning = asyncio.get_running_loop().create_task(self._keep_clean())

    async def _keep_clean(self) -> None:
        from aiovirt.daemons.logd.cleaning import EVERY, Sweep

        stop = self._stop_sweep = threading.Event()
        while True:
            root, days = self._ageing.log_root, self._ageing.max_age_days
            sweep = Sweep(root, days, self._dispatch.open_files, stop)
            await self._dispatch.outside.run(f"old logs in {root}", sweep.run)
            await asyncio.sleep(EVERY)
