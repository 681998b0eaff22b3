"""Taps: what passes a link, both ways, in the clear, whole messages only."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.rpc.client import Connection
from aiovirt.rpc.transport import Direction, Tap
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG_FRAME
from aiovirt.rpc.wire.message import Message, Status, Type, frame
from tests.unit.house import ECHO, HOOK, WAIT, House, Number, Text, Wire, call, eventually
from tests.unit.test_client_fds import GIVE, LEND, Taker, lend_pipes
from tests.unit.test_client_fds import Number as Lent
from tests.unit.test_tls import ECHO as TLS_ECHO
from tests.unit.test_tls import LENDS, SENDS, Data, Pki, open_house

IN, OUT = Direction.IN, Direction.OUT
Pair = tuple[Connection, Wire]


class Seen(list[tuple[Direction, Message, int]]):
    """A watcher that notes everything."""

    def __call__(self, direction: Direction, message: Message, descriptors: int) -> None:
        self.append((direction, message, descriptors))

    @property
    def ways(self) -> list[tuple[Direction, int, int]]:
        """Direction, type and serial of each."""
        return [(direction, message.type, message.serial) for direction, message, _ in self]


@pytest.fixture
async def pair() -> AsyncIterator[Pair]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    connection, wire = Connection(ours, "the test"), Wire(theirs)
    yield connection, wire
    connection.abort()
    wire.close()


async def test_both_sides_see_the_same_in_the_order_of_their_own(house: House) -> None:
    connection = await house.connect()
    (client,) = house.server.registry
    here, there = Seen(), Seen()
    begin = time.time()
    with connection.tap(here), client.tap(there):
        assert await connection.call(ECHO, Text("a")) == Text("a")
        assert await connection.call(HOOK, Number(1)) == Number(1)
    await connection.call(ECHO, Text("unseen"))
    assert here.ways == [(OUT, 0, 2), (IN, 1, 2), (OUT, 0, 3), (IN, 1, 3)]
    assert [message for _, message, _ in here] == [message for _, message, _ in there]
    assert [way for way, _, _ in there] == [IN, OUT, IN, OUT]
    assert all(begin <= message.time <= time.time() for _, message, _ in here)
    assert here[0][1].payload == xdr.encode(Text("a"))


async def test_keepalives_and_packets_of_streams_are_messages_too(pair: Pair) -> None:
    connection, wire = pair
    seen = Seen()
    connection.tap(seen)
    packet = frame(WAIT.key, Type.STREAM, 7, Status.CONTINUE, b"data")
    await wire.send(PING_FRAME, packet)
    await wire.receive()
    assert [(way, message.pack()) for way, message, _ in seen] == [
        (IN, PING_FRAME),
        (IN, packet),
        (OUT, PONG_FRAME),
    ]


@pytest.mark.parametrize("cut", [1, 3, 4, 20, 28, len(PING_FRAME * 2) - 1])
async def test_a_tap_that_comes_in_the_middle_of_a_message_begins_with_the_next(
    pair: Pair, cut: int
) -> None:
    connection, wire = pair
    news = frame(WAIT.key, Type.MESSAGE, 0, Status.OK, bytes(28))
    first = PING_FRAME + news  # the second one is cut
    await wire.send(first[: len(PING_FRAME) + cut])
    await wire.receive()
    await eventually(lambda: len(connection.unconsumed) == cut)
    early, late = Seen(), Seen()
    connection.tap(early)
    await wire.send(first[len(PING_FRAME) + cut :], PING_FRAME[:9])
    await eventually(lambda: len(connection.unconsumed) == 9)
    connection.tap(late)
    await wire.send(PING_FRAME[9:], news)
    await wire.receive()
    assert [message.pack() for way, message, _ in early if way is IN] == [PING_FRAME, news]
    assert [message.pack() for way, message, _ in late if way is IN] == [news]


async def test_a_handler_may_tap_its_own_client_between_two_calls_of_one_read(
    house: House,
) -> None:
    wire, client = await house.seat()
    seen = Seen()

    def attach(client: object, number: int) -> None:
        if number == 1:
            house.server.registry.get(1).tap(seen)  # type: ignore[union-attr]  # it is there

    house.stage.hook = attach
    half = call(HOOK, Number(3), 3)
    await wire.send(call(HOOK, Number(1), 1), call(HOOK, Number(2), 2), half[:11])
    await wire.replies(2)
    await wire.send(half[11:], call(HOOK, Number(4), 4))
    await wire.replies(2)
    assert [one for one in seen.ways if one[0] is IN] == [(IN, 0, 4)]
    assert [one for one in seen.ways if one[0] is OUT] == [(OUT, 1, n) for n in (1, 2, 3, 4)]
    assert not client.closed


async def test_taps_come_and_go_while_calls_run(house: House) -> None:
    connection = await house.connect()
    taps: list[tuple[Tap, Seen]] = []

    async def keep_calling(text: str) -> None:
        for _ in range(300):
            assert await connection.call(ECHO, Text(text)) == Text(text)

    async def keep_tapping() -> None:
        for number in range(100):
            seen = Seen()
            taps.append((connection.tap(seen), seen))
            await asyncio.sleep(0)
            if number % 3:
                taps[number // 2][0].detach()
                taps[number // 2][0].detach()

    await asyncio.gather(keep_tapping(), *(keep_calling(letter * 3000) for letter in "abcdef"))
    for tap, seen in taps:
        tap.detach()
        for _, message, _ in seen:
            assert len(set(ECHO.decode_args(message.payload, 0, len(message.payload))[0].text)) == 1
    assert connection._passage is None
    assert any(len(seen) > 1000 for _, seen in taps)


async def test_one_that_raises_is_dropped_with_a_log_line(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    connection = await house.connect()
    seen, calls = Seen(), []

    def fail(direction: Direction, message: Message, descriptors: int) -> None:
        calls.append(message)
        raise RuntimeError("a mistake of its own")

    connection.tap(fail)
    connection.tap(seen)
    assert await connection.call(ECHO, Text("a")) == Text("a")
    assert len(calls) == 1
    assert len(seen) == 2
    assert ["a tap failed" in record.message for record in caplog.records] == [True]


async def test_one_that_closes_the_connection_sees_its_end(pair: Pair) -> None:
    connection, wire = pair
    connection.tap(lambda *seen: connection.abort("seen enough"))
    await wire.send(PING_FRAME * 2)
    await connection.wait_closed()
    assert connection.end_reason == "seen enough"


async def test_descriptors_are_counted_and_left_alone() -> None:
    taker = Taker()
    here, there = Seen(), Seen()
    taker.connection.tap(here)
    taker.link.tap(there)
    lent = lend_pipes(3)
    assert await taker.connection.call(GIVE, Lent(0), descriptors=lent) == Lent(1)
    (_, found), *_ = taker.link.got
    assert found == [b"0", b"1", b"2"]
    assert [count for _, _, count in here] == [count for _, _, count in there] == [3, 0]
    reply = frame(LEND.key, Type.REPLY_WITH_FDS, 2, Status.OK, bytes(3) + b"\1" + bytes(4))
    lending = asyncio.create_task(taker.connection.call_for_descriptors(LEND, Lent(0)))
    await eventually(lambda: len(taker.link.got) == 2)
    taker.link.sock.send(reply)
    socket.send_fds(taker.link.sock, [b"\0"], lent[:1])
    _, got = await lending
    assert here[-1][2] == 1
    for descriptor in (*got, *lent):
        os.close(descriptor)
    taker.connection.abort()
    taker.link.abort()


async def test_over_tls_it_is_all_in_the_clear(tmp_path: Path) -> None:
    pki = Pki(tmp_path / "pki")
    async with open_house(tmp_path, pki.files("server")) as house:
        connection = await house.connect(pki.files("client"))
        (client,) = house.server.registry
        here, there = Seen(), Seen()
        connection.tap(here)
        client.tap(there)
        data = Data(b"secret" * 300_000)
        assert await connection.call(TLS_ECHO, data) == data
        stream = await connection.open_stream(SENDS, Data(b"word"))
        async with stream:
            assert [piece async for piece in stream] == [b"word"] * 50
        assert [message for _, message, _ in here] == [message for _, message, _ in there]
        assert here[0][1].payload == TLS_ECHO.encode_args(data)
        assert sum(message.type == Type.STREAM for _, message, _ in here) == 53
        with pytest.raises(ConnectionError):
            await connection.call_for_descriptors(LENDS, Data(b""))
        assert here[-1][0] is OUT
