"""Events of a host, and those who receive them.

An event names its subject as it was at that moment, and has the fields of libvirt's message in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

import msgspec


class Family(Enum):
    """Kinds of object that events are about."""

    DOMAIN = "domain"
    NETWORK = "network"
    STORAGE_POOL = "storage pool"
    NODE_DEVICE = "node device"
    SECRET = "secret"  # noqa: S105  a kind of object


class Subject(msgspec.Struct, frozen=True):
    """The object that an event is about.

    name: its name; of a secret, the object that uses it. uuid: 16 bytes, empty if it has none. number:
    the id of a running domain, else -1; of a secret, its kind of use.
    """

    name: str
    uuid: bytes = b""
    number: int = -1


class Event(msgspec.Struct, frozen=True):
    """One thing that happened.

    number: of the event in its family, as in virDomainEventID and its like; details: the fields of
    libvirt's message after its subject, in order.
    """

    family: Family
    number: int
    subject: Subject
    details: tuple[object, ...] = ()


def _at_once(function: Callable[..., object], *args: object) -> None:
    function(*args)


class Events:
    """The events of one host.

    Args:
        after: calls a function with its arguments as soon as what it tells of is stored.
    """

    def __init__(self, after: Callable[..., None] = _at_once) -> None:
        self._after = after
        self._is_silent = False
        self._receivers: list[Callable[[Event], None]] = []

    def receive(self, receiver: Callable[[Event], None]) -> None:
        """Have a function called for each event, in order, from now on."""
        self._receivers.append(receiver)

    def emit(self, event: Event) -> None:
        """Tell all receivers of an event, when what it tells of is stored."""
        if not self._is_silent:
            self._after(self._tell, event)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Tell nobody of what happens in a block."""
        self._is_silent = True
        try:
            yield
        finally:
            self._is_silent = False

    def _tell(self, event: Event) -> None:
        for receiver in self._receivers:
            receiver(event)
