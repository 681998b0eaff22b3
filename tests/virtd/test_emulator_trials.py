"""A call that needs an emulator is begun again when that is made, and leaves nothing when refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import (
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import DomainEventType
from aiovirt.daemons.virtd.host.emulator import Need
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.virtd.conftest import DOMAIN, Client, Virtd

BUSY = RpcError.of(ErrorCode.RESOURCE_BUSY, "it is locked")


class FakeEmulator:
    """An emulator that notes what it is asked for."""

    def __init__(self, maker: FakeMaker, need: Need) -> None:
        self.uuid = need.uuid
        self.number = need.number
        self.key = str(need.number)
        self.outlives = False
        self.is_locked = not need.paused
        self.ended: Callable[[], object] | None = None
        self._maker = maker

    async def lock(self) -> None:
        if self._maker.refuses:
            raise BUSY
        self.is_locked = True
        self._maker.told.append("lock")

    async def unlock(self) -> None:
        self.is_locked = False
        self._maker.told.append("unlock")

    def lacks(self, config: str) -> bool:
        return False

    async def update(self, config: str) -> None:
        """It locks no disks."""

    async def end(self, reason: str) -> None:
        self._maker.told.append(reason)

    def kept(self) -> bytes:
        return self.key.encode()

    def outlive(self) -> None:
        self.outlives = True
        self._maker.told.append("outlives")

    def let_go(self) -> None:
        self._maker.told.append("left")

    def took_over(self) -> None:
        """It has no descriptors."""

    def write(self, data: bytes, device: str = "") -> None:
        """There is no log."""


class FakeMaker:
    """Makes emulators when it may. told: what they were asked for, in order."""

    def __init__(self) -> None:
        self.may = asyncio.Event()
        self.may.set()
        self.asked = asyncio.Event()
        self.refuses = False
        self.told: list[str] = []
        self.needs: list[Need] = []

    async def make(self, need: Need) -> FakeEmulator:
        self.needs.append(need)
        self.asked.set()
        await self.may.wait()
        if self.refuses:
            raise BUSY
        self.told.append("made")
        return FakeEmulator(self, need)


@pytest.fixture
async def maker(virtd: Virtd) -> FakeMaker:
    """What makes the emulators of the qemu driver's guests."""
    made = FakeMaker()
    virtd.host("qemu").emulators.maker = made
    virtd.dispatch.wait_for_emulators(True)
    return made


@pytest.fixture
async def client(virtd: Virtd, maker: FakeMaker) -> Client:
    return await virtd.connect("qemu:///system")


def about(domain: protocol.NonnullDomain) -> protocol.DomainArgs:
    return protocol.DomainArgs(domain)


async def test_a_guest_has_an_emulator_as_long_as_it_exists(
    virtd: Virtd, maker: FakeMaker, client: Client
) -> None:
    guest = await client.define()
    await client.start(guest)
    await client.call(protocol.DOMAIN_SUSPEND, about(guest))
    await client.call(protocol.DOMAIN_RESUME, about(guest))
    await client.call(protocol.DOMAIN_DESTROY, about(guest))
    assert maker.told == ["made", "unlock", "lock", "destroyed"]
    assert virtd.host("qemu").emulators.running == {}


async def test_a_refused_start_leaves_nothing(
    virtd: Virtd, maker: FakeMaker, client: Client
) -> None:
    guest = await client.define()
    maker.refuses = True
    refused = await client.refused(protocol.DOMAIN_CREATE, about(guest))
    assert refused.code == ErrorCode.RESOURCE_BUSY
    assert (await client.state(guest))[0] == DomainState.SHUTOFF
    text = DOMAIN.format(title="kvm", name="transient")
    await client.refused(protocol.DOMAIN_CREATE_XML, protocol.XmlDescFlagsArgs(text, 0))
    assert [one.name for one in virtd.host("qemu").domains] == ["guest"]


async def test_a_guest_without_a_uuid_gets_one_once(maker: FakeMaker, client: Client) -> None:
    text = DOMAIN.format(title="kvm", name="transient")
    args = protocol.XmlDescFlagsArgs(text, 0)
    made = (await client.call(protocol.DOMAIN_CREATE_XML, args)).dom
    assert [(need.uuid, need.number) for need in maker.needs] == [(made.uuid, made.id)]


