"""The admin API of libvirt's daemons and ours, for asyncio: virAdm* in Python.

    async with admin.client.connect("libvirtd:///system") as conn:
        for server in await conn.list_servers():
            print(server.name, await server.get_threadpool_parameters())

`connect` gives a `Connection`, which gives `Server`s, which give `Client`s; these two are names for
things in the daemon and stay valid as long as what they name. Everything may be called from several
tasks of one loop at once; the calls then share the one socket.

Errors, from every call: `RpcError` is the daemon's refusal, with libvirt's code and domain;
`ConnectionError` is a connection that could not be made (`ConnectFailed`) or was lost.

Source: libvirt's include/libvirt/libvirt-admin.h and src/admin/admin_remote.c.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, TypeVar

from aiovirt.admin import extension_protocol, protocol
from aiovirt.admin.extension_protocol import TlsInfo
from aiovirt.admin.protocol import Transport
from aiovirt.admin.uri import AdminUri, UriError, resolve
from aiovirt.rpc.client import Connection as RpcConnection
from aiovirt.rpc.client import Stream, connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.program import Procedure, Program
from aiovirt.rpc.wire.typedparams import TypedParam, to_dict, uint

__all__ = [
    "AdminUri",
    "Client",
    "ClientInfo",
    "ClientLimits",
    "ConnectFailed",
    "Connection",
    "MissingProgram",
    "RpcError",
    "Server",
    "ThreadPoolParameters",
    "TlsInfo",
    "Transport",
    "UriError",
    "connect",
]

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")

#: How long, in seconds, a daemon may take to say goodbye before the connection is just closed.
_GOODBYE: Final = 2.0


class ConnectFailed(ConnectionError):
    """Nobody could be reached at an admin socket. path: the socket; errno: why, as connect(2) says."""

    def __init__(self, path: str, cause: OSError) -> None:
        # Some refusals are Python's own (a path too long) and have no number.
        super().__init__(cause.errno, cause.strerror or str(*cause.args[:1]))
        self.path = path

    def __str__(self) -> str:
        return f"Failed to connect socket to '{self.path}': {self.strerror}"


class MissingProgram(RpcError):
    """The daemon does not have the program that a call was for."""


@dataclass(frozen=True, slots=True)
class ThreadPoolParameters:
    """A server's worker pool, in numbers of threads (of tasks, with our daemons) and of calls.

    min_workers and max_workers bound it; n_workers exist and free_workers of them are idle;
    prio_workers are kept for calls that must not wait; job_queue_depth calls are waiting. A number
    that the daemon did not give is None. `received` is everything it did give, in its order.
    """

    min_workers: int | None
    max_workers: int | None
    n_workers: int | None
    free_workers: int | None
    prio_workers: int | None
    job_queue_depth: int | None
    received: tuple[TypedParam, ...] = field(repr=False)

    @classmethod
    def from_params(cls, params: Sequence[TypedParam]) -> ThreadPoolParameters:
        """Sort out what came in an answer."""
        get: Callable[[str], Any] = to_dict(params).get
        return cls(
            get("minWorkers"),
            get("maxWorkers"),
            get("nWorkers"),
            get("freeWorkers"),
            get("prioWorkers"),
            get("jobQueueDepth"),
            tuple(params),
        )


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """How many clients a server admits, and has.

    max_clients bounds clients; max_unauth_clients bounds unauth_clients, those of them that have not
    authenticated. A number that the daemon did not give is None. `received` is everything it did give.
    """

    max_clients: int | None
    clients: int | None
    max_unauth_clients: int | None
    unauth_clients: int | None
    received: tuple[TypedParam, ...] = field(repr=False)

    @classmethod
    def from_params(cls, params: Sequence[TypedParam]) -> ClientLimits:
        """Sort out what came in an answer."""
        get: Callable[[str], Any] = to_dict(params).get
        return cls(
            get("nclients_max"),
            get("nclients"),
            get("nclients_unauth_max"),
            get("nclients_unauth"),
            tuple(params),
        )


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """Who a client is. What does not apply to its transport, or isn't known, is None.

    readonly: it came by the read-only socket; unix_*: its process, over a UNIX socket; sock_addr:
    its address, over TCP; x509_dname: the name in its certificate, over TLS; sasl_user_name and
    selinux_context: as they say. `received` is everything that the daemon told, in its order.
    """

    readonly: bool | None
    unix_user_id: int | None
    unix_user_name: str | None
    unix_group_id: int | None
    unix_group_name: str | None
    unix_process_id: int | None
    sock_addr: str | None
    sasl_user_name: str | None
    x509_dname: str | None
    selinux_context: str | None
    received: tuple[TypedParam, ...] = field(repr=False)

    @classmethod
    def from_params(cls, params: Sequence[TypedParam]) -> ClientInfo:
        """Sort out what came in an answer."""
        known = to_dict(params)
        names = [name for name in cls.__slots__ if name != "received"]
        values: dict[str, Any] = {name: known.get(name) for name in names}
        return cls(**values, received=tuple(params))


class Connection:
    """A connection to a daemon's admin server; made by `connect`.

    uri: the URI it was made by, aliases resolved.
    """

    def __init__(self, uri: AdminUri, rpc: RpcConnection) -> None:
        self.uri = uri
        self.rpc = rpc

    def __repr__(self) -> str:
        return f"<Connection {self.uri}{'' if self.alive else ' ended'}>"

    @property
    def alive(self) -> bool:
        """Whether calls still have a chance (virAdmConnectIsAlive)."""
        return not self.rpc.closed

    async def wait_lost(self) -> str:
        """Wait until the connection is gone, and say why."""
        await self.rpc.wait_closed()
        return self.rpc.end_reason

    async def close(self) -> None:
        """Take leave of the daemon and close. Does nothing when that has happened already."""
        if self.alive:
            # The connection goes in any case; a goodbye is a courtesy.
            with suppress(RpcError, OSError):
                await self.rpc.call(protocol.CONNECT_CLOSE, None, timeout=_GOODBYE)
        await self.rpc.close()

    def abort(self) -> None:
        """Close at once, without a goodbye; calls that wait raise ConnectionError."""
        self.rpc.abort()

    async def call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        """Call any procedure, also one of a program of which this API knows nothing."""
        return await self.rpc.call(procedure, args)

    async def open_stream(
        self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT
    ) -> Stream[_ResultT]:
        """Call any procedure that opens a stream."""
        return await self.rpc.open_stream(procedure, args)

    @contextmanager
    def needing(self, program: Program, daemon: str) -> Generator[None, None, None]:
        """For calls of a daemon's own program: raise MissingProgram when this daemon has none such.

        daemon: which one does.
        """
        try:
            yield
        except RpcError as error:
            if (error.code, error.domain) != (ErrorCode.RPC, ErrorDomain.RPC):
                raise
            raise MissingProgram(
                ErrorCode.OPERATION_UNSUPPORTED,
                f"{self.uri} has no {program.name} (program 0x{program.number:08x}), as only"
                f" {daemon} does: {error.message}",
            ) from error

    async def lib_version(self) -> int:
        """The daemon's version of libvirt: major * 1000000 + minor * 1000 + release."""
        return (await self.call(protocol.CONNECT_GET_LIB_VERSION, None)).version

    async def list_servers(self) -> list[Server]:
        """The daemon's servers, in no particular order."""
        answer = await self.call(
            protocol.CONNECT_LIST_SERVERS, protocol.ListServersArgs(need_results=1, flags=0)
        )
        return [Server(self, ref.name) for ref in answer.servers]

    async def lookup_server(self, name: str) -> Server:
        """The server of this name. Raises RpcError NO_SERVER when there is none."""
        answer = await self.call(
            protocol.CONNECT_LOOKUP_SERVER, protocol.LookupServerArgs(name=name, flags=0)
        )
        return Server(self, answer.server.name)

    async def get_logging_outputs(self) -> str:
        """Where the daemon logs to: "LEVEL:KIND[:DETAIL]", separated by blanks."""
        answer = await self.call(protocol.CONNECT_GET_LOGGING_OUTPUTS, protocol.FlagsArgs(0))
        return answer.outputs

    async def get_logging_filters(self) -> str:
        """What the daemon logs: "LEVEL:*SOURCE*", separated by blanks; "" without filters."""
        answer = await self.call(protocol.CONNECT_GET_LOGGING_FILTERS, protocol.FlagsArgs(0))
        return answer.filters or ""

    async def set_logging_outputs(self, outputs: str | None) -> None:
        """Replace the outputs, all or none; None or "" restores the default."""
        await self.call(
            protocol.CONNECT_SET_LOGGING_OUTPUTS, protocol.SetLoggingArgs(outputs, flags=0)
        )

    async def set_logging_filters(self, filters: str | None) -> None:
        """Replace the filters, all or none; None or "" means no filters."""
        await self.call(
            protocol.CONNECT_SET_LOGGING_FILTERS, protocol.SetLoggingArgs(filters, flags=0)
        )

    async def set_daemon_timeout(self, seconds: int) -> None:
        """Have the daemon end after this many seconds without clients; 0 for never."""
        await self.call(
            protocol.CONNECT_SET_DAEMON_TIMEOUT, protocol.SetTimeoutArgs(seconds, flags=0)
        )

    async def daemon_shutdown(self, *, preserve: bool = False) -> None:
        """End the daemon in good order; preserve: keep its guests' state for its successor.

        libvirt has this since 11.2.0: older daemons answer with RpcError RPC (unknown procedure).
        """
        flags = protocol.ShutdownFlags.PRESERVE if preserve else 0
        await self.call(protocol.CONNECT_DAEMON_SHUTDOWN, protocol.FlagsArgs(int(flags)))


