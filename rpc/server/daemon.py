"""The daemon: its servers, its automatic end when nobody is connected, its graceful end when asked.

Source: libvirt's src/rpc/virnetdaemon.c.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import Enum
from typing import TYPE_CHECKING, Final

from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.options import ServerOptions
from aiovirt.rpc.server.server import Server
from aiovirt.rpc.server.slices import Slices
from aiovirt.rpc.transport.readiness import Readiness
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.rpc.logs import LogControl
    from aiovirt.rpc.server.call import Call

_log = get_logger("rpc.server.daemon")

#: Seconds that calls in flight have to finish at a graceful end.
SHUTDOWN_GRACE: Final = 10.0
#: Seconds that peers then have to take their last replies.
_FLUSH_GRACE: Final = 1.0
#: Seconds in which nothing is read before a restart, so that the last calls can end.
_LAST_CALLS: Final = 1.0
#: Seconds between two looks at whether calls have ended, while everything is served.
_LOOK: Final = 0.01


class State(Enum):
    """Where a daemon is in its life; it only ever goes forward."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    ENDED = "ended"


class Daemon:
    """A process's servers and their common life (virNetDaemon). Make it inside a running loop.

    name: what it calls itself; logging: what the admin program changes logging through; grace: seconds
    that calls in flight have at a graceful end. on_ending: awaited one by one when every client has
    been disconnected, before `serve` returns. on_settling: called when the calls in flight are about to
    be waited for, at the end and before a restart. before_preserving: called before an end that
    preserves state; each may refuse it by raising RpcError. preserves: whether that was asked for.
    shares_descriptors: whether another process has the sockets of clients, too (a rehearsal). slices
    and readiness: of the clients of all its servers.
    """

    def __init__(
        self, name: str, *, logging: LogControl | None = None, grace: float = SHUTDOWN_GRACE
    ) -> None:
        self.name = name
        self.logging = logging
        self.grace = grace
        self.servers: dict[str, Server] = {}
        self.on_ending: list[Callable[[], Awaitable[None]]] = []
        self.on_settling: list[Callable[[], None]] = []
        self.before_preserving: list[Callable[[], None]] = []
        self.preserves = False
        self.shares_descriptors = False
        self.state = State.STARTING
        self.timeout = 0
        self._loop = asyncio.get_running_loop()
        self.slices = Slices(self._loop)
        self.readiness = Readiness(self._loop)
        self._quit = asyncio.Event()
        self._at_once = asyncio.Event()
        self._progress = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._hanging: list[Call] = []  # calls that took longer than a restart waits for
        self._left: float | None = None  # of a timeout that began in the program before this one
        self._holds = 0

    # Servers -------------------------------------------------------------------------------------

    def add_server(self, options: ServerOptions) -> Server:
        """Make a server. Raises ValueError when its name is taken."""
        if options.name in self.servers:
            raise ValueError(f"daemon {self.name} has a server {options.name} already")
        server = Server(self, options)
        self.servers[options.name] = server
        return server

    def server(self, name: str) -> Server:
        """The server with this name. Raises RpcError (NO_SERVER)."""
        try:
            return self.servers[name]
        except KeyError:
            raise RpcError(
                ErrorCode.NO_SERVER,
                f"daemon {self.name} has no server '{name}'; it has {', '.join(self.servers)}",
            ) from None

    # Automatic shutdown --------------------------------------------------------------------------

    def set_timeout(self, seconds: int, *, left: float | None = None) -> None:
        """End by itself after so many seconds without any client; 0 for never.

        Args:
            seconds: the timeout.
            left: the rest of it that is left now, if it has begun.
        """
        self.timeout = seconds
        self._left = left
        self._set_timer(restart=True)

    @property
    def timeout_left(self) -> float | None:
        """Seconds until the daemon ends by itself; None while it does not wait for that."""
        return None if self._timer is None else max(0.0, self._timer.when() - self._loop.time())

    def inhibit_shutdown(self) -> None:
        """Prevent an automatic shutdown until `allow_shutdown` is called as often."""
        self._holds += 1
        self._set_timer()

    def allow_shutdown(self) -> None:
        """Take one `inhibit_shutdown` back."""
        self._holds -= 1
        self._set_timer()

    def population_changed(self) -> None:
        """Note that a client came or went, or that a limit changed."""
        if self.timeout:
            self._set_timer()

    def _set_timer(self, *, restart: bool = False) -> None:
        idle = (
            self.state is State.RUNNING
            and self.timeout > 0
            and not self._holds
            and not any(len(server.registry) for server in self.servers.values())
        )
        if self.state is State.RUNNING and not idle:
            self._left = None
        if self._timer is not None and (restart or not idle):
            self._timer.cancel()
            self._timer = None
        if idle and self._timer is None:
            left, self._left = self._left, None
            self._timer = self._loop.call_later(
                self.timeout if left is None else left, self._timed_out
            )

    def _timed_out(self) -> None:
        _log.info("nobody connected, ending", seconds=self.timeout)
        self.shutdown()

    # Restart -------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Wait until the calls that are in flight now have ended, or the grace is over.

        Everything is served as ever meanwhile.
        """
        self._settle()
        deadline = self._loop.time() + self.grace
        self._hanging = self._calls()
        while self._hanging and self._loop.time() < deadline and not self.is_ending:
            await asyncio.sleep(_LOOK)
            self._hanging = [call for call in self._hanging if not call.is_over]

    def _settle(self) -> None:
        """Have those who hold calls in flight let them go."""
        for let_go in self.on_settling:
            let_go()

    async def pause(self) -> None:
        """Accept and read nothing until `resume`, and give the calls in flight a moment to end.

        Those that do not end stay in flight, so that nothing has happened to them if the restart is
        given up. Those that `settle` has found to hang are not waited for.
        """
        hanging, self._hanging = self._hanging, []
        for server in self.servers.values():
            server.pause()

        def done() -> bool:
            return self._in_flight() <= sum(not call.is_over for call in hanging)

        await self._wait(done, self._loop.time() + _LAST_CALLS)

    def count_cancelled(self) -> None:
        """Log how many calls a restart cancels: the next program answers them with an error."""
        if self._in_flight():
            _log.warning("calls cancelled", calls=self._in_flight(), reason="the daemon restarts")

    def _calls(self) -> list[Call]:
        return [
            call
            for server in self.servers.values()
            for client in server.registry
            for call in client.calls()
        ]

    def resume(self) -> None:
        """Accept and read again after `pause`."""
        if self.state is State.RUNNING:
            for server in self.servers.values():
                server.resume()

    @property
    def is_ending(self) -> bool:
        """Whether `shutdown` was called."""
        return self._quit.is_set()

    # Life ----------------------------------------------------------------------------------------

    async def serve(
        self,
        on_ready: Callable[[], None] | None = None,
        on_stopping: Callable[[], None] | None = None,
    ) -> None:
        """Accept clients until `shutdown`; return when everything is answered and closed.

        on_ready: called once every service listens; on_stopping: called when the end begins,
        whatever caused it.
        """
        self.state = State.RUNNING
        for server in self.servers.values():
            server.start()
        self._set_timer()
        if on_ready is not None:
            on_ready()
        try:
            await self._quit.wait()
            if on_stopping is not None:
                on_stopping()
            await self._drain()
        finally:
            for server in self.servers.values():
                server.draining = True
                for service in server.services:
                    service.close()
                server.close()
            for finish in self.on_ending:
                await finish()
            self.readiness.close()
            self.state = State.ENDED

    def shutdown(self, *, preserve: bool = False) -> None:
        """End gracefully; a second call ends at once, cancelling what is still in flight.

        preserve: keep the state for the next daemon. Raises RpcError, and goes on, when that cannot be
        done.
        """
        if preserve and not self._quit.is_set():
            for check in self.before_preserving:
                check()
            self.preserves = True
        if self._quit.is_set():
            self._at_once.set()
            self._progress.set()
        self._quit.set()

    def call_drained(self) -> None:
        """Note that a call has ended during the graceful end."""
        self._progress.set()

    async def _drain(self) -> None:
        self.state = State.DRAINING
        self._set_timer()
        for server in self.servers.values():
            server.drain()
        self._settle()
        await self._finish_calls()
        await self._flush()

    async def _finish_calls(self) -> None:
        """End the streams and wait for the calls in flight; after the grace, stop those, too."""
        error = RpcError(ErrorCode.OPERATION_ABORTED, f"daemon {self.name} ends")
        for server in self.servers.values():
            server.abort_streams(error)
        deadline = self._loop.time() + self.grace
        if not await self._wait(lambda: not self._in_flight(), deadline):
            _log.warning("calls cancelled", calls=self._in_flight(), reason="the daemon ends")
            error = RpcError(
                ErrorCode.OPERATION_ABORTED, f"daemon {self.name} ends: the call was cancelled"
            )
            for server in self.servers.values():
                server.abort_calls(error)
            await self._wait(lambda: not self._in_flight(), self._loop.time() + _FLUSH_GRACE)

    def _in_flight(self) -> int:
        return sum(server.in_flight for server in self.servers.values())

    async def _wait(self, done: Callable[[], bool], deadline: float) -> bool:
        """Wait until `done()`, for `deadline` at the latest; True when it came to be done."""
        while not done():
            left = deadline - self._loop.time()
            if left <= 0 or self._at_once.is_set():
                return False
            self._progress.clear()
            try:
                await asyncio.wait_for(self._progress.wait(), left)
            except TimeoutError:
                return done()
        return True

    async def _flush(self) -> None:
        """Give peers a moment to take their last replies; one that does not read loses them."""
        deadline = self._loop.time() + _FLUSH_GRACE
        while self._loop.time() < deadline and not self._at_once.is_set():
            if not any(
                client.unsent for server in self.servers.values() for client in server.registry
            ):
                return
            await asyncio.sleep(0.01)
