"""Many subscribers of many guests: each of them sees every event, in the order in which it happened."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.domain_events import DomainEventType as Type
from tests.virtd.conftest import Client, Virtd

SUBSCRIBERS = 50
GUESTS = 1000
#: Guests whose calls are under way at the same time.
AT_ONCE = 20

#: A guest's life: the calls, and the event that each of them causes.
LIFE = (
    (protocol.DOMAIN_CREATE, Type.STARTED),
    (protocol.DOMAIN_SUSPEND, Type.SUSPENDED),
    (protocol.DOMAIN_RESUME, Type.RESUMED),
    (protocol.DOMAIN_DESTROY, Type.STOPPED),
    (protocol.DOMAIN_UNDEFINE, Type.UNDEFINED),
)
EXPECTED = [int(Type.DEFINED), *(int(kind) for _, kind in LIFE)]


class Subscriber:
    """A client that notes the name and the kind of each event."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.seen: list[tuple[str, int]] = []
        self.has_all = asyncio.Event()

    async def subscribe(self) -> None:
        """Subscribe to the lifecycle of all guests."""
        self.client.rpc.on_event(protocol.DOMAIN_EVENT_CALLBACK_LIFECYCLE, self._note)
        args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(DomainEventID.LIFECYCLE, None)
        await self.client.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)

    def _note(self, args: Any) -> None:
        self.seen.append((args.msg.dom.name, args.msg.event))
        if len(self.seen) == GUESTS * len(EXPECTED):
            self.has_all.set()


async def test_each_of_fifty_subscribers_sees_every_event_of_a_thousand_guests_in_order(
    virtd: Virtd,
) -> None:
    subscribers = [Subscriber(await virtd.connect()) for _ in range(SUBSCRIBERS)]
    for one in subscribers:
        await one.subscribe()
    actor = await virtd.connect()

    async def live(name: str) -> None:
        guest = await actor.define(name)
        for procedure, _ in LIFE:
            await actor.call(procedure, protocol.DomainArgs(guest))

    for first in range(0, GUESTS, AT_ONCE):
        await asyncio.gather(*(live(f"guest{first + number}") for number in range(AT_ONCE)))
    await asyncio.wait_for(asyncio.gather(*(one.has_all.wait() for one in subscribers)), 60)

    seen = subscribers[0].seen
    assert all(one.seen == seen for one in subscribers)
    assert set(Counter(seen).values()) == {1}
    lives: dict[str, list[int]] = {}
    for name, kind in seen:
        lives.setdefault(name, []).append(kind)
    assert len(lives) == GUESTS
    assert all(kinds == EXPECTED for kinds in lives.values())
