"""The calling side: one connection, any number of calls in flight, events, keepalive."""

from rpc.client.connection import Connection, ConnectionLost

__all__ = ["Connection", "ConnectionLost"]
