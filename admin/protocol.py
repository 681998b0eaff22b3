"""The admin program's table, exactly as libvirt's; nothing is added to it.

What is ours goes into programs of its own (docs: protocol.md). Procedure 20 is libvirt's since 11.2.0.

Source: libvirt's src/admin/admin_protocol.x.
"""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Annotated, Final

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorDomain
from aiovirt.rpc.wire.program import Program
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam

#: The most servers and clients that one list carries (ADMIN_SERVER_LIST_MAX, ADMIN_CLIENT_LIST_MAX).
LIST_MAX: Final = 16384
#: The most thread pool parameters and client limits in one call or reply.
PARAMS_MAX: Final = 32
#: The most parameters that describe one client.
CLIENT_INFO_MAX: Final = 64


class Transport(IntEnum):
    """How a client is connected (virClientTransport)."""

    UNIX = 0
    TCP = 1
    TLS = 2


class ShutdownFlags(IntFlag):
    """Flags of CONNECT_DAEMON_SHUTDOWN (virAdmConnectDaemonShutdownFlags)."""

    PRESERVE = 1


@xdr.struct
class ServerRef:
    """A server, by its name."""

    name: xdr.Str


@xdr.struct
class ClientRef:
    """A client: its server, its id, when it connected (seconds since the epoch), its transport."""

    server: ServerRef
    id: xdr.UHyper
    timestamp: xdr.Hyper
    transport: Annotated[xdr.UInt, Transport]


@xdr.struct
class FlagsArgs:
    """Arguments of a procedure that takes flags only."""

    flags: xdr.UInt


@xdr.struct
class LibVersion:
    """version: major * 1000000 + minor * 1000 + release."""

    version: xdr.UHyper


@xdr.struct
class ListServersArgs:
    """need_results: 0 asks for the count alone."""

    need_results: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class ServerList:
    """servers: empty when only the count was asked for; count: the number of servers."""

    servers: Annotated[list[ServerRef], xdr.Array(ServerRef, LIST_MAX)]
    count: xdr.UInt


@xdr.struct
class LookupServerArgs:
    """The name of the server to look up."""

    name: xdr.Str
    flags: xdr.UInt


@xdr.struct
class LookupServerResult:
    """The server that was found."""

    server: ServerRef


@xdr.struct
class ServerArgs:
    """Arguments of a procedure about one server."""

    server: ServerRef
    flags: xdr.UInt


@xdr.struct
class Params:
    """Thread pool parameters or client limits of a server."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, PARAMS_MAX)]


@xdr.struct
class ServerParamsArgs:
    """Parameters to set on a server."""

    server: ServerRef
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, PARAMS_MAX)]
    flags: xdr.UInt


@xdr.struct
class ListClientsArgs:
    """need_results: 0 asks for the count alone."""

    server: ServerRef
    need_results: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class ClientList:
    """clients: empty when only the count was asked for; count: the number of clients."""

    clients: Annotated[list[ClientRef], xdr.Array(ClientRef, LIST_MAX)]
    count: xdr.UInt


@xdr.struct
class LookupClientArgs:
    """The id of the client to look up on a server."""

    server: ServerRef
    id: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class LookupClientResult:
    """The client that was found."""

    client: ClientRef


@xdr.struct
class ClientArgs:
    """client: only its server's name and its id are looked at."""

    client: ClientRef
    flags: xdr.UInt


