"""Any bytes at a real server: the client that sent them lives or is cut off, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiovirt.rpc.server import Client
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG
from aiovirt.rpc.wire.message import HEADER, Message, Type
from tests.unit.house import (
    BLOCK,
    ECHO,
    ECHO_URGENT,
    OPEN_TO_ALL,
    STUBBORN,
    TEST,
    UNBOUND,
    WAIT,
    WAIT_URGENT,
    House,
    Number,
    Text,
    call,
    eventually,
    open_house,
)

UINTS = st.sampled_from([0, 1, 2, 28, 33, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]) | st.integers(
    0, (1 << 32) - 1
)
SERIALS = st.integers(0, 1000)
GOOD = st.one_of(
    st.builds(
        lambda text, serial: call(ECHO, Text(text), serial), st.text("ab", max_size=30), SERIALS
    ),
    st.builds(lambda text, serial: call(ECHO_URGENT, Text(text), serial), st.just(""), SERIALS),
    st.builds(lambda number, serial: call(OPEN_TO_ALL, Number(number), serial), UINTS, SERIALS),
    st.builds(lambda number, serial: call(WAIT, Number(number), serial), SERIALS, SERIALS),
    st.builds(lambda serial: call(UNBOUND, serial=serial), SERIALS),
    st.just(PING_FRAME),
)
HEADERS = st.builds(
    lambda length, proc, kind, serial, status, payload: (
        HEADER.pack(
            28 + len(payload) + length, TEST.number, TEST.version, proc, kind, serial, status
        )
        + payload
    ),
    st.sampled_from([0, 0, 0, 0, 4, 1 << 20]),
    st.integers(-1, 14).filter(lambda proc: proc != 10),
    st.integers(-1, 8),
    SERIALS,
    st.integers(-1, 3),
    st.binary(max_size=40),
)

WAITING = {procedure.number for procedure in (WAIT, WAIT_URGENT, BLOCK, STUBBORN)}

WITH_DESCRIPTORS = st.builds(
    lambda count, text, serial: (
        call(
            ECHO,
            serial=serial,
            kind=Type.CALL_WITH_FDS,
            payload=struct.pack(">I", count) + xdr.encode(Text(text)),
        )
        + b"\0" * count
    ),
    st.integers(0, 32),
    st.text("ab", max_size=9),
    SERIALS,
)


def _is_whole(data: bytes) -> bool:
    """Whether a frame is as long as it says, announces no descriptors and waits for nothing."""
    length, _, _, procedure, kind, _, _ = HEADER.unpack_from(data)
    return length == len(data) and kind != Type.CALL_WITH_FDS and procedure not in WAITING


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good call with a byte or a word changed, bytes lost or bytes put in."""
    data = bytearray(draw(GOOD))
    at = draw(st.integers(0, len(data) - 4))
    match draw(st.integers(0, 3)):
        case 0:
            data[at] = draw(st.integers(0, 255))
        case 1:
            data[at : at + 4] = struct.pack(">I", draw(UINTS))
        case 2:
            del data[at : at + draw(st.integers(1, 8))]
        case 3:
            data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)


STREAMS = st.lists(
    GOOD | WITH_DESCRIPTORS | HEADERS | mutated() | st.binary(max_size=60), max_size=12
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as one:
        yield one


async def _survives(stream: list[bytes], limit: int, failures: list[object]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda loop, context: failures.append(context))
    async with open_house(
        max_client_requests=limit, min_workers=2, max_workers=2, prio_workers=1, grace=0
    ) as house:
        other = await house.connect()
        wire, client = await house.seat()
        with contextlib.suppress(ConnectionError):
            for piece in stream:
                await wire.send(piece)
        assert await other.call(ECHO_URGENT, Text("me")) == Text("me")
        _is_bounded(client)
        wire.close()
        await eventually(lambda: client.closed or client.input_over)
        client.abort()  # a call that waits would be waited for
        await _is_as_before(house)
        assert await other.call(ECHO, Text("still")) == Text("still")
    assert failures == []


def _is_bounded(client: Client) -> None:
    assert client.in_flight <= client.server.request_limit
    assert client._tail is None or len(client._tail) < 1 << 20
    if client.closed:
        assert client._tail is None


async def _is_as_before(house: House) -> None:
    stats = house.server.workers.stats()
    assert (len(house.server.registry), house.server.in_flight) == (1, 0)
    assert (stats.free, stats.queue_depth) == (stats.current, 0)


@settings(max_examples=150, deadline=None)
@given(stream=STREAMS, limit=st.integers(1, 3))
def test_no_bytes_harm_the_server_or_another_client(
    runner: asyncio.Runner, stream: list[bytes], limit: int
) -> None:
    failures: list[object] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "_failed", lambda self, error: failures.append(error))
        runner.run(_survives(stream, limit, failures))


LAST = call(ECHO, Text("the last"), 1001)


async def _answers(pieces: list[bytes]) -> tuple[list[Message], int]:
    """The replies to a stream that ends with LAST, in order, and how many PONGs came among them."""
    async with open_house(max_client_requests=1, grace=0) as house:
        house.stage.release(*range(1001))
        wire, client = await house.seat()
        for piece in pieces:
            client.received(bytearray(piece), len(piece))
        replies: list[Message] = []
        pongs = 0
        while not replies or replies[-1].serial != 1001:
            message = await wire.receive()
            if message.program == PONG.program.number:
                pongs += 1
            else:
                replies.append(message)
        return replies, pongs


@settings(max_examples=80, deadline=None)
@given(
    frames=st.lists(GOOD | WITH_DESCRIPTORS | HEADERS.filter(_is_whole), max_size=8),
    cuts=st.lists(st.integers(0, 1000), max_size=8),
)
def test_however_a_stream_is_cut_the_answers_are_the_same(
    runner: asyncio.Runner, frames: list[bytes], cuts: list[int]
) -> None:
    # One call at a time, so that there is one right order of the answers.
    stream = b"".join([*frames, LAST])
    places = [0, *sorted(cut % len(stream) for cut in cuts), len(stream)]
    pieces = [stream[start:end] for start, end in pairwise(places) if start < end]
    assert runner.run(_answers(pieces)) == runner.run(_answers([stream]))


def test_a_lying_length_holds_no_memory_in_the_server(runner: asyncio.Runner) -> None:
    async def run() -> None:
        async with open_house() as house:
            for payload in (b"\xff\xff\xff\xff", struct.pack(">I", xdr.STRING_MAX)):
                wire, client = await house.seat()
                await wire.send(call(ECHO, payload=payload))
                await wire.receive()
                await wire.send(struct.pack(">I", 33554436))
                await eventually(lambda client=client: client._tail is not None)
                assert client._tail is not None
                assert len(client._tail) == 4

    runner.run(run())
