"""The front door of the remote program: who a client is, what it opens, and what it asks first.

A client opens a driver by its URI, `qemu` or `test`, and has that driver's host from then on.

Source: libvirt's src/remote/remote_daemon_dispatch.c; each refusal has its code and domain.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Final

from aiovirt.admin.compatibility import LIBVIRT_VERSION
from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import AuthType, ConnectFlags, Feature
from aiovirt.daemons.virtd.dispatch.file_worlds import host_of
from aiovirt.daemons.virtd.dispatch.parts import QEMU_PARTS, parts
from aiovirt.daemons.virtd.dispatch.serving import SESSION, Session, bind, opened
from aiovirt.daemons.virtd.dispatch.subscriptions import tell
from aiovirt.daemons.virtd.dispatch.uris import find_driver
from aiovirt.daemons.virtd.dispatch.waiting import WaitingCalls
from aiovirt.daemons.virtd.domains import unsupported_domain
from aiovirt.daemons.virtd.host import migration_ends
from aiovirt.rpc.server import Client, Handlers, Server, serves
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.typedparams import ParamType, validate

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.dispatch.subscriptions import EventFaults
    from aiovirt.daemons.virtd.host.events import Event
    from aiovirt.daemons.virtd.host.host import Host
    from aiovirt.daemons.virtd.sasl import SaslDispatch

#: Those of both drivers.
_FEATURES: Final = frozenset(
    (
        Feature.FD_PASSING,
        Feature.TYPED_PARAM_STRING,
        Feature.PROGRAM_KEEPALIVE,
        Feature.REMOTE_EVENT_CALLBACK,
        Feature.REMOTE_CLOSE_CALLBACK,
        Feature.NETWORK_UPDATE_HAS_CORRECT_ORDER,
    )
)

#: Those of the QEMU driver besides; libvirt's has protocol 2 of migration, too.
_OF_QEMU: Final = frozenset(
    (
        Feature.MIGRATION_V3,
        Feature.MIGRATION_P2P,
        Feature.MIGRATE_CHANGE_PROTECTION,
        Feature.XML_MIGRATABLE,
        Feature.MIGRATION_OFFLINE,
        Feature.MIGRATION_PARAMS,
    )
)

#: What a client may say of the identity it acts for.
_IDENTITY: Final = {
    "user-name": ParamType.STRING,
    "unix-user-id": ParamType.ULLONG,
    "group-name": ParamType.STRING,
    "unix-group-id": ParamType.ULLONG,
    "process-id": ParamType.LLONG,
    "process-time": ParamType.ULLONG,
    "sasl-user-name": ParamType.STRING,
    "x509-distinguished-name": ParamType.STRING,
    "selinux-context": ParamType.STRING,
    "system.token": ParamType.STRING,
}


class RemoteDispatch:
    """Serves the program. event_faults: what sends the events, if any are to fail.

    Args:
        sasl: the procedures of authentication.
        hosts: by the name of their driver.
        version: of libvirt, that clients are told.
    """

    def __init__(
        self, sasl: SaslDispatch, hosts: Mapping[str, Host], version: int = LIBVIRT_VERSION
    ) -> None:
        self._sasl = sasl
        self._hosts = hosts
        self._version = protocol.ConnectGetLibVersionRet(version)
        self._server: Server | None = None
        self._events: list[tuple[Host, Event]] = []
        self.event_faults: EventFaults | None = None
        self._waiting: WaitingCalls | None = None

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        handlers = Handlers.of(self, self._sasl, domain_of=unsupported_domain)
        bind(handlers, parts())
        server.add_program(handlers)
        for_qemu = Handlers(protocol.QEMU, domain_of=unsupported_domain)
        bind(for_qemu, [part() for part in QEMU_PARTS])
        server.add_program(for_qemu)
        self._server = server
        self._waiting = WaitingCalls(server)
        server.on_client_gone.append(self._client_gone)
        for host in self._hosts.values():
            host.events.receive(partial(self._happened, host))
            host.migrations.on_change = self._wait_for_migrations
        self._wait_for_migrations()

    def wait_for_emulators(self, wanted: bool) -> None:
        """Have calls that start or end guests wait for emulators, or be plain functions again.

        Args:
            wanted: whether they wait. It counts from the next call on.
        """
        if self._waiting is None:
            raise RuntimeError("the program is not served")
        self._waiting.for_emulators(wanted)

    def _wait_for_migrations(self) -> None:
        """Have calls wait for migrations while a guest of any host has one."""
        if self._waiting is not None:
            self._waiting.for_jobs(any(host.migrations.touched for host in self._hosts.values()))

    def clients(self) -> Iterable[Client]:
        """The connected clients."""
        return self._server.registry if self._server is not None else ()

    def open_driver(self, client: Client, uri: str) -> Session:
        """Open the host of a driver for a client. Raises RpcError as `find_driver` does."""
        found = find_driver(uri)
        return SESSION.set(client, Session(client, self._hosts[found.name], found.uri))

    def open_private(self, client: Client, uri: str, host: Host) -> Session:
        """Open a host for the one client that it was made for.

        Args:
            client: the client, with whose connection the host ends.
            uri: what the client opened.
            host: its host.
        """
        host.events.receive(partial(self._happened, host))
        return SESSION.set(client, Session(client, host, uri))

    def is_shared(self, host: Host) -> bool:
        """Whether a host is one for all clients."""
        return self._hosts.get(host.name) is host

    def private_hosts(self) -> dict[str, Host]:
        """Return the hosts that were made for one client, by driver and id of the client: `test:3`."""
        sessions = ((client.id, SESSION.get(client)) for client in self.clients())
        return {
            f"{session.host.name}:{number}": session.host
            for number, session in sessions
            if session is not None and not self.is_shared(session.host)
        }

    def _client_gone(self, client: Client) -> None:
        session = SESSION.get(client)
        if session is not None:
            migration_ends.client_gone(session.host, str(client.id))
        if session is not None and not self.is_shared(session.host):
            session.host.timers.cancel_all()
            session.host.store.close()

    # Events --------------------------------------------------------------------------------------

    def _happened(self, host: Host, event: Event) -> None:
        """Send an event in the loop's next iteration: the reply to the call that caused it goes
        first."""
        if not self._events:
            if self._server is None or not any(self._subscribers()):
                return
            self._server.loop.call_soon(self._tell)
        self._events.append((host, event))

    def _subscribers(self) -> Iterator[Session]:
        """The sessions of the clients that want events."""
        for client in self.clients():
            session = SESSION.get(client)
            if session is not None and session.subscriptions is not None:
                yield session

    def _tell(self) -> None:
        events, self._events = self._events, []
        sessions = list(self._subscribers())
        for host, event in events:
            tell((one for one in sessions if one.host is host), event, self.event_faults)

    # Authentication ------------------------------------------------------------------------------

    @serves(protocol.AUTH_LIST)
    def auth_list(self, client: Client, args: None) -> protocol.AuthListRet:
        wanted = client.access.auth == "sasl" and not client.authenticated
        return protocol.AuthListRet([AuthType.SASL if wanted else AuthType.NONE])

    @serves(protocol.AUTH_POLKIT)
    def auth_polkit(self, client: Client, args: None) -> protocol.AuthPolkitRet:
        raise RpcError(
            ErrorCode.AUTH_FAILED,
            "authentication failed: polkit is not asked here",
            domain=ErrorDomain.RPC,
        )

    # The connection ------------------------------------------------------------------------------

    @serves(protocol.CONNECT_OPEN)
    async def open(self, client: Client, args: protocol.ConnectOpenArgs) -> None:
        if SESSION.pop(client) is not None:  # libvirt's closes it then, too
            raise RpcError(ErrorCode.INTERNAL_ERROR, "connection already open")
        if args.name is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, "connection not open: no URI was named")
        found = find_driver(args.name)
        if found.file is None:
            self.open_driver(client, args.name)
        else:
            self.open_private(client, found.uri, await host_of(found.file))
        if args.flags & ConnectFlags.RO:
            client.readonly = True

    @serves(protocol.CONNECT_CLOSE)
    def close(self, client: Client, args: None) -> None:
        client.close_after_reply()

    @serves(protocol.CONNECT_GET_TYPE)
    def get_type(self, client: Client, args: None) -> protocol.TypeRet:
        return protocol.TypeRet(opened(client).host.flavour.type)

    @serves(protocol.CONNECT_GET_VERSION)
    def get_version(self, client: Client, args: None) -> protocol.ConnectGetVersionRet:
        return protocol.ConnectGetVersionRet(opened(client).host.flavour.version)

    @serves(protocol.CONNECT_GET_HOSTNAME)
    def get_hostname(self, client: Client, args: None) -> protocol.HostnameRet:
        opened(client)
        return protocol.HostnameRet(socket.gethostname())

    @serves(protocol.CONNECT_GET_URI)
    def get_uri(self, client: Client, args: None) -> protocol.ConnectGetUriRet:
        return protocol.ConnectGetUriRet(opened(client).uri)

    @serves(protocol.CONNECT_IS_SECURE)
    def is_secure(self, client: Client, args: None) -> protocol.ConnectIsSecureRet:
        """A client asks about the driver here; what its own connection is like it knows."""
        opened(client)
        return protocol.ConnectIsSecureRet(1)

    @serves(protocol.CONNECT_GET_LIB_VERSION)
    def get_lib_version(self, client: Client, args: None) -> protocol.ConnectGetLibVersionRet:
        opened(client)
        return self._version

    @serves(protocol.CONNECT_SUPPORTS_FEATURE)
    def supports_feature(
        self, client: Client, args: protocol.ConnectSupportsFeatureArgs
    ) -> protocol.ConnectSupportsFeatureRet:
        if args.feature == Feature.PROGRAM_KEEPALIVE:  # asked before anything is opened
            client.start_keepalive()
            return protocol.ConnectSupportsFeatureRet(1)
        is_qemu = opened(client).host.name == "qemu"
        found = args.feature in _FEATURES or (is_qemu and args.feature in _OF_QEMU)
        return protocol.ConnectSupportsFeatureRet(int(found))

    @serves(protocol.CONNECT_SET_IDENTITY)
    def set_identity(self, client: Client, args: protocol.ConnectSetIdentityArgs) -> None:
        """Nothing here asks for it: it is looked at, and no more."""
        opened(client)
        validate(args.params, _IDENTITY)

    @serves(protocol.CONNECT_REGISTER_CLOSE_CALLBACK)
    @serves(protocol.CONNECT_UNREGISTER_CLOSE_CALLBACK)
    def close_callback(self, client: Client, args: None) -> None:
        """The event tells that the driver lost its hypervisor, which cannot be: it is never sent."""
        opened(client)