@xdr.struct
class ClientInfo:
    """The identity of a client."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, CLIENT_INFO_MAX)]


@xdr.struct
class LoggingOutputs:
    """outputs: those in force, separated by blanks; count: their number."""

    outputs: xdr.Str
    count: xdr.UInt


@xdr.struct
class LoggingFilters:
    """filters: those in force, separated by blanks, absent if there are none; count: their number."""

    filters: xdr.OptStr
    count: xdr.UInt


@xdr.struct
class SetLoggingArgs:
    """text: the new outputs or filters; an absent or empty one restores the default."""

    text: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class SetTimeoutArgs:
    """timeout: seconds without clients after which the daemon ends itself; 0 for never."""

    timeout: xdr.UInt
    flags: xdr.UInt


#: The typed parameters of a server's worker pool; the first three can be set.
THREADPOOL_PARAMS: Final = {
    "minWorkers": ParamType.UINT,
    "maxWorkers": ParamType.UINT,
    "prioWorkers": ParamType.UINT,
    "nWorkers": ParamType.UINT,
    "freeWorkers": ParamType.UINT,
    "jobQueueDepth": ParamType.UINT,
}
#: The typed parameters of a server's client limits; the first two can be set.
CLIENT_LIMITS_PARAMS: Final = {
    "nclients_max": ParamType.UINT,
    "nclients_unauth_max": ParamType.UINT,
    "nclients": ParamType.UINT,
    "nclients_unauth": ParamType.UINT,
}
#: The typed parameters that describe a client.
CLIENT_INFO_PARAMS: Final = {
    "readonly": ParamType.BOOLEAN,
    "sasl_user_name": ParamType.STRING,
    "unix_user_id": ParamType.INT,
    "unix_user_name": ParamType.STRING,
    "unix_group_id": ParamType.INT,
    "unix_group_name": ParamType.STRING,
    "unix_process_id": ParamType.INT,
    "sock_addr": ParamType.STRING,
    "tls_x509_dname": ParamType.STRING,
    "selinux_context": ParamType.STRING,
}

ADMIN: Final = Program(
    "admin",
    0x06900690,
    1,
    domain=ErrorDomain.ADMIN,
    prefix="virAdm",
    enums=(Transport,),
    params={
        "a worker pool": THREADPOOL_PARAMS,
        "client limits": CLIENT_LIMITS_PARAMS,
        "a client": CLIENT_INFO_PARAMS,
    },
)

CONNECT_OPEN: Final = ADMIN.procedure(1, "CONNECT_OPEN", FlagsArgs, xdr.Void, flags=0)
CONNECT_CLOSE: Final = ADMIN.procedure(2, "CONNECT_CLOSE", xdr.Void, xdr.Void)
CONNECT_GET_LIB_VERSION: Final = ADMIN.procedure(
    3, "CONNECT_GET_LIB_VERSION", xdr.Void, LibVersion, reads=True
)
CONNECT_LIST_SERVERS: Final = ADMIN.procedure(
    4, "CONNECT_LIST_SERVERS", ListServersArgs, ServerList, flags=0, reads=True
)
CONNECT_LOOKUP_SERVER: Final = ADMIN.procedure(
    5, "CONNECT_LOOKUP_SERVER", LookupServerArgs, LookupServerResult, reads=True
)
SERVER_GET_THREADPOOL_PARAMETERS: Final = ADMIN.procedure(
    6,
    "SERVER_GET_THREADPOOL_PARAMETERS",
    ServerArgs,
    Params,
    flags=0,
    function="virAdmServerGetThreadPoolParameters",
    reads=True,
)
SERVER_SET_THREADPOOL_PARAMETERS: Final = ADMIN.procedure(
    7,
    "SERVER_SET_THREADPOOL_PARAMETERS",
    ServerParamsArgs,
    xdr.Void,
    flags=0,
    function="virAdmServerSetThreadPoolParameters",
)
SERVER_LIST_CLIENTS: Final = ADMIN.procedure(
    8, "SERVER_LIST_CLIENTS", ListClientsArgs, ClientList, flags=0, reads=True
)
SERVER_LOOKUP_CLIENT: Final = ADMIN.procedure(
    9, "SERVER_LOOKUP_CLIENT", LookupClientArgs, LookupClientResult, flags=0, reads=True
)
CLIENT_GET_INFO: Final = ADMIN.procedure(
    10, "CLIENT_GET_INFO", ClientArgs, ClientInfo, flags=0, reads=True
)
CLIENT_CLOSE: Final = ADMIN.procedure(11, "CLIENT_CLOSE", ClientArgs, xdr.Void, flags=0)
SERVER_GET_CLIENT_LIMITS: Final = ADMIN.procedure(
    12, "SERVER_GET_CLIENT_LIMITS", ServerArgs, Params, flags=0, reads=True
)
SERVER_SET_CLIENT_LIMITS: Final = ADMIN.procedure(
    13, "SERVER_SET_CLIENT_LIMITS", ServerParamsArgs, xdr.Void, flags=0
)
CONNECT_GET_LOGGING_OUTPUTS: Final = ADMIN.procedure(
    14, "CONNECT_GET_LOGGING_OUTPUTS", FlagsArgs, LoggingOutputs, flags=0, reads=True
)
CONNECT_GET_LOGGING_FILTERS: Final = ADMIN.procedure(
    15, "CONNECT_GET_LOGGING_FILTERS", FlagsArgs, LoggingFilters, flags=0, reads=True
)
CONNECT_SET_LOGGING_OUTPUTS: Final = ADMIN.procedure(
    16, "CONNECT_SET_LOGGING_OUTPUTS", SetLoggingArgs, xdr.Void, flags=0
)
CONNECT_SET_LOGGING_FILTERS: Final = ADMIN.procedure(
    17, "CONNECT_SET_LOGGING_FILTERS", SetLoggingArgs, xdr.Void, flags=0
)
SERVER_UPDATE_TLS_FILES: Final = ADMIN.procedure(
    18, "SERVER_UPDATE_TLS_FILES", ServerArgs, xdr.Void, flags=0
)
CONNECT_SET_DAEMON_TIMEOUT: Final = ADMIN.procedure(
    19, "CONNECT_SET_DAEMON_TIMEOUT", SetTimeoutArgs, xdr.Void, flags=0
)
CONNECT_DAEMON_SHUTDOWN: Final = ADMIN.procedure(
    20, "CONNECT_DAEMON_SHUTDOWN", FlagsArgs, xdr.Void, flags=ShutdownFlags
)
