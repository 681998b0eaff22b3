"""TLS on a server's client.

Until its handshake is done, its certificate has been accepted and, where that is asked, it has
authenticated itself, it counts as anonymous: so few handshakes can be left hanging at a time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.transport.tls import HANDSHAKE_TIME, TlsFilter

if TYPE_CHECKING:
    from aiovirt.rpc.security.tls import ServerTls
    from aiovirt.rpc.server.client import Client

_log = get_logger("rpc.server.encryption")


def encrypt(client: Client, security: ServerTls) -> None:
    """Have a client that is new, and not authenticated, speak TLS.

    Args:
        client: one that has been registered; nothing was read from it yet.
        security: the certificates, and whose are accepted.
    """

    def admit(certificate: bytes | None) -> str:
        try:
            name = security.admit(certificate)
        except ValueError as error:
            _log.warning(
                "client refused", server=client.server.name, client=client.id, reason=str(error)
            )
            raise
        if client.access.auth == "none":
            client.server.registry.authenticated(client)
        return name

    TlsFilter(security.context, admit, server=True, seconds=HANDSHAKE_TIME).begin(client)
