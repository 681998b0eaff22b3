"""Subscriptions to events: who wants which, and how an event becomes a message.

A subscriber has a number for each subscription (the callback style), or none (the styles of libvirt
before 1.3). An event is encoded once for each number that it goes out with.

Source: libvirt's src/remote/remote_daemon_dispatch.c (remoteRelayDomainEvent* and their like).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.dispatch.monitor_events import MonitorWish, monitor_event
from aiovirt.daemons.virtd.dispatch.monitor_events import message as monitor_message
from aiovirt.daemons.virtd.host.events import Event, Family, Subject
from aiovirt.rpc.server.events import encoded
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.dispatch.serving import Session
    from aiovirt.rpc.wire.program import Procedure

#: The messages for subscriptions with a number, by event.
NUMBERED: Final[Mapping[Family, Mapping[int, Procedure[Any, None]]]] = {
    Family.DOMAIN: {
        DomainEventID.LIFECYCLE: protocol.DOMAIN_EVENT_CALLBACK_LIFECYCLE,
        DomainEventID.REBOOT: protocol.DOMAIN_EVENT_CALLBACK_REBOOT,
        DomainEventID.RTC_CHANGE: protocol.DOMAIN_EVENT_CALLBACK_RTC_CHANGE,
        DomainEventID.WATCHDOG: protocol.DOMAIN_EVENT_CALLBACK_WATCHDOG,
        DomainEventID.IO_ERROR: protocol.DOMAIN_EVENT_CALLBACK_IO_ERROR,
        DomainEventID.GRAPHICS: protocol.DOMAIN_EVENT_CALLBACK_GRAPHICS,
        DomainEventID.IO_ERROR_REASON: protocol.DOMAIN_EVENT_CALLBACK_IO_ERROR_REASON,
        DomainEventID.CONTROL_ERROR: protocol.DOMAIN_EVENT_CALLBACK_CONTROL_ERROR,
        DomainEventID.BLOCK_JOB: protocol.DOMAIN_EVENT_CALLBACK_BLOCK_JOB,
        DomainEventID.DISK_CHANGE: protocol.DOMAIN_EVENT_CALLBACK_DISK_CHANGE,
        DomainEventID.TRAY_CHANGE: protocol.DOMAIN_EVENT_CALLBACK_TRAY_CHANGE,
        DomainEventID.PMWAKEUP: protocol.DOMAIN_EVENT_CALLBACK_PMWAKEUP,
        DomainEventID.PMSUSPEND: protocol.DOMAIN_EVENT_CALLBACK_PMSUSPEND,
        DomainEventID.BALLOON_CHANGE: protocol.DOMAIN_EVENT_CALLBACK_BALLOON_CHANGE,
        DomainEventID.PMSUSPEND_DISK: protocol.DOMAIN_EVENT_CALLBACK_PMSUSPEND_DISK,
        DomainEventID.DEVICE_REMOVED: protocol.DOMAIN_EVENT_CALLBACK_DEVICE_REMOVED,
        DomainEventID.BLOCK_JOB_2: protocol.DOMAIN_EVENT_BLOCK_JOB_2,
        DomainEventID.TUNABLE: protocol.DOMAIN_EVENT_CALLBACK_TUNABLE,
        DomainEventID.AGENT_LIFECYCLE: protocol.DOMAIN_EVENT_CALLBACK_AGENT_LIFECYCLE,
        DomainEventID.DEVICE_ADDED: protocol.DOMAIN_EVENT_CALLBACK_DEVICE_ADDED,
        DomainEventID.MIGRATION_ITERATION: protocol.DOMAIN_EVENT_CALLBACK_MIGRATION_ITERATION,
        DomainEventID.JOB_COMPLETED: protocol.DOMAIN_EVENT_CALLBACK_JOB_COMPLETED,
        DomainEventID.DEVICE_REMOVAL_FAILED: protocol.DOMAIN_EVENT_CALLBACK_DEVICE_REMOVAL_FAILED,
        DomainEventID.METADATA_CHANGE: protocol.DOMAIN_EVENT_CALLBACK_METADATA_CHANGE,
        DomainEventID.BLOCK_THRESHOLD: protocol.DOMAIN_EVENT_BLOCK_THRESHOLD,
        DomainEventID.MEMORY_FAILURE: protocol.DOMAIN_EVENT_MEMORY_FAILURE,
        DomainEventID.MEMORY_DEVICE_SIZE_CHANGE: protocol.DOMAIN_EVENT_MEMORY_DEVICE_SIZE_CHANGE,
    },
    Family.NETWORK: {0: protocol.NETWORK_EVENT_LIFECYCLE},
    Family.STORAGE_POOL: {
        0: protocol.STORAGE_POOL_EVENT_LIFECYCLE,
        1: protocol.STORAGE_POOL_EVENT_REFRESH,
    },
    Family.NODE_DEVICE: {
        0: protocol.NODE_DEVICE_EVENT_LIFECYCLE,
        1: protocol.NODE_DEVICE_EVENT_UPDATE,
    },
    Family.SECRET: {0: protocol.SECRET_EVENT_LIFECYCLE, 1: protocol.SECRET_EVENT_VALUE_CHANGED},
}
#: The messages for subscriptions without a number: events of domains that libvirt had before 1.3.
PLAIN: Final[Mapping[int, Procedure[Any, None]]] = {
    DomainEventID.LIFECYCLE: protocol.DOMAIN_EVENT_LIFECYCLE,
    DomainEventID.REBOOT: protocol.DOMAIN_EVENT_REBOOT,
    DomainEventID.RTC_CHANGE: protocol.DOMAIN_EVENT_RTC_CHANGE,
    DomainEventID.WATCHDOG: protocol.DOMAIN_EVENT_WATCHDOG,
    DomainEventID.IO_ERROR: protocol.DOMAIN_EVENT_IO_ERROR,
    DomainEventID.GRAPHICS: protocol.DOMAIN_EVENT_GRAPHICS,
    DomainEventID.IO_ERROR_REASON: protocol.DOMAIN_EVENT_IO_ERROR_REASON,
    DomainEventID.CONTROL_ERROR: protocol.DOMAIN_EVENT_CONTROL_ERROR,
    DomainEventID.BLOCK_JOB: protocol.DOMAIN_EVENT_BLOCK_JOB,
    DomainEventID.DISK_CHANGE: protocol.DOMAIN_EVENT_DISK_CHANGE,
    DomainEventID.TRAY_CHANGE: protocol.DOMAIN_EVENT_TRAY_CHANGE,
    DomainEventID.PMWAKEUP: protocol.DOMAIN_EVENT_PMWAKEUP,
    DomainEventID.PMSUSPEND: protocol.DOMAIN_EVENT_PMSUSPEND,
    DomainEventID.BALLOON_CHANGE: protocol.DOMAIN_EVENT_BALLOON_CHANGE,
    DomainEventID.PMSUSPEND_DISK: protocol.DOMAIN_EVENT_PMSUSPEND_DISK,
    DomainEventID.DEVICE_REMOVED: protocol.DOMAIN_EVENT_DEVICE_REMOVED,
}
#: How a message names the object that it is about.
_SUBJECTS: Final[Mapping[Family, Callable[[Subject], object]]] = {
    Family.DOMAIN: lambda one: protocol.NonnullDomain(one.name, one.uuid, one.number),
    Family.NETWORK: lambda one: protocol.NonnullNetwork(one.name, one.uuid),
    Family.STORAGE_POOL: lambda one: protocol.NonnullStoragePool(one.name, one.uuid),
    Family.NODE_DEVICE: lambda one: protocol.NonnullNodeDevice(one.name),
    Family.SECRET: lambda one: protocol.NonnullSecret(one.uuid, one.number, one.name),
}
#: Subscriptions that one client may have.
SUBSCRIPTIONS_MAX: Final = 1024


class Wish(msgspec.Struct, frozen=True):
    """One subscription. subject: the UUID or the name of the only object that it is about, or
    empty; plain: whether its messages carry no number."""

    family: Family
    number: int
    subject: bytes | str = b""
    plain: bool = False


class Subscriptions:
    """The subscriptions of one client, by number.

    monitors: those to events of monitors.

    Args:
        wishes: subscriptions to begin with.
        monitors: likewise.
    """

    def __init__(
        self,
        wishes: Mapping[int, Wish] | None = None,
        monitors: Mapping[int, MonitorWish] | None = None,
    ) -> None:
        self._wishes = dict(wishes or {})
        self.monitors = dict(monitors or {})
        self._last = max((*self._wishes, *self.monitors), default=-1)

    def add(self, wish: Wish) -> int:
        """Add one, and return its number.

        Raises RpcError: INTERNAL_ERROR for an event that does not exist, or too many subscriptions.
        """
        known = PLAIN if wish.plain else NUMBERED[wish.family]
        if wish.number not in known:
            raise RpcError.of(ErrorCode.INTERNAL_ERROR, f"unsupported event ID {wish.number}")
        number = self._next()
        self._wishes[number] = wish
        return number

    def add_monitor(self, wish: MonitorWish) -> int:
        """Add one to events of monitors, and return its number. Raises RpcError for too many."""
        number = self._next()
        self.monitors[number] = wish
        return number

    def _next(self) -> int:
        if len(self._wishes) + len(self.monitors) >= SUBSCRIPTIONS_MAX:
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR, f"a client has at most {SUBSCRIPTIONS_MAX} subscriptions"
            )
        self._last += 1
        return self._last

    def remove_monitor(self, number: int) -> None:
        """End one to events of monitors. Raises RpcError INTERNAL_ERROR if it does not exist."""
        if self.monitors.pop(number, None) is None:
            raise RpcError.of(
                ErrorCode.INTERNAL_ERROR, f"qemu monitor event callback {number} not registered"
            )

    def remove(self, number: int) -> None:
        """End one. Raises RpcError INTERNAL_ERROR if it does not exist."""
        if self._wishes.pop(number, None) is None:
            raise RpcError.of(ErrorCode.INTERNAL_ERROR, f"event callback {number} not registered")

    def remove_plain(self, number: int) -> bool:
        """End the subscription without a number to an event; whether it existed."""
        for key, wish in self._wishes.items():
            if wish.plain and wish.number == number:
                del self._wishes[key]
                return True
        return False

    def wanting(self, event: Event) -> list[tuple[int, bool]]:
        """Return number and plainness of those that want an event, in the order of their making."""
        subject = event.subject
        return [
            (key, wish.plain)
            for key, wish in self._wishes.items()
            if wish.family is event.family
            and wish.number == event.number
            and (not wish.subject or wish.subject in (subject.uuid, subject.name))
        ]

    def __iter__(self) -> Iterator[tuple[int, Wish]]:
        return iter(self._wishes.items())


class EventFaults(Protocol):
    """Something that makes events be lost, repeated or late."""

    def deliver(
        self, session: Session, procedure: Procedure[Any, None], event: Event, data: bytes
    ) -> None:
        """Send an event, or do not.

        Args:
            session: which wants it.
            procedure: as which it travels.
            event: what happened.
            data: the message.
        """


def tell(sessions: Iterable[Session], event: Event, faults: EventFaults | None = None) -> None:
    """Send an event to those sessions that want it. Each number is encoded once.

    Args:
        sessions: of the host on which it happened.
        event: what happened.
        faults: what sends it, if there are faults.
    """
    made: dict[tuple[int, bool], bytes] = {}
    for session in sessions:
        if session.subscriptions is None:
            continue
        for wanted in session.subscriptions.wanting(event):
            data = made.get(wanted)
            if data is None:
                data = made[wanted] = message(event, *wanted)
            if faults is None:
                session.client.write_event(data)
            else:
                faults.deliver(session, _procedure(event, plain=wanted[1]), event, data)
        if session.subscriptions.monitors and event.family is Family.DOMAIN:
            _tell_of_monitor(session, session.subscriptions, event)


def _tell_of_monitor(session: Session, subscriptions: Subscriptions, event: Event) -> None:
    told = monitor_event(event) if session.host.name == "qemu" else None
    if told is None:
        return
    now = session.host.clock.now()
    for number, wish in subscriptions.monitors.items():
        if wish.wants(event.subject.uuid, told.name):
            session.client.write_event(monitor_message(event, told, number, now))


def message(event: Event, number: int, plain: bool) -> bytes:
    """Encode an event as a message.

    Args:
        event: what happened.
        number: of the subscription.
        plain: without that number.
    """
    procedure = _procedure(event, plain=plain)
    content = procedure.args
    subject = _SUBJECTS[event.family](event.subject)
    if plain:
        return encoded(procedure, content(subject, *event.details))
    names = xdr.names_of(content)
    if names[-1] == "msg":  # between them may be a reason, which no driver gives
        inner = content.__annotations__["msg"]
        reasons = (0,) * (len(names) - 2)
        made = _type(content, inner)(subject, *event.details)
        return encoded(procedure, content(number, *reasons, made))
    return encoded(procedure, content(number, subject, *event.details))


def _procedure(event: Event, *, plain: bool) -> Procedure[Any, None]:
    """The procedure as which an event travels."""
    return (PLAIN if plain else NUMBERED[event.family])[event.number]


def _type(owner: type, annotation: object) -> Callable[..., Any]:
    """The class of a field whose annotation is a name."""
    if isinstance(annotation, str):
        found: Callable[..., Any] = getattr(protocol, annotation)
        return found
    return annotation  # type: ignore[return-value]  # a class already
