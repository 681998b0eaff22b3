"""The identity of peers, TLS contexts, SASL, and reading files that settings name."""

from aiovirt.rpc.security.identity import PeerIdentity

__all__ = ["PeerIdentity"]
