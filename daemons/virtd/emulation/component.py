"""virtd's component of guests' emulators: their settings, and what survives a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from aiovirt.daemons.runtime.component import Component, Keep

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.daemons.virtd.emulation.managers import Managers
    from aiovirt.daemons.virtd.emulation.state import EmulatorsState
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.rpc.server import Daemon


class EmulatorsComponent(Component):
    """The emulators of a host's guests.

    Args:
        host: whose guests have them.
        managers: the settings to begin with.
        daemon: that ends.
        waits: called with whether calls that start guests have to wait for emulators.
    """

    name = "emulators"

    def __init__(
        self, host: Host, managers: Managers, daemon: Daemon, waits: Callable[[bool], object]
    ) -> None:
        self._host = host
        self._managers = managers
        self._waits = waits
        daemon.on_ending.append(self._end)
        self._take(managers)

    async def _end(self) -> None:
        await self._host.emulators.close()

    @property
    def state_type(self) -> Any:
        """See `Component`."""
        from aiovirt.daemons.virtd.emulation.state import EmulatorsState

        return EmulatorsState

    def start(self) -> None:
        """See `Component`. The processes of guests that ran before are found again."""
        emulators = self._host.emulators
        for key, data in emulators.rows.load():
            from aiovirt.daemons.virtd.emulation.keeping import found

            emulator = found(data)
            if emulator.process is not None:
                emulators.restored(emulator.uuid, emulator)
                emulator.watch()
            else:
                emulators.lost(key, emulator.uuid, emulator)
        self._take(self._managers)
        emulators.follow_all()

    def apply(self, changes: Mapping[str, Value]) -> None:
        """Take changed settings, for guests that are started from now on."""
        changed: dict[str, Any] = dict(changes)
        self._take(msgspec.structs.replace(self._managers, **changed))

    def _take(self, managers: Managers) -> None:
        self._managers = managers
        emulators = self._host.emulators
        if managers.are_wanted:
            from aiovirt.daemons.virtd.emulation.emulator import EmulatorMaker

            emulators.maker = EmulatorMaker(managers)
        else:
            emulators.maker = None
        self._waits(managers.are_wanted or bool(emulators.running))

    async def pause(self) -> None:
        """See `Component`."""
        await self._host.emulators.finish()

    def save(self, keep: Keep) -> EmulatorsState:
        """See `Component`."""
        from aiovirt.daemons.virtd.emulation.state import EmulatorsState

        running: Mapping[bytes, Any] = self._host.emulators.running
        if not running:
            return EmulatorsState()
        from aiovirt.daemons.virtd.emulation.keeping import save

        return EmulatorsState([save(one, keep) for one in running.values()])

    def restore(self, state: EmulatorsState) -> None:
        """See `Component`."""
        if state.emulators:
            from aiovirt.daemons.virtd.emulation.keeping import restore

            for saved in state.emulators:
                self._host.emulators.restored(bytes.fromhex(saved.uuid), restore(saved))
        self._take(self._managers)

    def resume(self) -> None:
        """See `Component`."""
        for emulator in self._host.emulators.running.values():
            emulator.took_over()
        self._host.emulators.follow_all()
