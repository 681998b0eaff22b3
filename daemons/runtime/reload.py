"""SIGHUP: read the settings file again and change what changed in it, and turn to rotated logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.settings.declaration import SettingsError, Value
from aiovirt.daemons.runtime.settings.file import Loaded, load
from aiovirt.daemons.runtime.settings.live import Running, apply
from aiovirt.rpc.logs import LogSettingError, get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.systemd import Notifier

_log = get_logger("daemons.runtime.reload")


class Reloader:
    """Knows what the settings file said last. What the admin socket changed since stays, unless the
    file changes it."""

    def __init__(
        self, name: str, loaded: Loaded, running: Running, notifier: Notifier, *, required: bool
    ) -> None:
        self._name = name
        self._loaded = loaded
        self._running = running
        self._notifier = notifier
        self._required = required
        self._warned: set[str] = set()
        self._mention(loaded)

    @property
    def settings(self) -> Mapping[str, Value]:
        """What the settings file said last."""
        return self._loaded.values

    def reload(self) -> None:
        """Read the file and apply it. A bad file changes nothing and is logged."""
        self._notifier.reloading()
        try:
            fresh = load(self._name, self._loaded.path, required=self._required)
        except SettingsError as error:
            _log.error("settings not read again", because=str(error))
        else:
            self._mention(fresh)
            self._loaded = apply(self._name, self._loaded, fresh, self._running)
        try:
            self._running.log.control.reopen()
        except LogSettingError as error:
            _log.error("log files not reopened", because=str(error))
        self._notifier.ready()

    def _mention(self, loaded: Loaded) -> None:
        """Warn of what a file sets in vain; of each name once in the daemon's life."""
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
                _log.warning("settings adjusted", because=note)
