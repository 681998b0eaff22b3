"""A named server: its programs, its listening services, its clients and its workers."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.security import PeerIdentity
from aiovirt.rpc.server.access import OPEN, Access
from aiovirt.rpc.server.client import Client
from aiovirt.rpc.server.counts import Counts, Tally
from aiovirt.rpc.server.handlers import Binding, Handlers
from aiovirt.rpc.server.options import ServerOptions
from aiovirt.rpc.server.refusals import unsupported
from aiovirt.rpc.server.registry import ClientRegistry
from aiovirt.rpc.server.service import Service, file_of, listen_tcp, listen_unix
from aiovirt.rpc.server.workers import QUEUED, WorkerPool
from aiovirt.rpc.transport.outbox import Outbox
from aiovirt.rpc.transport.pauses import PAUSE_SHUTDOWN
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.message import split_key

if TYPE_CHECKING:
    from aiovirt.rpc.security.tls import ServerTls
    from aiovirt.rpc.server.daemon import Daemon
    from aiovirt.rpc.server.faults import Faults
    from aiovirt.rpc.wire.program import Procedure

_log = get_logger("rpc.server.server")

#: Seconds that a client has to say who it is, where that is asked; the TLS handshake is part of it.
AUTHENTICATION_TIME: Final = 60.0


class Server:
    """One of a daemon's servers (virNetServer).

    admit: asked for every new UNIX client, which is let in when it returns True; None lets all in.
    on_client_gone: called with every client that went, after its calls were abandoned. tls: what
    services with TLS use for new clients; None without any.
    programs: the handlers of each, by its number and version. table: procedure key to handler;
    fast_table: the same for the hot path, empty while there are faults. faults: what makes calls fail,
    None for nothing. outbox: where replies wait for each other, None if they are sent at once.
    takes_descriptors: whether a procedure takes descriptors with its call, so that those of clients on
    UNIX sockets are kept. draining: no more calls are taken. since: when it was made, in seconds since
    the epoch: its counts began then.
    """

    def __init__(self, daemon: Daemon, options: ServerOptions) -> None:
        self.daemon = daemon
        self.loop = asyncio.get_running_loop()
        self.name = options.name
        self.since = int(time.time())
        self.admit: Callable[[PeerIdentity], bool] | None = None
        self.workers = WorkerPool(options.min_workers, options.max_workers, options.prio_workers)
        self.registry = ClientRegistry(
            options.max_clients, options.max_anonymous_clients, self._population_changed
        )
        self.request_limit = options.max_client_requests  # as every call reads it
        self.keepalive_interval = options.keepalive_interval
        self.keepalive_count = options.keepalive_count
        self.on_client_gone: list[Callable[[Client], None]] = []
        self.services: list[Service] = []
        self.tls: ServerTls | None = None
        self.programs: dict[tuple[int, int], Handlers] = {}
        self.table: dict[bytes, Binding] = {}
        self.fast_table = self.table
        self.faults: Faults | None = None
        self.outbox: Outbox | None = None
        self.takes_descriptors = False
        self.draining = False
        self._unserved: dict[Procedure[Any, Any], Tally] = {}
        self._unknown = Tally()

    # Programs ------------------------------------------------------------------------------------

    def add_program(self, handlers: Handlers) -> None:
        """Serve a program here. Raises ValueError when it is served already."""
        program = handlers.program
        known = program.number, program.version
        if known in self.programs:
            raise ValueError(f"server {self.name} serves {program!r} already")
        self.programs[known] = handlers
        for binding in handlers.bindings():
            self.table[binding.procedure.key] = binding
            if binding.procedure.call_fds:
                self.takes_descriptors = True

    def answer_together(self, before: Callable[[], None] = lambda: None) -> None:
        """Send the replies of one turn of the event loop at its end; see `Outbox`."""
        self.outbox = Outbox(self.loop, before)

    def set_faults(self, faults: Faults | None) -> None:
        """Ask about every call, which takes the slow path then; None for the way of every day."""
        self.faults = faults
        self.fast_table = self.table if faults is None else {}

    def stand_in(self, key: bytes) -> Binding | None:
        """Return what refuses a procedure that a table has and nothing serves; None for another one.

        Faults are for such a procedure as well.
        """
        number, version, which = split_key(key)
        handlers = self.programs.get((number, version))
        procedure = handlers.program.get(which) if handlers is not None else None
        if handlers is None or procedure is None or procedure.event:
            return None
        error = unsupported(procedure, handlers.domain_of(procedure))

        def refuse(client: Client, args: Any) -> None:
            raise error

        return Binding(procedure, refuse, checks_flags=True)

    # Counts --------------------------------------------------------------------------------------

    def tally(self, key: bytes) -> Tally:
        """Return the counter for a procedure, which need not be served, nor exist."""
        binding = self.table.get(key)
        if binding is not None:
            return binding
        number, version, which = split_key(key)
        handlers = self.programs.get((number, version))
        procedure = handlers.program.get(which) if handlers is not None else None
        if procedure is None or procedure.event:
            return self._unknown
        return self._unserved.setdefault(procedure, Tally())

    def counts(self) -> dict[Procedure[Any, Any], Counts]:
        """Return the counts of every procedure that was called since the server was made.

        Calls are counted when they are answered, or when their client goes.
        """
        return {procedure: tally.counts for procedure, tally in self.tallies().items()}

    def tallies(self) -> dict[Procedure[Any, Any], Tally]:
        """Return the counters of every procedure that was called since the server was made."""
        found: dict[Procedure[Any, Any], Tally] = {
            binding.procedure: binding for binding in self.table.values()
        }
        found.update(self._unserved)
        return {procedure: tally for procedure, tally in found.items() if tally.calls}

    @property
    def unknown(self) -> Tally:
        """The counter of calls of procedures or programs that this server does not know."""
        return self._unknown

    @property
    def unknown_calls(self) -> Counts:
        """The calls of procedures or programs that this server does not know."""
        return self._unknown.counts

    @property
    def calls_served(self) -> int:
        """The calls that were answered by a handler or in its name, since the server was made."""
        return sum(binding.calls for binding in self.table.values())

    # Services ------------------------------------------------------------------------------------

    def listen_unix(
        self, path: str, *, mode: int = 0o700, group: int | None = None, access: Access = OPEN
    ) -> Service:
        """Listen on a UNIX socket; see `service.listen_unix`.

        Raises OSError, and ValueError for TLS.
        """
        if access.tls:
            raise ValueError(f"{path}: a UNIX socket has no TLS")
        sock = listen_unix(path, mode=mode, group=group)
        return self.take_over(sock, access, file_of(sock))

    def listen_tcp(self, host: str, port: int, *, access: Access = OPEN) -> list[Service]:
        """Listen on TCP, on every address that `host` has.

        Raises OSError, and ValueError for TLS on a server that has none.
        """
        self._check_tls(access)
        return [self.adopt(sock, access) for sock in listen_tcp(host, port)]

    def adopt(self, sock: socket.socket, access: Access = OPEN) -> Service:
        """Take over a socket that listens already (socket activation); its file is left alone."""
        return self.take_over(sock, access, None)

    def take_over(
        self, sock: socket.socket, access: Access, file: tuple[int, int] | None
    ) -> Service:
        """Take over a socket that listens already, with its file.

        Args:
            sock: a listening socket.
            access: what its clients have to do and may do; with TLS, as `self.tls` has it then.
            file: device and inode of the socket's file, which goes with the service; None for none.

        Raises:
            ValueError: it is for TLS, which this server does not have.
        """
        self._check_tls(access)
        service = Service(
            self.name,
            self.loop,
            sock,
            self._has_room,
            self._accepted,
            access=access,
            file=file,
        )
        self.services.append(service)
        return service

    def _check_tls(self, access: Access) -> None:
        if access.tls and self.tls is None:
            raise ValueError(f"server {self.name} has no TLS")

    def stop_listening(self, service: Service) -> None:
        """Close one service, once the clients that wait there are accepted; its clients stay."""
        service.accept_waiting()
        service.close()
        self.services.remove(service)

    def start(self) -> None:
        """Begin to accept."""
        for service in self.services:
            service.update()

    def _has_room(self) -> bool:
        return self.registry.has_room and not self.draining

    def _population_changed(self) -> None:
        for service in self.services:
            service.update()
        self.daemon.population_changed()

    @property
    def max_client_requests(self) -> int:
        """How many calls each client may have under way; setting it applies at once.

        Setting it below 1 raises ValueError.
        """
        return self.request_limit

    @max_client_requests.setter
    def max_client_requests(self, limit: int) -> None:
        if limit < 1:
            raise ValueError(f"max_client_requests is at least 1, not {limit}")
        self.request_limit = limit
        for client in self.registry:
            client.limit_changed()

    # Clients -------------------------------------------------------------------------------------

    def _accepted(self, service: Service, sock: socket.socket) -> None:
        try:
            if sock.family == socket.AF_UNIX:
                if self.admit is not None and not self._may_enter(sock):
                    sock.close()
                    return
            else:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        except OSError as error:  # it went before we looked at it
            _log.info("new client lost", server=self.name, reason=error.strerror)
            sock.close()
            return
        client = Client(self, sock, self.registry.next_id(), service.access)
        self.registry.add(client)
        client.start()
        if service.access.tls and self.tls is not None:
            from aiovirt.rpc.server.encryption import encrypt

            encrypt(client, self.tls)
        elif self.takes_descriptors and client.is_local and not client.closed:
            client.accept_descriptors()
        if not client.authenticated and not client.closed:
            client.expect_authentication(AUTHENTICATION_TIME)
        if _log.info_on:
            _log.info("client connected", server=self.name, client=client.id)

    def _may_enter(self, sock: socket.socket) -> bool:
        peer = PeerIdentity.of(sock)
        if self.admit is None or self.admit(peer):
            return True
        _log.error(
            "client refused",
            server=self.name,
            pid=peer.pid,
            uid=peer.uid,
            reason="its user may not connect here",
        )
        return False

    # Ending --------------------------------------------------------------------------------------

    @property
    def in_flight(self) -> int:
        """Calls that have no reply yet."""
        return sum(client.in_flight for client in self.registry)

    def drain(self) -> None:
        """Accept and read nothing more, for good; calls in flight go on."""
        self.pause()
        for service in self.services:
            service.close()

    def pause(self) -> None:
        """Accept and read nothing until `resume`; calls in flight go on."""
        self.draining = True
        for service in self.services:
            service.update()
        for client in self.registry:
            client.pause(PAUSE_SHUTDOWN)

    def resume(self) -> None:
        """Accept and read again, and take up what waited."""
        self.draining = False
        for service in self.services:
            service.update()
        for client in self.registry:
            client.resume(PAUSE_SHUTDOWN)
            client.limit_changed()

    def call_drained(self) -> None:
        """Note that a call has ended while the daemon shuts down."""
        self.daemon.call_drained()

    def abort_calls(self, error: RpcError) -> None:
        """Stop all calls in flight and answer each with `error`."""
        calls = [call for client in self.registry for call in client.calls()]
        # Those in the queue first: a worker that comes free must not start one of them.
        for call in sorted(calls, key=lambda call: call.place != QUEUED):
            call.abort(error)

    def abort_streams(self, error: RpcError) -> None:
        """End all streams with `error`."""
        for client in self.registry:
            client.abort_streams(error)

    def close(self) -> None:
        """Disconnect all clients."""
        for client in self.registry:
            client.abort("the daemon ends")
