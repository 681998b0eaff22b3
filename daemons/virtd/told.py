"""The URIs by which clients reach a virtd, as `--ephemeral` and `--ready-fd` tell them."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.runtime.kind import CERTIFICATES

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.process.paths import Paths
    from aiovirt.rpc.server import Server
    from aiovirt.rpc.server.service import Service

#: The drivers, and the path of each in a URI.
_DRIVERS: Final = {"test": "/default", "qemu": "/system"}


def uris(paths: Paths, main: Server) -> dict[str, str]:
    """Return the URIs by name.

    "test" and "qemu" are for the UNIX socket; "test_tcp", "qemu_tcp", "test_tls" and "qemu_tls" exist if
    such a socket is open, and are for the first of them. Those for TLS name the certificates of the run
    directory, if it has any.

    Args:
        paths: of the UNIX sockets.
        main: virtd's own server.
    """
    from urllib.parse import quote  # late: few starts need it

    query = f"?socket={quote(os.fsencode(paths.socket))}"
    told = {name: f"{name}+unix://{path}{query}" for name, path in _DRIVERS.items()}
    folder = f"{paths.rundir}/{CERTIFICATES}"
    files = f"?pkipath={quote(os.fsencode(folder))}" if os.path.isdir(folder) else ""
    for service in main.services:
        if service.sock.family != socket.AF_UNIX:
            kind = "tls" if service.access.tls else "tcp"
            for name, path in _DRIVERS.items():
                uri = f"{name}+{kind}://{_address(service)}{path}{files if kind == 'tls' else ''}"
                told.setdefault(f"{name}_{kind}", uri)
    return told


def _address(service: Service) -> str:
    """The address for a client on this machine: a socket for all addresses is reached by the loop."""
    host, port = service.sock.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104  compared, not bound to
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104  as above
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
