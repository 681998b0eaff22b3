"""Statistics: calls, errors, bytes and durations of servers, procedures and clients; calls in flight.

Counts begin when the server is made: at the start of the daemon, and again at a restart by SIGUSR1.
Each answer is bounded; one that has to leave something out says how much.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from aiovirt.admin.extension.protocol.program import EXTENSION
from aiovirt.admin.protocol import ServerRef, Transport
from aiovirt.rpc.wire import xdr

#: The most servers in one answer.
SERVERS_MAX: Final = 64
#: The most procedures in one answer.
PROCEDURES_MAX: Final = 4096
#: The most calls in flight in one answer.
CALLS_MAX: Final = 1024
#: The most clients in one answer.
CLIENTS_MAX: Final = 1024
#: The most error codes of one procedure, those without a number among them.
CODES_MAX: Final = 64
#: The most buckets of durations.
BUCKETS_MAX: Final = 32


class CallPlace(IntEnum):
    """The place of a call in flight."""

    QUEUED = 1
    WORKER = 2
    PRIORITY_WORKER = 3


@xdr.struct
class DurationCounts:
    """Durations. count: their number; microseconds: their sum; buckets: their numbers by `bounds`."""

    count: xdr.UHyper
    microseconds: xdr.UHyper
    buckets: Annotated[list[int], xdr.Array(xdr.UHyper, BUCKETS_MAX)]


@xdr.struct
class CallCounts:
    """Calls. errors: those among them without a result; bytes_in, bytes_out: of whole messages."""

    calls: xdr.UHyper
    errors: xdr.UHyper
    bytes_in: xdr.UHyper
    bytes_out: xdr.UHyper


@xdr.struct
class ErrorCount:
    """Errors of one code.

    code: of libvirt's error codes; 0 for a client that went before the reply, -1 for all codes beyond
    the 32 first ones of a procedure.
    """

    code: xdr.Int
    count: xdr.UHyper


@xdr.struct
class ServerStatistics:
    """The counts of a server, and its state now.

    since: when counting began, in seconds since the epoch; total: of all calls; unknown: of those of
    procedures that the server does not know; durations: of all calls; waits: of the calls that waited
    for a worker; in_flight: calls that have no reply yet; queued: those of them that wait for a worker;
    workers, free_workers: as the admin program counts them, 0 without a pool; streams: open ones.
    """

    name: xdr.Str
    since: xdr.Hyper
    total: CallCounts
    unknown: CallCounts
    durations: DurationCounts
    waits: DurationCounts
    clients: xdr.UInt
    anonymous: xdr.UInt
    in_flight: xdr.UInt
    queued: xdr.UInt
    workers: xdr.UInt
    free_workers: xdr.UInt
    streams: xdr.UInt


@xdr.struct
class ServerStatisticsList:
    """bounds: the largest durations of the buckets in microseconds; the last bucket has none."""

    bounds: Annotated[list[int], xdr.Array(xdr.UHyper, BUCKETS_MAX)]
    servers: Annotated[list[ServerStatistics], xdr.Array(ServerStatistics, SERVERS_MAX)]


@xdr.struct
class ProcedureStatistics:
    """The counts of one procedure on one server; codes: its errors by code, the most frequent first."""

    program: xdr.UInt
    version: xdr.UInt
    program_name: xdr.Str
    procedure: xdr.Int
    name: xdr.Str
    total: CallCounts
    durations: DurationCounts
    codes: Annotated[list[ErrorCount], xdr.Array(ErrorCount, CODES_MAX)]


@xdr.struct
class ProcedureStatisticsList:
    """Procedures that were called; omitted: those for which the answer had no room."""

    bounds: Annotated[list[int], xdr.Array(xdr.UHyper, BUCKETS_MAX)]
    procedures: Annotated[list[ProcedureStatistics], xdr.Array(ProcedureStatistics, PROCEDURES_MAX)]
    omitted: xdr.UInt


@xdr.struct
class CallInFlight:
    """A call that has no reply yet.

    client: the id of its client; microseconds: its age; place: where it is.
    """

    client: xdr.UHyper
    serial: xdr.UInt
    program: xdr.UInt
    version: xdr.UInt
    program_name: xdr.Str
    procedure: xdr.Int
    name: xdr.Str
    microseconds: xdr.UHyper
    place: Annotated[xdr.UInt, CallPlace]


@xdr.struct
class CallsArgs:
    """A server, and the most calls that are wanted, at most 1024."""

    server: ServerRef
    maximum: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class CallsInFlight:
    """calls: the oldest ones, oldest first; count: the number of all."""

    calls: Annotated[list[CallInFlight], xdr.Array(CallInFlight, CALLS_MAX)]
    count: xdr.UInt


@xdr.struct
class ClientStatistics:
    """A client and its counts.

    total: of its answered calls; unsent: bytes that it has not yet received; pid, uid, gid: of its
    process, -1 for a client that is not local; address: of one that is not local, else empty.
    """

    id: xdr.UHyper
    timestamp: xdr.Hyper
    transport: Annotated[xdr.UInt, Transport]
    total: CallCounts
    in_flight: xdr.UInt
    streams: xdr.UInt
    unsent: xdr.UHyper
    authenticated: xdr.Bool
    readonly: xdr.Bool
    pid: xdr.Hyper
    uid: xdr.Hyper
    gid: xdr.Hyper
    address: xdr.Str
    sasl_name: xdr.Str


@xdr.struct
class ClientsArgs:
    """A server; after: only clients with a higher id; maximum: how many are wanted, at most 1024."""

    server: ServerRef
    after: xdr.UHyper
    maximum: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class ClientStatisticsList:
    """clients: in the order of their ids; left: those with a higher id than the last of them."""

    clients: Annotated[list[ClientStatistics], xdr.Array(ClientStatistics, CLIENTS_MAX)]
    left: xdr.UInt


@xdr.struct
class StatisticsArgs:
    """Arguments about one server."""

    server: ServerRef
    flags: xdr.UInt


@xdr.struct
class FlagsOnly:
    """Arguments about the whole daemon."""

    flags: xdr.UInt


EXTENSION.enums = (*EXTENSION.enums, CallPlace)

CONNECT_GET_STATISTICS: Final = EXTENSION.procedure(
    20, "CONNECT_GET_STATISTICS", FlagsOnly, ServerStatisticsList, flags=0, reads=True
)
SERVER_GET_PROCEDURE_STATISTICS: Final = EXTENSION.procedure(
    21,
    "SERVER_GET_PROCEDURE_STATISTICS",
    StatisticsArgs,
    ProcedureStatisticsList,
    flags=0,
    reads=True,
)
SERVER_GET_CALLS: Final = EXTENSION.procedure(
    22, "SERVER_GET_CALLS", CallsArgs, CallsInFlight, flags=0, reads=True
)
SERVER_GET_CLIENT_STATISTICS: Final = EXTENSION.procedure(
    23, "SERVER_GET_CLIENT_STATISTICS", ClientsArgs, ClientStatisticsList, flags=0, reads=True
)
