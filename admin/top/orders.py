"""Orders of the user to a daemon: disconnect a client, resize a pool, change the log level."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from aiovirt.admin.client import Connection, MissingProgram
from aiovirt.admin.objects import Client, Server
from aiovirt.admin.watch.clients import ClientState
from aiovirt.admin.watch.watched import Watched
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.xdr import XdrError

#: Levels by the number that the program has for them.
LEVELS: Final = ("default", "debug", "info", "warning", "error")
_UINT_MAX: Final = 0xFFFFFFFF


class OrderFailed(Exception):
    """An order was not carried out; the text says why, in a line."""


class PoolSize(NamedTuple):
    """The bounds of a worker pool, in workers. None: not to be changed."""

    least: int | None
    most: int | None
    priority: int | None

    @classmethod
    def of_texts(cls, least: str, most: str, priority: str) -> PoolSize:
        """Read three numbers as a user has typed them; an empty one stays. Raises OrderFailed."""
        size = cls(_number("min", least), _number("max", most), _number("priority", priority))
        if size.least is not None and size.most is not None and size.least > size.most:
            raise OrderFailed(f"min ({size.least}) must not be greater than max ({size.most})")
        return size


async def disconnect(watched: Watched, client: ClientState) -> str:
    """Disconnect a client; returns what was done. Raises OrderFailed.

    Args:
        watched: the daemon.
        client: one of its clients.
    """

    async def order(connection: Connection) -> None:
        server = Server(connection, client.server)
        await Client(server, client.id, client.since, 0).close()

    await _carry_out(watched, order)
    return f"client {client.id} of server {client.server} disconnected"


async def resize(watched: Watched, server: str, size: PoolSize) -> str:
    """Change the bounds of a server's worker pool; returns what was done. Raises OrderFailed.

    Args:
        watched: the daemon.
        server: the server's name.
        size: the new bounds.
    """

    async def order(connection: Connection) -> None:
        await Server(connection, server).set_threadpool_parameters(
            min_workers=size.least, max_workers=size.most, prio_workers=size.priority
        )

    await _carry_out(watched, order)
    return f"worker pool of server {server} resized"


async def set_log_level(watched: Watched, level: int) -> str:
    """Change the daemon's log level; returns what was done. Raises OrderFailed.

    Args:
        watched: the daemon.
        level: an index of `LEVELS`.
    """

    async def order(connection: Connection) -> None:
        await connection.settings.set_log_level(level)

    try:
        await _carry_out(watched, order)
    except MissingExtension:
        raise OrderFailed(
            "this daemon has no admin extension, as only a daemon of aiovirt does;"
            " virtadm daemon-log-filters can change its filters"
        ) from None
    return f"log level set to {LEVELS[level]}"


class MissingExtension(OrderFailed):
    """The daemon does not have the program that an order needs."""


async def _carry_out(watched: Watched, order: Callable[[Connection], Awaitable[None]]) -> None:
    try:
        await watched.change(order)
    except MissingProgram as error:
        raise MissingExtension(error.message) from error
    except RpcError as error:
        raise OrderFailed(error.message) from error
    except (OSError, XdrError, ValueError) as error:
        raise OrderFailed(str(error) or type(error).__name__) from error


def _number(name: str, text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= _UINT_MAX):
        raise OrderFailed(f"{name} takes a number of workers, not '{text}'")
    return int(text)
