"""A server with the admin program and, with --tap, a tap on every client.

    python -m tests.bench.tapped_server PATH [--tap]

A tap counts the bytes of the messages that it sees.
"""

from __future__ import annotations

import socket
import sys

import uvloop

from aiovirt.admin import dispatch
from aiovirt.rpc.server import Daemon, Server, ServerOptions
from aiovirt.rpc.server.service import Service
from aiovirt.rpc.transport.tap import Direction
from aiovirt.rpc.wire.message import Message


class _Tapped(Server):
    """Taps each client as it comes."""

    def _accepted(self, service: Service, sock: socket.socket) -> None:
        super()._accepted(service, sock)
        client = self.registry.get(self.registry.last_id)
        if client is not None and not client.closed:
            client.tap(_count)


seen = {Direction.IN: 0, Direction.OUT: 0}


def _count(direction: Direction, message: Message, descriptors: int) -> None:
    seen[direction] += len(message.payload)


async def _serve(path: str, tapped: bool) -> None:
    daemon = Daemon("bench")
    options = ServerOptions("admin", max_clients=100, max_client_requests=200)
    server = (_Tapped if tapped else Server)(daemon, options)
    daemon.servers[server.name] = server
    server.add_program(dispatch.handlers(daemon))
    server.listen_unix(path)
    await daemon.serve()


if __name__ == "__main__":
    uvloop.run(_serve(sys.argv[1], "--tap" in sys.argv[2:]))
