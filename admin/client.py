"""The admin API of libvirt's daemons and ours, for asyncio: virAdm* in Python.

    async with admin.client.connect("libvirtd:///system") as conn:
        for server in await conn.list_servers():
            print(server.name, await server.get_threadpool_parameters())

`connect` gives a `Connection`, which gives `Server`s, which give `Client`s; these two are names for
things in the daemon and stay valid as long as what they name. Everything may be called from several
tasks of one loop at once; the calls then share the one socket.

Errors, from every call: `RpcError` is the daemon's refusal, with libvirt's code and domain;
`ConnectionError` is a connection that could not be made (`ConnectFailed`) or was lost; `TimeoutError`
is a daemon that has not answered within the timeout that was given to `connect`. `TypeError` and
`ValueError` are arguments that no daemon could take; nothing is sent then.

Source: libvirt's include/libvirt/libvirt-admin.h and src/admin/admin_remote.c.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from aiovirt.admin import protocol
from aiovirt.admin.answers import ClientInfo, ClientLimits, ThreadPoolParameters
from aiovirt.admin.arguments import (
    check_call,
    optional_text,
    seconds,
    settable_filters,
    text,
    whole_number,
)
from aiovirt.admin.extension.protocol.tls import TlsInfo
from aiovirt.admin.logs import DaemonLogs, LogGap, LogRecord
from aiovirt.admin.objects import Client, Server
from aiovirt.admin.protocol import Transport
from aiovirt.admin.settings import Settings
from aiovirt.admin.uri import AdminUri, UriError, resolve
from aiovirt.rpc.client import Connection as RpcConnection
from aiovirt.rpc.client import ConnectionLost, Stream, connect_unix
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.program import Procedure, Program

if TYPE_CHECKING:
    from aiovirt.admin.introspection import Programs
    from aiovirt.admin.log_filters import LogFilters
    from aiovirt.admin.ssh import Tunnel
    from aiovirt.admin.statistics import Statistics

__all__ = [
    "AdminUri",
    "Client",
    "ClientInfo",
    "ClientLimits",
    "ConnectFailed",
    "Connection",
    "LogGap",
    "LogRecord",
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

#: Seconds that a daemon has for its reply to CONNECT_CLOSE before the connection is just closed.
_GOODBYE: Final = 2.0
_TIMEOUT_MAX: Final = 0xFFFFFFFF
#: The reason that `SocketLink` gives when the peer has ended the connection in good order.
_END_OF_FILE: Final = "the peer closed the connection"


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


class Connection:
    """A connection to a daemon's admin server; made by `connect`.

    uri: the URI it was made by, aliases resolved. timeout: seconds that the daemon has for each answer,
    None for ever. tunnel: the ssh process that carries it, None for a daemon of this machine.
    """

    def __init__(
        self,
        uri: AdminUri,
        rpc: RpcConnection,
        timeout: float | None = None,
        tunnel: Tunnel | None = None,
    ) -> None:
        self.uri = uri
        self.rpc = rpc
        self.timeout = timeout
        self.tunnel = tunnel
        self._loop = asyncio.get_running_loop()
        self._silent = False  # an answer is overdue: a goodbye would not be answered either

    def __repr__(self) -> str:
        return f"<Connection {self.uri}{'' if self.alive else ' ended'}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def logs(self) -> DaemonLogs:
        """The daemon's log, to follow or to read."""
        return DaemonLogs(self)

    @property
    def alive(self) -> bool:
        """Whether the connection is open, as far as is known (virAdmConnectIsAlive)."""
        return not self.rpc.closed

    async def wait_lost(self) -> str:
        """Wait until the connection has ended, and return the reason."""
        await self.rpc.wait_closed()
        return self.rpc.end_reason

    async def close(self) -> None:
        """Say goodbye to the daemon and close. Does nothing if the connection is closed already.

        A daemon that does not answer the goodbye within two seconds (or `timeout`, if that is less)
        cannot delay the end any longer; no error is raised for it.
        """
        limit = _GOODBYE if self.timeout is None else min(self.timeout, _GOODBYE)
        try:
            if self.alive and not self._silent:
                await self.rpc.call(protocol.CONNECT_CLOSE, None, timeout=limit)
        except (RpcError, OSError) as error:  # TimeoutError is an OSError
            self._silent = self._silent or isinstance(error, TimeoutError)
        except BaseException:
            self.abort()
            raise
        if self._silent:
            self.rpc.abort()  # bytes that it has not taken are not waited for
        try:
            await self.rpc.close()
        finally:
            if self.tunnel is not None:
                await self.tunnel.close()

    def abort(self) -> None:
        """Close at once, without a goodbye; waiting calls raise ConnectionError."""
        self.rpc.abort()
        if self.tunnel is not None:
            self.tunnel.abort()

    async def call(
        self,
        procedure: Procedure[_ArgsT, _ResultT],
        args: _ArgsT,
        *,
        takes: float | None = 0.0,
    ) -> _ResultT:
        """Call any procedure, also one of a program that this API does not know.

        Args:
            procedure: from a program's table.
            args: an instance of its arguments' type, None if it has none.
            takes: seconds that the call itself may take, in addition to the connection's timeout; None
                for no limit.
        """
        limit = None if self.timeout is None or takes is None else self.timeout + takes
        with self._awaiting(procedure, args, limit=limit):
            return await self.rpc.call(procedure, args, timeout=limit)

    async def open_stream(
        self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT
    ) -> Stream[_ResultT]:
        """Call any procedure that opens a stream. The timeout applies to the opening.

        Args:
            procedure: from a program's table.
            args: an instance of its arguments' type.
        """
        with self._awaiting(procedure, args, stream=True, limit=self.timeout):
            return await self.rpc.open_stream(procedure, args, timeout=self.timeout)

    @contextmanager
    def _awaiting(
        self,
        procedure: Procedure[Any, Any],
        args: object,
        *,
        limit: float | None,
        stream: bool = False,
    ) -> Generator[None, None, None]:
        """Check a call, and name it and the daemon when its answer is overdue."""
        if asyncio.get_running_loop() is not self._loop:
            raise RuntimeError(f"{self!r} belongs to the event loop in which it was made")
        check_call(procedure, args, stream=stream)
        try:
            yield
        except TimeoutError:
            self._silent = True
            raise _overdue(self.uri, procedure.name, limit) from None

    @contextmanager
    def needing(self, program: Program, daemon: str) -> Generator[None, None, None]:
        """Raise MissingProgram in place of the error reply for an unknown program.

        Args:
            program: a daemon's own program, to which the calls in the block belong.
            daemon: the daemon that has it, for the error's text.
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

    @property
    def statistics(self) -> Statistics:
        """Counts, durations and calls in flight (our daemons only)."""
        from aiovirt.admin.statistics import Statistics  # few programs need it

        return Statistics(self)

    @property
    def programs(self) -> Programs:
        """Programs, procedures and types, and calls by JSON."""
        from aiovirt.admin.introspection import Programs  # few programs need it

        return Programs(self)

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
        args = protocol.LookupServerArgs(text("a server's name", name), flags=0)
        answer = await self.call(protocol.CONNECT_LOOKUP_SERVER, args)
        return Server(self, answer.server.name)

    async def get_logging_outputs(self) -> str:
        """Where the daemon logs to: "LEVEL:KIND[:DETAIL]", separated by blanks."""
        answer = await self.call(protocol.CONNECT_GET_LOGGING_OUTPUTS, protocol.FlagsArgs(0))
        return answer.outputs

    async def get_logging_filters(self) -> str:
        """The log filters, as they can be set again: "LEVEL:SOURCE", separated by blanks.

        A daemon puts an asterisk on each side of every SOURCE that is set, and shows them; one on
        each side is taken off here. Returns "" if there are no filters.

        Source: libvirt's src/util/virlog.c (virLogFilterNew).
        """
        return settable_filters(await self.get_logging_filters_text())

    async def get_logging_filters_text(self) -> str:
        """The log filters exactly as the daemon shows them: "LEVEL:*SOURCE*", each with a blank."""
        answer = await self.call(protocol.CONNECT_GET_LOGGING_FILTERS, protocol.FlagsArgs(0))
        return answer.filters or ""

    async def set_logging_outputs(self, outputs: str | None) -> None:
        """Replace the outputs, all or none; None or "" restores the default."""
        args = protocol.SetLoggingArgs(optional_text("log outputs", outputs), flags=0)
        await self.call(protocol.CONNECT_SET_LOGGING_OUTPUTS, args)

    async def set_logging_filters(self, filters: str | None) -> None:
        """Replace the filters, all or none; None or "" means no filters."""
        args = protocol.SetLoggingArgs(optional_text("log filters", filters), flags=0)
        await self.call(protocol.CONNECT_SET_LOGGING_FILTERS, args)

    def log_filters(self, filters: str, *, at_most: float | None = None) -> LogFilters:
        """Set the log filters for a block: `async with conn.log_filters("1:rpc"):`.

        Args:
            filters: as `set_logging_filters` takes them.
            at_most: seconds after which a daemon of aiovirt ends them by itself; None for no bound.
        """
        from aiovirt.admin.log_filters import LogFilters  # few programs need it

        return LogFilters(self, filters, at_most=at_most)

    @property
    def settings(self) -> Settings:
        """The daemon's settings, all of those of its settings file."""
        return Settings(self)

    async def set_daemon_timeout(self, seconds: int) -> None:
        """Have the daemon end after this many seconds without clients; 0 for never."""
        number = whole_number("a daemon's timeout in seconds", seconds, _TIMEOUT_MAX)
        await self.call(
            protocol.CONNECT_SET_DAEMON_TIMEOUT, protocol.SetTimeoutArgs(number, flags=0)
        )

    async def daemon_shutdown(self, *, preserve: bool = False) -> None:
        """End the daemon in good order.

        libvirt has this since 11.2.0: older daemons answer with RpcError RPC (unknown procedure). Newer
        ones may end without a reply, so an end of the connection in good order is success.

        Args:
            preserve: keep the state of its guests for the next daemon.
        """
        flags = protocol.ShutdownFlags.PRESERVE if preserve else 0
        was_alive = self.alive
        try:
            await self.call(protocol.CONNECT_DAEMON_SHUTDOWN, protocol.FlagsArgs(int(flags)))
        except ConnectionLost:
            if not was_alive or self.rpc.end_reason != _END_OF_FILE:
                raise


