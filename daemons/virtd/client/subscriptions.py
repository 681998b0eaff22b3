"""Kinds of event, how each is subscribed to, and the subscriptions of one host.

A daemon refuses a second subscription of a connection to the same events, so iterators share one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Self

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client.domain import Domain
from aiovirt.daemons.virtd.client.network import Network
from aiovirt.daemons.virtd.client.nodedev import NodeDevice
from aiovirt.daemons.virtd.client.objects import Calling, RemoteObject
from aiovirt.daemons.virtd.client.secret import Secret
from aiovirt.daemons.virtd.client.storage import StoragePool
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.network import NetworkEventID
from aiovirt.daemons.virtd.constants.nodedev import NodeDeviceEventID
from aiovirt.daemons.virtd.constants.secret import SecretEventID
from aiovirt.daemons.virtd.constants.storage import StoragePoolEventID
from aiovirt.rpc.client import Connection
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.program import Procedure

#: The kinds of event that a host has.
EventKind = DomainEventID | NetworkEventID | StoragePoolEventID | NodeDeviceEventID | SecretEventID
#: The kind that is subscribed to when none is named.
DEFAULT: Final = DomainEventID.LIFECYCLE


class _Family(NamedTuple):
    """The events of one kind of object. field: the object's field in them; prefix: of their names."""

    object: Callable[[Calling, Any], RemoteObject[Any]]
    field: str
    prefixes: tuple[str, ...]
    register: Procedure[Any, Any]
    deregister: Procedure[Any, None]


_FAMILIES: Final[dict[type, _Family]] = {
    DomainEventID: _Family(
        Domain,
        "dom",
        ("DOMAIN_EVENT_CALLBACK_", "DOMAIN_EVENT_"),
        protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY,
        protocol.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY,
    ),
    NetworkEventID: _Family(
        Network,
        "net",
        ("NETWORK_EVENT_",),
        protocol.CONNECT_NETWORK_EVENT_REGISTER_ANY,
        protocol.CONNECT_NETWORK_EVENT_DEREGISTER_ANY,
    ),
    StoragePoolEventID: _Family(
        StoragePool,
        "pool",
        ("STORAGE_POOL_EVENT_",),
        protocol.CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY,
        protocol.CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY,
    ),
    NodeDeviceEventID: _Family(
        NodeDevice,
        "dev",
        ("NODE_DEVICE_EVENT_",),
        protocol.CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY,
        protocol.CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY,
    ),
    SecretEventID: _Family(
        Secret,
        "secret",
        ("SECRET_EVENT_",),
        protocol.CONNECT_SECRET_EVENT_REGISTER_ANY,
        protocol.CONNECT_SECRET_EVENT_DEREGISTER_ANY,
    ),
}


class Source(NamedTuple):
    """One kind of event, as the protocol has it. event: the message that carries it."""

    kind: EventKind
    event: Procedure[Any, None]
    family: _Family

    @classmethod
    def of(cls, kind: EventKind) -> Self:
        """Find a kind. Raises TypeError for anything but a kind of event."""
        family = _FAMILIES.get(type(kind))
        if family is None:
            raise TypeError(f"{kind!r} is not a kind of event, such as DomainEventID.LIFECYCLE")
        event = next(
            getattr(protocol, prefix + kind.name)
            for prefix in family.prefixes
            if hasattr(protocol, prefix + kind.name)
        )
        return cls(kind, event, family)

    @property
    def field(self) -> str:
        """The field of the object."""
        return self.family.field

    def make(self, host: Calling, ref: Any) -> RemoteObject[Any]:
        """Return the object of an event.

        Args:
            host: its host.
            ref: the object as the event names it.
        """
        return self.family.object(host, ref)

    def register(self, of: RemoteObject[Any] | None) -> tuple[Procedure[Any, Any], Any]:
        """Return the call that subscribes. of: one object, None for all."""
        procedure = self.family.register
        ref = of.ref if of is not None else None
        return procedure, procedure.args(int(self.kind), ref)

    def deregister(self, number: int) -> tuple[Procedure[Any, None], Any]:
        """Return the call that ends a subscription. number: of the subscription."""
        return self.family.deregister, protocol.CallbackArgs(number)


#: Called with each event of a subscription.
Listener = Callable[[Source, Any], None]


class Subscription:
    """One subscription at the daemon, and those who listen. key: what it is to."""

    def __init__(self, key: object, source: Source, rpc: Connection) -> None:
        self.key = key
        self.source = source
        self.rpc = rpc
        self.listeners: list[Listener] = []
        self.number: int | None = None
        self._early: list[Any] = []
        self._take_back = rpc.on_event(source.event, self._take)

    async def begin(self, of: RemoteObject[Any] | None, timeout: float | None) -> None:
        """Subscribe at the daemon.

        Args:
            of: the object whose events are wanted, None for all.
            timeout: seconds for the answer, None for no limit.
        """
        procedure, args = self.source.register(of)
        try:
            self.number = (await self.rpc.call(procedure, args, timeout=timeout)).callbackID
        except BaseException:
            self._take_back()
            raise

    def replay(self) -> None:
        """Pass on the events that came before the number of the subscription was known."""
        early, self._early = self._early, []
        for args in early:
            self._take(args)

    async def end(self, timeout: float | None) -> None:
        """End the subscription at the daemon. timeout: seconds for the answer, None for no limit."""
        self._take_back()
        if self.number is not None and not self.rpc.closed:
            procedure, args = self.source.deregister(self.number)
            with contextlib.suppress(
                RpcError, OSError
            ):  # the connection ends, or the daemon forgot
                await self.rpc.call(procedure, args, timeout=timeout)

    def _take(self, args: Any) -> None:
        if self.number is None:
            self._early.append(args)
        elif args.callbackID == self.number:
            for listener in tuple(self.listeners):
                listener(self.source, args)


class Subscriptions:
    """The subscriptions of a host."""

    def __init__(self, host: Calling) -> None:
        self._host = host
        self._held: dict[object, Subscription] = {}
        self._lock = asyncio.Lock()

    async def add(
        self, source: Source, of: RemoteObject[Any] | None, listener: Listener
    ) -> Subscription:
        """Subscribe, or join those who have subscribed to the same. Errors are those of a call.

        Args:
            source: the kind of event.
            of: the object whose events are wanted, None for all.
            listener: called with each event.
        """
        rpc = self._host.rpc
        key = (rpc, source.kind, type(source.kind), of)
        async with self._lock:
            held = self._held.get(key)
            if held is None:
                held = Subscription(key, source, rpc)
                await held.begin(of, self._host.timeout)
                self._held[key] = held
            held.listeners.append(listener)
            held.replay()
            return held

    async def remove(self, held: Subscription, listener: Listener) -> None:
        """Stop listening; the last one to go ends the subscription.

        Args:
            held: the subscription.
            listener: as it was given to `add`.
        """
        async with self._lock:
            held.listeners.remove(listener)
            if not held.listeners:
                self._held.pop(held.key, None)
                await held.end(self._host.timeout)
