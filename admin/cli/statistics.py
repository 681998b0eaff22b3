"""The commands that show counts, durations and calls in flight, of daemons of aiovirt."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from aiovirt.admin.cli.complete import server_names
from aiovirt.admin.cli.failure import CommandFailed, explained
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import columns, table, when

if TYPE_CHECKING:
    from aiovirt.admin.extension.protocol.statistics import (
        DurationCounts,
        ProcedureStatistics,
        ServerStatistics,
    )

#: What `procedure-list --by` sorts by: the largest first.
_ORDERS: Final[dict[str, Callable[[ProcedureStatistics], float]]] = {
    "calls": lambda one: one.total.calls,
    "errors": lambda one: one.total.errors,
    "time": lambda one: one.durations.microseconds,
    "mean": lambda one: one.durations.microseconds / (one.total.calls or 1),
    "bytes": lambda one: one.total.bytes_in + one.total.bytes_out,
}


async def _server_stats(session: AdminSession, command: Invocation) -> None:
    wanted = command.text("server")
    if wanted is not None:
        await session.connection.lookup_server(wanted)
    with explained("failed to get the statistics of the daemon"):
        answer = await session.connection.statistics.servers()
    shown = [one for one in answer.servers if wanted in (None, one.name)]
    if wanted is not None:
        text = "".join(_one_server(one, answer.bounds) for one in shown)
    else:
        text = table(
            ("Server", "Clients", "Calls", "Errors", "In flight", "Queued", "Mean ms", "99% ms"),
            [
                (
                    one.name,
                    str(one.clients),
                    str(one.total.calls),
                    str(one.total.errors),
                    str(one.in_flight),
                    str(one.queued),
                    *_times(one.durations, answer.bounds),
                )
                for one in shown
            ],
            with_header=not session.terminal.quiet,
        )
    session.terminal.answer([_server_json(one, answer.bounds) for one in shown], text)


def _one_server(one: ServerStatistics, bounds: list[int]) -> str:
    mean, most = _times(one.durations, bounds)
    waited, longest = _times(one.waits, bounds)
    return columns(
        [
            ("name", one.name),
            ("since", when(one.since)),
            ("clients", one.clients),
            ("clients_unauth", one.anonymous),
            ("calls", one.total.calls),
            ("errors", one.total.errors),
            ("unknown_calls", one.unknown.calls),
            ("bytes_in", one.total.bytes_in),
            ("bytes_out", one.total.bytes_out),
            ("mean_ms", mean),
            ("99%_ms", most),
            ("in_flight", one.in_flight),
            ("queued", one.queued),
            ("waited_calls", one.waits.count),
            ("waited_mean_ms", waited),
            ("waited_99%_ms", longest),
            ("workers", one.workers),
            ("free_workers", one.free_workers),
            ("streams", one.streams),
        ],
        15,
    )


async def _procedure_list(session: AdminSession, command: Invocation) -> None:
    order = command.text("by") or "calls"
    if order not in _ORDERS:
        raise CommandFailed(f"--by is one of {', '.join(_ORDERS)}, not '{order}'")
    rows: list[tuple[str, ProcedureStatistics]] = []
    omitted, bounds = 0, []
    for server in await _servers(session, command):
        with explained(f"failed to get the statistics of server '{server}'"):
            answer = await session.connection.statistics.procedures(server)
        rows += [(server, one) for one in answer.procedures]
        omitted, bounds = omitted + answer.omitted, answer.bounds
    rows.sort(key=lambda row: _ORDERS[order](row[1]), reverse=True)
    text = table(
        (
            "Server",
            "Procedure",
            "Calls",
            "Errors",
            "Mean ms",
            "99% ms",
            "Received",
            "Sent",
            "Codes",
        ),
        [
            (
                server,
                f"{_label(one.program_name)}/{one.name}",
                str(one.total.calls),
                str(one.total.errors),
                *_times(one.durations, bounds),
                str(one.total.bytes_in),
                str(one.total.bytes_out),
                ", ".join(f"{_code_name(each.code)} {each.count}" for each in one.codes) or "-",
            )
            for server, one in rows
        ],
        with_header=not session.terminal.quiet,
    )
    session.terminal.answer([_procedure_json(server, one, bounds) for server, one in rows], text)
    if omitted:
        session.terminal.remark(f"{omitted} more procedures are not shown\n")


async def _call_list(session: AdminSession, command: Invocation) -> None:
    from aiovirt.admin.extension.protocol.statistics import CallPlace

    found = []
    omitted = 0
    for server in await _servers(session, command):
        with explained(f"failed to get the calls of server '{server}'"):
            answer = await session.connection.statistics.calls(server)
        found += [(server, one) for one in answer.calls]
        omitted += answer.count - len(answer.calls)
    found.sort(key=lambda each: each[1].microseconds, reverse=True)
    places = {place.value: place.name.lower().replace("_", "-") for place in CallPlace}
    session.terminal.answer(
        [
            {
                "server": server,
                "client": one.client,
                "serial": one.serial,
                "program": one.program_name,
                "procedure": one.name,
                "age_us": one.microseconds,
                "place": places.get(one.place, "unknown"),
            }
            for server, one in found
        ],
        table(
            ("Server", "Client", "Serial", "Procedure", "Age s", "Place"),
            [
                (
                    server,
                    str(one.client),
                    str(one.serial),
                    f"{_label(one.program_name)}/{one.name}",
                    f"{one.microseconds / 1e6:.3f}",
                    places.get(one.place, "unknown"),
                )
                for server, one in found
            ],
            with_header=not session.terminal.quiet,
        ),
    )
    if omitted:
        session.terminal.remark(f"{omitted} more calls are not shown\n")


async def _servers(session: AdminSession, command: Invocation) -> list[str]:
    """The servers that are meant: the one that was named, else all."""
    wanted = command.text("server")
    if wanted is not None:
        return [(await session.connection.lookup_server(wanted)).name]
    return sorted(server.name for server in await session.connection.list_servers())


def _times(durations: DurationCounts, bounds: list[int]) -> tuple[str, str]:
    """The mean, and an estimate of what 99 of 100 did not exceed, in milliseconds."""
    from aiovirt.admin.statistics import quantile

    most = quantile(durations, bounds, 0.99)
    if most is None:
        return "-", "-"
    return f"{durations.microseconds / durations.count / 1000:.3f}", f"{most / 1000:.3f}"


def _label(program: str) -> str:
    """A program's name as `describe` and `call` take it."""
    return program.replace(" ", "-")


