"""Sockets that change while the daemon runs: modes and group, TCP and TLS, authentication.

A new socket is open before the old one closes, and clients that wait at the old one are accepted first,
as far as their server has room.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import TcpSocket, UnixSocket
from aiovirt.daemons.runtime.listening import (
    ADMIN_MODE,
    GROUP,
    AnySocket,
    access_of,
    mode_of,
)
from aiovirt.daemons.runtime.settings.live import knobs_of
from aiovirt.daemons.runtime.sockets import FileMode, group_id, open_tcp, set_modes
from aiovirt.rpc.server.daemon import State
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings import Loaded, Value
    from aiovirt.daemons.runtime.settings.live import Override
    from aiovirt.daemons.runtime.tls import TlsSettings
    from aiovirt.rpc.server import Access, Server, Service


class SocketSettings:
    """The sockets of a daemon as settings change them: a receiver (see `settings.live`).

    Args:
        sockets: the declarations of those of its own server.
        settings: those that the sockets were opened with.
        path: of the UNIX socket of its own server.
        main: that server.
        admin: the admin server.
        tls: TLS of its own server.
    """

    def __init__(
        self,
        sockets: Iterable[AnySocket],
        settings: Loaded,
        path: str,
        main: Server,
        admin: Server,
        tls: TlsSettings,
    ) -> None:
        self._sockets = list(sockets)
        self._values = knobs_of("sockets", settings)
        self._path = path
        self._main = main
        self._admin = admin
        self._tls = tls

    async def change(self, changes: Mapping[str, Value]) -> None:
        """See `Receiver`. All that can fail is done before the first socket is in use, or closed."""
        changes = {knob: value for knob, value in changes.items() if value != self._values[knob]}
        wanted = {**self._values, **changes}
        self._require_own(changes)
        access = {one: access_of(one, wanted) for one in self._sockets}
        had_tls = self._main.tls is not None
        fresh: dict[TcpSocket, list[socket.socket]] = {}
        moving = self._reopened(changes)
        beside = [service.sock for one in moving for service in self._services(one)]
        try:
            for one in moving:
                fresh[one] = await self._open(one, wanted, beside) if wanted[one.enabled] else []
            await run_blocking(set_modes, await self._files(changes, wanted))
        except BaseException:
            for sock in (sock for each in fresh.values() for sock in each):
                sock.close()
            if not had_tls:
                self._tls.drop()
            raise
        self._commit(access, fresh)
        self._values = wanted

    def _require_own(self, changes: Mapping[str, Value]) -> None:
        """Raise RpcError for a change of sockets that systemd has passed; it opens them."""
        named = changes.keys() - {one.auth for one in self._sockets}
        services = [*self._main.services, *self._admin.services]
        if named and services and all(service.file is None for service in services):
            raise RpcError.of(
                ErrorCode.OPERATION_UNSUPPORTED,
                "systemd passed the sockets: change the socket units instead",
            )

    def _reopened(self, changes: Mapping[str, Value]) -> list[TcpSocket]:
        return [
            one
            for one in self._sockets
            if isinstance(one, TcpSocket)
            and {one.enabled, one.address, one.port} & changes.keys()
            and (one.enabled in changes or self._values[one.enabled])
        ]

    async def _open(
        self, one: TcpSocket, wanted: Mapping[str, Value], beside: list[socket.socket]
    ) -> list[socket.socket]:
        if one.tls:
            await self._tls.require()
        return await run_blocking(open_tcp, wanted[one.address], wanted[one.port], beside)

    async def _files(
        self, changes: Mapping[str, Value], wanted: Mapping[str, Value]
    ) -> list[FileMode]:
        group = await run_blocking(group_id, wanted[GROUP])
        named = [(service, ADMIN_MODE) for service in self._admin.services]
        for one in self._sockets:
            if isinstance(one, UnixSocket):
                named += [(service, one.permissions) for service in self._services(one)]
        return [
            FileMode(service.name, service.file, mode_of(wanted, permissions), group)
            for service, permissions in named
            if service.file is not None and {GROUP, permissions} & changes.keys()
        ]

    def _services(self, one: AnySocket) -> list[Service]:
        """Return the services of a declaration. Those of systemd need not have our paths."""
        found = [
            service
            for service in self._main.services
            if (service.sock.family == socket.AF_UNIX) == isinstance(one, UnixSocket)
        ]
        if isinstance(one, TcpSocket):
            return [service for service in found if service.access.tls == one.tls]
        named = [service for service in found if service.name == f"{self._path}{one.suffix}"]
        return named or [
            service
            for service in found
            if service.file is None and service.access.readonly == one.readonly
        ]

    def _commit(
        self, access: Mapping[AnySocket, Access], fresh: Mapping[TcpSocket, list[socket.socket]]
    ) -> None:
        old = {one: self._services(one) for one in self._sockets}
        for one, services in old.items():
            for service in services:
                service.access = access[one]
        for one, socks in fresh.items():
            for sock in socks:
                service = self._main.adopt(sock, access[one])
                if self._main.daemon.state is State.RUNNING:
                    service.update()
            for service in old[one]:
                self._main.stop_listening(service)
        if not any(service.access.tls for service in self._main.services):
            self._tls.drop()

    def in_force(self, knob: str, last: Value) -> Value:
        """See `Receiver`."""
        return self._values[knob]

    def override(self, knob: str, value: Value) -> Override | None:
        """See `Receiver`."""
        return None

    def as_in_force(self, knob: str, value: Value) -> Value:
        """See `Receiver`."""
        return value

    def check(self, values: Mapping[str, Value]) -> None:
        """See `Receiver`."""
        for one in self._sockets:
            access_of(one, values)

    def rank(self, changes: Mapping[str, Value]) -> int:
        """See `Receiver`. A socket for TLS needs certificates, and without it they need not be good."""
        closed = any(
            isinstance(one, TcpSocket) and one.tls and not changes.get(one.enabled, True)
            for one in self._sockets
        )
        return -1 if closed else 1
