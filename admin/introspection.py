"""The programs of a daemon, as `Connection.programs` gives them, and calls by JSON.

    for server in await connection.programs.servers():
        print(server.name, [program.name for program in server.programs])
    async with connection.programs.caller() as caller:
        version = await caller.call("admin/CONNECT_GET_LIB_VERSION")

A daemon of aiovirt describes its programs itself. Of a daemon of libvirt, only its admin program is
known, from this package's table; everything else raises MissingProgram. `admin.json_values` has the
rules for JSON.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from aiovirt.admin.arguments import text
from aiovirt.admin.extension.protocol import introspection as protocol
from aiovirt.admin.extension.protocol.program import EXTENSION
from aiovirt.admin.json_scalars import JsonError, meant
from aiovirt.admin.json_values import JsonCodec
from aiovirt.admin.protocol import ADMIN, ServerRef, Transport
from aiovirt.rpc.client import Connection as RpcConnection
from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Procedure, Program

if TYPE_CHECKING:
    from aiovirt.admin.client import Connection
    from aiovirt.admin.ssh import Tunnel

__all__ = ["Caller", "Found", "JsonError", "Programs", "label"]

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")

_ADMIN_SERVER: Final = "admin"


@dataclass(frozen=True, slots=True)
class Found:
    """A procedure of a daemon.

    server: the server that has it; program: its program; description: itself with its types.
    """

    server: protocol.ServedServer
    program: protocol.ProgramInfo
    description: protocol.ProcedureDescription


class Programs:
    """The programs of the daemon at the other end of a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def servers(self) -> list[protocol.ServedServer]:
        """Return the servers of the daemon with their services and programs.

        Raises:
            MissingProgram: the daemon is not one of aiovirt.
        """
        answer = await self._call(protocol.CONNECT_LIST_PROGRAMS, protocol.ProgramsArgs(0))
        return answer.servers

    async def procedures(
        self, server: protocol.ServedServer, program: protocol.ProgramInfo
    ) -> list[protocol.ProcedureInfo]:
        """Return the procedures and events of a program, in the order of their numbers.

        Args:
            server: the server that has the program.
            program: one of its programs.
        """
        if program is ADMIN_PROGRAM:
            from aiovirt.admin.extension.description import procedure_info

            return [procedure_info(one, served=True) for one in ADMIN]
        found: list[protocol.ProcedureInfo] = []
        while True:
            args = protocol.ProceduresArgs(
                ServerRef(server.name),
                program.number,
                program.version,
                found[-1].number if found else -(1 << 31),
                protocol.PROCEDURES_MAX,
                0,
            )
            answer = await self._call(protocol.PROGRAM_LIST_PROCEDURES, args)
            found += answer.procedures
            if not answer.left or not answer.procedures:
                return found

    async def find_program(
        self, name: str, server: str | None = None
    ) -> tuple[protocol.ServedServer, protocol.ProgramInfo]:
        """Return a program and its server.

        Args:
            name: the name of the program ("-" may stand for a blank), or its number.
            server: the name of the server; None for the first one that has the program.

        Raises:
            JsonError: no server has the program.
            MissingProgram: the daemon is not one of aiovirt, and `name` is not its admin program.
        """
        wanted = text("a program's name", name)
        if _is_called(ADMIN_PROGRAM, wanted) and server in (None, _ADMIN_SERVER):
            return (
                LIBVIRTS_ADMIN,
                ADMIN_PROGRAM,
            )  # every daemon has it, and libvirt's no other way
        servers = await self.servers()
        names = []
        for one in servers:
            for program in one.programs:
                names.append(f"{one.name}: {label(program.name)}")
                if server in (None, one.name) and _is_called(program, wanted):
                    return one, program
        if server is not None and all(one.name != server for one in servers):
            near = meant(server, [one.name for one in servers])
            raise JsonError(f"the daemon has no server '{server}'{near}")
        where = "no server has a" if server is None else f"server {server} has no"
        raise JsonError(f"{where} program '{name}'; there are {', '.join(names)}")

    async def find(self, name: str, server: str | None = None) -> Found:
        """Return a procedure, described.

        Args:
            name: PROGRAM/PROCEDURE, each by its name or number.
            server: the name of the server; None for the first one that has the program.

        Raises:
            JsonError: it does not exist, or is not named like this.
            MissingProgram: as `find_program`.
        """
        program_name, slash, wanted = text("a procedure's name", name).partition("/")
        if not slash or not wanted:
            raise JsonError(f"a procedure is named PROGRAM/PROCEDURE, not '{name}'")
        where, program = await self.find_program(program_name, server)
        listed = await self.procedures(where, program)
        for one in listed:
            if wanted.upper() == one.name.upper() or wanted == str(one.number):
                return Found(where, program, await self._describe(where, program, one.number))
        near = meant(wanted, [one.name for one in listed])
        raise JsonError(f"program {label(program.name)} has no procedure '{wanted}'{near}")

    def caller(self) -> Caller:
        """Return what makes calls by JSON; use it with `async with`."""
        return Caller(self, self._connection)

    async def _describe(
        self, server: protocol.ServedServer, program: protocol.ProgramInfo, number: int
    ) -> protocol.ProcedureDescription:
        if program is ADMIN_PROGRAM:
            from aiovirt.admin.extension.description import describe

            procedure = ADMIN.get(number)
            if procedure is not None:
                return describe(procedure)
        args = protocol.ProcedureArgs(
            ServerRef(server.name), program.number, program.version, number, "", 0
        )
        return await self._call(protocol.PROCEDURE_DESCRIBE, args)

    async def _call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        with self._connection.needing(EXTENSION, "a daemon of aiovirt"):
            return await self._connection.call(procedure, args)


