"""The rows of guests' emulators in the store, from which the next daemon finds their processes again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host.store import StoreError
from aiovirt.rpc.wire.errors import RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.emulator import Emulator
    from aiovirt.daemons.virtd.host.host import Host

#: The kind of the rows.
_KIND: Final = "emulator"
#: Seconds until a row is written again that could not be written.
_RETRY: Final = 1.0


class EmulatorRows:
    """The rows of a host. A store in memory has none, because it ends with the daemon.

    Args:
        host: whose guests have emulators.
        running: the emulators of guests that run, by UUID.
    """

    def __init__(self, host: Host, running: dict[bytes, Emulator]) -> None:
        self._host = host
        self._running = running

    def load(self) -> list[tuple[str, bytes]]:
        """Return what the daemon before this one kept: key, and what `Emulator.kept` returned."""
        return list(self._host.store.load(self._host.name, _KIND))

    @property
    def _lasts(self) -> bool:
        return self._host.store.path is not None

    @property
    def are_found(self) -> bool:
        """Whether the next daemon finds the rows: nothing has removed or replaced the file."""
        try:
            return self._host.store.is_filed()
        except StoreError:
            return False

    def put(self, emulator: Emulator) -> None:
        """Write an emulator down. Raises RpcError when the store cannot be written."""
        if self._lasts:
            self._host.store.put(self._host.name, _KIND, emulator.key, emulator.kept())

    def follow(self, emulator: Emulator) -> None:
        """Write down what has become of a running emulator; later, if that is not possible now."""
        if self._running.get(emulator.uuid) is not emulator:
            return
        try:
            self.put(emulator)
        except RpcError:
            asyncio.get_running_loop().call_later(_RETRY, self.follow, emulator)
        else:
            self.outlive(emulator)

    def outlive(self, emulator: Emulator) -> None:
        """Let the process of an emulator outlive the daemon, after `put`."""
        if self._lasts and not emulator.outlives:
            emulator.outlive()

    def forget(self, key: str) -> None:
        """Remove a row. If it stays, the next daemon sees that its process has ended."""
        if self._lasts:
            with contextlib.suppress(RpcError):
                self._host.store.delete(self._host.name, _KIND, key)