async def test_a_guest_that_two_start_at_once_is_started_once(
    maker: FakeMaker, client: Client
) -> None:
    guest = await client.define()
    maker.may.clear()
    first = asyncio.ensure_future(client.start(guest))
    await maker.asked.wait()
    second = asyncio.ensure_future(client.refused(protocol.DOMAIN_CREATE, about(guest)))
    await client.state(guest)  # both are under way
    maker.may.set()
    await first
    assert "already running" in (await second).message
    assert maker.told == ["made"]


async def test_a_guest_that_is_undefined_while_its_emulator_is_made_is_not_started(
    virtd: Virtd, maker: FakeMaker, client: Client
) -> None:
    guest = await client.define()
    maker.may.clear()
    starting = asyncio.ensure_future(client.refused(protocol.DOMAIN_CREATE, about(guest)))
    await maker.asked.wait()
    await client.call(protocol.DOMAIN_UNDEFINE, about(guest))
    maker.may.set()
    assert (await starting).code == ErrorCode.NO_DOMAIN
    assert maker.told == ["made", "failed"]
    assert virtd.host("qemu").emulators.running == {}


async def test_a_guest_that_is_redefined_meanwhile_gets_what_it_needs_now(
    maker: FakeMaker, client: Client
) -> None:
    guest = await client.define()
    maker.may.clear()
    starting = asyncio.ensure_future(client.start(guest))
    await maker.asked.wait()
    text = (await client.xml(guest)).replace("/d/guest.img", "/d/other.img")
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    maker.may.set()
    await starting
    assert [need.config.count("/d/other.img") for need in maker.needs] == [0, 1]
    assert maker.told == ["made", "failed", "made"]


async def test_a_guest_whose_emulator_ends_has_crashed(
    virtd: Virtd, maker: FakeMaker, client: Client
) -> None:
    guest = await client.define()
    await client.start(guest)
    (emulator,) = virtd.host("qemu").emulators.running.values()
    assert emulator.ended is not None
    emulator.ended()
    assert await client.state(guest) == (DomainState.SHUTOFF, DomainShutoffReason.CRASHED)
    assert maker.told == ["made", "crashed"]


async def test_what_a_call_did_before_it_waits_is_taken_back(
    virtd: Virtd, maker: FakeMaker, client: Client
) -> None:
    guest = await client.define()
    text = (await client.xml(guest)).replace("type='raw'", "type='qcow2'")
    await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    await client.start(guest)
    snapshot = "<domainsnapshot><name>one</name></domainsnapshot>"
    args = protocol.DomainXmlDescFlagsArgs(guest, snapshot, 0)
    made = (await client.call(protocol.DOMAIN_SNAPSHOT_CREATE_XML, args)).snap
    told: list[object] = []
    virtd.host("qemu").events.receive(lambda event: told.append(event.details[:1]))
    await client.call(protocol.DOMAIN_REVERT_TO_SNAPSHOT, protocol.SnapshotFlagsArgs(made, 0))
    assert told.count((DomainEventType.STOPPED,)) == 1
    assert maker.told == ["made", "from-snapshot", "made"]
    maker.refuses = True
    args_of = protocol.SnapshotFlagsArgs(made, 0)
    await client.refused(protocol.DOMAIN_REVERT_TO_SNAPSHOT, args_of)
    assert await client.state(guest) == (DomainState.SHUTOFF, DomainShutoffReason.FAILED)


async def test_guests_that_run_already_get_emulators_or_end(
    virtd: Virtd, maker: FakeMaker, client: Client
) -> None:
    emulators = virtd.host("qemu").emulators
    emulators.maker = None
    guests = [await client.define(name) for name in ("first", "second")]
    for guest in guests:
        await client.start(guest)
    emulators.maker = maker
    emulators.follow_all()
    await emulators.finish()
    assert len(emulators.running) == 2
    emulators.running.clear()
    maker.refuses = True
    emulators.follow_all()
    await emulators.finish()
    assert await client.state(guests[0]) == (DomainState.SHUTOFF, DomainShutoffReason.FAILED)


async def test_guests_of_the_test_driver_have_none(virtd: Virtd, maker: FakeMaker) -> None:
    other = await virtd.connect("test:///default")
    await other.start(await other.define())
    assert maker.needs == []


async def test_calls_are_plain_functions_again_when_nothing_has_to_be_waited_for(
    virtd: Virtd, maker: FakeMaker, client: Client
) -> None:
    virtd.host("qemu").emulators.maker = None
    virtd.dispatch.wait_for_emulators(False)
    guest = await client.define()
    await client.start(guest)
    assert (await client.state(guest))[0] == DomainState.RUNNING
    assert maker.needs == []
