"""A client's connection through TLS.

    context = client_context(TlsFiles(ca=..., cert=..., key=...))
    async with await TlsConnection.open_tls("host.example", 16514, context) as connection:
        await connection.call(...)

Source: libvirt's src/rpc/virnetclient.c (virNetClientSetTLSSession).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Self

from aiovirt.rpc.client.connection import Connection, ConnectionLost, connect_tcp
from aiovirt.rpc.transport.tls import CONFIRMATION, TlsLink, TlsSession


class TlsConnection(TlsLink, Connection):
    """See `Connection`."""

    __slots__ = ("_ready", "tls")

    def __init__(self, sock: socket.socket, peer: str, context: ssl.SSLContext, host: str) -> None:
        """Begin a handshake on a connected, non-blocking socket; `host` is who must answer."""
        self.tls = TlsSession(context, server=False, host=host)
        super().__init__(sock, peer)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self.begin()

    @classmethod
    async def open_tls(
        cls,
        host: str,
        port: int,
        context: ssl.SSLContext,
        *,
        name: str | None = None,
        timeout: float | None = None,
    ) -> Self:
        """Connect, shake hands, and wait until the server has let us in.

        context: see `rpc.security.tls.client_context`. name: what the server's certificate has to say,
        if that is not `host`. timeout: seconds, None for ever; the handshake alone has ten. Raises
        OSError and TimeoutError; ConnectionLost, with the reason, when one refuses the other.
        """
        async with asyncio.timeout(timeout):
            sock = await connect_tcp(host, port)
            connection = cls(sock, f"{host}:{port}", context, name or host)
            try:
                await connection._ready
            except BaseException:
                connection.abort()
                raise
        return connection

    def handshake_done(self) -> None:
        """Look at the server's certificate, whose chain was verified; its word on ours is to come."""
        if self.tls.engine.context.verify_mode != ssl.CERT_NONE:
            from aiovirt.rpc.security.certificates import check_peer, peer_certificate

            found = self.tls.engine.getpeercert(binary_form=True)
            check_peer(peer_certificate(found or b"", server=True), server=True)

    def received(self, data: bytearray, size: int) -> None:
        """Take the server's word that it lets us in, then what follows."""
        if not self._ready.done():
            if data[:1] != CONFIRMATION:
                self._end("the server did not confirm the TLS connection")
                return
            self.handshake_ended()
            self._ready.set_result(None)
            if size == 1:
                return
            data, size = data[1:size], size - 1
        super().received(data, size)

    def ended(self, reason: str) -> None:
        """See `Connection`."""
        super().ended(reason)
        if not self._ready.done():
            text = reason if "TLS" in reason else f"the server refused us: {reason}"
            self._ready.set_exception(ConnectionLost(f"{self.peer}: {text}"))

    @property
    def peer_certificate(self) -> dict[str, Any]:
        """What the server has shown, as `ssl.SSLSocket.getpeercert` gives it."""
        return self.tls.engine.getpeercert() or {}
