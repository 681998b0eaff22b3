"""The commands that change a daemon while it runs.

Source of what they print: libvirt's tools/virt-admin.c.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Final

from aiovirt.admin.arguments import settable_filters
from aiovirt.admin.cli.complete import client_ids
from aiovirt.admin.cli.failure import CommandFailed, explained
from aiovirt.admin.cli.invocation import ULONG_MAX, Invocation
from aiovirt.admin.cli.monitor import server_option
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind


def _setting(command: Invocation, name: str) -> int | None:
    """A number to set. Raises CommandFailed, with a line about the option, when it is none."""
    try:
        return command.number(name)
    except CommandFailed as failed:
        raise CommandFailed(
            *failed.lines, f"Unable to parse integer parameter '{name}'"
        ) from failed


async def _server_threadpool_set(session: AdminSession, command: Invocation) -> None:
    name = command.required("server")
    most = _setting(command, "max-workers")
    least = _setting(command, "min-workers")
    priority = _setting(command, "priority-workers")
    if most is least is priority is None:
        raise CommandFailed(
            "At least one of options --min-workers, --max-workers, --priority-workers is mandatory "
        )
    if most is not None and least is not None and least > most:
        raise CommandFailed("--min-workers must be less than or equal to --max-workers")
    server = await session.connection.lookup_server(name)
    with explained("Unable to change server workerpool parameters"):
        await server.set_threadpool_parameters(
            min_workers=least, max_workers=most, prio_workers=priority
        )


async def _client_disconnect(session: AdminSession, command: Invocation) -> None:
    name = command.required("server")
    client_id = command.number("client", ULONG_MAX, wrap=True) or 0
    server = await session.connection.lookup_server(name)
    client = await server.lookup_client(client_id)
    with explained(f"Failed to disconnect client '{client_id}' from server {server.name}"):
        await client.close()
    session.terminal.answer({"disconnected": client_id}, f"Client '{client_id}' disconnected")


async def _server_clients_set(session: AdminSession, command: Invocation) -> None:
    name = command.required("server")
    most = _setting(command, "max-clients")
    unauthenticated = _setting(command, "max-unauth-clients")
    if most is unauthenticated is None:
        raise CommandFailed(
            "At least one of options --max-clients, --max-unauth-clients is mandatory"
        )
    if most is not None and unauthenticated is not None and unauthenticated > most:
        raise CommandFailed("--max-unauth-clients must be less than or equal to --max-clients")
    server = await session.connection.lookup_server(name)
    with explained("Unable to change server's client-related configuration limits"):
        await server.set_client_limits(max_clients=most, max_unauth_clients=unauthenticated)


async def _server_update_tls(session: AdminSession, command: Invocation) -> None:
    server = await session.connection.lookup_server(command.required("server"))
    with explained("Unable to update server's tls related files."):
        await server.update_tls_files()
    session.terminal.notice("update tls related files succeed\n")


async def _daemon_log_filters(session: AdminSession, command: Invocation) -> None:
    connection = session.connection
    if (length := command.text("for")) is not None:
        await _log_filters_for(session, command.peek("filters"), length)
        return
    await _logging(
        session,
        command,
        "filters",
        connection.get_logging_filters_text,
        connection.set_logging_filters,
        settable_filters,
    )


async def _log_filters_for(session: AdminSession, filters: str | None, length: str) -> None:
    """Set filters, wait, and put back those that were there; when interrupted, too."""
    from aiovirt.admin.cli.duration import seconds_of

    seconds = seconds_of(length)
    if filters is None or not seconds:
        raise CommandFailed("--for needs filters to set, and a time above 0")
    connection = session.connection
    with explained("Unable to change daemon logging settings"):
        async with connection.log_filters(filters, at_most=seconds) as setting:
            session.terminal.remark(f" Logging filters set for {seconds:g} s\n")
            session.terminal.flush()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await setting.wait_over()
        if setting.left_alone:
            raise CommandFailed(
                "the filters were changed by somebody else meanwhile, and are left alone"
            )
        if not connection.alive:
            raise CommandFailed(
                "the filters were put back early, since the connection was lost; before, they were"
                f" '{setting.found}'"
            )
        now = await connection.get_logging_filters()
    session.terminal.answer({"filters": now.split()}, "")
    session.terminal.remark(f" Logging filters put back: {now}\n")


async def _daemon_log_outputs(session: AdminSession, command: Invocation) -> None:
    connection = session.connection
    await _logging(
        session, command, "outputs", connection.get_logging_outputs, connection.set_logging_outputs
    )


async def _logging(
    session: AdminSession,
    command: Invocation,
    what: str,
    get: Callable[[], Awaitable[str]],
    change: Callable[[str | None], Awaitable[None]],
    settable: Callable[[str], str] = str,
) -> None:
    """Show the filters or outputs, or replace them when new ones are given.

    The text is exactly the daemon's, as virt-admin shows it; JSON has what can be set again.
    """
    if command.given(what):
        with explained("Unable to change daemon logging settings"):
            await change(command.text(what))
        return
    with explained(f"Unable to get daemon logging {what} information"):
        settings = await get()
    session.terminal.remark(f" Logging {what}: ")
    session.terminal.answer({what: settable(settings).split()}, f"{settings}\n")


async def _daemon_timeout(session: AdminSession, command: Invocation) -> None:
    await session.connection.set_daemon_timeout(command.number("timeout") or 0)


async def _daemon_shutdown(session: AdminSession, command: Invocation) -> None:
    session.expect_loss()
    with explained("Unable to shut the daemon down"):
        await session.connection.daemon_shutdown(preserve=command.given("preserve"))


GROUP: Final = Group(
    "Management commands",
    "management",
    (
        Command(
            "server-threadpool-set",
            _server_threadpool_set,
            "change a server's worker pool",
            "Change the bounds of a server's worker pool; at least one of them must be given.",
            (
                server_option("the server whose pool is meant"),
                Option("min-workers", OptionKind.NUMBER, "never fewer workers than this"),
                Option("max-workers", OptionKind.NUMBER, "never more workers than this"),
                Option(
                    "priority-workers", OptionKind.NUMBER, "workers for calls that must not wait"
                ),
            ),
            aliases=("srv-threadpool-set",),
        ),
        Command(
            "client-disconnect",
            _client_disconnect,
            "disconnect a client from a server",
            "Close a client's connection to a server, whatever the client is doing.",
            (
                server_option("the server that the client is connected to"),
                Option(
                    "client",
                    OptionKind.NUMBER,
                    "the client's id",
                    required=True,
                    complete=client_ids,
                ),
            ),
        ),
        Command(
            "server-clients-set",
            _server_clients_set,
            "change how many clients a server admits",
            "Change how many clients a server admits; at least one limit must be given.",
            (
                server_option("the server whose limits are meant"),
                Option("max-clients", OptionKind.NUMBER, "never more clients than this"),
                Option(
                    "max-unauth-clients",
                    OptionKind.NUMBER,
                    "never more clients than this that have not authenticated",
                ),
            ),
            aliases=("srv-clients-set",),
        ),
        Command(
            "server-update-tls",
            _server_update_tls,
            "have a server read its certificates anew",
            "Have a server read its CA certificate, revocation list, certificate and key anew, "
            "without a restart.",
            (server_option("a server that listens for TLS"),),
            aliases=("srv-update-tls",),
        ),
        Command(
            "daemon-log-filters",
            _daemon_log_filters,
            "show or replace the daemon's log filters",
            "Show which messages the daemon logs, or replace the filters that decide it.",
            (
                Option(
                    "filters", OptionKind.STRING, "the new filters, none if empty", empty_ok=True
                ),
                Option(
                    "for",
                    OptionKind.STRING,
                    "put the old ones back after so many seconds (also 5m, 1h), or when interrupted",
                    named_only=True,
                ),
            ),
        ),
        Command(
            "daemon-log-outputs",
            _daemon_log_outputs,
            "show or replace the daemon's log outputs",
            "Show where the daemon logs to, or replace that.",
            (
                Option(
                    "outputs",
                    OptionKind.STRING,
                    "the new outputs, the default if empty",
                    empty_ok=True,
                ),
            ),
        ),
        Command(
            "daemon-timeout",
            _daemon_timeout,
            "set when an idle daemon ends",
            "Have the daemon end after some time without clients.",
            (
                Option(
                    "timeout",
                    OptionKind.NUMBER,
                    "seconds without clients, 0 for never",
                    required=True,
                ),
            ),
        ),
        Command(
            "daemon-shutdown",
            _daemon_shutdown,
            "end the daemon",
            "End the daemon in good order. Daemons of libvirt can do that since 11.2.0.",
            (
                Option(
                    "preserve", OptionKind.FLAG, "keep the state of its guests for the next daemon"
                ),
            ),
        ),
    ),
)
