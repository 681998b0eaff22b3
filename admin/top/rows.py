"""The rows of each table: keys by which a row is known again, and cells."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from aiovirt.admin.compatibility import version_text
from aiovirt.admin.top.feed import Feed
from aiovirt.admin.watch.clients import ClientState
from aiovirt.admin.watch.statistics import ProcedureCounts

DAEMONS: Final = (
    "Daemon",
    "State",
    "Version",
    "Clients",
    "Workers",
    "Queue",
    "Calls/s",
    "Errors/s",
)
SERVERS: Final = (
    "Server",
    "Clients",
    "Unauth",
    "Workers",
    "Min",
    "Max",
    "Prio",
    "Queue",
    "Calls/s",
)
CLIENTS: Final = ("Server", "Id", "Via", "User", "Process", "Address", "For", "Calls", "Bytes")
CALLS: Final = ("Age", "Where", "Server", "Client", "Procedure")
PROCEDURES: Final = ("Mean", "99 %", "Calls", "Calls/s", "Errors", "Procedure")
#: Orders of procedures, by their names.
ORDERS: Final[Mapping[str, Callable[[ProcedureCounts], float]]] = {
    "mean time": lambda one: one.latency.mean or 0.0,
    "total time": lambda one: one.latency.total,
    "calls": lambda one: one.calls,
    "errors": lambda one: sum(one.errors.values()),
}
#: The most rows of a table.
ROWS_MAX: Final = 200
#: Characters of a daemon's name.
NAME_MAX: Final = 36
_NONE: Final = "-"


class Row(NamedTuple):
    """A row. key: stays the same from poll to poll; alert: something is wrong with it."""

    key: str
    cells: tuple[str, ...]
    alert: bool = False


def shown(text: str) -> str:
    """Write what is not printable as \\xNN: a name from a daemon must not steer the terminal."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def shortened(text: str, length: int) -> str:
    """Leave out the middle of a text that is longer than this; its end tells daemons apart."""
    if len(text) <= length:
        return text
    head = length // 4
    return f"{text[:head]}…{text[head + 1 - length :]}"


def daemon_rows(feeds: Iterable[Feed]) -> list[Row]:
    """Return a row for each daemon."""
    return [_daemon_row(feed) for feed in feeds]


def _daemon_row(feed: Feed) -> Row:
    name = shortened(shown(feed.name), NAME_MAX)
    if feed.state is None:
        dashes = (_NONE,) * (len(DAEMONS) - 2)
        word = "down" if feed.problem else "connecting"
        return Row(feed.name, (name, word, *dashes), bool(feed.problem))
    pools = [one.pool for one in feed.state.servers]
    limits = [one.limits for one in feed.state.servers]
    busy = _sum(_busy(pool.n_workers, pool.free_workers) for pool in pools)
    queued = _sum(pool.job_queue_depth for pool in pools)
    cells = (
        name,
        "paused" if feed.paused else "up",
        version_text(feed.state.lib_version),
        _of(_sum(one.clients for one in limits), _sum(one.max_clients for one in limits)),
        _of(busy, _sum(pool.n_workers for pool in pools)),
        _count(queued),
        _rate(feed.rates.total),
        _rate(feed.rates.errors),
    )
    return Row(feed.name, cells, bool(queued))


def server_rows(feed: Feed) -> list[Row]:
    """Return a row for each server of a daemon."""
    if feed.state is None:
        return []
    return [
        Row(
            one.name,
            (
                shown(one.name),
                _of(one.limits.clients, one.limits.max_clients),
                _of(one.limits.unauth_clients, one.limits.max_unauth_clients),
                _of(_busy(one.pool.n_workers, one.pool.free_workers), one.pool.n_workers),
                _count(one.pool.min_workers),
                _count(one.pool.max_workers),
                _count(one.pool.prio_workers),
                _count(one.pool.job_queue_depth),
                _rate(feed.rates.calls.get((one.name,))),
            ),
            bool(one.pool.job_queue_depth),
        )
        for one in feed.state.servers
    ]


