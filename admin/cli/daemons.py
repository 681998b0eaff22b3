"""The commands about a host's daemons, and about all clients of one."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from aiovirt.admin.cli.failure import explained
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import table, when
from aiovirt.admin.client import Transport
from aiovirt.admin.compatibility import version_text

if TYPE_CHECKING:
    from aiovirt.admin.clients import IdentifiedClient
    from aiovirt.admin.host import AdminSocket, Sighting


async def _daemon_list(session: AdminSession, command: Invocation) -> None:
    from aiovirt.admin import host

    if command.given("sockets"):
        _answer_sockets(session, host.admin_sockets(others=True))
        return
    sightings = await host.look_at_all(session.timeout or host.PATIENCE)
    session.terminal.answer(
        [_sighting_data(each) for each in sightings],
        table(
            ("URI", "State", "PID", "User", "Version", "Clients", "Socket"),
            [_sighting_row(each) for each in sightings],
            with_header=not session.terminal.quiet,
        ),
    )


def _answer_sockets(session: AdminSession, sockets: list[AdminSocket]) -> None:
    session.terminal.answer(
        [{"uri": each.uri, "socket": each.path} for each in sockets],
        table(("URI", "Socket"), sockets, with_header=not session.terminal.quiet),
    )


def _sighting_data(sighting: Sighting) -> dict[str, Any]:
    process = sighting.process
    return {
        "uri": sighting.socket.uri,
        "state": sighting.state.value,
        "pid": process and process.pid,
        "uid": process and process.uid,
        "user": sighting.user,
        "version": None if sighting.version is None else version_text(sighting.version),
        "clients": sighting.clients,
        "socket": sighting.socket.path,
        "reason": sighting.reason,
    }


def _sighting_row(sighting: Sighting) -> tuple[str, ...]:
    data = _sighting_data(sighting)
    data["user"] = data["user"] or data["uid"]
    return tuple(
        "-" if data[name] is None else str(data[name])
        for name in ("uri", "state", "pid", "user", "version", "clients", "socket")
    )


async def list_all_clients(session: AdminSession) -> None:
    """Print the clients of all servers of the session's daemon."""
    from aiovirt.admin.clients import identified_clients

    with explained("failed to list the clients of all servers"):
        clients = await identified_clients(session.connection)
    here = session.connection.uri.transport is None
    rows = [_client_data(each, here) for each in clients]
    session.terminal.answer(
        rows,
        table(
            ("Server", "Id", "Transport", "User", "Process", "Address", "Connected since"),
            [_client_row(each) for each in rows],
            with_header=not session.terminal.quiet,
        ),
    )


def _client_data(identified: IdentifiedClient, here: bool) -> dict[str, Any]:
    client, info = identified.client, identified.info
    pid = info.unix_process_id
    return {
        "server": client.server.name,
        "id": client.id,
        "transport": transport_name(client.transport),
        "user": info.unix_user_name or info.sasl_user_name or info.x509_dname,
        "uid": info.unix_user_id,
        "pid": pid,
        "process": _process_name(pid) if here and pid is not None else None,
        "address": info.sock_addr,
        "readonly": info.readonly,
        "connected_since": client.timestamp,
    }


def _client_row(data: dict[str, Any]) -> tuple[str, ...]:
    user = data["uid"] if data["user"] is None else data["user"]
    process = " ".join(str(data[name]) for name in ("process", "pid") if data[name] is not None)
    return (
        data["server"],
        str(data["id"]),
        data["transport"],
        "-" if user is None else str(user),
        process or "-",
        data["address"] or "-",
        when(data["connected_since"]),
    )


def _process_name(pid: int) -> str | None:
    """Return the name of a process of this machine, None if it has ended or may not be seen."""
    try:
        with open(f"/proc/{pid}/comm", "rb") as file:
            return os.fsdecode(file.read().rstrip(b"\n")) or None
    except OSError:
        return None


def transport_name(number: int) -> str:
    """Return the name of a transport; "unknown" for a number of a later version."""
    try:
        return Transport(number).name.lower()
    except ValueError:
        return "unknown"


GROUP: Final = Group(
    "Daemons of this host",
    "host",
    (
        Command(
            "daemon-list",
            _daemon_list,
            "list the daemons of this host",
            "List the daemons of this host, libvirt's and ours, by their admin sockets: system daemons"
            " and the user's session daemons. The option -c all administers them.",
            (
                Option(
                    "sockets", OptionKind.FLAG, "list the sockets only, without connecting to them"
                ),
            ),
            connected=False,
        ),
    ),
)
