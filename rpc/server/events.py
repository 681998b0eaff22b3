"""Events: what a server tells its clients unasked.

An event never waits for a worker, and goes only to clients that have authenticated. It is a message with
serial 1, as libvirt's are.

A client that does not read is not waited for, and not remembered for ever: when more than `UNREAD_MAX`
bytes of events have been written since it last kept up, it is disconnected, and the log says so. Replies
do not count: a client that reads a long one slowly is not cut off for it.

Source: libvirt's src/remote/remote_daemon_dispatch.c (remoteDispatchObjectEventSend).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, TypeVar

from aiovirt.rpc.wire.message import Status, Type, frame

if TYPE_CHECKING:
    from aiovirt.rpc.server.client import Client
    from aiovirt.rpc.wire.program import Procedure

ArgsT = TypeVar("ArgsT")

#: Bytes of events that may wait for a client that does not read.
UNREAD_MAX: Final = 1024 * 1024

#: The serial of every event.
_SERIAL: Final = 1


def broadcast(clients: Iterable[Client], event: Procedure[ArgsT, None], args: ArgsT) -> int:
    """Tell several clients of an event; it is encoded once.

    Args:
        clients: those that want to know of it.
        event: declared by `Program.event`.
        args: what its table says.

    Returns:
        How many clients it was sent to; see `Client.send_event`.

    Raises:
        ValueError: the procedure is not an event.
        XdrError: the arguments do not fit.
    """
    data = encoded(event, args)
    return sum(client.write_event(data) for client in list(clients))


def encoded(event: Procedure[Any, None], args: Any) -> bytes:
    """Encode an event. Raises ValueError and XdrError."""
    if not event.event:
        raise ValueError(f"{event!r} is not an event: its program declares it with procedure()")
    return frame(event.key, Type.MESSAGE, _SERIAL, Status.OK, event.encode_args(args))
