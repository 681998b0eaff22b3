"""Giving the servers their sockets: those that systemd passed, or else our own.

If systemd passes any socket, no other is opened, so that a disabled socket unit stays disabled. Settings
about sockets then have no effect, and a warning names those that the settings file sets.
libvirt: src/rpc/virnetserver.c, virNetServerAddServiceActivation.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.runtime.kind import TcpSocket, UnixSocket
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings.live import knobs_of
from aiovirt.daemons.runtime.sockets import group_id, open_tcp, remove_stale
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.access import Access

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.process.systemd import PassedSocket
    from aiovirt.daemons.runtime.settings import Loaded, Value
    from aiovirt.rpc.server import Server
    from aiovirt.rpc.server.access import Authentication

_log = get_logger("daemons.runtime.listening")

AnySocket = UnixSocket | TcpSocket

#: Settings of UNIX sockets that no declaration of a socket names.
GROUP: Final = "unix_sock_group"
ADMIN_MODE: Final = "unix_sock_admin_perms"


class Listening:
    """The sockets of one daemon at its start; `socket_settings` changes them later.

    Args:
        sockets: the declarations of those of its own server.
        settings: those to begin with.
        paths: of the UNIX sockets.
        passed: the sockets that systemd passed.

    Raises:
        StartError: a setting cannot be followed.
    """

    def __init__(
        self,
        sockets: Iterable[AnySocket],
        settings: Loaded,
        paths: Paths,
        passed: Iterable[PassedSocket],
    ) -> None:
        self._given = settings.given
        self._values = knobs_of("sockets", settings)
        self._paths = paths
        self._passed = list(passed)
        self._sockets = list(sockets)
        try:
            self._access = {one: access_of(one, self._values) for one in self._sockets}
        except ValueError as error:
            raise StartError(Failure.NETWORK, str(error)) from error

    def needs_tls(self, name: str) -> bool:
        """Return whether the daemon `name` gets a socket with TLS, by its settings or from systemd."""
        units = [one.name for one in self._passed]
        return any(
            _unit(name, one) in units if units else self._values[one.enabled]
            for one in self._sockets
            if isinstance(one, TcpSocket) and one.tls
        )

    def units(self, name: str) -> list[str]:
        """Return the names of the socket units of the daemon `name`."""
        return [*(_unit(name, known) for known in self._sockets), _admin_unit(name)]

    def begin(self, main: Server, admin: Server) -> None:
        """Give both servers their sockets. Raises StartError."""
        if self._passed:
            self._warn_of_unused_settings()
            for one in self._passed:
                self._adopt(main, admin, one)
        else:
            self._open(main, admin)

    # Our own -------------------------------------------------------------------------------------

    def _open(self, main: Server, admin: Server) -> None:
        values, paths = self._values, self._paths
        try:
            group = group_id(values[GROUP])
        except ValueError as error:
            raise StartError(Failure.NETWORK, str(error)) from error
        self._open_unix(admin, paths.admin_socket, ADMIN_MODE, group, Access())
        for one, access in self._access.items():
            if isinstance(one, UnixSocket):
                path = f"{paths.socket}{one.suffix}"
                self._open_unix(main, path, one.permissions, group, access)
            elif values[one.enabled]:
                try:
                    for sock in open_tcp(values[one.address], values[one.port]):
                        main.adopt(sock, access)
                except ValueError as error:
                    raise StartError(Failure.NETWORK, str(error)) from error

    def _open_unix(
        self, server: Server, path: str, permissions: str, group: int | None, access: Access
    ) -> None:
        remove_stale(path)
        try:
            server.listen_unix(
                path, mode=mode_of(self._values, permissions), group=group, access=access
            )
        except OSError as error:
            raise StartError(
                Failure.NETWORK, f"the socket {path} cannot be opened: {error.strerror or error}"
            ) from error

    # systemd's -----------------------------------------------------------------------------------

    def _warn_of_unused_settings(self) -> None:
        """Name the settings of the file that passed sockets leave without effect."""
        names = {"unix_sock_dir", GROUP, ADMIN_MODE}
        for one in self._sockets:
            if isinstance(one, UnixSocket):
                names.add(one.permissions)
            else:
                names.update((one.enabled, one.address, one.port))
        unused = sorted(names & self._given)
        if unused:
            _log.warning(
                "settings have no effect, since systemd passed the sockets: change the socket units"
                " instead",
                settings=" ".join(unused),
            )

    def _adopt(self, main: Server, admin: Server, one: PassedSocket) -> None:
        """Give a passed socket to the server whose unit name or path it has."""
        if not one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise StartError(Failure.NETWORK, f"{one}, which systemd passed, does not listen")
        if self._is_admin(main.name, one):
            admin.adopt(one.sock, Access())
            return
        declared = self._declaration(main.name, one)
        if declared is None:
            raise StartError(
                Failure.NETWORK,
                f"{one}, which systemd passed, belongs to no server:"
                f" {', '.join(self.units(main.name))} are known",
            )
        main.adopt(one.sock, self._access[declared])

    def _is_admin(self, name: str, one: PassedSocket) -> bool:
        if one.name:
            return one.name == _admin_unit(name)
        return one.path == self._paths.admin_socket or one.path.endswith("-admin-sock")

    def _declaration(self, name: str, one: PassedSocket) -> AnySocket | None:
        """The socket that a passed one stands for: by the unit's name, or else by kind and path."""
        if one.name:
            return next((known for known in self._sockets if _unit(name, known) == one.name), None)
        if not one.is_unix:
            found = (x for x in self._sockets if isinstance(x, TcpSocket) and not x.tls)
            return next(found, None)
        unix = [known for known in self._sockets if isinstance(known, UnixSocket)]
        named = (x for x in unix if x.suffix and one.path.endswith(f"-sock{x.suffix}"))
        return next(named, unix[0] if unix else None)


def access_of(one: AnySocket, values: Mapping[str, Value]) -> Access:
    """Raises ValueError for an authentication that is not available."""
    how = values[one.auth] if one.auth else "none"
    if how == "polkit":
        raise ValueError(f'{one.auth} = "polkit": polkit is not available here')
    if how == "sasl" and isinstance(one, TcpSocket) and not one.tls:
        raise ValueError(
            f'{one.auth} = "sasl": without TLS nothing protects the connection afterwards; use SASL'
            " with TLS instead"
        )
    auth: Authentication = "sasl" if how == "sasl" else "none"
    if isinstance(one, TcpSocket):
        return Access(auth=auth, tls=one.tls)
    return Access(readonly=one.readonly, auth=auth)


def mode_of(values: Mapping[str, Value], permissions: str) -> int:
    """Return the mode of a socket's file."""
    mode = values[permissions]
    if not isinstance(mode, int):
        raise TypeError(f"{permissions} is {mode!r}, not a mode")
    return mode


def _unit(name: str, one: AnySocket) -> str:
    return f"{name}{one.suffix}.socket"


def _admin_unit(name: str) -> str:
    return f"{name}-admin.socket"
