"""Connections to lock and log managers, and what libvirt says when they fail."""

from __future__ import annotations

import os
from typing import Final

from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.client.connecting import Connecting
from aiovirt.rpc.client.receiving import ConnectionLost
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: Seconds that a manager has to answer.
WAIT: Final = 10.0


def connected(path: str) -> Connecting[Connection]:
    """Connect to a manager. path: its socket. Raises OSError or TimeoutError."""
    return connect_unix(path, timeout=WAIT)


def refusal(error: Exception, path: str) -> RpcError:
    """Return what a client is told when a manager does not do what it is asked.

    Args:
        error: what went wrong; the manager's own error is passed on.
        path: the socket of the manager.
    """
    if isinstance(error, RpcError):
        return error
    if isinstance(error, TimeoutError):
        text = f"{path}: no answer within {WAIT:g} s"
        return RpcError.of(ErrorCode.OPERATION_TIMEOUT, text, domain=ErrorDomain.RPC)
    if isinstance(error, ConnectionLost):
        return RpcError.of(
            ErrorCode.INTERNAL_ERROR, "client socket is closed", domain=ErrorDomain.RPC
        )
    number = error.errno if isinstance(error, OSError) else None
    reason = os.strerror(number) if number else str(error)
    return RpcError(
        ErrorCode.SYSTEM_ERROR,
        f"Failed to connect socket to '{path}': {reason}",
        domain=ErrorDomain.RPC,
    )
