"""The parts that both sides of a connection share: link, taps, TLS and keepalive."""

from aiovirt.rpc.transport.keepalive import Keepalive
from aiovirt.rpc.transport.link import SocketLink
from aiovirt.rpc.transport.tap import Direction, Tap

__all__ = ["Direction", "Keepalive", "SocketLink", "Tap"]
