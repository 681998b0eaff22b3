"""Kinds of event, and how each is subscribed to."""

from __future__ import annotations

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
