"""The feed of one daemon: polled again and again, its log followed, without a word about widgets."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiovirt.admin.client import Connection
from aiovirt.admin.top.log import LogLine, LogTail
from aiovirt.admin.watch.clients import ClientReader, ClientState
from aiovirt.admin.watch.sources import Sources
from aiovirt.admin.watch.state import DaemonState, read_state
from aiovirt.admin.watch.statistics import CallInFlight
from aiovirt.admin.watch.watched import Watched
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.xdr import XdrError

#: Lines of the log that are kept for each daemon.
LOG_LINES: Final = 1000
#: The failures of a poll: the daemon's, not this program's.
FAILURES: Final = (OSError, RpcError, XdrError)


@dataclass(frozen=True, slots=True)
class Detail:
    """The part of a daemon's state that is asked for only while somebody looks at it.

    calls: None if the daemon does not count; problem: why the rest could not be had, else "".
    """

    clients: tuple[ClientState, ...] = ()
    calls: tuple[CallInFlight, ...] | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Rates:
    """Calls and errors in a second, between the last two polls; by server and procedure."""

    calls: Mapping[tuple[str, ...], float] = field(default_factory=dict)
    errors: float | None = None

    @property
    def total(self) -> float | None:
        """Calls in a second on all servers; None before the second poll."""
        servers = [rate for key, rate in self.calls.items() if len(key) == 1]
        return sum(servers) if servers else None


class Feed:
    """One daemon.

    state, detail: the latest, None before the first poll and while the daemon cannot be reached;
    problem: why it cannot, else "";
    rates: of calls; logged: how many lines its log has had. detailed: whether detail and log are wanted;
    paused: whether polling rests.
    """

    def __init__(self, watched: Watched, interval: float, changed: Callable[[], None]) -> None:
        """Prepare to poll.

        Args:
            watched: the daemon.
            interval: seconds between two polls.
            changed: called after each poll and for each new line of the log.
        """
        self.watched = watched
        self.state: DaemonState | None = None
        self.detail = Detail()
        self.rates = Rates()
        self.problem = ""
        self.logged = 0
        self.sources = Sources()
        self.detailed = False
        self.paused = False
        self._interval = interval
        self._changed = changed
        self._clients = ClientReader(self.sources)
        self._counted: tuple[float, DaemonState] | None = None
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._soon = asyncio.Event()
        self._tail = LogTail(watched, self._on_log)

    @property
    def name(self) -> str:
        """The daemon's URI as the user gave it."""
        return self.watched.name

    @property
    def log_problem(self) -> str:
        """Why the log cannot be followed, else ""."""
        return self._tail.problem

    def latest_lines(self, count: int) -> list[LogLine]:
        """Return at most so many of the latest lines of the log, the oldest first."""
        return list(self._log)[max(0, len(self._log) - count) :]

    def hasten(self) -> None:
        """Poll at once."""
        self._soon.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        try:
            while True:
                self._soon.clear()
                if not self.paused:
                    await self.poll()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._interval):
                        await self._soon.wait()
        finally:
            await self._tail.close()
            await self.watched.close()

    async def poll(self) -> None:
        """Poll once."""
        try:
            state, detail = await self.watched.ask(self._read)
        except FAILURES as error:
            self.state, self.detail, self.problem = None, Detail(), _text(error)
            self.rates, self._counted = Rates(), None
        else:
            self._count(state)
            self.state, self.detail, self.problem = state, detail, ""
            if self.detailed:
                self._tail.follow()
        self._changed()

    async def _read(self, connection: Connection) -> tuple[DaemonState, Detail]:
        state = await read_state(connection, self.sources, procedures=self.detailed)
        if not self.detailed:
            return state, Detail()
        try:
            return state, await self._read_detail(state)
        except RpcError as error:  # too many clients for an answer, for example
            return state, Detail(problem=error.message)

    async def _read_detail(self, state: DaemonState) -> Detail:
        clients: list[ClientState] = []
        calls: list[CallInFlight] | None = None
        for server in state.servers:
            clients += await self._clients.read(server.server)
            if server.counts is not None:
                calls = (calls or []) + (await self.sources.calls(server.server) or [])
        return Detail(tuple(clients), None if calls is None else tuple(calls))

    def _count(self, state: DaemonState) -> None:
        """Compare with the state before."""
        now = time.monotonic()
        before, self._counted = self._counted, (now, state)
        if before is None or now <= before[0]:
            return
        seconds = now - before[0]
        old, new = _calls(before[1]), _calls(state)
        calls = {
            key: max(0, count - old[key]) / seconds for key, count in new.items() if key in old
        }
        errors = _errors(before[1]), _errors(state)
        rate = None if None in errors else max(0, (errors[1] or 0) - (errors[0] or 0)) / seconds
        self.rates = Rates(calls, rate)

    def _on_log(self, line: LogLine) -> None:
        self._log.append(line)
        self.logged += 1
        self._changed()


def _calls(state: DaemonState) -> dict[tuple[str, ...], int]:
    counted: dict[tuple[str, ...], int] = {}
    for server in state.servers:
        if server.counts is not None:
            counted[(server.name,)] = server.counts.calls
    for one in state.procedures or ():
        counted[one.server, one.program, one.procedure] = one.calls
    return counted


def _errors(state: DaemonState) -> int | None:
    counted = [one.counts.errors for one in state.servers if one.counts is not None]
    return sum(counted) if counted else None


def _text(error: Exception) -> str:
    if isinstance(error, RpcError):
        return error.message
    return str(error) or type(error).__name__
