"""Who the peer is, and who may come in. TLS contexts and SASL will live here too."""

from aiovirt.rpc.security.identity import PeerIdentity

__all__ = ["PeerIdentity"]