@dataclass(frozen=True, slots=True)
class Server:
    """A server of the daemon: a set of listening sockets with its own workers, clients and limits."""

    connection: Connection
    name: str

    async def get_threadpool_parameters(self) -> ThreadPoolParameters:
        """The worker pool's bounds and state."""
        answer = await self._call(protocol.SERVER_GET_THREADPOOL_PARAMETERS, self._args())
        return ThreadPoolParameters.from_params(answer.params)

    async def set_threadpool_parameters(
        self,
        *,
        min_workers: int | None = None,
        max_workers: int | None = None,
        prio_workers: int | None = None,
    ) -> None:
        """Change the worker pool's bounds, all of those given or none. None leaves one as it is."""
        await self._set(
            protocol.SERVER_SET_THREADPOOL_PARAMETERS,
            maxWorkers=max_workers,
            minWorkers=min_workers,
            prioWorkers=prio_workers,
        )

    async def get_client_limits(self) -> ClientLimits:
        """How many clients there may be, and are."""
        answer = await self._call(protocol.SERVER_GET_CLIENT_LIMITS, self._args())
        return ClientLimits.from_params(answer.params)

    async def set_client_limits(
        self, *, max_clients: int | None = None, max_unauth_clients: int | None = None
    ) -> None:
        """Change the limits, all of those given or none. None leaves one as it is."""
        await self._set(
            protocol.SERVER_SET_CLIENT_LIMITS,
            nclients_max=max_clients,
            nclients_unauth_max=max_unauth_clients,
        )

    async def list_clients(self) -> list[Client]:
        """The clients that are connected to this server."""
        answer = await self._call(
            protocol.SERVER_LIST_CLIENTS,
            protocol.ListClientsArgs(self.ref, need_results=1, flags=0),
        )
        return [Client(self, ref.id, ref.timestamp, ref.transport) for ref in answer.clients]

    async def lookup_client(self, client_id: int) -> Client:
        """The client of this id. Raises RpcError NO_CLIENT when there is none."""
        answer = await self._call(
            protocol.SERVER_LOOKUP_CLIENT,
            protocol.LookupClientArgs(self.ref, id=client_id, flags=0),
        )
        ref = answer.client
        return Client(self, ref.id, ref.timestamp, ref.transport)

    async def get_tls(self) -> TlsInfo:
        """The certificates and revocation lists in force. Only our daemons can be asked.

        Raises MissingProgram for others, and RpcError for a server without TLS.
        """
        with self.connection.needing(extension_protocol.EXTENSION, "a daemon of aiovirt"):
            return await self._call(
                extension_protocol.SERVER_GET_TLS, extension_protocol.TlsArgs(self.ref, flags=0)
            )

    async def update_tls_files(self) -> None:
        """Have the server read its certificates anew, for connections to come."""
        await self._call(protocol.SERVER_UPDATE_TLS_FILES, self._args())

    @property
    def ref(self) -> protocol.ServerRef:
        """This server as it is named in a call."""
        return protocol.ServerRef(self.name)

    def _args(self) -> protocol.ServerArgs:
        return protocol.ServerArgs(self.ref, flags=0)

    async def _call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        return await self.connection.call(procedure, args)

    async def _set(
        self, procedure: Procedure[protocol.ServerParamsArgs, None], **wanted: int | None
    ) -> None:
        params = [uint(field, value) for field, value in wanted.items() if value is not None]
        await self._call(procedure, protocol.ServerParamsArgs(self.ref, params, flags=0))


