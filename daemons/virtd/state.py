"""Hosts, sessions and subscriptions of clients, on their way from one program to the next."""

from __future__ import annotations

import contextlib

import msgspec

from aiovirt.daemons.virtd.dispatch.file_worlds import restored
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.dispatch.monitor_events import MonitorWish
from aiovirt.daemons.virtd.dispatch.serving import SESSION
from aiovirt.daemons.virtd.dispatch.subscriptions import Subscriptions, Wish
from aiovirt.daemons.virtd.host import ending
from aiovirt.daemons.virtd.host.events import Family
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.rpc.wire.errors import RpcError


class TimerState(msgspec.Struct, array_like=True):
    """One thing that is to happen. host: by name; uuid: of the domain, in hexadecimal digits; what: see
    `ending.later`; seconds: until then."""

    host: str
    uuid: str
    what: str
    seconds: float


class HostsState(msgspec.Struct):
    """store: everything, if no file has it; timers: of all hosts."""

    store: bytes | None = None
    timers: list[TimerState] = []


def save_hosts(hosts: Hosts) -> HostsState:
    """Write down what the store does not have. Raises StoreError."""
    timers = [
        TimerState(name, uuid.hex(), what, seconds)
        for name, host in hosts.all.items()
        for (uuid, what), seconds in host.timers.pending()
    ]
    return HostsState(hosts.unfiled(), timers)


def resume_hosts(hosts: Hosts, state: HostsState) -> None:
    """Have the timers go on; those of domains that this version does not know are dropped."""
    for one in state.timers:
        host = hosts.all.get(one.host)
        domain = host and host.domains.by_uuid(bytes.fromhex(one.uuid))
        if domain:
            ending.later(domain, one.what, max(one.seconds, 0.001))  # on the loop, not here


class WishState(msgspec.Struct, array_like=True):
    """One subscription; see `Wish`."""

    key: int
    family: str
    number: int
    subject: str
    plain: bool


class MonitorState(msgspec.Struct, array_like=True):
    """One subscription to events of monitors; see `MonitorWish`."""

    key: int
    subject: str
    name: str
    flags: int


class RemoteState(msgspec.Struct):
    """opened: URIs by client id; wishes, monitors: subscriptions, likewise; private: stores of the hosts
    that were made for one client."""

    opened: dict[str, str] = {}
    wishes: dict[str, list[WishState]] = {}
    monitors: dict[str, list[MonitorState]] = {}
    private: dict[str, bytes] = {}


def save(dispatch: RemoteDispatch) -> RemoteState:
    """Write down what each client has opened and subscribed to."""
    state = RemoteState()
    for client in dispatch.clients():
        session = SESSION.get(client)
        if session is None:
            continue
        state.opened[str(client.id)] = session.uri
        if not dispatch.is_shared(session.host):
            state.private[str(client.id)] = session.host.store.dump()
        if session.subscriptions is not None:
            state.wishes[str(client.id)] = [
                WishState(
                    key,
                    wish.family.value,
                    wish.number,
                    wish.subject.hex() if isinstance(wish.subject, bytes) else f"={wish.subject}",
                    wish.plain,
                )
                for key, wish in session.subscriptions
            ]
            state.monitors[str(client.id)] = [
                MonitorState(key, wish.subject.hex(), wish.name, wish.flags)
                for key, wish in session.subscriptions.monitors.items()
            ]
    return state


def restore(dispatch: RemoteDispatch, state: RemoteState) -> None:
    """Have it opened again; what this version does not have any more is closed."""
    for client in dispatch.clients():
        uri = state.opened.get(str(client.id))
        if uri is None:
            continue
        with contextlib.suppress(RpcError):
            private = state.private.get(str(client.id))
            if private is None:
                session = dispatch.open_driver(client, uri)
            else:
                session = dispatch.open_private(client, uri, restored(private))
            wishes = state.wishes.get(str(client.id))
            if wishes is not None:
                monitors = state.monitors.get(str(client.id), [])
                session.subscriptions = Subscriptions(
                    {one.key: _wish(one) for one in wishes},
                    {
                        one.key: MonitorWish(bytes.fromhex(one.subject), one.name, one.flags)
                        for one in monitors
                    },
                )


def _wish(one: WishState) -> Wish:
    subject = one.subject[1:] if one.subject.startswith("=") else bytes.fromhex(one.subject)
    return Wish(Family(one.family), one.number, subject, one.plain)
