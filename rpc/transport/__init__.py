"""What both sides of a connection share: the link that owns its socket, and keepalive."""

from rpc.transport.keepalive import Keepalive
from rpc.transport.link import SocketLink

__all__ = ["Keepalive", "SocketLink"]
