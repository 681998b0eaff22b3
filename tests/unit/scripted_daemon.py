"""A daemon that answers as a test tells it to, over a real UNIX socket.

It knows the frame layout and the admin program's table, and nothing of the project's server.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiovirt.admin import protocol
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.message import Message, Status, Type
from aiovirt.rpc.wire.program import Procedure
from aiovirt.rpc.wire.typedparams import TypedParam, boolean, int_, string, uint

Script = dict[Procedure[Any, Any], Callable[[Any], Any]]

POOL = [
    uint("minWorkers", 5),
    uint("maxWorkers", 20),
    uint("nWorkers", 6),
    uint("freeWorkers", 4),
    uint("prioWorkers", 5),
    uint("jobQueueDepth", 1),
]
LIMITS = [
    uint("nclients_max", 5000),
    uint("nclients", 2),
    uint("nclients_unauth_max", 20),
    uint("nclients_unauth", 1),
]
IDENTITY = [boolean("readonly", True), int_("unix_user_id", 7), string("unix_user_name", "seven")]


class HangUp(Exception):
    """Raised by a script: the daemon closes the connection in place of an answer."""


class ScriptedDaemon:
    """calls: the names and arguments of what was called, in order; path, uri: where it listens."""

    def __init__(self, path: str, script: Script) -> None:
        self.path = path
        self.uri = f"libvirtd:///session?socket={path}"
        self.calls: list[tuple[str, Any]] = []
        self._script = {**_usual_answers(), **script}
        self._serving: dict[asyncio.Task[None] | None, asyncio.StreamWriter] = {}

    def called(self, procedure: Procedure[Any, Any]) -> list[Any]:
        """The arguments of all calls of one procedure."""
        return [args for name, args in self.calls if name == procedure.name]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving[asyncio.current_task()] = writer
        framer = Framer()
        with contextlib.suppress(HangUp, ConnectionError):
            while data := await reader.read(65536):
                for message in framer.feed(data):
                    writer.write(self._answer(message).pack())
                await writer.drain()
        writer.close()

    async def end(self) -> None:
        """Hang up on everybody who is left."""
        for writer in self._serving.values():
            writer.close()
        await asyncio.gather(*filter(None, self._serving))

    def _answer(self, call: Message) -> Message:
        procedure = protocol.ADMIN.get(call.procedure)
        if call.program != protocol.ADMIN.number:
            return self._refuse_program(call)
        assert procedure is not None
        args = xdr.decode(procedure.args, call.payload) if call.payload else None
        self.calls.append((procedure.name, args))
        try:
            payload = procedure.encode_result(self._script[procedure](args))
            status = Status.OK
        except RpcError as error:
            payload, status = xdr.encode(error.to_wire()), Status.ERROR
        return Message(
            call.program, call.version, call.procedure, Type.REPLY, call.serial, status, payload
        )

    def _refuse_program(self, call: Message) -> Message:
        self.calls.append((f"program 0x{call.program:08x}", None))
        unknown = RpcError(ErrorCode.RPC, "unknown program", domain=ErrorDomain.RPC)
        return Message(
            call.program,
            call.version,
            call.procedure,
            Type.REPLY,
            call.serial,
            Status.ERROR,
            xdr.encode(unknown.to_wire()),
        )


@contextlib.asynccontextmanager
async def scripted_daemon(script: Script | None = None) -> AsyncIterator[ScriptedDaemon]:
    """A daemon with servers `admin` and `main`, client 3 on `main`, and these answers of its own."""
    with tempfile.TemporaryDirectory(prefix="sd-") as folder:
        daemon = ScriptedDaemon(f"{folder}/sock", script or {})
        server = await asyncio.start_unix_server(daemon.serve, daemon.path)
        try:
            yield daemon
        finally:
            server.close()
            await daemon.end()


def raising(error: Exception) -> Callable[[Any], Any]:
    """An answer that is an error."""

    def answer(args: Any) -> Any:
        raise error

    return answer


def _usual_answers() -> Script:
    main, admin = protocol.ServerRef("main"), protocol.ServerRef("admin")
    client = protocol.ClientRef(main, 3, 86_400, 0)

    def params(received: list[TypedParam]) -> Callable[[Any], protocol.Params]:
        return lambda args: protocol.Params(received)

    answers: Script = dict.fromkeys(protocol.ADMIN, lambda args: None)
    answers.update(
        {
            protocol.CONNECT_GET_LIB_VERSION: lambda args: protocol.LibVersion(9_001_002),
            protocol.CONNECT_LIST_SERVERS: lambda args: protocol.ServerList([admin, main], 2),
            protocol.CONNECT_LOOKUP_SERVER: lambda args: protocol.LookupServerResult(
                protocol.ServerRef(args.name)
            ),
            protocol.SERVER_GET_THREADPOOL_PARAMETERS: params(POOL),
            protocol.SERVER_GET_CLIENT_LIMITS: params(LIMITS),
            protocol.SERVER_LIST_CLIENTS: lambda args: protocol.ClientList([client], 1),
            protocol.SERVER_LOOKUP_CLIENT: lambda args: protocol.LookupClientResult(
                protocol.ClientRef(args.server, args.id, 86_400, 2)
            ),
            protocol.CLIENT_GET_INFO: lambda args: protocol.ClientInfo(IDENTITY),
            protocol.CONNECT_GET_LOGGING_OUTPUTS: lambda args: protocol.LoggingOutputs(
                "1:file:/a 3:stderr", 2
            ),
            protocol.CONNECT_GET_LOGGING_FILTERS: lambda args: protocol.LoggingFilters(None, 0),
        }
    )
    return answers
