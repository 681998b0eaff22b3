"""Moments of a domain that are kept: its snapshots or its checkpoints, as a tree.

A moment is stored under its domain's UUID and its own name. Each has a parent or is a root, and one of
them is the current one.

Source: libvirt's src/conf/virdomainmomentobjlist.c.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.entries import Record
    from aiovirt.daemons.virtd.host.host import Host


class Owner(Protocol):
    """The domain, as far as its moments need it."""

    @property
    def host(self) -> Host:
        """Where it is."""

    @property
    def record(self) -> Record:
        """Its record, which has its UUID."""

    def detail(self, name: str, default: Any = None) -> Any:
        """Return a small thing that it keeps."""

    def keep(self, name: str, value: Any) -> None:
        """Keep a small thing; None forgets it."""


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One snapshot or checkpoint.

    text: its document, without the domain's. config: the domain's document then, without what only a
    running guest has; inactive: its definition, if that was another one. created: in seconds since the
    epoch. state: "running", "shutoff" and so on. external: whether files of their own belong to it.
    """

    name: str
    text: str
    config: str | None = None
    inactive: str | None = None
    parent: str | None = None
    created: int = 0
    state: str = ""
    external: bool = False


class Moments:
    """The moments of one domain. kind: "snapshot" or "checkpoint"."""

    def __init__(self, domain: Owner, kind: str) -> None:
        self._domain = domain
        self.kind = kind
        self._all: dict[str, Moment] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Moment]:
        """All of them, parents before their children."""
        for root in self.roots():
            yield root
            yield from self.descendants(root.name)

    def get(self, name: str) -> Moment | None:
        """Return the moment of this name, or None."""
        return self._all.get(name)

    def require_new(self, name: str) -> None:
        """Raise RpcError OPERATION_FAILED for the name of a moment that exists."""
        if name in self._all:
            raise RpcError.of(
                ErrorCode.OPERATION_FAILED,
                f"domain moment {name} already exists",
                domain=ErrorDomain.DOMAIN,
            )

    def roots(self) -> list[Moment]:
        """Return those without a parent."""
        return [one for one in self._all.values() if one.parent not in self._all]

    def children(self, name: str) -> list[Moment]:
        """Return those whose parent has this name."""
        return [one for one in self._all.values() if one.parent == name]

    def descendants(self, name: str) -> Iterator[Moment]:
        """Give children, their children and so on, each before its own."""
        waiting = self.children(name)[::-1]
        while waiting:
            one = waiting.pop()
            yield one
            waiting += self.children(one.name)[::-1]

    @property
    def current(self) -> Moment | None:
        """The current one, or None."""
        return self._all.get(self._domain.detail(f"current-{self.kind}", ""))

    def make_current(self, name: str | None) -> None:
        """Make one the current one. Raises RpcError when the store cannot be written."""
        if self._domain.detail(f"current-{self.kind}") != name:
            self._domain.keep(f"current-{self.kind}", name)

    def put(self, moment: Moment) -> None:
        """Keep a moment, in the place of one of the same name. Raises RpcError."""
        host = self._domain.host
        data = msgspec.msgpack.encode(moment)
        host.store.put(host.name, self.kind, self._key(moment.name), data)
        self._undo()
        self._all[moment.name] = moment

    def _undo(self) -> None:
        """Note what there is, for a batch that fails."""
        store = self._domain.host.store
        if store.is_batch:
            store.undo(partial(setattr, self, "_all", self._all.copy()))

    def remove(self, name: str, *, children: bool = False, itself: bool = True) -> None:
        """Forget a moment; its children become those of its parent.

        Args:
            name: of the moment, which exists.
            children: forget all that come from it, too.
            itself: forget the moment itself.

        Raises:
            RpcError: the store cannot be written; nothing is forgotten then.
        """
        mine = self._all[name]
        gone = [one.name for one in self.descendants(name)] if children else []
        kept = [] if children else self.children(name)
        if itself:
            gone.append(name)
        current = self.current
        host = self._domain.host
        with host.store.batch():
            self._undo()
            for one in gone:
                host.store.delete(host.name, self.kind, self._key(one))
            for child in kept:
                self.put(msgspec.structs.replace(child, parent=mine.parent))
            if current is not None and current.name in gone:
                self.make_current(mine.parent if itself else name)
        for one in gone:
            del self._all[one]

    def remove_all(self) -> None:
        """Forget all moments. Raises RpcError when the store cannot be written."""
        host = self._domain.host
        for name in self._all:
            host.store.delete(host.name, self.kind, self._key(name))

    def loaded(self, data: bytes) -> None:
        """Take a moment out of the store. Raises msgspec.MsgspecError for damaged data."""
        moment = msgspec.msgpack.decode(data, type=Moment)
        self._all[moment.name] = moment
        self._all = dict(sorted(self._all.items(), key=lambda item: (item[1].created, item[0])))

    def _key(self, name: str) -> str:
        return f"{self._domain.record.uuid}/{name}"
