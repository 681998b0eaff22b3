"""Making a connection: over a UNIX socket, TCP, or TCP and TLS.

    async with connect_unix("/run/libvirt/libvirt-sock") as connection:
        ...
    connection = await connect_tcp("host.example", 16509)
    connection = await connect_tls("host.example", 16514, TlsFiles(ca=..., cert=..., key=...))

Source: libvirt's src/rpc/virnetclient.c (virNetClientNewUNIX, virNetClientNewTCP,
virNetClientSetTLSSession).
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Coroutine, Generator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from aiovirt.rpc.client.connection import Connection
from aiovirt.rpc.client.receiving import ConnectionLost

if TYPE_CHECKING:
    import ssl

    from aiovirt.rpc.security.certificates import TlsFiles

#: Seconds between two tries when a UNIX socket's backlog is full: the kernel gives no event for it.
_BACKLOG_RETRY: Final = 0.02


class Closable(Protocol):
    """A thing that is closed at the end of its use."""

    async def close(self) -> None:
        """Close it."""


OpenedT = TypeVar("OpenedT", bound=Closable)


class Connecting(Generic[OpenedT]):
    """A connection to be made: `await` it, or use it with `async with`, which closes it at the end."""

    __slots__ = ("_connect", "_made", "_timeout")

    def __init__(
        self, connect: Callable[[], Coroutine[Any, Any, OpenedT]], timeout: float | None = None
    ) -> None:
        self._connect = connect
        self._timeout = timeout
        self._made: OpenedT | None = None

    def __await__(self) -> Generator[Any, None, OpenedT]:
        return self._run().__await__()

    async def __aenter__(self) -> OpenedT:
        self._made = await self._run()
        return self._made

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._made is not None:
            await self._made.close()

    async def _run(self) -> OpenedT:
        async with asyncio.timeout(self._timeout):
            return await self._connect()


def connect_unix(path: str, *, timeout: float | None = None) -> Connecting[Connection]:
    """Connect to a UNIX socket, waiting while its backlog is full.

    Args:
        path: the socket.
        timeout: seconds, None for ever.

    Raises:
        OSError: nobody can be reached; its `filename` is `path`.
        TimeoutError: the time is over.
    """

    async def connect() -> Connection:
        return Connection(await _unix_socket(path), path)

    return Connecting(connect, timeout)


def connect_tcp(host: str, port: int, *, timeout: float | None = None) -> Connecting[Connection]:
    """Connect over TCP to the first address of `host` that answers.

    Args:
        host: a name or an address.
        port: the port.
        timeout: seconds, None for ever.

    Raises:
        OSError: nobody can be reached.
        TimeoutError: the time is over.
    """

    async def connect() -> Connection:
        return Connection(await _tcp_socket(host, port), f"{host}:{port}")

    return Connecting(connect, timeout)


def connect_tls(
    host: str,
    port: int,
    tls: ssl.SSLContext | TlsFiles,
    *,
    name: str | None = None,
    timeout: float | None = None,
) -> Connecting[Connection]:
    """Connect over TCP, shake hands, and wait until the server has let us in.

    Args:
        host: a name or an address.
        port: the port.
        tls: the files to use, or a context made of them by `rpc.security.tls.client_context`.
        name: what the server's certificate has to say, if that is not `host`.
        timeout: seconds, None for ever; the handshake alone has ten.

    Raises:
        OSError: nobody can be reached.
        TimeoutError: the time is over.
        ConnectionLost: one side refused the other; the text says why.
        CertificateError: the files fail a check.
    """

    async def connect() -> Connection:
        from aiovirt.rpc.security.certificates import TlsFiles

        if isinstance(tls, TlsFiles):
            from aiovirt.rpc.security.tls import client_context

            context = await asyncio.to_thread(client_context, tls)
        else:
            context = tls
        connection = Connection(await _tcp_socket(host, port), f"{host}:{port}")
        try:
            await _shake_hands(connection, context, name or host)
        except BaseException:
            connection.abort()
            raise
        return connection

    return Connecting(connect, timeout)


async def _shake_hands(connection: Connection, context: ssl.SSLContext, name: str) -> None:
    """Have a new connection speak TLS. Raises ConnectionLost."""
    import ssl

    from aiovirt.rpc.security.certificates import check_peer, distinguished_name, peer_certificate
    from aiovirt.rpc.transport.tls import TlsFilter

    def admit(certificate: bytes | None) -> str:
        if context.verify_mode == ssl.CERT_NONE:
            return ""
        found = peer_certificate(certificate or b"", server=True)
        check_peer(found, server=True)
        return distinguished_name(found)

    made = TlsFilter(context, admit, server=False, host=name)
    made.begin(connection)
    reason = await made.confirmed()
    if reason:
        text = reason if "TLS" in reason else f"the server refused us: {reason}"
        raise ConnectionLost(f"{connection.peer}: {text}")


async def _unix_socket(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                await asyncio.sleep(_BACKLOG_RETRY)
            else:
                return sock
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            # Python itself refuses a path that is too long, without a number.
            code = error.errno or errno.ENAMETOOLONG
            raise OSError(code, error.strerror or str(error), path) from None
        raise


async def _tcp_socket(host: str, port: int) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure: OSError = OSError(f"{host}:{port}: the host has no address")
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # an empty label, or one that is too long
        raise OSError(errno.EINVAL, "this cannot be the name of a host", host) from None
    for info in found:
        sock = socket.socket(*info[:3])
        try:
            sock.setblocking(False)
            await loop.sock_connect(sock, info[4])
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure
