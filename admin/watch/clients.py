"""The clients of a server, as far as the daemon can tell who they are."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Final

from aiovirt.admin.answers import ClientInfo
from aiovirt.admin.client import RpcError
from aiovirt.admin.extension.protocol.statistics import ClientStatistics
from aiovirt.admin.objects import Client, Server
from aiovirt.admin.protocol import Transport
from aiovirt.admin.watch.sources import Sources
from aiovirt.rpc.wire.errors import ErrorCode

#: The most clients whose identity is asked for at one poll: each takes a call of its own.
IDENTITIES: Final = 50


@dataclass(frozen=True, slots=True)
class ClientState:
    """A client.

    since: when it connected, in seconds since the epoch; user, process, address: its identity, None if
    it is not known; calls, bytes, in_flight: its counts, None if the daemon does not count.
    """

    server: str
    id: int
    transport: str
    since: int
    user: str | None = None
    process: int | None = None
    address: str | None = None
    readonly: bool = False
    calls: int | None = None
    bytes: int | None = None
    in_flight: int | None = None


class ClientReader:
    """Reads the clients of one daemon's servers, and remembers identities."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._identities: dict[tuple[str, int, int], ClientInfo] = {}

    async def read(self, server: Server) -> list[ClientState]:
        """Return the clients of a server, in the order of their ids."""
        clients = sorted(await server.list_clients(), key=lambda client: client.id)
        counts = await self._counts(server)
        await self._identify(server, clients)
        return [self._state(client, counts.get(client.id)) for client in clients]

    async def _counts(self, server: Server) -> dict[int, ClientStatistics]:
        statistics = server.connection.statistics
        found = await self._sources.known(
            "statistics", server.connection, lambda: statistics.clients(server.name)
        )
        return {one.id: one for one in found or ()}

    async def _identify(self, server: Server, clients: list[Client]) -> None:
        """Ask for the identities of clients that are new; forget those of clients that left."""
        present = {_key(client): client for client in clients}
        for key in [key for key in self._identities if key[0] == server.name]:
            if key not in present:
                del self._identities[key]
        unknown = [client for key, client in present.items() if key not in self._identities]
        await asyncio.gather(*(self._ask(client) for client in unknown[:IDENTITIES]))

    async def _ask(self, client: Client) -> None:
        try:
            self._identities[_key(client)] = await client.get_info()
        except RpcError as error:
            if error.code != ErrorCode.NO_CLIENT:  # it has left meanwhile
                raise

    def _state(self, client: Client, counts: ClientStatistics | None) -> ClientState:
        state = ClientState(
            client.server.name, client.id, _transport(client.transport), client.timestamp
        )
        if (info := self._identities.get(_key(client))) is not None:
            state = replace(
                state,
                user=info.sasl_user_name or info.x509_dname or info.unix_user_name,
                process=info.unix_process_id,
                address=info.sock_addr,
                readonly=bool(info.readonly),
            )
        if counts is not None:
            total = counts.total
            state = replace(
                state,
                calls=total.calls,
                bytes=total.bytes_in + total.bytes_out,
                in_flight=counts.in_flight,
            )
        return state


def _key(client: Client) -> tuple[str, int, int]:
    # An id comes again only in another life of the daemon.
    return client.server.name, client.id, client.timestamp


def _transport(number: int) -> str:
    try:
        return Transport(number).name.lower()
    except ValueError:
        return str(number)
