"""The hosts of a daemon, with the store that they share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiovirt.daemons.virtd.host import prepared
from aiovirt.daemons.virtd.host.flavour import FLAVOURS
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.store import Store

#: The file of the store, in the run directory.
FILE: Final = "virtd.sqlite"


class Hosts:
    """The hosts, by the name of their driver. They are empty until `open`.

    path: the file of the store; None for a store in memory. is_open: whether the store is open.
    """

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.is_open = False
        self._store: Store | None = None
        self.all: Mapping[str, Host] = {name: Host(flavour) for name, flavour in FLAVOURS.items()}

    def open(self) -> None:
        """Open the store and read everything; a new host gets its world.

        Raises StoreError for a store that cannot be used, RpcError for one that cannot be written.
        """
        store = Store(self.path)
        for host in self.all.values():
            if not host.load(store):
                with store.batch():
                    prepared.fill(host)
                    host.mark_known()
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
