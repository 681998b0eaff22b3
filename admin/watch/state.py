"""The state of a daemon at one moment, as its admin programs tell it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiovirt.admin.answers import ClientLimits, ThreadPoolParameters
from aiovirt.admin.client import Connection
from aiovirt.admin.extension.protocol.tls import TlsInfo
from aiovirt.admin.objects import Server
from aiovirt.admin.watch.sources import Sources
from aiovirt.admin.watch.statistics import ProcedureCounts, ServerCounts


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server. tls, counts: None if the server has none, or the daemon cannot tell."""

    server: Server
    pool: ThreadPoolParameters
    limits: ClientLimits
    tls: TlsInfo | None
    counts: ServerCounts | None

    @property
    def name(self) -> str:
        """The server's name."""
        return self.server.name


@dataclass(frozen=True, slots=True)
class DaemonState:
    """A daemon.

    lib_version: as `Connection.lib_version` gives it; servers: in alphabetical order; procedures: None
    if they were not asked for or the daemon cannot tell; missing: the subjects that it does not know.
    """

    lib_version: int
    servers: tuple[ServerState, ...]
    procedures: tuple[ProcedureCounts, ...] | None
    missing: tuple[str, ...]


async def read_state(
    connection: Connection, sources: Sources, *, procedures: bool = False
) -> DaemonState:
    """Ask a daemon for its state.

    Args:
        connection: to the daemon.
        sources: the state of knowledge about the daemon's further programs.
        procedures: ask for the counts of procedures as well.

    Raises:
        RpcError, ConnectionError, TimeoutError: as every call.
    """
    version = await connection.lib_version()
    counts = await sources.servers(connection) or {}
    servers = sorted(await connection.list_servers(), key=lambda server: server.name)
    states = [await _server_state(each, sources, counts.get(each.name)) for each in servers]
    found = [await sources.procedures(each) for each in servers] if procedures and counts else []
    counted = [one for each in found for one in each or ()]
    return DaemonState(version, tuple(states), tuple(counted) if found else None, sources.missing)


async def _server_state(
    server: Server, sources: Sources, counts: ServerCounts | None
) -> ServerState:
    pool, limits, tls = await asyncio.gather(
        server.get_threadpool_parameters(), server.get_client_limits(), sources.tls(server)
    )
    return ServerState(server, pool, limits, tls, counts)
