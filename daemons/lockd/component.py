"""lockd's component: the locks, as far as starts and restarts are concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.lockd.recovery import go_on, recover
from aiovirt.daemons.runtime.component import Component, Keep

if TYPE_CHECKING:
    from aiovirt.daemons.lockd.dispatch import LockSpaceDispatch
    from aiovirt.daemons.lockd.state import LocksState


class LocksComponent(Component):
    """The locks, the sessions of clients, and the journal of both.

    Args:
        dispatch: has them all.
        journal: the path of the file in which holdings are written down in case lockd is killed.
    """

    name = "locks"

    @property
    def state_type(self) -> type[LocksState]:
        """See `Component`."""
        from aiovirt.daemons.lockd.state import LocksState

        return LocksState

    def __init__(self, dispatch: LockSpaceDispatch, journal: str) -> None:
        self._dispatch = dispatch
        self._journal = journal

    def start(self) -> None:
        """Take the locks again that a killed lockd left.

        Raises OSError or ValueError when it cannot be known which.
        """
        recover(self._dispatch, self._journal)

    def save(self, keep: Keep) -> LocksState:
        """See `Component`. Until `rehearsed`, closing a descriptor does not release its lock."""
        from aiovirt.daemons.lockd.state import save

        self._dispatch.table.shares_descriptors = True
        return save(self._dispatch, keep)

    def rehearsed(self) -> None:
        """See `Component`."""
        self._dispatch.table.shares_descriptors = False

    def restore(self, state: LocksState) -> None:
        """See `Component`."""
        from aiovirt.daemons.lockd.state import restore

        restore(self._dispatch, state)

    def resume(self) -> None:
        """After `restore`: go on with the journal, and end the holders that were to be ended."""
        self._dispatch.table.shares_descriptors = False
        go_on(self._dispatch, self._journal)
