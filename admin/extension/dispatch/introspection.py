"""Introspection of a daemon's servers."""

from __future__ import annotations

import socket
from heapq import nsmallest

from aiovirt.admin.extension.description import describe, procedure_info
from aiovirt.admin.extension.protocol import introspection as protocol
from aiovirt.admin.protocol import Transport
from aiovirt.rpc.server import Client, Daemon, Handlers, Server, serves
from aiovirt.rpc.server.service import Service
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.program import Procedure


class IntrospectionDispatch:
    """Serves the procedures about programs."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @serves(protocol.CONNECT_LIST_PROGRAMS)
    def list_programs(self, client: Client, args: protocol.ProgramsArgs) -> protocol.ServedServers:
        servers = sorted(self._daemon.servers.values(), key=lambda server: server.name)
        return protocol.ServedServers([_server(one) for one in servers[: protocol.SERVERS_MAX]])

    @serves(protocol.PROGRAM_LIST_PROCEDURES)
    def list_procedures(
        self, client: Client, args: protocol.ProceduresArgs
    ) -> protocol.ProcedureList:
        server = self._daemon.server(args.server.name)
        program = self._program(server, args.program, args.version).program
        later = [one for one in program if one.number > args.after]
        shown = nsmallest(
            min(args.maximum, protocol.PROCEDURES_MAX), later, key=lambda one: one.number
        )
        return protocol.ProcedureList(
            [procedure_info(one, served=one.key in server.table) for one in shown],
            len(later) - len(shown),
        )

    @serves(protocol.PROCEDURE_DESCRIBE)
    def describe_procedure(
        self, client: Client, args: protocol.ProcedureArgs
    ) -> protocol.ProcedureDescription:
        server = self._daemon.server(args.server.name)
        handlers = self._program(server, args.program, args.version)
        found = _procedure(handlers, args)
        return describe(found, served=found.key in server.table)

    def _program(self, server: Server, number: int, version: int) -> Handlers:
        handlers = server.programs.get((number, version))
        if handlers is None:
            raise _refused(f"server {server.name} has no program 0x{number:08x} version {version}")
        return handlers


def _procedure(handlers: Handlers, args: protocol.ProcedureArgs) -> Procedure[object, object]:
    program = handlers.program
    if args.name:
        found = next((one for one in program if one.name == args.name), None)
    else:
        found = program.get(args.number)
    if found is None:
        raise _refused(f"program {program.name} has no procedure {args.name or args.number}")
    return found


def _refused(text: str) -> RpcError:
    return RpcError(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.ADMIN)


def _server(server: Server) -> protocol.ServedServer:
    programs = sorted(server.programs.items())
    return protocol.ServedServer(
        server.name,
        [_service(one) for one in server.services[: protocol.SERVERS_MAX]],
        [
            protocol.ProgramInfo(
                number=number,
                version=version,
                name=handlers.program.name,
                procedures=sum(not one.event for one in handlers.program),
                served=sum(one.key in server.table for one in handlers.program),
            )
            for (number, version), handlers in programs[: protocol.SERVERS_MAX]
        ],
    )


def _service(service: Service) -> protocol.ServiceInfo:
    access = service.access
    if service.sock.family == socket.AF_UNIX:
        transport = Transport.UNIX
    else:
        transport = Transport.TLS if access.tls else Transport.TCP
    return protocol.ServiceInfo(
        transport, service.name.replace("\0", "@"), access.readonly, access.auth
    )
