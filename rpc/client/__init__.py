"""The calling side: one connection, any number of calls in flight, events, streams, keepalive.

async with connect_unix("/run/libvirt/libvirt-sock") as connection:
    await connection.call(...)
"""

from aiovirt.rpc.client.connecting import connect_tcp, connect_tls, connect_unix
from aiovirt.rpc.client.connection import Connection
from aiovirt.rpc.client.receiving import ConnectionLost
from aiovirt.rpc.client.streams import Stream

__all__ = ["Connection", "ConnectionLost", "Stream", "connect_tcp", "connect_tls", "connect_unix"]
