"""What the life of a daemon asks of lockd: see `daemons.runtime.kind.Own`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch
    from aiovirt.daemons.lockd.state import LocksState
    from aiovirt.daemons.runtime.settings.declaration import Value
    from aiovirt.rpc.server.restart import Keep


class LockKeeper:
    """The locks, as far as settings and restarts are concerned."""

    def __init__(self, service: LockSpaceDispatch, journal: str) -> None:
        """journal: the path at which what is held is written down for the case that lockd is killed."""
        self._service = service
        self._journal = journal

    @property
    def state_type(self) -> type[LocksState]:
        """What is written down at a restart."""
        from aiovirt.daemons.lockd.state import LocksState

        return LocksState

    def start(self) -> None:
        """Take the locks again that a killed lockd left.

        Raises StartError when it cannot be known which: the run directory is of no use then.
        """
        from aiovirt.daemons.lockd.recovery import recover
        from aiovirt.daemons.runtime.process.failure import Failure, StartError

        try:
            recover(self._service, self._journal)
        except (OSError, ValueError) as error:
            raise StartError(Failure.RUNDIR, str(error)) from error

    def apply(self, changes: Mapping[str, Value]) -> None:
        """There is nothing of its own to set."""

    async def pause(self) -> None:
        """Locks stand still by themselves."""

    def resume(self) -> None:
        """They were not stopped."""

    def save(self, keep: Keep) -> LocksState:
        """Write down who holds what."""
        from aiovirt.daemons.lockd.state import save

        return save(self._service, keep)

    def restore(self, state: LocksState) -> None:
        """Hold it all again."""
        from aiovirt.daemons.lockd.recovery import go_on
        from aiovirt.daemons.lockd.state import restore

        restore(self._service, state)  # touches nothing outside the process
        go_on(self._service, self._journal)  # begins to act
