"""The calling side of the remote program: opening a connection, with authentication if it is asked.

    connection = await connect_unix("/run/libvirt/libvirt-sock")
    await authenticate(connection, name="joe", password="secret")
    await open_driver(connection, "qemu:///system")

Works with libvirt's daemons, too.

Source: libvirt's src/remote/remote_driver.c (remoteAuthenticate, remoteAuthSASL).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.connect import AuthType, ConnectFlags
from aiovirt.rpc.client import Connection
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

__all__ = ["authenticate", "open_driver"]


async def authenticate(connection: Connection, *, name: str = "", password: str = "") -> str | None:
    """Say who we are, if the server asks; the mechanism that was used, None for none.

    Raises RpcError AUTH_FAILED: the server refused us, wants what we do not have, or did not prove that
    it knows the password.
    """
    return await authenticate_by(connection, lambda: (name, password))


async def authenticate_by(
    connection: Connection, credentials: Callable[[], tuple[str, str]]
) -> str | None:
    """Say who we are, if the server asks; as `authenticate`.

    Args:
        connection: to the server.
        credentials: called in a thread for the name and the password, if the server asks for them.
    """
    wanted = (await connection.call(protocol.AUTH_LIST, None)).types
    if not wanted or AuthType.NONE in wanted:
        return None
    if AuthType.SASL not in wanted:
        raise _failed(f"the server wants {wanted}, and we have SASL only")
    from aiovirt.rpc.security.sasl import ClientExchange, SaslError

    name, password = await asyncio.to_thread(credentials)
    if not name:
        raise _failed("the daemon asks for a name and a password; give them, or name an authfile")
    offered = (await connection.call(protocol.AUTH_SASL_INIT, None)).mechlist
    try:
        exchange = ClientExchange(offered, name, password)
        answer = await connection.call(
            protocol.AUTH_SASL_START,
            protocol.AuthSaslStartArgs(exchange.mechanism, nil=0, data=exchange.first()),
        )
        while not answer.complete:
            words = await asyncio.to_thread(exchange.step, answer.data)
            answer = await connection.call(
                protocol.AUTH_SASL_STEP,
                protocol.AuthSaslStepArgs(nil=0, data=words),
            )
        if not exchange.complete:
            exchange.step(answer.data)
    except SaslError as error:
        raise _failed(str(error)) from error
    if not exchange.complete:
        raise _failed("the server did not prove that it knows the password")
    return exchange.mechanism


async def open_driver(connection: Connection, uri: str, *, readonly: bool = False) -> None:
    """Open a driver by its URI. Raises RpcError."""
    flags = ConnectFlags.RO if readonly else 0
    await connection.call(protocol.CONNECT_OPEN, protocol.ConnectOpenArgs(uri, flags))


def _failed(text: str) -> RpcError:
    return RpcError(ErrorCode.AUTH_FAILED, text, domain=ErrorDomain.RPC)