class connect:
    """Connect to a daemon: `async with connect(uri) as conn:`, or `conn = await connect(uri)`."""

    def __init__(
        self,
        uri: str | AdminUri | None = None,
        *,
        timeout: float | None = None,
        prompts: bool = True,
    ) -> None:
        """Prepare a connection; it is made by `await` or `async with`.

        Args:
            uri: a URI, an alias, or None for the default (see `admin.uri.resolve`).
            timeout: seconds for the connecting and for each later call, None for ever.
            prompts: ssh may ask for a password or about a host's key, if the standard input is a
                terminal.

        Raises:
            TypeError, ValueError: an argument is of a wrong type, or not a number of seconds.

        The making raises UriError; ConnectFailed, or SshFailed for another host; ConnectionError when
        the daemon hangs up (a daemon of libvirt admits its own user only); RpcError when it refuses;
        TimeoutError.
        """
        if not isinstance(uri, str | AdminUri | None):
            raise TypeError(f"a URI is a str, an AdminUri or None, not {type(uri).__name__}")
        self._uri = uri
        self._timeout = seconds(timeout)
        self._prompts = prompts
        self._opened: Connection | None = None

    def __await__(self) -> Generator[Any, None, Connection]:
        return self._open().__await__()

    async def __aenter__(self) -> Connection:
        if self._opened is not None:
            raise RuntimeError("this connect() is in use; make another one for a second connection")
        self._opened = await self._open()
        return self._opened

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        opened, self._opened = self._opened, None
        if opened is not None:
            await opened.close()

    async def _open(self) -> Connection:
        uri = self._uri if isinstance(self._uri, AdminUri) else resolve(self._uri)
        deadline = asyncio.timeout(self._timeout)
        try:
            async with deadline:
                if uri.transport == "ssh":
                    return await _opened_through_ssh(uri, self._timeout, self._prompts)
                return await _opened(uri, uri.socket_path(), self._timeout)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise _overdue(uri, "the connection", self._timeout) from None


