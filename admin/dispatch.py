"""The admin program's server side: what every daemon answers, the same way.

Each refusal carries the code and the domain that libvirt 9.0.0 gives it, odd as some are; a set call
changes everything it names or nothing.

Source: libvirt's src/admin/admin_server.c and admin_server_dispatch.c.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext

from aiovirt.admin import protocol
from aiovirt.admin.compatibility import LIBVIRT_VERSION
from aiovirt.rpc.logs import LogControl, LogSettingError, get_logger
from aiovirt.rpc.security.identity import selinux_context
from aiovirt.rpc.server import Client, Daemon, Handlers, Server, check_flags, run_blocking, serves
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import (
    ParamType,
    TypedParam,
    boolean,
    check_names,
    int_,
    string,
    uint,
    validate,
)

_log = get_logger("admin.dispatch")

_POOL_SETTABLE = {
    "minWorkers": ParamType.UINT,
    "maxWorkers": ParamType.UINT,
    "prioWorkers": ParamType.UINT,
}
_LIMITS_SETTABLE = {"nclients_max": ParamType.UINT, "nclients_unauth_max": ParamType.UINT}


#: Logs the settings that change in a block. Its argument: the administrator, as fields of log lines.
NoteChanges = Callable[[Mapping[str, object]], AbstractContextManager[None]]


def handlers(
    daemon: Daemon, version: int = LIBVIRT_VERSION, noted: NoteChanges | None = None
) -> Handlers:
    """Return the admin program of a daemon, for its server `admin`.

    Args:
        daemon: what it administers.
        version: the version of libvirt that the daemon claims.
        noted: logs the settings that change in a block.
    """
    return Handlers.of(AdminDispatch(daemon, version, noted))


class AdminDispatch:
    """The handlers, one method a procedure, in the order of their numbers."""

    def __init__(self, daemon: Daemon, version: int, noted: NoteChanges | None) -> None:
        self._daemon = daemon
        self._note = noted
        self._version = protocol.LibVersion(version)

    @serves(protocol.CONNECT_OPEN)
    def connect_open(self, client: Client, args: protocol.FlagsArgs) -> None:
        """Nothing is left to be opened: the client is connected."""

    @serves(protocol.CONNECT_CLOSE)
    def connect_close(self, client: Client, args: None) -> None:
        client.close_after_reply()

    @serves(protocol.CONNECT_GET_LIB_VERSION)
    def get_lib_version(self, client: Client, args: None) -> protocol.LibVersion:
        return self._version

    @serves(protocol.CONNECT_LIST_SERVERS)
    def list_servers(self, client: Client, args: protocol.ListServersArgs) -> protocol.ServerList:
        names = sorted(self._daemon.servers)
        listed = [protocol.ServerRef(name) for name in names] if args.need_results else []
        return protocol.ServerList(listed, len(names))

    @serves(protocol.CONNECT_LOOKUP_SERVER)
    def lookup_server(
        self, client: Client, args: protocol.LookupServerArgs
    ) -> protocol.LookupServerResult:
        # libvirt takes any flags here, and so do we.
        server = self._daemon.server(args.name)
        return protocol.LookupServerResult(protocol.ServerRef(server.name))

    @serves(protocol.SERVER_GET_THREADPOOL_PARAMETERS, checks_flags=True)
    def get_threadpool_parameters(
        self, client: Client, args: protocol.ServerArgs
    ) -> protocol.Params:
        server = self._daemon.server(args.server.name)
        check_flags(protocol.SERVER_GET_THREADPOOL_PARAMETERS, args.flags)
        # This very call occupies a worker of the server that it came through.
        stats = server.workers.stats(running_inline=int(server is client.server))
        return protocol.Params(
            [
                uint("minWorkers", stats.minimum),
                uint("maxWorkers", stats.maximum),
                uint("nWorkers", stats.current),
                uint("freeWorkers", stats.free),
                uint("prioWorkers", stats.priority),
                uint("jobQueueDepth", stats.queue_depth),
            ]
        )

    @serves(protocol.SERVER_SET_THREADPOOL_PARAMETERS, checks_flags=True)
    def set_threadpool_parameters(self, client: Client, args: protocol.ServerParamsArgs) -> None:
        server = self._server_for_admin(args.server.name)
        check_names(args.params)
        check_flags(protocol.SERVER_SET_THREADPOOL_PARAMETERS, args.flags)
        values = validate(args.params, _POOL_SETTABLE)
        with self._noted(client):
            server.workers.set(
                minimum=values.get("minWorkers"),
                maximum=values.get("maxWorkers"),
                priority=values.get("prioWorkers"),
            )

    @serves(protocol.SERVER_LIST_CLIENTS, checks_flags=True)
    def list_clients(self, client: Client, args: protocol.ListClientsArgs) -> protocol.ClientList:
        server = self._daemon.server(args.server.name)
        check_flags(protocol.SERVER_LIST_CLIENTS, args.flags)
        count = len(server.registry)
        if not args.need_results:
            return protocol.ClientList([], count)
        if count > protocol.LIST_MAX:
            raise RpcError(
                ErrorCode.RPC,
                f"server {server.name} has {count} clients, a list carries {protocol.LIST_MAX} "
                "at most; ask for the count alone",
                domain=ErrorDomain.ADMIN,
            )
        return protocol.ClientList([_client_ref(each) for each in server.registry], count)

    @serves(protocol.SERVER_LOOKUP_CLIENT, checks_flags=True)
    def lookup_client(
        self, client: Client, args: protocol.LookupClientArgs
    ) -> protocol.LookupClientResult:
        server = self._daemon.server(args.server.name)
        check_flags(protocol.SERVER_LOOKUP_CLIENT, args.flags)
        return protocol.LookupClientResult(_client_ref(_find(server, args.id)))

    @serves(protocol.CLIENT_GET_INFO, checks_flags=True)
    async def client_get_info(
        self, client: Client, args: protocol.ClientArgs
    ) -> protocol.ClientInfo:
        server = self._server_for_admin(args.client.server.name)
        subject = _find(server, args.client.id, domain=ErrorDomain.ADMIN)
        check_flags(protocol.CLIENT_GET_INFO, args.flags)
        params = [boolean("readonly", subject.readonly)]
        if subject.sasl_name:
            params.append(string("sasl_user_name", subject.sasl_name))
        try:
            if subject.is_local:
                params += await _local_identity(subject)
            else:
                params.append(string("sock_addr", subject.address()))
                if subject.x509_name:
                    params.append(string("tls_x509_dname", subject.x509_name))
        except OSError:  # it went while its names were looked up
            raise _no_client(server, args.client.id, ErrorDomain.ADMIN) from None
        return protocol.ClientInfo(params)

    @serves(protocol.CLIENT_CLOSE, checks_flags=True)
    def client_close(self, client: Client, args: protocol.ClientArgs) -> None:
        server = self._daemon.server(args.client.server.name)
        subject = _find(server, args.client.id)
        check_flags(protocol.CLIENT_CLOSE, args.flags)
        subject.abort("disconnected by the administrator")

    @serves(protocol.SERVER_GET_CLIENT_LIMITS, checks_flags=True)
    def get_client_limits(self, client: Client, args: protocol.ServerArgs) -> protocol.Params:
        server = self._daemon.server(args.server.name)
        check_flags(protocol.SERVER_GET_CLIENT_LIMITS, args.flags)
        registry = server.registry
        return protocol.Params(
            [
                uint("nclients_max", registry.max_clients),
                uint("nclients", len(registry)),
                uint("nclients_unauth_max", registry.max_anonymous_clients),
                uint("nclients_unauth", registry.anonymous),
            ]
        )

    @serves(protocol.SERVER_SET_CLIENT_LIMITS, checks_flags=True)
    def set_client_limits(self, client: Client, args: protocol.ServerParamsArgs) -> None:
        server = self._server_for_admin(args.server.name)
        check_names(args.params)
        check_flags(protocol.SERVER_SET_CLIENT_LIMITS, args.flags)
        values = validate(args.params, _LIMITS_SETTABLE)
        with self._noted(client):
            server.registry.set(
                max_clients=values.get("nclients_max"),
                max_anonymous_clients=values.get("nclients_unauth_max"),
            )

    @serves(protocol.CONNECT_GET_LOGGING_OUTPUTS)
    def get_logging_outputs(
        self, client: Client, args: protocol.FlagsArgs
    ) -> protocol.LoggingOutputs:
        logs = self._logs()
        return protocol.LoggingOutputs(logs.outputs_text(), len(logs.outputs()))

    @serves(protocol.CONNECT_GET_LOGGING_FILTERS)
    def get_logging_filters(
        self, client: Client, args: protocol.FlagsArgs
    ) -> protocol.LoggingFilters:
        logs = self._logs()
        return protocol.LoggingFilters(logs.filters_text() or None, len(logs.filters()))

    @serves(protocol.CONNECT_SET_LOGGING_OUTPUTS)
    async def set_logging_outputs(self, client: Client, args: protocol.SetLoggingArgs) -> None:
        # Opening a file can block, on a dead file system for ever: not on the loop.
        with _log_setting_errors(), self._noted(client):
            await run_blocking(self._logs().set_outputs, args.text or "")

    @serves(protocol.CONNECT_SET_LOGGING_FILTERS)
    def set_logging_filters(self, client: Client, args: protocol.SetLoggingArgs) -> None:
        with _log_setting_errors(), self._noted(client):
            self._logs().set_filters(args.text or "")

    @serves(protocol.SERVER_UPDATE_TLS_FILES, checks_flags=True)
    async def update_tls_files(self, client: Client, args: protocol.ServerArgs) -> None:
        server = self._daemon.server(args.server.name)
        check_flags(protocol.SERVER_UPDATE_TLS_FILES, args.flags)
        if server.tls is None:
            raise RpcError(
                ErrorCode.INTERNAL_ERROR,
                f"server {server.name} has no TLS service: there are no TLS files to update",
            )
        try:
            await run_blocking(server.tls.reload)
        except ValueError as error:
            raise RpcError(ErrorCode.SYSTEM_ERROR, str(error)) from error
        _log.info(
            "TLS files read again",
            server=client.server.name,
            client=client.id,
            target=server.name,
        )

    @serves(protocol.CONNECT_SET_DAEMON_TIMEOUT)
    def set_daemon_timeout(self, client: Client, args: protocol.SetTimeoutArgs) -> None:
        self._daemon.set_timeout(args.timeout)

    @serves(protocol.CONNECT_DAEMON_SHUTDOWN)
    def daemon_shutdown(self, client: Client, args: protocol.FlagsArgs) -> None:
        self._daemon.shutdown(preserve=bool(args.flags & protocol.ShutdownFlags.PRESERVE))

    def _noted(self, client: Client) -> AbstractContextManager[None]:
        """Log the settings that change in the block."""
        if self._note is None:
            return nullcontext()
        who: dict[str, object] = {"client": client.id}
        if client.is_local:
            peer = client.identity()
            who |= {"user": peer.uid, "process": peer.pid, "address": "local"}
        return self._note(who)

    def _server_for_admin(self, name: str) -> Server:
        """Some of libvirt's handlers report an unknown server themselves: the domain differs."""
        try:
            return self._daemon.server(name)
        except RpcError as error:
            raise RpcError(error.code, error.message, domain=ErrorDomain.ADMIN) from None

    def _logs(self) -> LogControl:
        logs = self._daemon.logging
        if logs is None:
            raise RpcError(
                ErrorCode.OPERATION_UNSUPPORTED,
                f"daemon {self._daemon.name} runs without log control",
                domain=ErrorDomain.ADMIN,
            )
        return logs


