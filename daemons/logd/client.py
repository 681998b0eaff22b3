"""The client side of logd's administration.

    async with admin.client.connect("logd:///system") as connection:
        logs = LogAdmin(connection)
        for log in await logs.list():
            print(log.path, log.domain.name, log.rate)

Errors, from every call: those of `admin.client`; `NoLogAdmin` when the daemon is no logd.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from admin.client import Connection
from daemons.logd import admin_protocol as protocol
from daemons.logd.admin_protocol import OpenLogInfo
from daemons.logd.protocol import Position
from rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

__all__ = ["LogAdmin", "NoLogAdmin", "OpenLogInfo", "Position"]


class NoLogAdmin(RpcError):
    """The daemon does not have the program."""


class LogAdmin:
    """The logs of a logd, over an admin connection that was opened by `admin.client.connect`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(self) -> list[OpenLogInfo]:
        """All open logs, sorted by path."""
        found: list[OpenLogInfo] = []
        more = True
        while more:
            after = found[-1].path if found else None
            with _program_is_there(self._connection):
                page = await self._connection.call(
                    protocol.LOG_LIST, protocol.ListArgs(after, flags=0)
                )
            found += page.logs
            more = page.more
        return found

    async def rotate(self, path: str) -> Position:
        """Turn to a new file now; where the log goes on.

        Raises RpcError: INVALID_ARG for a log that is not open.
        """
        with _program_is_there(self._connection):
            answer = await self._connection.call(
                protocol.LOG_ROTATE, protocol.RotateArgs(path, flags=0)
            )
        return answer.position


@contextmanager
def _program_is_there(connection: Connection) -> Generator[None, None, None]:
    """Say clearly what is wrong when a daemon does not know the program."""
    try:
        yield
    except RpcError as error:
        if (error.code, error.domain) != (ErrorCode.RPC, ErrorDomain.RPC):
            raise
        number = protocol.LOG_ADMIN.number
        raise NoLogAdmin(
            ErrorCode.OPERATION_UNSUPPORTED,
            f"{connection.uri} has no log administration (program 0x{number:08x}), as only logd"
            f" does: {error.message}",
        ) from error
