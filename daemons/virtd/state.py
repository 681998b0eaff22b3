"""What clients of virtd have opened, on its way from one program to the next."""

from __future__ import annotations

import contextlib

import msgspec

from aiovirt.daemons.virtd.dispatch import RemoteDispatch, find_driver
from aiovirt.rpc.wire.errors import RpcError


class RemoteState(msgspec.Struct):
    """opened: URIs by client id."""

    opened: dict[str, str] = {}


def save(service: RemoteDispatch) -> RemoteState:
    """Write down who has opened what."""
    return RemoteState({str(client): one.uri for client, one in service.opened.items()})


def restore(service: RemoteDispatch, state: RemoteState) -> None:
    """Have it opened again; what this version does not have any more is closed."""
    for client, uri in state.opened.items():
        with contextlib.suppress(RpcError):
            service.opened[int(client)] = find_driver(uri)