async def _opened(uri: AdminUri, path: str, timeout: float | None) -> Connection:
    """Connect to a socket and open the admin program."""
    try:
        rpc = await connect_unix(path)
    except OSError as error:
        raise ConnectFailed(path, error) from error
    await _open_program(rpc)
    return Connection(uri, rpc, timeout)


async def _opened_through_ssh(uri: AdminUri, timeout: float | None, prompts: bool) -> Connection:
    """Connect to a daemon of another host and open the admin program."""
    from aiovirt.admin.ssh import open_tunnel

    rpc, tunnel = await open_tunnel(uri, prompts=prompts)
    try:
        await _open_program(rpc)
    except ConnectionLost as error:
        raise await tunnel.failure(
            f"no daemon answers at '{tunnel.route.socket}' on '{tunnel.route}'"
        ) from error
    except BaseException:
        await tunnel.close()
        raise
    return Connection(uri, rpc, timeout, tunnel)


async def _open_program(rpc: RpcConnection) -> None:
    try:
        await rpc.call(protocol.CONNECT_OPEN, protocol.FlagsArgs(0))
    except BaseException:
        rpc.abort()
        raise


def _overdue(uri: AdminUri, what: str, timeout: float | None) -> TimeoutError:
    return TimeoutError(f"{uri}: no answer to {what} within {timeout:g} s")
