"""The calling side: one connection, any number of calls in flight, events, keepalive."""

from rpc.client.connection import Connection, ConnectionLost
from rpc.client.streams import Stream

__all__ = ["Connection", "ConnectionLost", "Stream"]