@contextmanager
def _log_setting_errors() -> Iterator[None]:
    """A refused log setting as libvirt reports it."""
    try:
        yield
    except LogSettingError as error:
        code = ErrorCode[error.code_name]
        raise RpcError(code, str(error), domain=ErrorDomain.NONE) from None


def _find(server: Server, client_id: int, domain: int = ErrorDomain.RPC) -> Client:
    client = server.registry.get(client_id)
    if client is None:
        raise _no_client(server, client_id, domain)
    return client


def _no_client(server: Server, client_id: int, domain: int) -> RpcError:
    return RpcError(
        ErrorCode.NO_CLIENT,
        f"server {server.name} has no client with id {client_id}",
        domain=domain,
    )


def _client_ref(client: Client) -> protocol.ClientRef:
    if client.is_local:
        transport = protocol.Transport.UNIX
    else:
        transport = protocol.Transport.TLS if client.is_encrypted else protocol.Transport.TCP
    return protocol.ClientRef(
        protocol.ServerRef(client.server.name), client.id, client.timestamp, transport
    )


async def _local_identity(client: Client) -> list[TypedParam]:
    """Ask the kernel and the name services about a client on a UNIX socket.

    Raises OSError when the client is gone.
    """
    peer = client.identity()
    context = selinux_context(client.sock)
    user, group = await run_blocking(lambda: (peer.user_name(), peer.group_name()))
    params = [int_("unix_user_id", _signed(peer.uid))]
    if user is not None:
        params.append(string("unix_user_name", user))
    params.append(int_("unix_group_id", _signed(peer.gid)))
    if group is not None:
        params.append(string("unix_group_name", group))
    params.append(int_("unix_process_id", peer.pid))
    if context is not None:
        params.append(string("selinux_context", context))
    return params


def _signed(number: int) -> int:
    """An unsigned 32-bit id as the signed one that the protocol has for it."""
    return number - (1 << 32) if number >= 1 << 31 else number
