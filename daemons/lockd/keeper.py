"""What the life of a daemon asks of lockd: see `daemons.kind.Own`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemons.lockd.service import LockService
    from daemons.lockd.state import LocksState
    from daemons.settings.declaration import Value
    from rpc.server.restart import Keep


class LockKeeper:
    """The locks, as far as settings and restarts are concerned."""

    def __init__(self, service: LockService) -> None:
        self._service = service

    @property
    def state_type(self) -> type[LocksState]:
        """What is written down at a restart."""
        from daemons.lockd.state import LocksState

        return LocksState

    def apply(self, changes: Mapping[str, Value]) -> None:
        """There is nothing of its own to set."""

    async def pause(self) -> None:
        """Locks stand still by themselves."""

    def go_on(self) -> None:
        """They were not stopped."""

    def save(self, keep: Keep) -> LocksState:
        """Write down who holds what."""
        from daemons.lockd.state import save

        return save(self._service, keep)

    def restore(self, state: LocksState) -> None:
        """Hold it all again."""
        from daemons.lockd.state import restore

        restore(self._service, state)
