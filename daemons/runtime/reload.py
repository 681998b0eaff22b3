"""SIGHUP: read the settings file again, change what changed in it, and turn to rotated logs.

Whatever may wait for a file system (the settings file, TLS files, log files) is done on a thread, as the
admin procedures do it; everything else is changed on the loop.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.settings.administration import Administration
from aiovirt.daemons.runtime.settings.declaration import SettingsError
from aiovirt.daemons.runtime.settings.file import Loaded
from aiovirt.rpc.logs import LogControl, LogSettingError, get_logger
from aiovirt.rpc.server.threads import run_blocking

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.systemd import Notifier

_log = get_logger("daemons.runtime.reload")


class Reloader:
    """Reads the settings file again when asked.

    Args:
        administration: the settings.
        control: the logging, whose files are reopened.
        notifier: told of the begin and the end of a reload.
    """

    def __init__(
        self, administration: Administration, control: LogControl, notifier: Notifier
    ) -> None:
        self._administration = administration
        self._control = control
        self._notifier = notifier
        self._warned: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self._mention(administration.loaded)

    def request(self) -> None:
        """Reload soon; once more afterwards if a reload is under way. The daemon's end ends it, too."""
        if self._task is not None:
            self._again = True
            return
        self._task = asyncio.get_running_loop().create_task(self._reload_as_asked())

    async def _reload_as_asked(self) -> None:
        try:
            while True:
                self._again = False
                await self.reload()
                if not self._again:
                    return
        except Exception as error:  # a mistake of ours must not keep the next SIGHUP from working
            _log.error("settings not read again", exc_info=error)
        finally:
            self._task = None

    async def reload(self) -> None:
        """Read the file and apply it. A bad file changes nothing and is logged."""
        self._notifier.reloading()
        try:
            self._mention(await self._administration.reload())
        except SettingsError as error:
            _log.error("settings not read again", reason=str(error))
        try:
            await run_blocking(self._control.reopen)
        except LogSettingError as error:
            _log.error("log files not reopened", reason=str(error))
        self._notifier.ready()

    def _mention(self, loaded: Loaded) -> None:
        """Warn of settings without effect; of each name once in the daemon's life."""
        for unused in loaded.unused:
            if unused.name not in self._warned:
                self._warned.add(unused.name)
                _log.warning(
                    "setting of libvirt has no effect here"
                    if unused.known
                    else "setting is unknown",
                    setting=unused.name,
                    where=f"{loaded.path}:{unused.line}",
                )
        for note in loaded.notes:
            if note not in self._warned:
                self._warned.add(note)
                _log.warning("settings adjusted", reason=note)
