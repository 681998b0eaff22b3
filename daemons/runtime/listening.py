"""Giving the servers their sockets: those that systemd passed, or else our own.

When systemd passes any, nothing else is opened: an administrator who disables a socket unit means
it. libvirt: src/rpc/virnetserver.c, virNetServerAddServiceActivation.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings.catalogue import settings_of
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.access import Access

_log = get_logger("daemons.runtime.listening")

#: Seconds between two looks at whether a certificate ends soon.
_DAY: Final = 24 * 3600.0

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.daemons.runtime.process.systemd import PassedSocket
    from aiovirt.daemons.runtime.settings import Loaded
    from aiovirt.rpc.security.tls import ServerTls
    from aiovirt.rpc.server import Server
    from aiovirt.rpc.server.access import Authentication


def open_sockets(main: Server, admin: Server, settings: Loaded, paths: Paths) -> None:
    """Open the daemon's UNIX socket, its admin socket and, where the settings say so, TCP.

    Raises StartError.
    """
    group = _group(settings.text("unix_sock_group"))
    auth = authentication(settings)
    kinds = [
        (main, paths.socket, "unix_sock_rw_perms", "auth_unix_rw"),
        (admin, paths.admin_socket, "unix_sock_admin_perms", ""),
    ]
    if "unix_sock_ro_perms" in settings.values:
        kinds.append((main, f"{paths.socket}-ro", "unix_sock_ro_perms", "auth_unix_ro"))
    for server, path, permissions, how in kinds:
        remove_stale(path)
        try:
            server.listen_unix(
                path,
                mode=settings.integer(permissions),
                group=group,
                access=Access(how == "auth_unix_ro", auth.get(how, "none")),
            )
        except OSError as error:
            raise StartError(
                Failure.NETWORK, f"the socket {path} cannot be opened: {error.strerror or error}"
            ) from error
    if settings.values.get("listen_tcp"):
        _listen_tcp(main, settings, "tcp_port", Access(auth=auth["auth_tcp"]))
    if settings.values.get("listen_tls"):
        _listen_tcp(main, settings, "tls_port", Access(auth=auth["auth_tls"], tls=True))


def authentication(settings: Loaded) -> dict[str, Authentication]:
    """How the clients of each kind of socket authenticate, by the settings' names.

    Raises StartError for what is not to be had.
    """
    found = {
        name: settings.text(name)
        for name in ("auth_unix_rw", "auth_unix_ro", "auth_tcp", "auth_tls")
        if name in settings.values
    }
    for name, how in found.items():
        if how == "polkit":
            raise StartError(Failure.NETWORK, f'{name} = "polkit": there is no polkit here')
    if found.get("auth_tcp") == "sasl":
        raise StartError(
            Failure.NETWORK,
            'auth_tcp = "sasl": without TLS nothing protects what follows; use listen_tls and'
            ' auth_tls = "sasl"',
        )
    return {name: "sasl" if how == "sasl" else "none" for name, how in found.items()}


def prepare_tls(main: Server, settings: Loaded, passed: Iterable[PassedSocket]) -> None:
    """Read what TLS needs, if the settings want TLS or systemd passed a socket for it.

    Raises StartError.
    """
    wanted = settings.values.get("listen_tls")
    if "listen_tls" not in settings.values or not (
        wanted or any(one.name == _tls_unit(main.name) for one in passed)
    ):
        return
    from aiovirt.rpc.security.tls import ServerTls, TlsFiles, TlsPolicy

    allowed = settings.values["tls_allowed_dn_list"]
    files = TlsFiles(
        ca=settings.text("ca_file"),
        cert=settings.text("cert_file"),
        key=settings.text("key_file"),
        crl=settings.text("crl_file"),
    )
    policy = TlsPolicy(
        verify=not settings.values["tls_no_verify_certificate"],
        sanity=not settings.values["tls_no_sanity_certificate"],
        allowed=allowed if isinstance(allowed, tuple) else None,
        priority=settings.text("tls_priority"),
    )
    try:
        main.tls = ServerTls(files, policy, _warn)
        main.loop.call_later(_DAY, _warn_daily, main.loop, main.tls)
    except ValueError as error:
        raise StartError(Failure.NETWORK, str(error)) from error


def _group(name: str) -> int | None:
    if not name:
        return None
    if name.isdigit():
        return int(name)
    import grp

    try:
        return grp.getgrnam(name).gr_gid
    except KeyError as error:
        raise StartError(
            Failure.NETWORK, f'unix_sock_group = "{name}": this host has no such group'
        ) from error


def _listen_tcp(server: Server, settings: Loaded, setting: str, access: Access) -> None:
    address, port = settings.text("listen_addr"), settings.text(setting)
    where = f"{address or 'any address'}, port {port}"
    try:
        number = int(port) if port.isdigit() else socket.getservbyname(port, "tcp")
        server.listen_tcp(address, number, access=access)
    except OSError as error:  # also a service or a host that is not known
        raise StartError(
            Failure.NETWORK, f"cannot listen on {where}: {error.strerror or error}"
        ) from error


def remove_stale(path: str) -> None:
    """Remove a socket file that a daemon left behind when it died.

    Raises StartError when somebody listens there, or when the file is no socket.
    """
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise StartError(
                Failure.NETWORK, f"{path} is in the way: it is no socket, so it was left alone"
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        outcome = probe.connect_ex(path)
    if outcome == errno.ECONNREFUSED:
        os.unlink(path)
    elif outcome != errno.ENOENT:
        raise StartError(
            Failure.NETWORK,
            f"the socket {path} is in use: "
            + ("somebody answers there" if outcome in (0, errno.EAGAIN) else os.strerror(outcome)),
        )


def adopt_sockets(
    main: Server,
    admin: Server,
    passed: Iterable[PassedSocket],
    settings: Loaded,
    paths: Paths,
) -> None:
    """Give each socket that systemd passed to the server whose unit name or path it has.

    Raises StartError for one that neither takes, and for one that does not listen.
    """
    auth = authentication(settings)
    for one in passed:
        if not one.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise StartError(Failure.NETWORK, f"{one}, which systemd passed, does not listen")
        server = _taker(main, admin, one, paths)
        if server is None:
            raise StartError(
                Failure.NETWORK,
                f"{one}, which systemd passed, is for no server:"
                f" {', '.join(_unit_names(main.name))} are known",
            )
        how = _authentication_of(main.name, one) if server is main else ""
        server.adopt(
            one.sock,
            Access(how == "auth_unix_ro", auth.get(how, "none"), tls=how == "auth_tls"),
        )


def _authentication_of(name: str, one: PassedSocket) -> str:
    """The setting that says how clients of a passed socket authenticate."""
    if not one.is_unix:
        return "auth_tls" if one.name == _tls_unit(name) else "auth_tcp"
    readonly = one.name == f"{name}-ro.socket" or (not one.name and one.path.endswith("-sock-ro"))
    return "auth_unix_ro" if readonly else "auth_unix_rw"


def _warn_daily(loop: asyncio.AbstractEventLoop, security: ServerTls) -> None:
    security.warn_of_end()
    loop.call_later(_DAY, _warn_daily, loop, security)


def _warn(problem: str) -> None:
    _log.warning("certificate", problem=problem)


def _tls_unit(name: str) -> str:
    return f"{name}-tls.socket"


def _unit_names(name: str) -> dict[str, str]:
    """Unit name to the kind of socket it stands for."""
    units = {f"{name}.socket": "main", f"{name}-admin.socket": "admin"}
    if "listen_tcp" in settings_of(name):
        units[f"{name}-tcp.socket"] = "main"
        units[_tls_unit(name)] = "main"
        units[f"{name}-ro.socket"] = "main"
    return units


def _taker(main: Server, admin: Server, one: PassedSocket, paths: Paths) -> Server | None:
    if one.name:
        return {"main": main, "admin": admin}.get(_unit_names(main.name).get(one.name, ""))
    if one.path == paths.admin_socket or one.path.endswith("-admin-sock"):
        return admin
    if one.is_unix or "listen_tcp" in settings_of(main.name):
        return main
    return None
