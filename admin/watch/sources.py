"""Subjects that only some daemons know: asked where they are, and remembered where they are not.

A daemon of libvirt writes a line to its log for each call of a program that it does not have, so that
it is asked once for each connection. A server without TLS is asked seldom.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from aiovirt.admin.client import Connection, MissingProgram, RpcError
from aiovirt.admin.extension.protocol.tls import TlsInfo
from aiovirt.admin.objects import Server
from aiovirt.admin.watch import counting
from aiovirt.admin.watch.statistics import CallInFlight, ProcedureCounts, ServerCounts

_T = TypeVar("_T")

#: Seconds after which a server that had no TLS is asked again.
_ASK_AGAIN: Final = 1800.0


class Sources:
    """The further programs of one daemon."""

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
        if time.monotonic() < self._no_tls.get(server.name, 0.0):
            return None
        try:
            return await self.known("tls", server.connection, server.get_tls)
        except RpcError:
            self._no_tls[server.name] = time.monotonic() + _ASK_AGAIN
            return None

    async def servers(self, connection: Connection) -> Mapping[str, ServerCounts] | None:
        """Return the counts of each server by its name; None if the daemon does not count."""
        return await self.known("statistics", connection, lambda: counting.servers(connection))

    async def procedures(self, server: Server) -> list[ProcedureCounts] | None:
        """Return the counts of a server's procedures; None if the daemon does not count."""
        connection = server.connection
        return await self.known(
            "statistics", connection, lambda: counting.procedures(connection, server.name)
        )

    async def calls(self, server: Server) -> list[CallInFlight] | None:
        """Return a server's calls in flight, the oldest first; None if the daemon does not count."""
        connection = server.connection
        return await self.known(
            "statistics", connection, lambda: counting.calls(connection, server.name)
        )

    async def known(
        self, subject: str, connection: Connection, ask: Callable[[], Awaitable[_T]]
    ) -> _T | None:
        """Ask, unless this connection's daemon is known not to know the subject; None then.

        Args:
            subject: the name under which it is remembered.
            connection: to the daemon.
            ask: makes the call.
        """
        if connection is not self._connection:  # maybe it is another daemon now
            self._connection = connection
            self._missing.clear()
            self._no_tls.clear()
        if subject in self._missing:
            return None
        try:
            return await ask()
        except MissingProgram:
            self._missing.add(subject)
            return None
