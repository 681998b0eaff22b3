"""A host: the connection to a hypervisor, by the daemon that serves it.

    async with connect("qemu:///system") as host:
        for domain in await host.list_domains():
            print(domain.name, await domain.info())

`connect` gives a `Host`, which gives domains, networks, pools and the rest; these are names for objects
of the hypervisor. Any number of calls may be under way at once; a host belongs to one event loop.

Source: libvirt's src/remote/remote_driver.c (doRemoteOpen, doRemoteClose).
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from aiovirt.admin.uri import UriError
from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.authentication import authenticate_by, open_driver
from aiovirt.daemons.virtd.client.events import EventKind, Events
from aiovirt.daemons.virtd.client.host_facts import HostFacts
from aiovirt.daemons.virtd.client.host_objects import HostObjects
from aiovirt.daemons.virtd.client.objects import RemoteObject, goodbye_limit
from aiovirt.daemons.virtd.client.subscriptions import Subscriptions
from aiovirt.daemons.virtd.client.uri import RemoteUri
from aiovirt.rpc.client import Connection, connect_tcp, connect_tls, connect_unix
from aiovirt.rpc.client.connecting import Connecting
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.admin.ssh import Tunnel

#: libvirt's defaults of its own clients: seconds between two PINGs, and unanswered ones.
KEEPALIVE: Final = (5.0, 5)


class Credentials(NamedTuple):
    """The way in. uri: where; readonly: changes are refused; name, password: for SASL."""

    uri: RemoteUri
    readonly: bool = False
    name: str = ""
    password: str = ""
    timeout: float | None = None
    keepalive: tuple[float, int] = KEEPALIVE

    def for_sasl(self) -> tuple[str, str]:
        """Return the name and the password, of a file if none were given. Blocks. Raises UriError."""
        name, password = self.name, self.password
        if not name and not password:
            from aiovirt.daemons.virtd.client.auth_file import credentials_of

            name, password = credentials_of(self.uri.host, self.uri.parameters.get("authfile"))
        return name or self.uri.user or "", password


class Host(HostObjects, HostFacts):
    """A host; made by `connect`. credentials: with what; mechanism: of SASL, None without it."""

    def __init__(
        self,
        rpc: Connection,
        credentials: Credentials,
        mechanism: str | None = None,
        tunnel: Tunnel | None = None,
    ) -> None:
        super().__init__(rpc, credentials.timeout)
        self.credentials = credentials
        self.mechanism = mechanism
        self._tunnel = tunnel
        self._again: asyncio.Task[None] | None = None
        self._closed = False
        self._subscriptions = Subscriptions(self)

    def __repr__(self) -> str:
        return f"<Host {self.credentials.uri.text}{'' if self.alive else ' ended'}>"

    @property
    def uri(self) -> str:
        """The URI that was given to `connect`."""
        return self.credentials.uri.text

    @property
    def alive(self) -> bool:
        """Whether the connection is open, as far as is known (virConnectIsAlive)."""
        return not self.rpc.closed

    def events(
        self,
        *kinds: EventKind,
        of: RemoteObject[Any] | None = None,
        reconnect: bool = False,
        maximum: int = Events.MAXIMUM,
    ) -> Events:
        """Return an iterator of events; see `Events`.

        Args:
            kinds: members of DomainEventID, NetworkEventID, StoragePoolEventID, NodeDeviceEventID and
                SecretEventID; lifecycle events of domains by default.
            of: the one object whose events are wanted, None for all objects.
            reconnect: after the loss of the connection, connect and subscribe again.
            maximum: events that wait to be taken.
        """
        return Events(self, self._subscriptions, kinds, of=of, reconnect=reconnect, maximum=maximum)

    async def reconnect(self) -> None:
        """Connect again after a loss, with the same credentials. Does nothing while connected.

        Several tasks may wait for the same reconnection. Errors are those of `connect`.
        """
        if self.alive or self._closed:
            return
        if self._again is None:
            self._again = asyncio.create_task(self._reconnect())
            self._again.add_done_callback(self._reconnected)
        await asyncio.shield(self._again)

    async def _reconnect(self) -> None:
        await self._close_tunnel()
        self.rpc, self.mechanism, self._tunnel = await _open(self.credentials)
        self._string_okay = None  # the daemon may be another one

    def _reconnected(self, task: asyncio.Task[None]) -> None:
        self._again = None
        if not task.cancelled():
            task.exception()  # whoever waits has it, and nobody has to

    async def close(self) -> None:
        """Say goodbye to the daemon and close. Does nothing if the connection is closed already.

        A daemon that does not answer the goodbye within two seconds (or `timeout`, if that is less)
        cannot delay the end any longer; no error is raised for it.
        """
        self._closed = True
        try:
            if self._again is not None:
                self._again.cancel()
                await asyncio.wait([self._again])
            if self.alive and not self._silent:
                await self._say_last_goodbye()
            if self._silent:
                self.rpc.abort()  # bytes that it has not taken are not waited for
            await self.rpc.close()
        except BaseException:
            self.rpc.abort()
            raise
        finally:
            await self._close_tunnel()

    async def _say_last_goodbye(self) -> None:
        try:
            await self.rpc.call(protocol.CONNECT_CLOSE, None, timeout=goodbye_limit(self))
        except TimeoutError:
            self._silent = True
        except (RpcError, OSError):
            pass  # it is gone all the same

    async def _close_tunnel(self) -> None:
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            await tunnel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()


def connect(
    uri: str,
    *,
    readonly: bool = False,
    name: str = "",
    password: str = "",
    timeout: float | None = None,
    keepalive: tuple[float, int] = KEEPALIVE,
) -> Connecting[Host]:
    """Connect to a hypervisor (virConnectOpen, virConnectOpenReadOnly, virConnectOpenAuth).

    Args:
        uri: see `uri`.
        readonly: the daemon refuses what changes anything.
        name: for SASL, if the daemon asks. Without name and password, libvirt's authentication file is
            read (see `auth_file`); the user in the URI is the name if that has none.
        password: for SASL.
        timeout: seconds for the opening, and for each answer afterwards; None for no limit.
        keepalive: seconds between two PINGs, and the number of unanswered ones that ends the connection;
            (0, 0) for none.

    Raises:
        UriError: the URI cannot be used.
        OSError: nobody can be reached.
        SshFailed: ssh could not log in.
        CertificateError: the files for TLS fail a check.
        ConnectionLost: the daemon ended the connection.
        TimeoutError: the time is over.
        RpcError: the daemon refuses the name, the password or the URI.
    """
    parsed = RemoteUri.parse(uri, readonly=readonly)
    credentials = Credentials(parsed, readonly, name, password, timeout, keepalive)

    async def opened() -> Host:
        rpc, mechanism, tunnel = await _open(credentials)
        return Host(rpc, credentials, mechanism, tunnel)

    return Connecting(opened)


async def _open(credentials: Credentials) -> tuple[Connection, str | None, Tunnel | None]:
    """Connect, authenticate and open the driver."""
    async with asyncio.timeout(credentials.timeout):
        rpc, tunnel = await _reach(credentials.uri)
        try:
            mechanism = await authenticate_by(rpc, credentials.for_sasl)
            await _start_keepalive(rpc, credentials.keepalive)
            await open_driver(rpc, credentials.uri.name, readonly=credentials.readonly)
        except BaseException:
            rpc.abort()
            if tunnel is not None:
                await tunnel.close()
            raise
    return rpc, mechanism, tunnel


async def _reach(uri: RemoteUri) -> tuple[Connection, Tunnel | None]:
    match uri.transport:
        case "unix":
            return await connect_unix(uri.socket), None
        case "tcp":
            return await connect_tcp(uri.host or "", uri.port), None
        case "tls":
            return await connect_tls(uri.host or "", uri.port, await _tls_context(uri)), None
        case "ssh":
            from aiovirt.admin.ssh import open_tunnel

            return await open_tunnel(uri.ssh_uri())
    raise UriError(f"unsupported configuration: the transport '{uri.transport}'")


async def _tls_context(uri: RemoteUri) -> Any:
    from aiovirt.rpc.security.certificates import CertificateError
    from aiovirt.rpc.security.tls import client_context

    priority = uri.parameters.get("tls_priority", "")
    verify, sanity = not uri.switch("no_verify"), not uri.switch("no_sanity")
    try:
        return await asyncio.to_thread(
            client_context, uri.tls_files(), verify=verify, sanity=sanity, priority=priority
        )
    except CertificateError:
        raise
    except ValueError as error:
        raise UriError(
            f"unsupported configuration: the parameter 'tls_priority' is '{priority}': {error}"
        ) from error


async def _start_keepalive(rpc: Connection, keepalive: tuple[float, int]) -> None:
    """Agree on keepalive, which also has the daemon PING us."""
    interval, count = keepalive
    if interval <= 0:
        return
    from aiovirt.daemons.virtd.constants.connect import Feature

    asked = protocol.ConnectSupportsFeatureArgs(Feature.PROGRAM_KEEPALIVE)
    try:
        answer = await rpc.call(protocol.CONNECT_SUPPORTS_FEATURE, asked)
    except RpcError as error:
        if (error.code, error.domain) != (ErrorCode.RPC, ErrorDomain.RPC):
            raise
        return  # an old daemon does not know the question
    if answer.supported:
        rpc.start_keepalive(interval, count)
