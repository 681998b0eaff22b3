"""Statistics of a daemon of aiovirt, as `Connection.statistics` gives them.

    for server in (await connection.statistics.servers()).servers:
        print(server.name, server.total.calls)

Every call raises MissingProgram at a daemon that is not one of aiovirt, and RpcError NO_SERVER for a
server that does not exist. The answers are the records of `admin.extension.protocol.statistics`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from aiovirt.admin.arguments import text, whole_number
from aiovirt.admin.extension.protocol import statistics as protocol
from aiovirt.admin.extension.protocol.program import EXTENSION
from aiovirt.admin.protocol import ServerRef

if TYPE_CHECKING:
    from aiovirt.admin.client import Connection
    from aiovirt.rpc.wire.program import Procedure

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")


class Statistics:
    """The statistics of the daemon at the other end of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def servers(self) -> protocol.ServerStatisticsList:
        """Return the counts and the state of each server, in the order of their names."""
        return await self._call(protocol.CONNECT_GET_STATISTICS, protocol.FlagsOnly(0))

    async def procedures(self, server: str) -> protocol.ProcedureStatisticsList:
        """Return the counts of the procedures that were called, the most frequent first."""
        args = protocol.StatisticsArgs(_ref(server), 0)
        return await self._call(protocol.SERVER_GET_PROCEDURE_STATISTICS, args)

    async def calls(self, server: str, maximum: int = protocol.CALLS_MAX) -> protocol.CallsInFlight:
        """Return the calls in flight, the oldest first.

        Args:
            server: the name of the server.
            maximum: the most calls that are returned, up to 1024.
        """
        wanted = whole_number("a number of calls", maximum, protocol.CALLS_MAX)
        args = protocol.CallsArgs(_ref(server), wanted, 0)
        return await self._call(protocol.SERVER_GET_CALLS, args)

    async def clients(self, server: str) -> list[protocol.ClientStatistics]:
        """Return all clients with their counts, in the order of their ids; several calls if need be."""
        found: list[protocol.ClientStatistics] = []
        while True:
            after = found[-1].id if found else 0
            args = protocol.ClientsArgs(_ref(server), after, protocol.CLIENTS_MAX, 0)
            answer = await self._call(protocol.SERVER_GET_CLIENT_STATISTICS, args)
            found += answer.clients
            if not answer.left or not answer.clients:
                return found

    async def _call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        with self._connection.needing(EXTENSION, "a daemon of aiovirt"):
            return await self._connection.call(procedure, args)


def _ref(server: str) -> ServerRef:
    return ServerRef(text("a server's name", server))


def quantile(durations: protocol.DurationCounts, bounds: list[int], part: float) -> float | None:
    """Estimate the duration, in microseconds, that `part` (0 to 1) of all did not exceed.

    Within a bucket, durations count as evenly spread; those beyond the last bound as equal to it.
    Returns None if nothing was counted.
    """
    if not durations.count:
        return None
    wanted = part * durations.count
    below, low = 0, 0
    for count, bound in zip(durations.buckets, bounds, strict=False):
        if count and below + count >= wanted:
            return low + (bound - low) * max(0.0, wanted - below) / count
        below, low = below + count, bound
    return float(low)
