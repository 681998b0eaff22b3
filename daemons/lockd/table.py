"""Holdings and their owners: the tables that all lockspaces of a daemon share.

The rule of this file: giving a lock back never fails, so that trouble with one file is nobody else's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from aiovirt.daemons.lockd import kernel
from aiovirt.daemons.lockd.holder import Holder, Holders, Share
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner

_SHARED: Final = int(AcquireFlags.SHARED)


class Ledger(Protocol):
    """Where holdings are written down for the case that lockd is killed (`Journal`)."""

    def add(self, directory: str, name: str, flags: int, owner: bytes, since: float) -> int: ...
    def remove(self, slot: int) -> None: ...
    def settle(self) -> None: ...


class Space(Protocol):
    """A lockspace, as far as its resources need it (`LockSpace`)."""

    directory: str | None
    resources: dict[str, Resource]

    def lock_again(self, resource: Resource) -> None: ...
    def drop(self, resource: Resource) -> None: ...


class Holding(Share, msgspec.Struct, eq=False):
    """One owner's share of a resource: for whom, through which client, since when (epoch seconds).

    client: 0 when that was a client of an earlier lockd. slot: where it is in the journal.
    """

    owner: Owner
    client: int
    since: float
    slot: int
    holder: Holder
    resource: Resource


class Resource(msgspec.Struct, eq=False):
    """A locked file. holdings: one, or several that share it.

    descriptor: -1 while the kernel's lock is wanting: an earlier lockd had it, and it could not be taken
    again so far. Nobody else gets the resource meanwhile. has_recovered: whether any of its holders got
    it from an earlier lockd, and has not asked for it since.
    """

    name: str
    path: str
    descriptor: int
    flags: int
    holdings: list[Holding]
    space: Space
    has_recovered: bool = False
    _identity: tuple[int, int] | None = None

    @property
    def shared(self) -> bool:
        """Whether others may join."""
        return bool(self.flags & _SHARED)

    def is_file(self, identity: tuple[int, int]) -> bool:
        """Whether its file has this device and inode, by whatever name."""
        if self._identity is None and self.descriptor >= 0:
            try:
                self._identity = kernel.identity(self.descriptor)
            except OSError:
                return False  # its file system has failed; it is only about the text of a refusal
        return self._identity == identity


class LockTable(msgspec.Struct, eq=False):
    """The tables that the lockspaces of a daemon share.

    journal: None where nothing is written down. held: how many holdings there are. on_last: called when
    nothing is held any more. is_quiet: set it then, and on_first will be called when something is held.
    shares_descriptors: whether another process has our descriptors, too (the rehearsal of a restart);
    then a lock is not released by closing its descriptor. latest: when the latest holding was given, in
    epoch seconds; the next one is later, whatever the clock says.
    """

    holders: Holders = msgspec.field(default_factory=Holders)
    journal: Ledger | None = None
    spaces: list[Space] = msgspec.field(default_factory=list)
    on_first: Callable[[], None] = lambda: None
    on_last: Callable[[], None] = lambda: None
    held: int = 0
    is_quiet: bool = True
    shares_descriptors: bool = False
    latest: float = 0.0

    def resources(self) -> Iterator[Resource]:
        """All that are held, in all lockspaces."""
        for space in self.spaces:
            yield from space.resources.values()

    def holdings(self) -> Iterator[Holding]:
        """Each owner's share of each of them."""
        for resource in self.resources():
            yield from resource.holdings

    def with_file(self, identity: tuple[int, int]) -> list[Resource]:
        """The held resources whose file this is, under whatever names."""
        return [resource for resource in self.resources() if resource.is_file(identity)]

    def enter(self, holding: Holding) -> None:
        """Note a holding with its resource and its holder."""
        holding.resource.holdings.append(holding)
        holding.holder.holdings.add(holding)
        if self.is_quiet:
            self.is_quiet = False
            self.on_first()
        self.held += 1
        if self.latest < holding.since < math.inf:
            self.latest = holding.since

    def give_back(self, holding: Holding) -> None:
        """Give back one holding, unless that has been done already. Never fails."""
        holder = holding.holder
        held = holder.holdings
        if holding not in held:
            return
        held.remove(holding)
        resource = holding.resource
        resource.holdings.remove(holding)
        journal = self.journal
        if journal is not None:
            journal.remove(holding.slot)
        if not resource.holdings:
            resource.space.drop(resource)
        if not held and not holder.sessions:
            self.holders.let_go(holder)
        self.held -= 1
        if not self.held:
            self.on_last()

    def give_all_back(self, holder: Holder) -> int:
        """Give back everything that a process holds. Returns how much that was."""
        holdings = [one for one in holder.holdings if isinstance(one, Holding)]
        for holding in holdings:
            self.give_back(holding)
        self.settle()
        return len(holdings)

    def settle(self) -> None:
        """Have the journal say what was given back; it has to before anybody hears of it."""
        if self.journal is not None:
            self.journal.settle()
