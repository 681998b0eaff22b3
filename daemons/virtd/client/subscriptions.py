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
from aiovirt.daemons.virtd.client.objects import Calling, RemoteObject, wait_for_goodbye
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
    """One subscription at the daemon, and those who listen. key: what it is to.

    It is made and ended by tasks of its own, so that leaving either, for whatever reason, leaves no
    subscription that nobody knows of. Both tasks end with the connection at the latest.
    """

    def __init__(
        self, key: object, source: Source, rpc: Connection, of: RemoteObject[Any] | None
    ) -> None:
        self.key = key
        self.source = source
        self.rpc = rpc
        self.listeners: list[Listener] = []
        self.ending: asyncio.Task[None] | None = None
        self._number: int | None = None
        self._early: list[Any] = []
        self._take_back = rpc.on_event(source.event, self._take)
        self._beginning = asyncio.create_task(self._begin(of))
        self._beginning.add_done_callback(_seen)

    async def begun(self) -> None:
        """Wait until the daemon has subscribed it. Errors are those of a call."""
        await asyncio.shield(self._beginning)

    async def _begin(self, of: RemoteObject[Any] | None) -> None:
        procedure, args = self.source.register(of)
        try:
            self._number = (await self.rpc.call(procedure, args)).callbackID
        except BaseException:
            self._take_back()
            raise

    def replay(self) -> None:
        """Pass on the events that came before the number of the subscription was known."""
        early, self._early = self._early, []
        for args in early:
            self._take(args)

    def end(self) -> asyncio.Task[None]:
        """Begin to end the subscription at the daemon; the task that does it."""
        self._take_back()
        self.ending = asyncio.create_task(self._end())
        return self.ending

    async def _end(self) -> None:
        # The connection ends, or the daemon forgot; whoever began it has the error of that.
        with contextlib.suppress(RpcError, OSError):
            await self.begun()
            if self._number is not None:
                procedure, args = self.source.deregister(self._number)
                await self.rpc.call(procedure, args)

    def _take(self, args: Any) -> None:
        if self._number is None:
            self._early.append(args)
        elif args.callbackID == self._number:
            for listener in tuple(self.listeners):
                listener(self.source, args)


def _seen(task: asyncio.Task[None]) -> None:
    """Take note of a failure: nobody may wait for it any more."""
    if not task.cancelled():
        task.exception()


class Subscriptions:
    """The subscriptions of a host."""

    def __init__(self, host: Calling) -> None:
        self._host = host
        self._held: dict[object, Subscription] = {}

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
        async with asyncio.timeout(self._host.timeout):
            # The daemon refuses a second subscription until the former one has ended there.
            while (held := self._held.get(key)) is not None and held.ending is not None:
                await asyncio.shield(held.ending)
            if held is None:
                held = self._held[key] = Subscription(key, source, rpc, of)
            held.listeners.append(listener)
            try:
                await held.begun()
            except BaseException:
                self._leave(held, listener)
                raise
        held.replay()
        return held

    async def remove(self, held: Subscription, listener: Listener) -> None:
        """Stop listening; the last one to go ends the subscription.

        A daemon that does not answer is waited for shortly; the end goes on without the caller.

        Args:
            held: the subscription.
            listener: as it was given to `add`.
        """
        ending = self._leave(held, listener)
        if ending is not None:
            await wait_for_goodbye(self._host, ending)

    def _leave(self, held: Subscription, listener: Listener) -> asyncio.Task[None] | None:
        """Take a listener away; the task that ends the subscription if it was the last one."""
        held.listeners.remove(listener)
        if held.listeners or held.ending is not None:
            return None
        ending = held.end()
        ending.add_done_callback(lambda _: self._ended(held))
        return ending

    def _ended(self, held: Subscription) -> None:
        if self._held.get(held.key) is held:
            del self._held[held.key]
