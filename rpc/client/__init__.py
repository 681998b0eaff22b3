"""The calling side: one connection, any number of calls in flight, events, keepalive."""

from aiovirt.rpc.client.connection import Connection, ConnectionLost
from aiovirt.rpc.client.streams import Stream

__all__ = ["Connection", "ConnectionLost", "Stream"]
