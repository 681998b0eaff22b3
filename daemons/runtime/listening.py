"""Giving the servers their sockets: those that systemd passed, or else our own.

If systemd passes any socket, no other is opened, so that a disabled socket unit stays disabled. Settings
about sockets then have no effect, and a warning names those that the settings file sets.
libvirt: src/rpc/virnetserver.c, virNetServerAddServiceActivation.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING

from aiovirt.daemons.runtime.kind import TcpSocket, UnixSocket
from aiovirt.daemons.runtime.process.failure import Failure, StartError, quoted
from aiovirt.daemons.runtime.settings.verify import is_number
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.access import Access

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.process.systemd import PassedSocket
    from aiovirt.daemons.runtime.settings import Loaded
    from aiovirt.rpc.server import Server
    from aiovirt.rpc.server.access import Authentication

_log = get_logger("daemons.runtime.listening")

AnySocket = UnixSocket | TcpSocket


class Listening:
    """The sockets of one daemon at its start.

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
        self._settings = settings
        self._paths = paths
        self._passed = list(passed)
        self._access = {one: _access(one, settings) for one in sockets}

    def needs_tls(self, name: str) -> bool:
        """Return whether the daemon `name` gets a socket with TLS, by its settings or from systemd."""
        units = [one.name for one in self._passed]
        return any(
            _unit(name, one) in units if units else self._settings.values[one.enabled]
            for one in self._access
            if isinstance(one, TcpSocket) and one.tls
        )

    def units(self, name: str) -> list[str]:
        """Return the names of the socket units of the daemon `name`."""
        return [*(_unit(name, known) for known in self._access), _admin_unit(name)]

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
        settings, paths = self._settings, self._paths
        group = _group(settings.text("unix_sock_group"))
        self._open_unix(admin, paths.admin_socket, "unix_sock_admin_perms", group, Access())
        for one, access in self._access.items():
            if isinstance(one, UnixSocket):
                path = f"{paths.socket}{one.suffix}"
                self._open_unix(main, path, one.permissions, group, access)
            elif settings.values[one.enabled]:
                _open_tcp(main, settings.text(one.address), settings.text(one.port), access)

    def _open_unix(
        self, server: Server, path: str, permissions: str, group: int | None, access: Access
    ) -> None:
        remove_stale(path)
        mode = self._settings.integer(permissions)
        try:
            server.listen_unix(path, mode=mode, group=group, access=access)
        except OSError as error:
            raise StartError(
                Failure.NETWORK, f"the socket {path} cannot be opened: {error.strerror or error}"
            ) from error

    # systemd's -----------------------------------------------------------------------------------

    def _warn_of_unused_settings(self) -> None:
        """Name the settings of the file that passed sockets leave without effect."""
        names = {"unix_sock_dir", "unix_sock_group", "unix_sock_admin_perms"}
        for one in self._access:
            if isinstance(one, UnixSocket):
                names.add(one.permissions)
            else:
                names.update((one.enabled, one.address, one.port))
        unused = sorted(names & self._settings.given)
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
            return next((known for known in self._access if _unit(name, known) == one.name), None)
        if not one.is_unix:
            found = (x for x in self._access if isinstance(x, TcpSocket) and not x.tls)
            return next(found, None)
        unix = [known for known in self._access if isinstance(known, UnixSocket)]
        named = (x for x in unix if x.suffix and one.path.endswith(f"-sock{x.suffix}"))
        return next(named, unix[0] if unix else None)


def _access(one: AnySocket, settings: Loaded) -> Access:
    """Raises StartError for an authentication that is not available."""
    how = settings.text(one.auth) if one.auth else "none"
    if how == "polkit":
        raise StartError(Failure.NETWORK, f'{one.auth} = "polkit": polkit is not available here')
    if how == "sasl" and isinstance(one, TcpSocket) and not one.tls:
        raise StartError(
            Failure.NETWORK,
            f'{one.auth} = "sasl": without TLS nothing protects the connection afterwards; use SASL'
            " with TLS instead",
        )
    auth: Authentication = "sasl" if how == "sasl" else "none"
    if isinstance(one, TcpSocket):
        return Access(auth=auth, tls=one.tls)
    return Access(readonly=one.readonly, auth=auth)


def _unit(name: str, one: AnySocket) -> str:
    return f"{name}{one.suffix}.socket"


def _admin_unit(name: str) -> str:
    return f"{name}-admin.socket"


def _group(name: str) -> int | None:
    if not name:
        return None
    if is_number(name):
        return int(name)
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError) as error:  # the latter for a name that cannot be encoded
        raise StartError(
            Failure.NETWORK, f"unix_sock_group = {quoted(name)}: this host has no such group"
        ) from error


def _open_tcp(server: Server, address: str, port: str, access: Access) -> None:
    where = f"{quoted(address) if address else 'any address'}, port {quoted(port)}"
    try:
        number = int(port) if is_number(port) else socket.getservbyname(port, "tcp")
        server.listen_tcp(address, number, access=access)
    except (OSError, ValueError) as error:  # an unknown service or host, or a name that is none
        reason = getattr(error, "strerror", None) or error
        raise StartError(Failure.NETWORK, f"cannot listen on {where}: {reason}") from error


def remove_stale(path: str) -> None:
    """Remove the socket file of a dead daemon.

    Raises:
        StartError: a process listens there, the file is not a socket, or the path cannot be used.
    """
    try:
        outcome = _connect(path)
        if outcome == errno.ECONNREFUSED:
            os.unlink(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StartError(
            Failure.NETWORK, f"the socket {path} cannot be opened: {error.strerror or error}"
        ) from error
    if outcome not in (errno.ECONNREFUSED, errno.ENOENT):
        answered = outcome in (0, errno.EAGAIN)
        raise StartError(
            Failure.NETWORK,
            f"the socket {path} is in use: "
            + ("another process answers there" if answered else os.strerror(outcome)),
        )


def _connect(path: str) -> int:
    """Try whether anybody answers at the socket `path`: the error number, 0 for success.

    Raises:
        OSError: there is nothing, or the path cannot be used.
        StartError: it is not a socket.
    """
    if not stat.S_ISSOCK(os.lstat(path).st_mode):
        raise StartError(
            Failure.NETWORK, f"{path} is in the way: it is not a socket, so it was left alone"
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        return probe.connect_ex(path)
