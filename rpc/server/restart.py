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
from collections.abc import Callable, Iterator, Mapping

import msgspec

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.access import Access, Authentication
from aiovirt.rpc.server.client import Client
from aiovirt.rpc.server.daemon import Daemon
from aiovirt.rpc.server.restart_buffers import OutgoingBuffers, Place, read_back
from aiovirt.rpc.server.server import AUTHENTICATION_TIME, Server
from aiovirt.rpc.transport.descriptors import close_all
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.keepalive import PONG
from aiovirt.rpc.wire.message import KEYED_HEADER, MIN_FRAME, Type

_log = get_logger("rpc.server.restart")

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

    received: bytes read but not consumed, which begin with a frame, or received_at: where they are;
    skip: bytes to come before the next frame, for an earlier version's sake; descriptors: those that
    came with what was received; unsent_at: the place of bytes that the kernel has not taken, if they are
    many; unsent: those that follow, or all, with descriptors that go along at a position of theirs;
    leaving: it is closed once those are sent; input_over: the reason why nothing more comes from it;
    linger: the seconds that it still has to take some of what is unsent; deadline: those that it has to
    authenticate; pings: those that it has not answered; next_ping: the seconds until the next one.
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
    deadline: float | None = None
    pings: int = 0
    next_ping: float | None = None
    received_at: Place | None = None
    unsent_at: Place | None = None


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
    """All servers, and the seconds after which the daemon ends without clients (0: never).

    timeout_left: the seconds of those that are left, if there are no clients. buffers: the descriptor of
    large buffers; -1 for none.
    """

    timeout: int
    servers: list[ServerState]
    timeout_left: float | None = None
    buffers: int = -1


# Daemon ------------------------------------------------------------------------------------------


def save(daemon: Daemon, keep: Keep, buffers: OutgoingBuffers) -> DaemonState:
    """Write down a paused daemon (see `Daemon.pause`).

    A client that cannot be written down is left out, with a line in the log.

    Args:
        daemon: whose state it is.
        keep: called with every descriptor.
        buffers: takes the large buffers of clients away; they have to be put back if the daemon goes on.

    Raises:
        OSError: a listening socket is not open, or there is no memory for the buffers.
    """
    state = DaemonState(
        daemon.timeout,
        [_save_server(server, keep, buffers) for server in daemon.servers.values()],
        daemon.timeout_left,
    )
    if buffers.descriptor >= 0:
        state.buffers = keep(buffers.descriptor)
    return state


def restore(daemon: Daemon, state: DaemonState) -> None:
    """Give a new daemon, which does not serve yet, what `save` wrote down.

    A server that this daemon does not have is refused: raises ValueError before anything is touched.
    """
    unknown = [saved.name for saved in state.servers if saved.name not in daemon.servers]
    if unknown:
        raise ValueError(f"daemon {daemon.name} has no server {', '.join(unknown)}")
    daemon.set_timeout(state.timeout, left=state.timeout_left)
    large: dict[Place, bytearray] = {}
    if state.buffers >= 0:
        clients = [client for saved in state.servers for client in saved.clients]
        places = [place for each in clients for place in (each.received_at, each.unsent_at)]
        large = read_back(state.buffers, filter(None, places))
    for saved in state.servers:
        _restore_server(daemon.servers[saved.name], saved, large)


# Server ------------------------------------------------------------------------------------------


def _save_server(server: Server, keep: Keep, buffers: OutgoingBuffers) -> ServerState:
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
        clients=list(_save_clients(server, keep, buffers)),
    )


def _save_clients(
    server: Server, keep: Keep, buffers: OutgoingBuffers
) -> Iterator[ConnectionState]:
    for client in server.registry:
        if client.is_encrypted:
            continue  # a TLS session cannot be taken out of its process: the client connects again
        try:
            for descriptor in _descriptors(client):
                os.get_inheritable(descriptor)  # only an open one has an answer
        except OSError as error:
            _log.error(
                "client cannot survive the restart",
                server=server.name,
                client=client.id,
                reason=error.strerror,
            )
        else:
            yield _save_client(client, keep, buffers)


def _descriptors(client: Client) -> list[int]:
    unsent = [descriptor for _, descriptor in client.unsent_descriptors]
    return [client.sock.fileno(), *unsent, *client.waiting_descriptors]


def _restore_server(server: Server, state: ServerState, large: Mapping[Place, bytearray]) -> None:
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
        try:
            _restore_client(server, client, large)
        except OSError as error:
            _log.error(
                "client did not survive the restart",
                server=server.name,
                client=client.id,
                reason=error.strerror,
            )


# Client ------------------------------------------------------------------------------------------


def _save_client(client: Client, keep: Keep, buffers: OutgoingBuffers) -> ConnectionState:
    descriptor = keep(client.sock.fileno())
    unsent_descriptors = [
        (position, keep(descriptor)) for position, descriptor in client.unsent_descriptors
    ]
    descriptors = [keep(descriptor) for descriptor in client.waiting_descriptors]
    received, received_at = buffers.take(client.unconsumed_buffer)
    unsent, unsent_at = buffers.take(client.unsent_buffer)
    unsent += client.last_words(f"daemon {client.server.daemon.name} restarts")
    pings, next_ping = client.keepalive_progress or (0, None)
    return ConnectionState(
        id=client.id,
        descriptor=descriptor,
        timestamp=client.timestamp,
        authenticated=client.authenticated,
        readonly=client.readonly,
        received=received,
        received_at=received_at,
        unsent=unsent,
        unsent_at=unsent_at,
        unsent_descriptors=unsent_descriptors,
        leaving=client.leaving,
        keepalive=next_ping is not None,
        pings=pings,
        next_ping=next_ping,
        deadline=client.deadline,
        auth=client.access.auth,
        sasl_name=client.sasl_name,
        descriptors=descriptors,
        input_over=client.input_over,
        linger=client.linger,
    )


def _restore_client(
    server: Server, state: ConnectionState, large: Mapping[Place, bytearray]
) -> None:
    received = large[state.received_at] if state.received_at else bytearray(state.received)
    unsent = large[state.unsent_at] if state.unsent_at else bytearray()
    unsent += state.unsent
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
    client.take_over(unsent, state.unsent_descriptors)
    if server.takes_descriptors:
        client.accept_descriptors(state.descriptors)
    else:
        close_all(state.descriptors)
    if state.linger is not None:
        client.expect_progress(state.linger)
    if not client.authenticated:
        client.expect_authentication(
            AUTHENTICATION_TIME if state.deadline is None else state.deadline
        )
    if state.keepalive:
        client.start_keepalive(state.pings, state.next_ping)
        client.heard()  # the number of its PINGs says whether it was: it is not heard by being here
    if state.leaving:
        client.leave()
        return
    if received or state.skip:
        received[:0] = _to_skip(state.skip)
        client.read_later(received)
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