@dataclass(frozen=True, slots=True)
class Client:
    """A client of a server.

    id: never used twice in a daemon's life; timestamp: when it connected, in seconds since the epoch;
    transport: how, a `Transport` (or a number that has no name yet).
    """

    server: Server
    id: int
    timestamp: int
    transport: int

    async def get_info(self) -> ClientInfo:
        """Who it is."""
        answer = await self.server.connection.call(protocol.CLIENT_GET_INFO, self._args())
        return ClientInfo.from_params(answer.params)

    async def close(self) -> None:
        """Disconnect it."""
        await self.server.connection.call(protocol.CLIENT_CLOSE, self._args())

    def _args(self) -> protocol.ClientArgs:
        ref = protocol.ClientRef(self.server.ref, self.id, self.timestamp, self.transport)
        return protocol.ClientArgs(ref, flags=0)


class connect:
    """Connect to a daemon: `async with connect(uri) as conn:`, or `conn = await connect(uri)`.

    uri: a URI, an alias, or None for the default (see `admin.uri.resolve`). Raises UriError,
    ConnectFailed, ConnectionError when the daemon hangs up (a daemon of libvirt admits its own user
    only), RpcError when it refuses.
    """

    def __init__(self, uri: str | AdminUri | None = None) -> None:
        self._uri = uri
        self._opened: Connection | None = None

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._open().__await__()

    async def __aenter__(self) -> Connection:
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._opened is not None:
            await self._opened.close()

    async def _open(self) -> Connection:
        uri = self._uri if isinstance(self._uri, AdminUri) else resolve(self._uri)
        path = uri.socket_path()
        try:
            rpc = await connect_unix(path)
        except OSError as error:
            raise ConnectFailed(path, error) from error
        try:
            await rpc.call(protocol.CONNECT_OPEN, protocol.FlagsArgs(0))
        except BaseException:
            await rpc.close()
            raise
        return Connection(uri, rpc)
