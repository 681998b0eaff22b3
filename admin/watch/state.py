"""The state of a daemon at one moment, as its admin programs tell it."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from aiovirt.admin.answers import ClientLimits, ThreadPoolParameters
from aiovirt.admin.client import Connection
from aiovirt.admin.extension.protocol.tls import TlsInfo
from aiovirt.admin.objects import Server
from aiovirt.admin.watch.sources import Sources
from aiovirt.admin.watch.statistics import Statistics


@dataclass(frozen=True, slots=True)
class ServerState:
    """A server. tls: the certificates in force, None if it has none or the daemon cannot tell."""

    server: Server
    pool: ThreadPoolParameters
    limits: ClientLimits
    tls: TlsInfo | None

    @property
    def name(self) -> str:
        """The server's name."""
        return self.server.name


@dataclass(frozen=True, slots=True)
class DaemonState:
    """A daemon.

    lib_version: as `Connection.lib_version` gives it; servers: in alphabetical order; statistics: None
    if the daemon has none; missing: the subjects that the daemon does not know.
    """

    lib_version: int
    servers: tuple[ServerState, ...]
    statistics: Statistics | None
    missing: tuple[str, ...]


async def read_state(connection: Connection, sources: Sources) -> DaemonState:
    """Ask a daemon for its state.

    Args:
        connection: to the daemon.
        sources: what is known about the daemon's further programs.

    Raises:
        RpcError, ConnectionError, TimeoutError: as every call.
    """
    version = await connection.lib_version()
    servers = sorted(await connection.list_servers(), key=lambda server: server.name)
    states = [await _server_state(server, sources) for server in servers]
    statistics = await sources.statistics(connection)
    return DaemonState(version, tuple(states), statistics, sources.missing)


async def _server_state(server: Server, sources: Sources) -> ServerState:
    pool, limits, tls = await asyncio.gather(
        server.get_threadpool_parameters(), server.get_client_limits(), sources.tls(server)
    )
    return ServerState(server, pool, limits, tls)
