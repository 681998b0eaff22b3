"""Keeps the values of secrets in a store sealed: those of earlier versions, and those of saved worlds.

A version before the seal wrote values in the clear, into rows of secrets and into the text of the world
that a host began with. Both are sealed when such a store is opened, and the file is written anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host import secret, worlds
from aiovirt.daemons.virtd.host.sealing import SealError
from aiovirt.daemons.virtd.host.store import StoreError
from aiovirt.rpc.wire.errors import RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.host.store import Store

#: Host, kind and key of the row that says that the file has to be written anew.
_SCRUB: Final = ("", "scrub", "")


def seal_all(store: Store, hosts: Iterable[Host]) -> str | None:
    """Seal what a store has in the clear, and leave no byte of it in the file.

    Args:
        store: of the hosts, open for writing.
        hosts: with everything that the store has.

    Returns:
        The reason if that is not possible; the next start tries again.
    """
    try:
        with store.batch():
            found = [secret.seal_all(host) | worlds.seal_start(host) for host in hosts]
            if any(found):
                store.put(*_SCRUB, b"")
        if any(True for _ in store.load(*_SCRUB[:2])):
            store.scrub()
            store.delete(*_SCRUB)
    except (RpcError, StoreError) as error:
        return str(error)
    return None


def lost(hosts: Iterable[Host]) -> str | None:
    """Load the key if there are secrets, and return the reason if a value does not open.

    Args:
        hosts: with everything that the store has.
    """
    count, reason = 0, ""
    for host in hosts:
        for one in host.secrets:
            if one.record.sealed is not None:
                try:
                    host.store.seal.open(one.record.sealed, one.record.uuid)
                except SealError as error:
                    count, reason = count + 1, str(error)
    return f"{reason} ({count} without a value)" if count else None
