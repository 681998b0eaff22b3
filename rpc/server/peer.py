"""A connection as far as the peer is concerned: by what it is known."""

from __future__ import annotations

import socket

from aiovirt.rpc.security import PeerIdentity
from aiovirt.rpc.transport.link import SocketLink


class PeerLink(SocketLink):
    """A link that tells by what its peer is known."""

    __slots__ = ()

    @property
    def is_encrypted(self) -> bool:
        """Whether nobody between can read or change what it says."""
        return self.filter is not None

    @property
    def x509_name(self) -> str:
        """The name in its certificate, empty without one."""
        return self.filter.peer_name if self.filter is not None else ""

    @property
    def is_local(self) -> bool:
        """Whether it came through a UNIX socket."""
        return self.sock.family == socket.AF_UNIX

    def identity(self) -> PeerIdentity:
        """Return the peer's process, user and group by the kernel's word. Raises OSError for TCP."""
        return PeerIdentity.of(self.sock)

    def address(self) -> str:
        """The peer's address, `host:port` or `[host]:port`. Raises OSError when it is gone."""
        host, port = self.sock.getpeername()[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