def _code_name(code: int) -> str:
    from aiovirt.rpc.wire.errors import ErrorCode

    if code <= 0:
        return "client gone" if code == 0 else "others"
    try:
        return ErrorCode(code).name
    except ValueError:
        return str(code)


def _server_json(one: ServerStatistics, bounds: list[int]) -> dict[str, Any]:
    from aiovirt.rpc.wire import xdr

    found: dict[str, Any] = xdr.as_dict(one)
    return {
        **found,
        "durations": _durations_json(one.durations, bounds),
        "waits": _durations_json(one.waits, bounds),
    }


def _procedure_json(server: str, one: ProcedureStatistics, bounds: list[int]) -> dict[str, Any]:
    from aiovirt.rpc.wire import xdr

    found: dict[str, Any] = xdr.as_dict(one)
    return {
        "server": server,
        **found,
        "durations": _durations_json(one.durations, bounds),
        "codes": [
            {"code": each.code, "name": _code_name(each.code), "count": each.count}
            for each in one.codes
        ],
    }


def _durations_json(durations: DurationCounts, bounds: list[int]) -> dict[str, Any]:
    return {
        "count": durations.count,
        "us": durations.microseconds,
        "buckets": [
            {"up_to_us": bound, "count": count}
            for bound, count in zip([*bounds, None], durations.buckets, strict=False)
        ],
    }


def _server(help_text: str) -> Option:
    return Option("server", OptionKind.STRING, help_text, complete=server_names)


async def _orders(session: AdminSession, command: Invocation) -> list[str]:
    return list(_ORDERS)


GROUP: Final = Group(
    "Statistics commands",
    "statistics",
    (
        Command(
            "server-stats",
            _server_stats,
            "show what servers have done and are doing",
            "Show calls, errors, bytes, durations and waits since counting began, and the calls in"
            " flight. Only daemons of aiovirt can be asked.",
            (_server("the server that is meant, with every detail; all of them without it"),),
        ),
        Command(
            "procedure-list",
            _procedure_list,
            "show how often procedures were called, and how long they took",
            "List the procedures that were called, with errors by code, durations and bytes. Only"
            " daemons of aiovirt can be asked.",
            (
                _server("the server that is meant; all of them without it"),
                Option(
                    "by",
                    OptionKind.STRING,
                    f"the order: {', '.join(_ORDERS)} (default calls)",
                    named_only=True,
                    complete=_orders,
                ),
            ),
        ),
        Command(
            "call-list",
            _call_list,
            "list the calls in flight",
            "List the calls that have no reply yet, the oldest first. Only daemons of aiovirt can be"
            " asked.",
            (_server("the server that is meant; all of them without it"),),
        ),
    ),
)
