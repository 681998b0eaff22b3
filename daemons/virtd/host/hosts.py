"""The hosts of a daemon, with the store that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiovirt.daemons.virtd.host import world_file, worlds
from aiovirt.daemons.virtd.host.flavour import FLAVOURS
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.store import Store

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

    def open(self) -> None:
        """Open the store and read everything; a new host gets its world.

        Raises StoreError for a store that cannot be used, RpcError for one that cannot be written, or
        for a world with an object that is refused, WorldError for a file that is not a world.
        """
        self._open(Store(self.path))

    def _open(self, store: Store) -> None:
        text: str | None = None
        for host in self.all.values():
            if not host.load(store, self._place):
                if self.world is not None and text is None:
                    text = world_file.read(self.world)
                worlds.begin(host, text)
        self._store = store
        self.is_open = True

    def dump(self) -> bytes:
        """Return everything, for `restored`; only if the store is in memory."""
        return next(iter(self.all.values())).store.dump()

    def restored(self, data: bytes) -> None:
        """Take what `dump` returned. Raises StoreError for something else."""
        store = Store(None)
        store.restored(data)
        for host in self.all.values():
            host.load(store, self._place)
        self._store = store
        self.is_open = True

    def close(self) -> None:
        """Close the store; nothing can be changed after that. Does nothing if it is closed."""
        if self._store is not None:
            self._store.close()
            self._store = None

    def rehearse(self) -> None:
        """Read everything and write nothing. Raises StoreError for a store that cannot be used."""
        store = Store(self.path, read_only=True)
        try:
            for host in self.all.values():
                host.load(store)
        finally:
            store.close()
