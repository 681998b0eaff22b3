"""Events as the client gives them: shared subscriptions, their ends, and losses of the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client import (
    ConnectionEvent,
    ConnectionLost,
    Domain,
    Host,
    StorageVol,
    connect,
    objects,
)
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.constants.network import NetworkEventID
from aiovirt.daemons.virtd.constants.secret import SecretEventID
from aiovirt.rpc.server import (
    Client,
    Daemon,
    Handlers,
    ServerOptions,
    Stream,
    WithStream,
    serves,
)
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.typedparams import ullong
from tests.unit.house import eventually

GUEST = protocol.NonnullDomain("guest", bytes(16), 1)
OTHER = protocol.NonnullDomain("other", bytes(15) + b"\1", 2)


class Dispatch:
    """As much of libvirtd as subscriptions need. subscribed: number to kind and object."""

    def __init__(self) -> None:
        self.subscribed: dict[int, tuple[int, protocol.NonnullDomain | None]] = {}
        self.last = 0
        self.at_once = False

    @serves(protocol.AUTH_LIST)
    def auth_list(self, client: Client, args: None) -> protocol.AuthListRet:
        return protocol.AuthListRet([0])

    @serves(protocol.CONNECT_OPEN)
    def open(self, client: Client, args: protocol.ConnectOpenArgs) -> None:
        if args.name == "test:///bad":
            raise RpcError(ErrorCode.NO_CONNECT, "bad")

    @serves(protocol.CONNECT_CLOSE)
    def close(self, client: Client, args: None) -> None:
        client.close_after_reply()

    @serves(protocol.CONNECT_SUPPORTS_FEATURE)
    def supports(
        self, client: Client, args: protocol.ConnectSupportsFeatureArgs
    ) -> protocol.ConnectSupportsFeatureRet:
        return protocol.ConnectSupportsFeatureRet(1)

    @serves(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY)
    def register(
        self, client: Client, args: protocol.ConnectDomainEventCallbackRegisterAnyArgs
    ) -> protocol.CallbackRet:
        if (args.eventID, args.dom) in self.subscribed.values():
            raise RpcError(ErrorCode.INVALID_ARG, "event callback already tracked")
        self.last += 1
        self.subscribed[self.last] = (args.eventID, args.dom)
        if self.at_once:  # before the answer
            self.tell(client, GUEST, 7)
        return protocol.CallbackRet(self.last)

    @serves(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY)
    def deregister(self, client: Client, args: protocol.CallbackArgs) -> None:
        del self.subscribed[args.callbackID]

    def tell(self, client: Client, domain: protocol.NonnullDomain, event: int) -> None:
        """Send a lifecycle event to those that want it."""
        for number, (kind, of) in self.subscribed.items():
            if kind == DomainEventID.LIFECYCLE and of in (None, domain):
                body = protocol.DomainEventLifecycleMsg(domain, event, 0)
                client.send_event(
                    protocol.DOMAIN_EVENT_CALLBACK_LIFECYCLE,
                    protocol.DomainEventCallbackLifecycleMsg(number, body),
                )


class Hanging(Dispatch):
    """One that answers nothing but the opening until `hangs` is cleared."""

    def __init__(self) -> None:
        super().__init__()
        self.hangs = False
        self.goes_on = asyncio.Event()
        self.closing = 0

    async def wait(self) -> None:
        while self.hangs:
            self.goes_on.clear()
            await self.goes_on.wait()

    def go_on(self) -> None:
        self.hangs = False
        self.goes_on.set()

    @serves(protocol.STORAGE_VOL_UPLOAD)
    async def upload(self, client: Client, args: protocol.StorageVolRangeArgs) -> WithStream[None]:
        async def take(stream: Stream) -> None:
            while await stream.receive() is not None:
                pass
            await self.wait()

        return WithStream(None, take, receives=True)

    @serves(protocol.CONNECT_CLOSE)
    async def close(self, client: Client, args: None) -> None:  # type: ignore[override]  # waits
        self.closing += 1
        await self.wait()
        client.close_after_reply()

    @serves(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY)
    async def register(  # type: ignore[override]  # waits
        self, client: Client, args: protocol.ConnectDomainEventCallbackRegisterAnyArgs
    ) -> protocol.CallbackRet:
        await self.wait()
        return super().register(client, args)

    @serves(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY)
    async def deregister(  # type: ignore[override]  # waits
        self, client: Client, args: protocol.CallbackArgs
    ) -> None:
        await self.wait()
        super().deregister(client, args)


class House:
    """A daemon at a socket, which can go and come back."""

    def __init__(self, path: str, dispatch: Dispatch | None = None) -> None:
        self.path = path
        self.dispatch = dispatch or Dispatch()
        self.uri = f"test+unix:///default?socket={path}"

    async def begin(self) -> None:
        """Start it, with nobody subscribed."""
        self.dispatch.subscribed.clear()
        self.daemon = Daemon("virtd")
        self.server = self.daemon.add_server(ServerOptions("virtd"))
        self.server.add_program(Handlers.of(self.dispatch))
        self.server.listen_unix(self.path)
        ready = asyncio.Event()
        self._serving = asyncio.create_task(self.daemon.serve(ready.set))
        await ready.wait()

    async def end(self) -> None:
        """Stop it: its clients lose their connections."""
        self.daemon.shutdown()
        await self._serving

    @property
    def client(self) -> Client:
        """The only client."""
        (client,) = self.server.registry
        return client

    def tell(self, domain: protocol.NonnullDomain, event: int) -> None:
        """Send a lifecycle event to the only client."""
        self.dispatch.tell(self.client, domain, event)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    house = House(str(tmp_path / "sock"))
    await house.begin()
    yield house
    await house.end()


@pytest.fixture
async def host(house: House) -> AsyncIterator[Host]:
    async with connect(house.uri, timeout=20) as host:
        yield host


async def test_two_that_want_the_same_share_a_subscription(house: House, host: Host) -> None:
    async with host.events() as first:
        async with host.events() as second:
            assert len(house.dispatch.subscribed) == 1
            house.tell(GUEST, 1)
            assert (await anext(first)) == (await anext(second))
        house.tell(GUEST, 2)
        assert (await anext(first)).data == {"event": 2, "detail": 0}
    assert house.dispatch.subscribed == {}


async def test_one_object_has_a_subscription_of_its_own(house: House, host: Host) -> None:
    guest = Domain(host, GUEST)
    async with host.events() as everything, host.events(of=guest) as its_own:
        assert len(house.dispatch.subscribed) == 2
        house.tell(OTHER, 1)
        house.tell(GUEST, 2)
        assert [(await anext(everything)).object for _ in range(2)] == [Domain(host, OTHER), guest]
        assert (await anext(its_own)).data["event"] == 2


async def test_an_event_that_overtakes_the_answer_is_not_lost(house: House, host: Host) -> None:
    house.dispatch.at_once = True
    async with host.events() as events:
        assert (await anext(events)).data["event"] == 7


async def test_typed_parameters_are_a_dict(house: House, host: Host) -> None:
    async with host.events(DomainEventID.TUNABLE) as events:
        (number,) = house.dispatch.subscribed
        house.client.send_event(
            protocol.DOMAIN_EVENT_CALLBACK_TUNABLE,
            protocol.DomainEventCallbackTunableMsg(number, GUEST, [ullong("a", 1)]),
        )
        event = await anext(events)
    assert event.data == {"params": {"a": 1}}
    assert event.object == Domain(host, GUEST)


async def test_a_refused_subscription_leaves_none_behind(house: House, host: Host) -> None:
    with pytest.raises(RpcError) as refused:
        async with host.events(DomainEventID.REBOOT, NetworkEventID.LIFECYCLE):
            pytest.fail("the daemon has no events of networks")
    assert refused.value.code == ErrorCode.NO_SUPPORT
    assert house.dispatch.subscribed == {}


async def test_only_kinds_of_event_are_taken(host: Host) -> None:
    with pytest.raises(TypeError, match="is not a kind of event"):
        host.events(1)  # type: ignore[arg-type]  # refused at run time, too


def test_every_kind_has_its_message() -> None:
    from aiovirt.daemons.virtd.client.subscriptions import Source

    for kind in (*DomainEventID, *NetworkEventID, *SecretEventID):
        assert Source.of(kind).event.event


async def test_a_loss_ends_the_iterator(house: House, host: Host) -> None:
    async with host.events() as events:
        await house.end()
        with pytest.raises(ConnectionLost):
            await anext(events)
        await house.begin()


async def test_after_a_loss_it_goes_on(house: House, host: Host) -> None:
    async with host.events(reconnect=True) as events, host.events(reconnect=True) as others:
        house.tell(GUEST, 1)
        assert (await anext(events)).data["event"] == 1
        await house.end()
        waiting = [asyncio.create_task(anext(one)) for one in (events, others)]
        await house.begin()
        assert (await waiting[0]).kind == ConnectionEvent.RECONNECTED
        assert (await waiting[1]).data == {"event": 1, "detail": 0}
        assert (await anext(others)).kind == ConnectionEvent.RECONNECTED
        house.tell(GUEST, 2)
        assert (await anext(events)).data["event"] == (await anext(others)).data["event"] == 2
        assert len(house.dispatch.subscribed) == 1


async def test_a_host_can_be_connected_again_by_hand(house: House, host: Host) -> None:
    await host.reconnect()  # nothing is lost
    first = host.rpc
    await house.end()
    await host.rpc.wait_closed()
    with pytest.raises(OSError, match="sock"):
        await host.reconnect()
    await house.begin()
    await asyncio.gather(host.reconnect(), host.reconnect())
    assert host.alive
    assert host.rpc is not first
    assert len(list(house.server.registry)) == 1


async def test_a_closed_host_is_not_connected_again(house: House) -> None:
    host = await connect(house.uri)
    await host.close()
    await host.reconnect()
    assert not host.alive
    assert "ended" in repr(host)
    await host.close()


async def test_a_refused_uri_leaves_no_connection(house: House) -> None:
    with pytest.raises(RpcError, match="bad"):
        await connect(f"test+unix:///bad?socket={house.path}")
    await eventually(lambda: not list(house.server.registry))


async def test_an_iterator_ends_with_aclose(host: Host) -> None:
    events = host.events()
    async with events:
        waiting = asyncio.create_task(anext(events))
        await host.call(protocol.AUTH_LIST, None)
        await events.aclose()
        with pytest.raises(StopAsyncIteration):
            await waiting


@pytest.fixture
async def hanging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[House]:
    """A daemon that can hang, and clients that wait for their goodbyes a moment only."""
    monkeypatch.setattr(objects, "GOODBYE", 0.05)
    house = House(str(tmp_path / "hanging"), Hanging())
    await house.begin()
    yield house
    assert isinstance(house.dispatch, Hanging)
    house.dispatch.go_on()
    await house.end()


async def test_leaving_events_of_a_daemon_that_hangs_takes_bounded_time(hanging: House) -> None:
    dispatch = hanging.dispatch
    assert isinstance(dispatch, Hanging)
    async with asyncio.timeout(10), connect(hanging.uri) as host:
        with pytest.raises(TimeoutError):  # noqa: PT012  # the end of the blocks is what matters
            async with asyncio.timeout(0.05), host.events() as events, host.events() as others:
                dispatch.hangs = True
                await asyncio.gather(anext(events), anext(others))
    assert dispatch.closing == 0, "the goodbye of the connection would not be answered either"
    assert not host.alive


async def test_the_same_events_can_be_had_again_when_the_daemon_goes_on(hanging: House) -> None:
    dispatch = hanging.dispatch
    assert isinstance(dispatch, Hanging)
    async with asyncio.timeout(10), connect(hanging.uri) as host:
        async with host.events():
            dispatch.hangs = True
        again = asyncio.create_task(host.events().__aenter__())
        await asyncio.sleep(0)
        dispatch.go_on()
        events = await again
        assert len(dispatch.subscribed) == 1
        hanging.tell(GUEST, 3)
        assert (await anext(events)).data["event"] == 3
        await events.aclose()
        assert dispatch.subscribed == {}
    assert dispatch.closing == 1


async def test_a_subscription_that_is_given_up_leaves_none_behind(hanging: House) -> None:
    dispatch = hanging.dispatch
    assert isinstance(dispatch, Hanging)
    async with asyncio.timeout(10), connect(hanging.uri) as host:
        dispatch.hangs = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), host.events():
                pytest.fail("the daemon hangs")
        dispatch.go_on()
        async with host.events():
            assert len(dispatch.subscribed) == 1
        assert dispatch.subscribed == {}


async def test_a_connection_to_a_daemon_that_hangs_is_closed_in_bounded_time(
    hanging: House,
) -> None:
    dispatch = hanging.dispatch
    assert isinstance(dispatch, Hanging)
    async with asyncio.timeout(10):
        async with connect(hanging.uri) as host:
            dispatch.hangs = True
        assert not host.alive
        assert dispatch.closing == 1


async def test_an_upload_that_is_not_confirmed_is_given_up_after_the_timeout(
    hanging: House,
) -> None:
    dispatch = hanging.dispatch
    assert isinstance(dispatch, Hanging)
    async with asyncio.timeout(10), connect(hanging.uri, timeout=5) as host:
        host.timeout = 0.05
        volume = StorageVol(host, protocol.NonnullStorageVol("pool", "volume", "key"))
        assert await volume.upload(b"data") == 4
        dispatch.hangs = True
        with pytest.raises(TimeoutError):
            await volume.upload(b"data")