class Caller:
    """Calls procedures by JSON, those of one server over one connection, in the order of the calls."""

    def __init__(self, programs: Programs, connection: Connection) -> None:
        self._programs = programs
        self._connection = connection
        self._opened: dict[str, RpcConnection] = {}
        self._tunnels: list[Tunnel] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for opened in self._opened.values():
            opened.abort()
        for tunnel in self._tunnels:
            await tunnel.close()

    async def call(self, name: str, value: Any = None, *, server: str | None = None) -> Any:
        """Call a procedure and return its result.

        Args:
            name: PROGRAM/PROCEDURE.
            value: its arguments, as JSON has them.
            server: the name of the server; None for the first one that has the program.

        Raises:
            JsonError: it does not exist, the arguments do not fit, or it opens a stream, takes or
                gives descriptors, or is an event.
            MissingProgram: the daemon does not say how it is called.
            ConnectionError: its server cannot be reached.
            RpcError: the server's refusal.
        """
        found = await self._programs.find(name, server)
        description = found.description
        _check(description.procedure)
        codec = JsonCodec(description)
        payload = codec.encode(description.args, value)
        rpc = await self._reached(found.server)
        result = await rpc.call(_raw(found), payload, timeout=self._connection.timeout)
        return codec.decode(description.result, result)

    async def _reached(self, server: protocol.ServedServer) -> RpcConnection:
        if server.name == _ADMIN_SERVER:
            return self._connection.rpc
        opened = self._opened.get(server.name)
        if opened is None or opened.closed:
            try:
                async with asyncio.timeout(self._connection.timeout):
                    opened = self._opened[server.name] = await self._connected(server)
            except TimeoutError:
                raise TimeoutError(
                    f"no connection to server {server.name} within {self._connection.timeout:g} s"
                ) from None
        return opened

    async def _connected(self, server: protocol.ServedServer) -> RpcConnection:
        """Connect to a socket of the server, on the host of the daemon."""
        path = _path(server)
        carrier = self._connection.tunnel
        if carrier is None:
            return await connect_unix(path)
        from aiovirt.admin.ssh import open_tunnel

        # The path is the daemon's word: ssh would take one without "/" for a port, and expand "${".
        if not path.startswith("/") or "${" in path:
            raise ConnectionError(
                f"the socket {path!r} of server {server.name} cannot be reached through ssh"
            )
        rpc, tunnel = await open_tunnel(self._connection.uri, prompts=carrier.prompts, socket=path)
        self._tunnels.append(tunnel)
        return rpc


def label(program: str) -> str:
    """Return a program's name as it is written before the slash: without blanks."""
    return program.replace(" ", "-")


def _path(server: protocol.ServedServer) -> str:
    services = [one for one in server.services if one.transport == Transport.UNIX]
    # The one that allows most: read and write, and nothing to prove.
    services.sort(key=lambda one: (one.readonly, one.auth != "none"))
    if not services:
        raise ConnectionError(
            f"server {server.name} has no UNIX socket through which it could be called"
        )
    address = services[0].address
    return f"\0{address[1:]}" if address.startswith("@") else address


def _check(procedure: protocol.ProcedureInfo) -> None:
    reason = ""
    if procedure.event:
        reason = "is an event: the server sends it, and nobody calls it"
    elif procedure.stream:
        reason = "opens a stream, which cannot be JSON"
    elif procedure.call_fds or procedure.reply_fds:
        reason = "takes or gives file descriptors, which cannot be JSON"
    if reason:
        raise JsonError(f"{procedure.name} {reason}")


def _raw(found: Found) -> Procedure[Any, Any]:
    """A procedure whose arguments and result are encoded elsewhere."""
    info = found.description.procedure
    program = Program(found.program.name, found.program.number, found.program.version)
    raw: Procedure[Any, Any] = program.procedure(info.number, info.name, xdr.Void, xdr.Void)
    raw.encode_args = bytes
    raw.decode_result = lambda data, pos, end: (bytes(data[pos:end]), end)
    return raw


def _is_called(program: protocol.ProgramInfo, wanted: str) -> bool:
    if wanted.lower() in (program.name.lower(), label(program.name).lower()):
        return True
    try:
        return int(wanted, 0) == program.number
    except ValueError:
        return False


#: The admin program, and its server, as this package's own table has them.
ADMIN_PROGRAM: Final = protocol.ProgramInfo(
    ADMIN.number, ADMIN.version, ADMIN.name, len(ADMIN), len(ADMIN)
)
LIBVIRTS_ADMIN: Final = protocol.ServedServer(_ADMIN_SERVER, [], [ADMIN_PROGRAM])
