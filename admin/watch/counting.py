"""The statistics of `Connection.statistics` in the shape of `statistics`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from aiovirt.admin.client import Connection
from aiovirt.admin.extension.protocol.statistics import CallPlace, DurationCounts
from aiovirt.admin.watch.statistics import CallInFlight, Histogram, ProcedureCounts, ServerCounts
from aiovirt.rpc.wire.errors import ErrorCode

_MICROSECONDS: Final = 1e6
#: Numbers that are no codes of libvirt's (see `ErrorCount`).
_OTHER_CODES: Final = {0: "CLIENT_GONE", -1: "OTHER"}


async def servers(connection: Connection) -> Mapping[str, ServerCounts]:
    """Return the counts of each server. Raises MissingProgram."""
    answer = await connection.statistics.servers()
    bounds = tuple(bound / _MICROSECONDS for bound in answer.bounds)
    return {
        one.name: ServerCounts(
            one.total.calls,
            one.total.errors,
            one.total.bytes_in,
            one.total.bytes_out,
            one.in_flight,
            one.queued,
            _histogram(bounds, one.waits),
        )
        for one in answer.servers
    }


async def procedures(connection: Connection, server: str) -> list[ProcedureCounts]:
    """Return the counts of a server's procedures. Raises MissingProgram."""
    answer = await connection.statistics.procedures(server)
    bounds = tuple(bound / _MICROSECONDS for bound in answer.bounds)
    return [
        ProcedureCounts(
            server,
            one.program_name or f"0x{one.program:08x}",
            one.name or str(one.procedure),
            one.total.calls,
            {_code_name(error.code): error.count for error in one.codes},
            one.total.bytes_in,
            one.total.bytes_out,
            _histogram(bounds, one.durations),
        )
        for one in answer.procedures
    ]


async def calls(connection: Connection, server: str) -> list[CallInFlight]:
    """Return a server's calls in flight, the oldest first. Raises MissingProgram."""
    answer = await connection.statistics.calls(server)
    return [
        CallInFlight(
            server,
            one.client,
            one.program_name or f"0x{one.program:08x}",
            one.name or str(one.procedure),
            one.microseconds / _MICROSECONDS,
            "queue" if one.place == CallPlace.QUEUED else "worker",
        )
        for one in answer.calls
    ]


def _histogram(bounds: tuple[float, ...], counts: DurationCounts) -> Histogram:
    seconds = counts.microseconds / _MICROSECONDS
    return Histogram.of_buckets(bounds, counts.buckets, counts.count, seconds)


def _code_name(code: int) -> str:
    if code in _OTHER_CODES:
        return _OTHER_CODES[code]
    try:
        return ErrorCode(code).name
    except ValueError:
        return str(code)
