"""The emulator of one guest: what the host asks of it, and of what makes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain


class Need(NamedTuple):
    """A guest that is to run. config: the document that it runs from; paused: it does not run at first;
    number: its id, -1 for one that it does not have yet."""

    uuid: bytes
    name: str
    config: str
    paused: bool
    number: int = -1


class Emulator(Protocol):
    """The emulator of one guest.

    uuid, number: of the guest; is_locked: whether it holds the locks; ended: called when its process has
    ended by itself; key: of its row in the store, which tells it from all others that run; outlives:
    whether its process goes on when the daemon ends.
    """

    uuid: bytes
    number: int
    is_locked: bool
    ended: Callable[[], object] | None

    @property
    def key(self) -> str:
        """See above."""

    @property
    def outlives(self) -> bool:
        """See above."""

    def kept(self) -> bytes:
        """Write down everything from which the next daemon finds it again."""

    def outlive(self) -> None:
        """Let its process go on when the daemon ends, if that is possible."""

    def let_go(self) -> None:
        """Leave its process alone, at the end of the daemon."""

    async def lock(self) -> None:
        """Acquire the locks of the guest's disks. Raises RpcError; none is held then."""

    async def unlock(self) -> None:
        """Give the locks back, as far as that is possible."""

    def lacks(self, config: str) -> bool:
        """Return whether a document has disks, leases or logs that are to be acquired or opened.

        Raises RpcError for a lease that cannot be acquired.
        """

    async def update(self, config: str) -> None:
        """Have the locks and logs of another document of the guest. Raises RpcError as `lock` does."""

    async def end(self, reason: str) -> None:
        """Give everything back, and end the process. reason: why the guest ended."""

    def took_over(self) -> None:
        """Go on in a new program, which has inherited the descriptors."""

    def write(self, data: bytes, device: str = "") -> None:
        """Add to the guest's log, and to the log of a device; what cannot be written is lost.

        Args:
            data: what the guest shows.
            device: the alias of the device on which it does. A channel has only its own log.
        """


class Maker(Protocol):
    """Makes emulators."""

    async def make(self, need: Need) -> Emulator:
        """Make the emulator of a guest, with its locks unless it is paused. Raises RpcError."""


class Wanted(Exception):
    """A call cannot go on without an emulator, or without its locks.

    need: the guest that is to run; None if a running one is to run on, with the disks of `live` unless
    that is None.
    """

    def __init__(self, domain: Domain, need: Need | None = None, live: str | None = None) -> None:
        super().__init__(domain.name)
        self.uuid = domain.uuid
        self.need = need
        self.live = live
