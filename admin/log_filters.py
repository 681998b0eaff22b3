"""Log filters that are in force for a block, over the admin connection.

async with conn.log_filters("1:rpc"):
    ...

A daemon of aiovirt has them as long as a stream is open, so that nothing is left to be put back by a
client that is killed. Any other daemon gets them as its own, and the former ones back.
"""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self

from aiovirt.admin.arguments import seconds, settable_filters, text
from aiovirt.admin.extension.protocol import EXTENSION
from aiovirt.admin.extension.protocol import logs as protocol
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.admin.client import Connection
    from aiovirt.rpc.client import Stream

#: Seconds that a daemon has for the answers when filters are put back.
_PUT_BACK: Final = 5.0


class LogFilters:
    """Filters that are in force for a block, on any daemon; `Connection.log_filters`.

    Those of several clients may overlap: with a daemon of aiovirt, the latest are in force, and the
    daemon's own again when all have ended. Filters that somebody else sets meanwhile, to last, are left
    alone.

    They are put back also when the block is cancelled, or its beginning is, or the connection is lost. A
    daemon of aiovirt does that by itself; for one of libvirt, it takes a connection of its own.

    found: those that were in force; left_alone: whether somebody else has set others, at the latest
    after the block.

    Raises, at both ends of the block, what `set_logging_filters` raises.
    """

    def __init__(
        self, connection: Connection, filters: str, *, at_most: float | None = None
    ) -> None:
        self._connection = connection
        self._filters = text("log filters", filters)
        self._at_most = seconds(at_most)
        self._way: _Way | None = None

    @property
    def found(self) -> str:
        """The filters that were in force."""
        return self._way.found if self._way is not None else ""

    @property
    def left_alone(self) -> bool:
        """Whether somebody else has set others."""
        return self._way is not None and self._way.left_alone

    async def __aenter__(self) -> Self:
        from aiovirt.admin.client import MissingProgram

        try:
            await self._begin(_Streamed(self._connection, self._filters, self._at_most))
        except MissingProgram:
            await self._begin(_Exchanged(self._connection, self._filters))
        return self

    async def _begin(self, way: _Way) -> None:
        self._way = way
        try:
            await way.begin()
        except BaseException:
            await self._end(way)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._way is not None:
            await self._end(self._way)

    async def wait_over(self) -> None:
        """Wait until the filters are not in force any more: the connection is lost, `at_most` seconds
        have passed, or somebody else has set others, as a daemon of aiovirt tells.
        """
        if self._way is not None:
            await self._way.wait_over()

    async def _end(self, way: _Way) -> None:
        """End them, whatever else is cancelled meanwhile."""
        task = asyncio.create_task(self._end_in_time(way))
        cancelled: asyncio.CancelledError | None = None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
        if cancelled is not None and task.exception() is None:
            raise cancelled
        task.result()

    async def _end_in_time(self, way: _Way) -> None:
        try:
            async with asyncio.timeout(_PUT_BACK):
                await way.end()
        except TimeoutError:
            text = f"{self._connection.uri}: log filters not put back within {_PUT_BACK:g} s"
            raise TimeoutError(text) from None


class _Way(Protocol):
    """How a daemon gets filters for a while, and how they end; see `LogFilters`."""

    left_alone: bool

    @property
    def found(self) -> str: ...
    async def begin(self) -> None: ...
    async def wait_over(self) -> None: ...
    async def end(self) -> None: ...


class _Streamed:
    """By a stream that is open meanwhile. A restart of the daemon ends it, and it is opened again."""

    def __init__(self, connection: Connection, filters: str, at_most: float | None) -> None:
        self._connection = connection
        self._filters = filters
        self._stream: Stream[protocol.FiltersForNowRet] | None = None
        self._deadline: float | None = None
        if at_most is not None:
            self._deadline = asyncio.get_running_loop().time() + at_most
        self._watching: asyncio.Task[None] | None = None
        self.found = ""
        self.left_alone = False

    async def begin(self) -> None:
        self.found = (await self._open()).result.found
        self._watching = asyncio.create_task(self._watch())

    async def _open(self) -> Stream[protocol.FiltersForNowRet]:
        left = 0.0
        if self._deadline is not None:
            left = max(self._deadline - asyncio.get_running_loop().time(), 0.001)
        args = protocol.FiltersForNowArgs(self._filters, left, flags=0)
        with self._connection.needing(EXTENSION, "a daemon of aiovirt"):
            self._stream = await self._connection.open_stream(protocol.LOG_FILTERS_FOR_NOW, args)
        return self._stream

    async def _watch(self) -> None:
        """Return when the filters have ended, by whatever."""
        stream = self._stream
        while stream is not None:
            stream = await self._after(stream)

    async def _after(
        self, stream: Stream[protocol.FiltersForNowRet]
    ) -> Stream[protocol.FiltersForNowRet] | None:
        """Wait for the end of a stream, and return the one that takes its place, if any."""
        try:
            await stream.receive()
        except RpcError as error:
            self.left_alone = error.code == ErrorCode.OPERATION_INVALID
            if error.code != ErrorCode.OPERATION_ABORTED:
                return None
        except ConnectionError:
            return None
        else:
            return None  # the time is over
        try:
            return await self._open()
        except (RpcError, OSError):  # it was no restart, but the daemon's end
            return None

    async def wait_over(self) -> None:
        if self._watching is not None:
            await asyncio.shield(self._watching)

    async def end(self) -> None:
        if self._watching is None:
            return
        self._watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._watching
        if self._stream is None:
            return
        try:
            await self._stream.finish()
        except RpcError as error:  # it had ended: after a restart, nothing is in force either
            self.left_alone = self.left_alone or error.code == ErrorCode.OPERATION_INVALID
        except ConnectionError:
            pass


class _Exchanged:
    """By setting them, and the former ones after that."""

    def __init__(self, connection: Connection, filters: str) -> None:
        self._connection = connection
        self._filters = filters
        self._begun = False
        self._ours: str | None = None
        self._found = ""
        self.left_alone = False

    @property
    def found(self) -> str:
        return settable_filters(self._found)

    async def begin(self) -> None:
        connection = self._connection
        self._found = await connection.get_logging_filters_text()
        self._begun = True
        await connection.set_logging_filters(self._filters)
        self._ours = await connection.get_logging_filters_text()

    async def wait_over(self) -> None:
        await self._connection.wait_lost()

    async def end(self) -> None:
        """Put the filters back over this connection, or else over a new one."""
        connection = self._connection
        if not self._begun:
            return
        if connection.alive:
            try:
                await self._put_back_over(connection)
            except ConnectionError:
                if connection.alive:
                    raise
            else:
                return
        from aiovirt.admin.client import connect

        async with connect(connection.uri, timeout=connection.timeout) as fresh:
            await self._put_back_over(fresh)

    async def _put_back_over(self, connection: Connection) -> None:
        now = await connection.get_logging_filters_text()
        self.left_alone = self._ours is not None and now != self._ours
        if not self.left_alone and now != self._found:
            await connection.set_logging_filters(self.found)
