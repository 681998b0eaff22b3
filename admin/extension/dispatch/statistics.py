"""Statistics of a daemon's servers."""

from __future__ import annotations

from heapq import nlargest, nsmallest
from typing import Final

from aiovirt.admin import protocol as admin_protocol
from aiovirt.admin.extension.protocol import statistics as protocol
from aiovirt.rpc.server import Client, Daemon, Server, serves
from aiovirt.rpc.server.call import Call
from aiovirt.rpc.server.counts import BOUNDS, Counts, Durations, Tally, now
from aiovirt.rpc.server.workers import ORDINARY, PRIORITY, QUEUED
from aiovirt.rpc.wire.program import Procedure

_MILLION: Final = 1_000_000
_BOUNDS: Final = [round(bound * _MILLION) for bound in BOUNDS]
_PLACES: Final = {
    QUEUED: protocol.CallPlace.QUEUED,
    ORDINARY: protocol.CallPlace.WORKER,
    PRIORITY: protocol.CallPlace.PRIORITY_WORKER,
}


class StatisticsDispatch:
    """Serves the procedures about statistics."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @serves(protocol.CONNECT_GET_STATISTICS)
    def get_statistics(
        self, client: Client, args: protocol.FlagsOnly
    ) -> protocol.ServerStatisticsList:
        servers = sorted(self._daemon.servers.values(), key=lambda server: server.name)
        return protocol.ServerStatisticsList(
            _BOUNDS, [_server(server) for server in servers[: protocol.SERVERS_MAX]]
        )

    @serves(protocol.SERVER_GET_PROCEDURE_STATISTICS)
    def get_procedure_statistics(
        self, client: Client, args: protocol.StatisticsArgs
    ) -> protocol.ProcedureStatisticsList:
        tallies = self._daemon.server(args.server.name).tallies()
        shown = nlargest(protocol.PROCEDURES_MAX, tallies.items(), key=lambda entry: entry[1].calls)
        return protocol.ProcedureStatisticsList(
            _BOUNDS, [_procedure(*entry) for entry in shown], len(tallies) - len(shown)
        )

    @serves(protocol.SERVER_GET_CALLS)
    def get_calls(self, client: Client, args: protocol.CallsArgs) -> protocol.CallsInFlight:
        server = self._daemon.server(args.server.name)
        calls = [call for each in server.registry if each.in_flight for call in each.calls()]
        oldest = nsmallest(
            min(args.maximum, protocol.CALLS_MAX), calls, key=lambda call: call.started
        )
        time = now()
        return protocol.CallsInFlight([_call(call, time) for call in oldest], len(calls))

    @serves(protocol.SERVER_GET_CLIENT_STATISTICS)
    def get_client_statistics(
        self, client: Client, args: protocol.ClientsArgs
    ) -> protocol.ClientStatisticsList:
        server = self._daemon.server(args.server.name)
        found = [each for each in server.registry if each.id > args.after]
        shown = nsmallest(min(args.maximum, protocol.CLIENTS_MAX), found, key=lambda each: each.id)
        return protocol.ClientStatisticsList(
            [_client(each) for each in shown], len(found) - len(shown)
        )


def _server(server: Server) -> protocol.ServerStatistics:
    total, durations = _total(server)
    clients = list(server.registry)
    pool = server.workers.stats()
    return protocol.ServerStatistics(
        name=server.name,
        since=server.since,
        total=_counts(total),
        unknown=_counts(server.unknown.counts),
        durations=durations,
        waits=_durations(server.workers.waits),
        clients=len(clients),
        anonymous=server.registry.anonymous,
        in_flight=server.in_flight,
        queued=pool.queue_depth,
        workers=pool.current,
        free_workers=pool.free,
        streams=sum(client.streams for client in clients),
    )


def _total(server: Server) -> tuple[Counts, protocol.DurationCounts]:
    tallies = [*server.tallies().values(), server.unknown]
    return (
        sum((tally.counts for tally in tallies), Counts(0, 0, 0, 0)),
        protocol.DurationCounts(
            sum(tally.calls for tally in tallies),
            round(sum(tally.seconds for tally in tallies) * _MILLION),
            [sum(column) for column in zip(*(tally.buckets for tally in tallies), strict=True)],
        ),
    )


def _counts(counts: Counts) -> protocol.CallCounts:
    return protocol.CallCounts(*counts)


def _durations(durations: Durations) -> protocol.DurationCounts:
    return protocol.DurationCounts(
        durations.calls, round(durations.seconds * _MILLION), list(durations.buckets)
    )


def _procedure(procedure: Procedure[object, object], tally: Tally) -> protocol.ProcedureStatistics:
    program = procedure.program
    codes = sorted(tally.codes.items(), key=lambda entry: (-entry[1], entry[0]))
    return protocol.ProcedureStatistics(
        program=program.number,
        version=program.version,
        program_name=program.name,
        procedure=procedure.number,
        name=procedure.name,
        total=_counts(tally.counts),
        durations=_durations(tally),
        codes=[protocol.ErrorCount(code, count) for code, count in codes],
    )


def _call(call: Call, time: float) -> protocol.CallInFlight:
    procedure = call.binding.procedure
    return protocol.CallInFlight(
        client=call.client.id,
        serial=call.serial,
        program=procedure.program.number,
        version=procedure.program.version,
        program_name=procedure.program.name,
        procedure=procedure.number,
        name=procedure.name,
        microseconds=max(0, round((time - call.started) * _MILLION)),
        place=_PLACES[call.place],
    )


def _client(client: Client) -> protocol.ClientStatistics:
    pid, uid, gid, address = _peer(client)
    transport = admin_protocol.Transport.UNIX
    if not client.is_local:
        secured = client.is_encrypted
        transport = admin_protocol.Transport.TLS if secured else admin_protocol.Transport.TCP
    return protocol.ClientStatistics(
        id=client.id,
        timestamp=client.timestamp,
        transport=transport,
        total=_counts(client.counts),
        in_flight=client.in_flight,
        streams=client.streams,
        unsent=client.unsent,
        authenticated=client.authenticated,
        readonly=client.readonly,
        pid=pid,
        uid=uid,
        gid=gid,
        address=address,
        sasl_name=client.sasl_name,
    )


def _peer(client: Client) -> tuple[int, int, int, str]:
    try:
        if client.is_local:
            return (*client.identity(), "")
        return -1, -1, -1, client.address()
    except OSError:  # it is gone, and will be known to be by the next read
        return -1, -1, -1, ""
