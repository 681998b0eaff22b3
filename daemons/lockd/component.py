"""lockd's component: the locks, as far as starts and restarts are concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.daemons.lockd import space
from aiovirt.daemons.lockd.recovery import recover, watch_recovered, write_anew
from aiovirt.daemons.runtime.component import Component, Keep
from aiovirt.rpc.logs import get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.lockd.dispatch import LockSession, LockSpaceDispatch
    from aiovirt.daemons.lockd.state import LocksState

_log = get_logger("daemons.lockd.component")


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
        self._restored = False
        self._to_end: list[LockSession] = []

    def start(self) -> None:
        """Take the locks again that a killed lockd left. Raises OSError, ValueError."""
        recover(self._dispatch, self._journal)

    def save(self, keep: Keep) -> LocksState:
        """See `Component`. Until `rehearsed`, closing a descriptor does not release its lock."""
        from aiovirt.daemons.lockd.state import save

        space.shares_descriptors = True
        return save(self._dispatch, keep)

    def rehearsed(self) -> None:
        """See `Component`."""
        space.shares_descriptors = False

    def restore(self, state: LocksState) -> None:
        """See `Component`."""
        from aiovirt.daemons.lockd.state import restore

        self._to_end = restore(self._dispatch, state)
        self._restored = True

    def resume(self) -> None:
        """After `restore`: keep a journal, and end the holders that were to be ended."""
        space.shares_descriptors = False
        if not self._restored:
            return  # nothing was stopped
        self._restored = False
        try:
            write_anew(self._dispatch, self._journal)
        except (OSError, ValueError, SystemError) as error:  # the latter two are mmap's
            _log.error(
                "no journal: if lockd is killed now, no lock is recovered",
                path=self._journal,
                because=str(error),
            )
        watch_recovered(self._dispatch)
        for session in self._to_end:
            self._dispatch.end_holder(session, "it was to end before the restart")
        self._to_end = []
