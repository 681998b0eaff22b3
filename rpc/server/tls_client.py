"""A client that came through TLS.

Until its handshake is done, its certificate has been accepted and, where that is asked, it has
authenticated itself, it counts as anonymous: so few handshakes can be left hanging at a time.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.client import Client
from aiovirt.rpc.transport.tls import CONFIRMATION, TlsLink, TlsSession

if TYPE_CHECKING:
    from aiovirt.rpc.security.tls import ServerTls
    from aiovirt.rpc.server.access import Access
    from aiovirt.rpc.server.server import Server

_log = get_logger("rpc.server.tls_client")


class TlsClient(TlsLink, Client):
    """See `Client`. x509_name: the name in its certificate, empty without one."""

    __slots__ = ("_security", "tls", "x509_name")

    is_encrypted = True

    def __init__(
        self,
        server: Server,
        sock: socket.socket,
        client_id: int,
        security: ServerTls,
        access: Access,
    ) -> None:
        super().__init__(server, sock, client_id, access)
        self.tls = TlsSession(security.context, server=True)
        self.x509_name = ""
        self._security = security

    def start(self) -> None:
        """Begin the handshake, and to read."""
        super().start()
        self.begin()

    def handshake_done(self) -> None:
        """Look at its certificate, and let it in or not."""
        certificate = self.tls.engine.getpeercert(binary_form=True)
        try:
            self.x509_name = self._security.admit(certificate)
        except ValueError as error:
            _log.warning(
                "client refused", server=self.server.name, client=self.id, reason=str(error)
            )
            raise
        self.handshake_ended()
        self.write(CONFIRMATION)
        if self.access.auth == "none":
            self.server.registry.authenticated(self)

    def ended(self, reason: str) -> None:
        """See `Client`."""
        if not self.tls.done and _log.info_on:
            _log.info(
                "client lost before it was let in",
                server=self.server.name,
                client=self.id,
                reason=reason,
            )
        super().ended(reason)