def client_key(client: ClientState) -> str:
    """Return the key of a client's row."""
    return f"{client.server}/{client.id}/{client.since}"


def client_rows(feed: Feed) -> list[Row]:
    """Return a row for each client of a daemon, of all servers."""
    now = time.time()
    return [
        Row(
            client_key(one),
            (
                shown(one.server),
                str(one.id),
                one.transport + (" ro" if one.readonly else ""),
                shown(one.user or _NONE),
                f"{one.process}{' (top)' if is_self(feed, one) else ''}" if one.process else _NONE,
                shown(one.address or _NONE),
                duration(now - one.since),
                _count(one.calls),
                _bytes(one.bytes),
            ),
        )
        for one in feed.detail.clients[:ROWS_MAX]
    ]


def is_self(feed: Feed, client: ClientState) -> bool:
    """Whether a client of a daemon is this program."""
    return feed.watched.uri.transport is None and client.process == os.getpid()


def call_rows(feed: Feed) -> list[Row]:
    """Return a row for each call in flight, the oldest first."""
    calls = sorted(feed.detail.calls or (), key=lambda call: -call.age)
    return [
        Row(
            f"{at}",
            (
                latency(one.age),
                one.place,
                shown(one.server),
                str(one.client),
                shown(f"{one.procedure} ({one.program})"),
            ),
            one.place == "queue",
        )
        for at, one in enumerate(calls[:ROWS_MAX])
    ]


def procedure_rows(feed: Feed, order: str = "mean time") -> list[Row]:
    """Return a row for each procedure that was called, the largest first.

    Args:
        feed: of the daemon.
        order: one of `ORDERS`.
    """
    procedures = feed.state.procedures or () if feed.state is not None else ()
    first = sorted(procedures, key=ORDERS[order], reverse=True)
    return [_procedure_row(one, feed) for one in first[:ROWS_MAX]]


def _procedure_row(one: ProcedureCounts, feed: Feed) -> Row:
    key = (one.server, one.program, one.procedure)
    cells = (
        latency(one.latency.mean),
        latency(one.latency.quantile(0.99)),
        _count(one.calls),
        _rate(feed.rates.calls.get(key)),
        _count(sum(one.errors.values())),
        shown(f"{one.procedure} ({one.program})"),
    )
    return Row("/".join(key), cells)


def missing_text(feed: Feed, subject: str) -> str:
    """Return the line that says what a daemon cannot tell, "" if it can.

    Args:
        feed: of the daemon.
        subject: "statistics" or "logs".
    """
    if feed.state is None:
        return ""
    if subject == "logs":
        missing = feed.log_problem
        if missing and missing != "missing":
            return shown(missing)
    else:
        missing = subject if subject in feed.state.missing else ""
    return f"no {subject}: only daemons of aiovirt have the admin extension" if missing else ""


def latency(seconds: float | None) -> str:
    """Write a short duration with a unit that suits it."""
    if seconds is None:
        return _NONE
    if seconds < 0.001:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.1f} s"


def duration(seconds: float) -> str:
    """Write a long duration in its two largest units."""
    left = max(0, int(seconds))
    if left < 60:
        return f"{left} s"
    for unit, name, smaller, small_name in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if left >= unit:
            return f"{left // unit} {name} {left % unit // smaller} {small_name}"
    return _NONE


def _busy(workers: int | None, free: int | None) -> int | None:
    return None if workers is None or free is None else max(0, workers - free)


def _sum(numbers: Iterable[int | None]) -> int | None:
    known: Sequence[int] = [number for number in numbers if number is not None]
    return sum(known) if known else None


def _of(number: int | None, limit: int | None) -> str:
    return _NONE if number is None else f"{number}/{_count(limit)}"


def _count(number: int | None) -> str:
    return _NONE if number is None else str(number)


def _rate(rate: float | None) -> str:
    return _NONE if rate is None else f"{rate:.3g}" if rate < 1000 else f"{rate:.0f}"


def _bytes(number: int | None) -> str:
    if number is None:
        return _NONE
    size = float(number)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.3g} {unit}" if unit != "B" else f"{number} B"
        size /= 1024
    return _NONE
