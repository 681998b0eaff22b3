"""One daemon that is polled: its connection is kept open, and made again after a loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from aiovirt.admin.client import Connection, connect
from aiovirt.admin.uri import AdminUri, resolve
from aiovirt.rpc.client import ConnectionLost

_T = TypeVar("_T")

#: Seconds that a poll may take, unless the user says otherwise.
POLL_TIMEOUT: Final = 5.0


class Watched:
    """A daemon, by its URI.

    name: how the user called it; uri: the URI, aliases resolved; timeout: seconds for everything that
    one `ask` does, with the connecting.
    """

    def __init__(self, name: str | None, timeout: float | None = None) -> None:
        """Prepare to watch; nothing is connected yet.

        Args:
            name: a URI or an alias, None for the default URI.
            timeout: seconds for each `ask`; None for `POLL_TIMEOUT`.

        Raises:
            UriError: the URI leads to no daemon.
        """
        self.uri: AdminUri = resolve(name)
        _check(self.uri)
        self.name = name or str(self.uri)
        self.timeout = POLL_TIMEOUT if timeout is None else timeout
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()

    async def ask(self, question: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Ask the daemon something over the connection that is kept, and return the answer.

        A connection that was kept and is lost during the question (the daemon was restarted) is made
        again, and the question is asked once more.

        Args:
            question: a function that makes calls and changes nothing.

        Raises:
            TimeoutError: no answer in time; the connection is aborted.
            ConnectionError: no daemon, or it has ended.
            RpcError: the daemon refused.
        """
        async with self._in_time():
            kept = self._connection
            try:
                return await question(await self.connected())
            except ConnectionLost:
                if kept is None or kept.alive:
                    raise
                return await question(await self.connected())

    async def change(self, order: Callable[[Connection], Awaitable[_T]]) -> _T:
        """Have the daemon change something; like `ask`, but a lost order is not given again."""
        async with self._in_time():
            return await order(await self.connected())

    @asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self.timeout):
                yield
        except TimeoutError:
            self.abort()
            raise TimeoutError(f"{self.uri}: no answer within {self.timeout:g} s") from None

    async def connected(self) -> Connection:
        """Return the connection, made anew if there is none or it was lost."""
        async with self._connecting:
            if self._connection is None or not self._connection.alive:
                self._connection = None
                self._connection = await connect(self.uri, timeout=self.timeout, prompts=False)
            return self._connection

    def abort(self) -> None:
        """Drop the connection at once; the next question makes a new one."""
        if self._connection is not None:
            self._connection.abort()
            self._connection = None

    async def close(self) -> None:
        """Say goodbye to the daemon, if there is a connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


def _check(uri: AdminUri) -> None:
    """Raise UriError if a URI leads to no daemon, before anything is connected."""
    if uri.transport == "ssh":
        from aiovirt.admin.ssh_route import Route

        Route.of(uri)
    else:
        uri.socket_path()
