"""What both sides of a connection share: the link that owns its socket, and keepalive."""

from aiovirt.rpc.transport.keepalive import Keepalive
from aiovirt.rpc.transport.link import SocketLink

__all__ = ["Keepalive", "SocketLink"]
