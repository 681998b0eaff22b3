"""The clients of one server, and the limits on how many there may be.

At a limit the server stops accepting: new connections wait in the listening sockets' backlog. A limit
never disconnects an existing client.

Source: libvirt's src/rpc/virnetserver.c (virNetServerCheckLimits, virNetServerSetClientLimits).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client


class ClientRegistry:
    """Clients by id; ids grow from 1 and are never used again.

    last_id: the id that was given last. on_change: called after every change of a count or a limit,
    so that services pause and resume.
    """

    __slots__ = (
        "_clients",
        "_on_change",
        "anonymous",
        "last_id",
        "max_anonymous_clients",
        "max_clients",
    )

    def __init__(self, max_clients: int, max_anonymous: int, on_change: Callable[[], None]) -> None:
        self._clients: dict[int, Client] = {}
        self.last_id = 0
        self._on_change = on_change
        self.max_clients = max_clients
        self.max_anonymous_clients = max_anonymous
        self.anonymous = 0

    def __len__(self) -> int:
        return len(self._clients)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._clients.values()))

    def get(self, client_id: int) -> Client | None:
        """The client with this id, or None."""
        return self._clients.get(client_id)

    def next_id(self) -> int:
        """An id that no client of this server ever had."""
        self.last_id += 1
        return self.last_id

    @property
    def has_room(self) -> bool:
        """Whether one more client may come in. A limit of 0 anonymous clients means none."""
        return len(self._clients) < self.max_clients and (
            not self.max_anonymous_clients or self.anonymous < self.max_anonymous_clients
        )

    def add(self, client: Client) -> None:
        """Add a client that came in."""
        self._clients[client.id] = client
        if not client.authenticated:
            self.anonymous += 1
        self._on_change()

    def remove(self, client: Client) -> None:
        """Remove a client; does nothing if it is unknown."""
        if self._clients.pop(client.id, None) is None:
            return
        if not client.authenticated:
            self.anonymous -= 1
        self._on_change()

    def authenticated(self, client: Client) -> None:
        """Count a client as authenticated from now on; does nothing if it is unknown."""
        if not client.authenticated and client.id in self._clients:
            client.authenticated = True
            self.anonymous -= 1
            self._on_change()

    def set(
        self, *, max_clients: int | None = None, max_anonymous_clients: int | None = None
    ) -> None:
        """Change one limit or both, all or nothing.

        Raises RpcError (INVALID_ARG) when more anonymous clients would be allowed than clients.
        """
        new_clients = self.max_clients if max_clients is None else max_clients
        new_anonymous = (
            self.max_anonymous_clients if max_anonymous_clients is None else max_anonymous_clients
        )
        if new_anonymous > new_clients:
            raise RpcError(
                ErrorCode.INVALID_ARG,
                f"nclients_unauth_max {new_anonymous} is larger than nclients_max {new_clients}: "
                "anonymous clients are clients too",
            )
        self.max_clients, self.max_anonymous_clients = new_clients, new_anonymous
        self._on_change()
