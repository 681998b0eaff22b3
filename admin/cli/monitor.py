"""The commands that look at a daemon and change nothing.

Source of what they print: libvirt's tools/virt-admin.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from aiovirt.admin.cli.complete import client_ids, server_names
from aiovirt.admin.cli.daemons import list_all_clients, transport_name
from aiovirt.admin.cli.failure import explained
from aiovirt.admin.cli.invocation import ULONG_MAX, Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import columns, table, value_text, when
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam, to_dict


async def _server_list(session: AdminSession, command: Invocation) -> None:
    connection = session.connection
    with explained(f"failed to obtain list of available servers from {connection.uri}"):
        servers = await connection.list_servers()
    session.terminal.answer(
        [{"id": at, "name": server.name} for at, server in enumerate(servers)],
        table(
            ("Id", "Name"),
            [(str(at), server.name) for at, server in enumerate(servers)],
            with_header=not session.terminal.quiet,
        ),
    )


async def _server_threadpool_info(session: AdminSession, command: Invocation) -> None:
    server = await session.connection.lookup_server(command.required("server"))
    with explained("Unable to get server workerpool parameters"):
        parameters = await server.get_threadpool_parameters()
    _answer_numbers(session, parameters.received, 15)


async def _server_tls_info(session: AdminSession, command: Invocation) -> None:
    server = await session.connection.lookup_server(command.required("server"))
    with explained(f"failed to ask server '{server.name}' for its TLS files"):
        info = await server.get_tls()
    rows = [
        *(("own", one.subject, one.not_before, one.not_after) for one in info.own),
        *(("CA", one.subject, one.not_before, one.not_after) for one in info.authorities),
        *((f"{one.revoked} revoked", one.issuer, one.updated, one.due) for one in info.revocations),
    ]
    session.terminal.answer(
        {
            "files": {
                "cert": info.cert_file,
                "key": info.key_file,
                "ca": info.ca_file,
                "crl": info.crl_file,
            },
            "loaded": info.loaded,
            "verify": info.verify,
            "priority": info.priority,
            "own": [xdr.as_dict(one) for one in info.own],
            "authorities": [xdr.as_dict(one) for one in info.authorities],
            "revocations": [xdr.as_dict(one) for one in info.revocations],
        },
        table(
            ("OptionKind", "Name", "From", "Until"),
            [
                (kind, name, when(start), when(end) if end else "-")
                for kind, name, start, end in rows
            ],
            with_header=not session.terminal.quiet,
        ),
    )


async def _client_list(session: AdminSession, command: Invocation) -> None:
    if command.peek("server") is None:
        await list_all_clients(session)
        return
    server = await session.connection.lookup_server(command.required("server"))
    with explained(f"failed to obtain list of connected clients from server '{server.name}'"):
        clients = await server.list_clients()
    session.terminal.answer(
        [
            {
                "id": client.id,
                "transport": transport_name(client.transport),
                "connected_since": client.timestamp,
            }
            for client in clients
        ],
        table(
            ("Id", "Transport", "Connected since"),
            [
                (str(client.id), transport_name(client.transport), when(client.timestamp))
                for client in clients
            ],
            with_header=not session.terminal.quiet,
        ),
    )


async def _client_info(session: AdminSession, command: Invocation) -> None:
    client_id = command.number("client", ULONG_MAX) or 0
    server = await session.connection.lookup_server(command.required("server"))
    client = await server.lookup_client(client_id)
    with explained(
        f"failed to retrieve client identity information for client '{client.id}' "
        f"connected to server '{server.name}'"
    ):
        info = await client.get_info()
    transport = transport_name(client.transport)
    session.terminal.answer(
        {
            "id": client.id,
            "connected_since": client.timestamp,
            "transport": transport,
            **to_dict(info.received),
        },
        columns(
            [
                ("id", client.id),
                ("connection_time", when(client.timestamp)),
                ("transport", transport),
                *((param.field, value_text(param)) for param in info.received),
            ],
            15,
        ),
    )


async def _server_clients_info(session: AdminSession, command: Invocation) -> None:
    server = await session.connection.lookup_server(command.required("server"))
    with explained("Unable to retrieve client limits from server's configuration"):
        limits = await server.get_client_limits()
    _answer_numbers(session, limits.received, 20)


def _answer_numbers(session: AdminSession, params: Sequence[TypedParam], width: int) -> None:
    text = columns(((param.field, value_text(param)) for param in params), width)
    session.terminal.answer(to_dict(params), text)


def server_option(help_text: str) -> Option:
    """The option that names a server of the daemon."""
    return Option("server", OptionKind.DATA, help_text, required=True, complete=server_names)


GROUP: Final = Group(
    "Monitoring commands",
    "monitor",
    (
        Command(
            "server-list",
            _server_list,
            "list the daemon's servers",
            "List every server of the daemon.",
            aliases=("srv-list",),
        ),
        Command(
            "server-threadpool-info",
            _server_threadpool_info,
            "show a server's worker pool",
            "Show the bounds of a server's worker pool and what it is doing.",
            (server_option("the server whose pool is meant"),),
            aliases=("srv-threadpool-info",),
        ),
        Command(
            "client-list",
            _client_list,
            "list the clients of a server, or of all",
            "List every client of a server. Without a server: those of all servers, with their users,"
            " processes and addresses.",
            (
                Option(
                    "server",
                    OptionKind.STRING,
                    "the server whose clients are meant (default: all servers)",
                    complete=server_names,
                ),
            ),
            aliases=("srv-clients-list",),
        ),
        Command(
            "client-info",
            _client_info,
            "show who a client is",
            "Show what <server> knows about <client>.",
            (
                server_option("the server that the client is connected to"),
                Option(
                    "client", OptionKind.DATA, "the client's id", required=True, complete=client_ids
                ),
            ),
        ),
        Command(
            "server-clients-info",
            _server_clients_info,
            "show how many clients a server admits",
            "Show how many clients a server admits, and how many it has.",
            (server_option("the server whose limits are meant"),),
            aliases=("srv-clients-info",),
        ),
        Command(
            "server-tls-info",
            _server_tls_info,
            "show the certificates that a server uses",
            "Show the certificates and revocation lists that are in force on a server, and how long they"
            " are valid. Only daemons of aiovirt can be asked.",
            (server_option("the server whose certificates are meant"),),
        ),
    ),
)
