"""Events of a host, one after the other.

    async with host.events(DomainEventID.LIFECYCLE, NetworkEventID.LIFECYCLE) as events:
        async for event in events:
            print(event.kind, event.object, event.data)

Subscriptions are made when the block begins, or with the first event that is waited for. At the end of
the block they are taken back. With `reconnect`, the loss of the connection is an event of the kind
`ConnectionEvent.RECONNECTED`: events in between are unknown, so the objects should be listed again.

Source: libvirt's src/remote/remote_driver.c (remoteConnectDomainEventRegisterAny and others).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import TracebackType
from typing import Any, ClassVar, Final, NamedTuple, Self

from aiovirt.daemons.virtd.client.objects import Calling, RemoteObject
from aiovirt.daemons.virtd.client.subscriptions import (
    DEFAULT,
    EventKind,
    Source,
    Subscription,
    Subscriptions,
)
from aiovirt.rpc.client import Connection, ConnectionLost
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError
from aiovirt.rpc.wire.records import as_dict, names_of
from aiovirt.rpc.wire.typedparams import TypedParam, to_dict

__all__ = ["ConnectionEvent", "Event", "EventKind", "Events"]

#: Seconds before the first attempt to connect again, and the most between two.
_BACKOFF: Final = (0.05, 5.0)


class ConnectionEvent(IntEnum):
    """Events of the connection itself."""

    RECONNECTED = 1


class Event(NamedTuple):
    """One event.

    kind: a member of DomainEventID, NetworkEventID and the like, or ConnectionEvent. object: the domain,
    network, ... None for events of the connection. data: the other fields, with libvirt's names.
    """

    kind: EventKind | ConnectionEvent
    object: RemoteObject[Any] | None
    data: Mapping[str, Any]

    def __str__(self) -> str:
        fields = " ".join(f"{name}={value}" for name, value in self.data.items())
        subject = f" {self.object.name}" if self.object is not None else ""
        return f"{type(self.kind).__name__}.{self.kind.name}{subject} {fields}".rstrip()


class Events:
    """An iterator of events; made by `Host.events`.

    Raises, while iterated: ConnectionLost at the end of the connection, unless it is made again;
    RpcError when the daemon refuses a subscription, or OPERATION_FAILED when more than `maximum` events
    were not taken. After a reconnection that the daemon refuses (RpcError), the error is raised.
    """

    #: Events that may wait to be taken.
    MAXIMUM: ClassVar[int] = 65536

    def __init__(
        self,
        host: Calling,
        subscriptions: Subscriptions,
        kinds: Sequence[EventKind],
        *,
        of: RemoteObject[Any] | None,
        reconnect: bool,
        maximum: int,
    ) -> None:
        self._host = host
        self._subscriptions = subscriptions
        self._sources = [Source.of(kind) for kind in kinds or (DEFAULT,)]
        self._of = of
        self._reconnect = reconnect
        self._maximum = maximum
        self._queue: deque[Event] = deque()
        self._arrived = asyncio.Event()
        self._rpc: Connection | None = None
        self._held: list[Subscription] = []
        self._watch: asyncio.Task[None] | None = None
        self._overflow = False

    async def __aenter__(self) -> Self:
        await self._subscribe()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        if self._rpc is None:
            await self._subscribe()
        while not self._queue:
            if self._overflow:
                text = f"more than {self._maximum} events were not taken"
                raise RpcError(ErrorCode.OPERATION_FAILED, text, domain=ErrorDomain.EVENT)
            rpc = self._rpc
            if rpc is None:
                raise StopAsyncIteration
            if rpc.closed:
                if not self._reconnect:
                    raise ConnectionLost(f"{rpc.peer}: {rpc.end_reason}")
                await self._begin_again()
                continue
            self._arrived.clear()
            await self._arrived.wait()
        return self._queue.popleft()

    async def aclose(self) -> None:
        """End the subscriptions. Does nothing if they have ended."""
        self._rpc = None
        self._arrived.set()
        await self._leave()

    async def _subscribe(self) -> None:
        rpc = self._rpc = self._host.rpc
        self._watch = asyncio.create_task(self._watch_end(rpc))
        try:
            for source in self._sources:
                self._held.append(await self._subscriptions.add(source, self._of, self._take))
        except BaseException:
            await self._leave()
            raise

    async def _leave(self) -> None:
        """Stop listening."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        held, self._held = self._held, []
        await asyncio.gather(*(self._subscriptions.remove(one, self._take) for one in held))

    async def _watch_end(self, rpc: Connection) -> None:
        await rpc.wait_closed()
        self._arrived.set()

    def _take(self, source: Source, args: Any) -> None:
        if len(self._queue) >= self._maximum:
            self._overflow = True
        else:
            self._queue.append(self._event(source, args))
        self._arrived.set()

    def _event(self, source: Source, args: Any) -> Event:
        body = args.msg if hasattr(args, "msg") else args
        data = {
            name: _plain(getattr(body, name))
            for name in names_of(type(body))
            if name not in ("callbackID", source.field)
        }
        return Event(source.kind, source.make(self._host, getattr(body, source.field)), data)

    async def _begin_again(self) -> None:
        """Connect and subscribe again, for as long as it takes."""
        await self._leave()
        pause, longest = _BACKOFF
        while True:
            try:
                await self._host.reconnect()
                await self._subscribe()
            except (OSError, ConnectionLost):  # TimeoutError is an OSError
                await asyncio.sleep(pause)
                pause = min(pause * 2, longest)
            else:
                break
        self._queue.appendleft(Event(ConnectionEvent.RECONNECTED, None, {}))


def _plain(value: Any) -> Any:
    """Return a field of an event as plain values; typed parameters become a dict."""
    if isinstance(value, list) and value and isinstance(value[0], TypedParam):
        return to_dict(value)
    return as_dict(value)
