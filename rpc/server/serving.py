"""A server in a few lines, for a process that is not a daemon of this package.

    async with serve(Handlers.of(GreeterDispatch()), path="/run/greeter.sock"):
        await asyncio.Event().wait()

Settings, pid files, systemd and restarts are what `aiovirt.daemons.runtime` adds.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from aiovirt.rpc.server.access import OPEN, Access
from aiovirt.rpc.server.daemon import Daemon
from aiovirt.rpc.server.handlers import Handlers
from aiovirt.rpc.server.options import ServerOptions
from aiovirt.rpc.server.server import Server

if TYPE_CHECKING:
    from aiovirt.rpc.security.tls import ServerTls


@contextlib.asynccontextmanager
async def serve(
    *programs: Handlers,
    path: str | None = None,
    mode: int = 0o700,
    host: str = "",
    port: int | None = None,
    access: Access = OPEN,
    tls: ServerTls | None = None,
    options: ServerOptions | None = None,
) -> AsyncIterator[Server]:
    """Serve programs while the `async with` lasts, on a UNIX socket, on TCP, or on both.

    At its end calls in flight have ten seconds to finish; then everyone is disconnected.

    Args:
        programs: what is served.
        path: of the UNIX socket; a file that exists already is not removed.
        mode: the permissions of that file.
        host: the TCP address, empty for all of the host's.
        port: the TCP port; 0 takes a free one, which the name of the service has.
        access: what clients have to do and may do. TLS is for TCP only.
        tls: the certificates, where `access` says TLS.
        options: the server's name and limits; libvirtd's defaults and the name "main", if not given.

    Returns:
        The server.

    Raises:
        OSError: a socket cannot be opened.
        ValueError: neither `path` nor `port` is given, or what is given does not fit together.
    """
    if path is None and port is None:
        raise ValueError("nothing to listen on: give a path or a port")
    options = options or ServerOptions("main")
    daemon = Daemon(options.name)
    server = daemon.add_server(options)
    server.tls = tls
    for handlers in programs:
        server.add_program(handlers)
    try:
        if path is not None:
            server.listen_unix(path, mode=mode, access=access)
        if port is not None:
            server.listen_tcp(host, port, access=access)
        ready = asyncio.Event()
        serving = asyncio.create_task(daemon.serve(ready.set))
        await ready.wait()
    except BaseException:
        for service in server.services:
            service.close()
        raise
    try:
        yield server
    finally:
        daemon.shutdown()
        await serving
