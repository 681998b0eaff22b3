"""Which connections are read: those in the set, and those that the loop itself watches."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tracemalloc
from collections.abc import AsyncIterator, Callable

import pytest

from aiovirt.rpc.server import Handlers
from aiovirt.rpc.transport.link import SocketLink
from aiovirt.rpc.transport.readiness import DIRECT_MAX, Readiness
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.program import Program
from tests.unit.house import MakeHouse, Number, eventually

OFTEN = 16
TAKER = Program("taker", 0x7E577E65, 1)
COUNT = TAKER.procedure(1, "COUNT", Number, xdr.Void, call_fds=True)


class Reader(SocketLink):
    """A link that notes what it reads."""

    def __init__(self, readiness: Readiness, sock: socket.socket) -> None:
        super().__init__(asyncio.get_running_loop(), sock)
        self.readiness = readiness
        self.heard = b""
        self.then: Callable[[], object] = lambda: None

    def _watch_socket(self) -> None:
        self.readiness.watch(self)

    def _unwatch_socket(self) -> None:
        self.readiness.unwatch(self)

    @property
    def unconsumed(self) -> bytes:
        """The begin of a call that announces a descriptor."""
        return frame(COUNT.key, Type.CALL_WITH_FDS, 1, Status.OK, (1).to_bytes(4, "big"))

    def received(self, data: bytearray, size: int) -> None:
        self.heard += data[:size]
        self.then()

    def ended(self, reason: str) -> None:
        pass


class Pairs:
    """Links, and the other ends of their sockets."""

    def __init__(self) -> None:
        self.readiness = Readiness(asyncio.get_running_loop())
        self.links: list[Reader] = []
        self.ends: list[socket.socket] = []

    def make(self, count: int = 1) -> None:
        for _ in range(count):
            one, other = socket.socketpair()
            one.setblocking(False)
            self.ends.append(other)
            self.links.append(Reader(self.readiness, one))
            self.links[-1].start()

    async def say(self, number: int, data: bytes) -> None:
        """Send something to a link, and wait until it has heard it."""
        link = self.links[number]
        wanted = link.heard + data
        self.ends[number].send(data)
        await eventually(lambda: link.heard == wanted)


@pytest.fixture
async def pairs() -> AsyncIterator[Pairs]:
    made = Pairs()
    yield made
    for link in made.links:
        link.abort()
    for end in made.ends:
        end.close()
    made.readiness.close()


async def test_what_comes_is_read_by_the_link_it_came_for(pairs: Pairs) -> None:
    pairs.make(3)
    await pairs.say(1, b"b")
    await pairs.say(0, b"a")
    assert [link.heard for link in pairs.links] == [b"a", b"b", b""]


async def test_more_than_are_read_at_once_are_all_read(pairs: Pairs) -> None:
    pairs.make(200)
    for end in pairs.ends:
        end.send(b"x")
    await eventually(lambda: all(link.heard == b"x" for link in pairs.links))


@pytest.mark.parametrize("reads", [1, OFTEN + 1])
async def test_a_paused_link_is_not_read_until_it_is_resumed(pairs: Pairs, reads: int) -> None:
    pairs.make(2)
    for _ in range(reads):
        await pairs.say(0, b"a")
    pairs.links[0].pause(1)
    pairs.ends[0].send(b"later")
    await pairs.say(1, b"b")
    await pairs.say(1, b"b")
    assert pairs.links[0].heard == b"a" * reads
    pairs.links[0].resume(1)
    await eventually(lambda: pairs.links[0].heard == b"a" * reads + b"later")


async def test_a_link_that_ends_another_one_that_is_ready_keeps_it_from_being_read(
    pairs: Pairs,
) -> None:
    pairs.make(2)
    first, second = pairs.links
    first.then, second.then = second.abort, first.abort
    for end in pairs.ends:
        end.send(b"x")
    await eventually(lambda: first.closed or second.closed)
    assert sorted([first.heard, second.heard]) == [b"", b"x"]


async def test_a_link_with_the_descriptor_of_one_that_has_ended_is_read(pairs: Pairs) -> None:
    pairs.make()
    for _ in range(OFTEN):
        await pairs.say(0, b"a")
    descriptor = pairs.links[0].sock.fileno()
    pairs.links[0].abort()
    pairs.make()
    assert pairs.links[1].sock.fileno() == descriptor
    await pairs.say(1, b"b")
    assert pairs.readiness.direct == 0


async def test_the_loop_itself_watches_links_that_are_read_often(pairs: Pairs) -> None:
    pairs.make(2)
    for _ in range(OFTEN - 1):
        await pairs.say(0, b"a")
    assert pairs.readiness.direct == 0
    await pairs.say(0, b"a")
    assert pairs.readiness.direct == 1
    await pairs.say(0, b"a")
    pairs.links[0].abort()
    assert pairs.readiness.direct == 0


async def test_of_those_there_are_never_many_and_the_others_are_read_all_the_same(
    pairs: Pairs,
) -> None:
    pairs.make(DIRECT_MAX + 8)
    for _ in range(2):
        for number in range(len(pairs.links)):
            for _ in range(OFTEN):
                await pairs.say(number, b"a")
        assert pairs.readiness.direct == DIRECT_MAX


async def test_a_link_reads_by_another_reader_when_there_is_something_to_pass(
    pairs: Pairs,
) -> None:
    pairs.make(2)
    for _ in range(OFTEN):
        await pairs.say(0, b"a")
    for link, end in zip(pairs.links, pairs.ends, strict=True):
        link.accept_descriptors()
        socket.send_fds(end, [b"x"], [0])
    await eventually(lambda: all(len(link.waiting_descriptors) == 1 for link in pairs.links))


async def test_descriptors_of_one_link_are_none_of_another_one(pairs: Pairs) -> None:
    pairs.make(2)
    for link in pairs.links:
        link.accept_descriptors()
    socket.send_fds(pairs.ends[0], [b"x"], [0])
    await eventually(lambda: len(pairs.links[0].waiting_descriptors) == 1)
    assert pairs.links[1].waiting_descriptors == []


class TestServer:
    async def test_idle_clients_are_small(self, make_house: MakeHouse) -> None:
        """Of a server that takes descriptors, which keeps most for a client; it was 2100 bytes."""
        count = 300
        house = await make_house(max_clients=1000, max_anonymous_clients=1000)
        takes = Handlers(TAKER)
        takes.bind(COUNT, lambda client, args: None)
        house.server.add_program(takes)
        with contextlib.ExitStack() as stack:
            for _ in range(count):
                stack.enter_context(socket.socket(socket.AF_UNIX)).connect(house.path)
            tracemalloc.start()
            stack.callback(tracemalloc.stop)
            await eventually(lambda: len(house.server.registry) >= count)
            await asyncio.sleep(0)
            size, _ = tracemalloc.get_traced_memory()
        assert size / count < 900
