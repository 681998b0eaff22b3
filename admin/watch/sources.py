"""Subjects that only some daemons know: asked where they are, and remembered where they are not.

A daemon of libvirt writes a line to its log for each call of a program that it does not have, so that
it is asked once for each connection. A server without TLS is asked seldom.
"""

from __future__ import annotations

import time
from typing import Final

from aiovirt.admin.client import Connection, MissingProgram, RpcError
from aiovirt.admin.extension.protocol.tls import TlsInfo
from aiovirt.admin.objects import Server
from aiovirt.admin.watch.statistics import Statistics

#: Seconds after which a server that had no TLS is asked again.
_ASK_AGAIN: Final = 300.0


class Sources:
    """The further programs of one daemon. missing: the subjects that it does not know."""

    def __init__(self) -> None:
        self._connection: Connection | None = None
        self._missing: set[str] = set()
        self._no_tls: dict[str, float] = {}

    @property
    def missing(self) -> tuple[str, ...]:
        """The subjects that this daemon's programs do not have, in alphabetical order."""
        return tuple(sorted(self._missing))

    async def tls(self, server: Server) -> TlsInfo | None:
        """Return a server's certificates; None if it has none, or the daemon cannot tell."""
        self._meet(server.connection)
        if "tls" in self._missing or time.monotonic() < self._no_tls.get(server.name, 0.0):
            return None
        try:
            return await server.get_tls()
        except MissingProgram:
            self._missing.add("tls")
        except RpcError:
            self._no_tls[server.name] = time.monotonic() + _ASK_AGAIN
        return None

    async def statistics(self, connection: Connection) -> Statistics | None:
        """Return what the daemon counts; None if it does not."""
        self._meet(connection)
        self._missing.add("statistics")
        return None

    def _meet(self, connection: Connection) -> None:
        """Forget what was known when there is a new connection: maybe it is another daemon now."""
        if connection is not self._connection:
            self._connection = connection
            self._missing.clear()
            self._no_tls.clear()
