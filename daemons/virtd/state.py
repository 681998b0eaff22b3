"""The drivers that clients of virtd have opened, on their way from one program to the next."""

from __future__ import annotations

import contextlib

import msgspec

from aiovirt.daemons.virtd.dispatch import OPENED, RemoteDispatch, find_driver
from aiovirt.rpc.wire.errors import RpcError


class RemoteState(msgspec.Struct):
    """opened: URIs by client id."""

    opened: dict[str, str] = {}


def save(service: RemoteDispatch) -> RemoteState:
    """Write down who has opened what."""
    found = ((client.id, OPENED.get(client)) for client in service.clients())
    return RemoteState({str(number): one.uri for number, one in found if one is not None})


def restore(service: RemoteDispatch, state: RemoteState) -> None:
    """Have it opened again; what this version does not have any more is closed."""
    for client in service.clients():
        uri = state.opened.get(str(client.id))
        if uri is not None:
            with contextlib.suppress(RpcError):
                OPENED.set(client, find_driver(uri))
