"""Handing a daemon's servers over to another process image: what is written down and read back.

At a restart the process executes a new version of its program and keeps its descriptors: listening
sockets, connections, whatever else the daemon has. What the descriptors are, and what was read from
them but not yet consumed, travels in one document. `save` writes it and `restore` reads it.

The document is JSON, of the types in this file. The rule for the next version: a field may be added if
it has a default; anything else takes a new version number of the whole document
(`aiovirt.daemons.runtime.handover.document`).

Source: libvirt's src/rpc/virnetdaemon.c, virnetserver.c, virnetserverservice.c and virnetserverclient.c
(the functions ending in PreExecRestart and PostExecRestart); the layout is our own.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable

import msgspec

from aiovirt.rpc.server.access import Access, Authentication
from aiovirt.rpc.server.client import Client
from aiovirt.rpc.server.daemon import Daemon
from aiovirt.rpc.server.server import Server
from aiovirt.rpc.transport.link import close_all
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.keepalive import PONG
from aiovirt.rpc.wire.message import KEYED_HEADER, MIN_FRAME, Type

#: Notes a descriptor that has to survive, and returns it.
Keep = Callable[[int], int]


class ServiceState(msgspec.Struct):
    """A listening socket. file: device and inode of the file that goes at the end, if it is ours; auth
    and tls: what its clients have to do."""

    descriptor: int
    readonly: bool
    file: tuple[int, int] | None = None
    auth: Authentication = "none"
    tls: bool = False


class ConnectionState(msgspec.Struct):
    """A connection.

    received: bytes read but not consumed, which begin with a frame; skip: bytes to come before the next
    frame, for an earlier version's sake; descriptors: those that came with what was received; unsent:
    bytes that the kernel has not taken, with descriptors that go along at a position of theirs;
    leaving: it is closed once those are sent; input_over: the reason why nothing more comes from it;
    linger: the seconds that it still has to take some of what is unsent.
    """

    id: int
    descriptor: int
    timestamp: int
    authenticated: bool
    readonly: bool
    received: bytes = b""
    skip: int = 0
    unsent: bytes = b""
    unsent_descriptors: list[tuple[int, int]] = []
    leaving: bool = False
    keepalive: bool = False
    auth: Authentication = "none"
    sasl_name: str = ""
    descriptors: list[int] = []
    input_over: str = ""
    linger: float | None = None


class ServerState(msgspec.Struct):
    """A server: its limits as they are in force now, its sockets, its clients."""

    name: str
    next_client_id: int
    min_workers: int
    max_workers: int
    prio_workers: int
    max_clients: int
    max_anonymous_clients: int
    max_client_requests: int
    keepalive_interval: int
    keepalive_count: int
    services: list[ServiceState]
    clients: list[ConnectionState]


class DaemonState(msgspec.Struct):
    """All servers, and the seconds after which the daemon ends without clients (0: never)."""

    timeout: int
    servers: list[ServerState]


# Daemon ------------------------------------------------------------------------------------------


def save(daemon: Daemon, keep: Keep) -> DaemonState:
    """Write down a paused daemon (see `Daemon.pause`)."""
    return DaemonState(
        daemon.timeout, [_save_server(server, keep) for server in daemon.servers.values()]
    )


def restore(daemon: Daemon, state: DaemonState) -> None:
    """Give a new daemon, which does not serve yet, what `save` wrote down.

    A server that this daemon does not have is refused: raises ValueError before anything is touched.
    """
    unknown = [saved.name for saved in state.servers if saved.name not in daemon.servers]
    if unknown:
        raise ValueError(f"daemon {daemon.name} has no server {', '.join(unknown)}")
    daemon.set_timeout(state.timeout)
    for saved in state.servers:
        _restore_server(daemon.servers[saved.name], saved)


# Server ------------------------------------------------------------------------------------------


def _save_server(server: Server, keep: Keep) -> ServerState:
    return ServerState(
        name=server.name,
        next_client_id=server.registry.last_id + 1,
        min_workers=server.workers.minimum,
        max_workers=server.workers.maximum,
        prio_workers=server.workers.priority,
        max_clients=server.registry.max_clients,
        max_anonymous_clients=server.registry.max_anonymous_clients,
        max_client_requests=server.max_client_requests,
        keepalive_interval=server.keepalive_interval,
        keepalive_count=server.keepalive_count,
        services=[
            ServiceState(
                keep(service.sock.fileno()),
                service.access.readonly,
                service.file,
                service.access.auth,
                service.access.tls,
            )
            for service in server.services
        ],
        # What a TLS session has agreed on cannot be taken out of it: such clients connect again.
        clients=[
            _save_client(client, keep) for client in server.registry if not client.is_encrypted
        ],
    )


def _restore_server(server: Server, state: ServerState) -> None:
    # Refused is a pool that the settings have made no pool since, or the other way round: they count.
    with contextlib.suppress(RpcError):
        server.workers.set(
            minimum=state.min_workers, maximum=state.max_workers, priority=state.prio_workers
        )
    server.registry.set(
        max_clients=state.max_clients, max_anonymous_clients=state.max_anonymous_clients
    )
    server.registry.last_id = state.next_client_id - 1
    server.max_client_requests = state.max_client_requests
    server.keepalive_interval = state.keepalive_interval
    server.keepalive_count = state.keepalive_count
    for service in state.services:
        server.take_over(
            _socket(service.descriptor),
            Access(service.readonly, service.auth, service.tls),
            service.file,
        )
    for client in state.clients:
        _restore_client(server, client)


# Client ------------------------------------------------------------------------------------------


def _save_client(client: Client, keep: Keep) -> ConnectionState:
    return ConnectionState(
        id=client.id,
        descriptor=keep(client.sock.fileno()),
        timestamp=client.timestamp,
        authenticated=client.authenticated,
        readonly=client.readonly,
        received=client.unconsumed,
        unsent=client.unsent_bytes,
        unsent_descriptors=[
            (position, keep(descriptor)) for position, descriptor in client.unsent_descriptors
        ],
        leaving=client.leaving,
        keepalive=client.keeps_alive,
        auth=client.access.auth,
        sasl_name=client.sasl_name,
        descriptors=[keep(descriptor) for descriptor in client.waiting_descriptors],
        input_over=client.input_over,
        linger=client.linger,
    )


def _restore_client(server: Server, state: ConnectionState) -> None:
    client = Client(
        server,
        _socket(state.descriptor),
        state.id,
        Access(state.readonly, state.auth),
        authenticated=state.authenticated,
    )
    client.sasl_name = state.sasl_name
    client.timestamp = state.timestamp
    server.registry.add(client)
    for _, descriptor in state.unsent_descriptors:
        os.set_inheritable(descriptor, False)
    client.take_over(state.unsent, state.unsent_descriptors)
    if server.takes_descriptors:
        client.accept_descriptors(state.descriptors)
    else:
        close_all(state.descriptors)
    if state.linger is not None:
        client.expect_progress(state.linger)
    if state.keepalive:
        client.start_keepalive()
    if state.leaving:
        client.leave()
        return
    if state.received or state.skip:
        client.read_later(_to_skip(state.skip) + state.received)
    if state.input_over:
        client.expect_no_input(state.input_over)


def _to_skip(size: int) -> bytes:
    """The beginning of a message that is dropped, and takes so many bytes to come with it."""
    return KEYED_HEADER.pack(MIN_FRAME + size, PONG.key, Type.MESSAGE, 0, 0) if size else b""


def _socket(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock
