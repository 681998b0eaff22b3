"""The hosts of a daemon, with the store that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiovirt.daemons.virtd.host import agent, ending, keeping, migration_ends, world_file, worlds
from aiovirt.daemons.virtd.host.flavour import FLAVOURS
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.store import Store, StoreError
from aiovirt.rpc.wire.errors import RpcError

#: The file of the store, in the run directory.
FILE: Final = "virtd.sqlite"


class Hosts:
    """The hosts, by the name of their driver. They are empty until `open`.

    path: the file of the store; None for a store in memory. world: the file of the world that new hosts
    begin with; None for that of their drivers. place: beside which contents of volumes are, if the store
    is in memory. is_open: whether the store is open.
    """

    def __init__(
        self, path: str | None, world: str | None = None, place: str | None = None
    ) -> None:
        self.path = path
        self.world = world
        self._place = place
        self.is_open = False
        self._store: Store | None = None
        self.all: Mapping[str, Host] = {name: Host(flavour) for name, flavour in FLAVOURS.items()}
        for host in self.all.values():
            host.panics = ending.panic  # what boots a guest knows nothing of its end

    def open(self) -> None:
        """Open the store and read everything; a new host gets its world.

        Raises StoreError for a store that cannot be used, RpcError for one that cannot be written, or
        for a world with an object that is refused, WorldError for a file that is not a world.
        """
        self._open(Store(self.path, home=self._place))

    def _open(self, store: Store) -> None:
        text: str | None = None
        for host in self.all.values():
            if not host.load(store):
                if self.world is not None and text is None:
                    text = world_file.read(self.world)
                self._begin(host, text)
            migration_ends.recover(host)
            agent.wait_for_all(host)
        self._store = store
        self.is_open = True

    def _begin(self, host: Host, text: str | None) -> None:
        try:
            worlds.begin(host, text)
        except RpcError as error:
            if text is None:
                raise
            text = f"{self.world}: {error.message}"
            raise RpcError(error.code, text, domain=error.domain) from error

    def close(self) -> None:
        """Close the store; nothing can be changed after that. Does nothing if it is closed."""
        if self._store is not None:
            self._store.seal.release()
            self._store.close()
            self._store = None

    @property
    def is_lost(self) -> bool:
        """Whether the store has a place for a file, and no file is there."""
        if self._store is None or self.path is None:
            return False
        try:
            return not self._store.is_filed()
        except StoreError:
            return True

    def unfiled(self) -> bytes | None:
        """Return the store for the next program, if there is no file in which it finds everything.

        Raises StoreError if another file has taken its place.
        """
        if self._store is None or self._store.is_filed():
            return None
        return self._store.dump()

    def read_back(self, unfiled: bytes | None) -> None:
        """Read everything and write nothing; `go_on` follows, if this is more than a rehearsal.

        Args:
            unfiled: what `unfiled` returned in the program before this one.

        Raises:
            StoreError: the store cannot be used.
        """
        if unfiled is None:
            store = Store(self.path, read_only=self.path is not None)
        else:
            store = Store(None, home=self.path or self._place)
            store.restored(unfiled)
        for host in self.all.values():
            host.load(store)
            migration_ends.know(host)
        self._store = store
        self.is_open = True

    def go_on(self) -> None:
        """Write into the file from now on, after `read_back`.

        Raises StoreError if that is not possible. A file that exists is then opened for writing with the
        next change, which is refused unless that succeeds; without a file, everything is in memory.
        """
        store = self._store
        if store is None or self.path is None:
            return
        if store.path is None:
            store.file(self.path)
        else:
            store.write()

    def migrate_on(self) -> None:
        """End the migrations that nobody goes on with, after `go_on`."""
        for host in self.all.values():
            migration_ends.go_on(host)

    def reserve(self) -> None:
        """Keep descriptors for the first secret, until `close`."""
        if self._store is not None:
            self._store.seal.reserve()

    def seal_secrets(self) -> str | None:
        """Seal values that the store has in the clear, and try those that are sealed.

        Returns:
            The reason for which values are lost, or stay in the clear; None if all is well.
        """
        if self._store is None:
            return None
        return keeping.seal_all(self._store, self.all.values()) or keeping.lost(self.all.values())
