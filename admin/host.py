"""The daemons of this host, found by their admin sockets.

A socket's place and name say which daemon listens there: libvirt/libvirt-admin-sock is libvirtd's,
libvirt/virtNAME-admin-sock another one's of libvirt, aiovirt/NAME-admin-sock one of ours or of another
package (see `plugins`). The folders are in /run for system daemons, and in the caller's runtime
directory for session daemons. A socket without a daemon is reported as stale.

A socket of systemd answers for a daemon that has not started: asking starts it, and its process is that
of systemd, which began to listen.

Source: libvirt's src/admin/libvirt-admin.c (getSocketPath).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from aiovirt.admin import plugins
from aiovirt.admin.client import ConnectFailed, Connection, connect
from aiovirt.admin.uri import Directories
from aiovirt.rpc.security.identity import PeerIdentity
from aiovirt.rpc.wire.errors import RpcError

#: Seconds that a daemon has to answer when it is looked for.
PATIENCE: Final = 3.0

_SYSTEM: Final = "/run"
_ENDING: Final = "-admin-sock"
_OF_LIBVIRT: Final = re.compile(r"virt[a-z0-9]+")


class State(Enum):
    """The state of the daemon at a socket."""

    RUNNING = "running"  # a daemon that answers
    HANGS = "hangs"  # it listens, and does not answer in time
    REFUSES = "refuses"  # it listens, and does not serve this user
    STALE = "stale"  # nobody listens


class AdminSocket(NamedTuple):
    """An admin socket of this host. uri: the URI of its daemon; path: where it is."""

    uri: str
    path: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """The daemon at a socket; a value that could not be found out is None.

    process: the process that began to listen, with its user's id. user: the name of that user. version:
    as libvirt counts, major * 1000000 + minor * 1000 + release. clients: of all servers, this caller
    among them. reason: why there is no answer.
    """

    socket: AdminSocket
    state: State
    process: PeerIdentity | None = None
    user: str | None = None
    version: int | None = None
    clients: int | None = None
    reason: str | None = None


def admin_sockets(where: Directories | None = None, *, others: bool = False) -> list[AdminSocket]:
    """Return the admin sockets of this host: the system's, then the caller's session's.

    Blocks as reading a folder does. A folder that may not be read counts as empty.

    Args:
        where: the caller's directories.
        others: also the sessions of other users, if the caller is root. These sockets are the users'
            own, so root should look at them only.
    """
    where = where or Directories.of_caller()
    found = [
        AdminSocket(f"{scheme}://{path}", socket_path)
        for folder, path in ((_SYSTEM, "/system"), (where.runtime, "/session"))
        for scheme, socket_path in _in_place(folder)
    ]
    if others and where.root:
        places = (f"{_SYSTEM}/user/{user}" for user in _entries(f"{_SYSTEM}/user"))
        found += [
            AdminSocket(f"{scheme}:///session?socket={socket_path}", socket_path)
            for folder in places
            if folder != where.runtime
            for scheme, socket_path in _in_place(folder)
        ]
    return found


async def look(at: AdminSocket, timeout: float = PATIENCE) -> Sighting:
    """Ask the daemon at a socket what it is. Never raises for what the daemon does.

    Args:
        at: the socket.
        timeout: seconds for all of the answers together.
    """
    try:
        async with asyncio.timeout(timeout), connect(at.uri, timeout=timeout) as connection:
            process = PeerIdentity.of(connection.rpc.sock)
            version = await connection.lib_version()
            clients = await _count_clients(connection)
    except ConnectFailed as error:
        gone = isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError)
        return Sighting(at, State.STALE if gone else State.REFUSES, reason=error.strerror)
    except TimeoutError:
        state, reason = State.HANGS, f"no answer within {timeout:g} s"
    except (OSError, RpcError) as error:
        state, reason = State.REFUSES, str(error)
    else:
        user = await asyncio.to_thread(process.user_name)
        return Sighting(at, State.RUNNING, process, user, version, clients)
    listener = _listener(at.path)
    user = await asyncio.to_thread(listener.user_name) if listener else None
    return Sighting(at, state, listener, user, reason=reason)


async def look_at_all(timeout: float = PATIENCE) -> list[Sighting]:
    """Ask the daemons of this host, all at the same time; for root, also those of other users.

    Args:
        timeout: seconds for each of them.
    """
    sockets = await asyncio.to_thread(admin_sockets, others=True)
    return await asyncio.gather(*(look(each, timeout) for each in sockets))


async def _count_clients(connection: Connection) -> int:
    limits = [await server.get_client_limits() for server in await connection.list_servers()]
    return sum(each.clients or 0 for each in limits)


def _listener(path: str) -> PeerIdentity | None:
    """Return the process that listens at a socket, without waiting for it."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        with contextlib.suppress(OSError):  # a full backlog is one of the reasons
            probe.connect(path)
            return PeerIdentity.of(probe)
    return None


def _in_place(folder: str) -> list[tuple[str, str]]:
    """Return the schemes and paths of the admin sockets below a runtime directory."""
    return sorted((*_of_libvirt(folder), *_of_ours(folder)))


def _of_libvirt(folder: str) -> Iterator[tuple[str, str]]:
    for name, path in _sockets_in(f"{folder}/libvirt"):
        if name == "libvirt":
            yield "libvirtd", path
        elif _OF_LIBVIRT.fullmatch(name):
            yield name, path


def _of_ours(folder: str) -> Iterator[tuple[str, str]]:
    return ((name, at) for name, at in _sockets_in(f"{folder}/aiovirt") if plugins.is_daemon(name))


def _sockets_in(folder: str) -> Iterator[tuple[str, str]]:
    """Yield the names and paths of the admin sockets in a folder."""
    for entry in _entries(folder):
        if entry.endswith(_ENDING):
            yield entry.removesuffix(_ENDING), f"{folder}/{entry}"


def _entries(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []
