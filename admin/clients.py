"""The clients of all servers of a daemon, with their identities."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiovirt.admin.answers import ClientInfo
from aiovirt.admin.objects import Client, Server
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.admin.client import Connection

#: Identities that are asked for at the same time.
_AT_ONCE: Final = 16


@dataclass(frozen=True, slots=True)
class IdentifiedClient:
    """A client and what its server knows about it."""

    client: Client
    info: ClientInfo


async def identified_clients(connection: Connection) -> list[IdentifiedClient]:
    """Return the clients of all servers, by server and in the order of each server's list.

    A client that leaves while the daemon is asked is left out. At most 16 calls are in flight.

    Args:
        connection: the daemon.

    Raises:
        RpcError, ConnectionError, TimeoutError: as calls do.
    """
    gate = asyncio.Semaphore(_AT_ONCE)
    servers = sorted(await connection.list_servers(), key=lambda server: server.name)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_of_server(server, gate)) for server in servers]
    except* Exception as several:
        error = _first(several)
        raise error from None
    return [each for task in tasks for each in task.result()]


async def _of_server(server: Server, gate: asyncio.Semaphore) -> Iterable[IdentifiedClient]:
    clients = await server.list_clients()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_identified(client, gate)) for client in clients]
    return filter(None, (task.result() for task in tasks))


async def _identified(client: Client, gate: asyncio.Semaphore) -> IdentifiedClient | None:
    async with gate:
        try:
            return IdentifiedClient(client, await client.get_info())
        except RpcError as error:
            if error.code != ErrorCode.NO_CLIENT:
                raise
            return None


def _first(error: BaseException) -> BaseException:
    """Return the first error of a group of groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
