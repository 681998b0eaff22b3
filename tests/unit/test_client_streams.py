"""A stream never holds up the rest of its connection, and leaving one takes bounded time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.rpc.client import Connection, connect_unix, streams
from aiovirt.rpc.client import connection as calling
from aiovirt.rpc.server import Stream
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG
from aiovirt.rpc.wire.message import Status, Type, frame
from tests.unit.house import Wire, eventually
from tests.unit.test_streams import ECHO, RECEIVES, SENDS, FlowHouse, Number
from tests.unit.test_streams import connection as connection  # a fixture
from tests.unit.test_streams import house as house  # a fixture

FULL = b"x" * (streams.TAKE_HIGH + 1)


async def _sends_without_end(stream: Stream) -> None:
    while True:
        await stream.send(b"x" * 200_000)


async def test_a_call_is_answered_while_a_stream_that_nobody_takes_is_full(
    house: FlowHouse, connection: Connection
) -> None:
    house.serve = _sends_without_end
    async with await connection.open_stream(SENDS, Number(0)) as stream:
        await eventually(lambda: stream.is_full and connection.is_paused)
        for number in range(3):
            async with asyncio.timeout(5):
                assert await connection.call(ECHO, Number(number)) == Number(number)
            assert connection.is_paused, "nothing is waited for any more"
        assert await stream.receive()


async def test_another_stream_is_opened_and_left_meanwhile(
    house: FlowHouse, connection: Connection
) -> None:
    house.serve = _sends_without_end
    async with await connection.open_stream(SENDS, Number(0)) as full:
        await eventually(lambda: full.is_full and connection.is_paused)
        async with asyncio.timeout(5):
            async with await connection.open_stream(RECEIVES, Number(1)) as other:
                await other.abort()
        assert len(house.ended) == 1


async def test_data_beyond_the_second_bound_ends_its_stream_and_not_the_call(
    house: FlowHouse, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SPILL_MAX", 2 * streams.TAKE_HIGH)
    gate = asyncio.Event()

    async def serve(stream: Stream) -> None:
        if not gate.is_set():
            await _sends_without_end(stream)

    async def late(client: object, args: Number) -> Number:
        await gate.wait()
        return args

    house.serve = serve
    full = await connection.open_stream(SENDS, Number(0))
    await eventually(lambda: full.is_full)
    binding = house.server.table[ECHO.key]
    binding.handler, binding.direct, binding.inline = late, False, False
    waiting = asyncio.create_task(connection.call(ECHO, Number(1)))
    taken = 0
    await eventually(lambda: house.ended)
    with pytest.raises(RpcError, match="were not taken") as ended:  # noqa: PT012  # what came first
        while True:
            taken += len(await full.receive() or b"")
    assert ended.value.code == ErrorCode.OPERATION_FAILED
    assert taken >= streams.TAKE_HIGH
    gate.set()
    assert await waiting == Number(1)


# A server that has stopped -----------------------------------------------------------------------


class Stopped:
    """A server that opens a stream and then does nothing any more."""

    def __init__(self, connection: Connection, wire: Wire) -> None:
        self.connection = connection
        self.wire = wire

    async def open(self) -> streams.Stream[Number]:
        opening = asyncio.create_task(self.connection.open_stream(SENDS, Number(0)))
        call = await self.wire.receive()
        await self.wire.send(
            frame(SENDS.key, Type.REPLY, call.serial, Status.OK, SENDS.encode_result(Number(1)))
        )
        return await opening

    async def fill(self, stream: streams.Stream[Number]) -> None:
        piece = frame(SENDS.key, Type.STREAM, stream.serial, Status.CONTINUE, FULL[:200_000])
        while not stream.is_full:
            await self.wire.send(piece)
            await asyncio.sleep(0)


@pytest.fixture
async def stopped(tmp_path: Path) -> AsyncIterator[Stopped]:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        connection = await connect_unix(path)
        peer = listening.accept()[0]
        peer.setblocking(False)
        yield Stopped(connection, Wire(peer))
        connection.abort()
        peer.close()


async def test_a_timeout_around_a_stream_of_a_stopped_server_ends(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "GOOD_BYE", 0.01)
    stream = await stopped.open()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01), stream:
            await stream.receive()
    assert len(stopped.connection._streams) == 0


async def test_leaving_a_stream_that_is_at_its_end_is_bounded_too(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "GOOD_BYE", 0.01)
    stream = await stopped.open()
    await stopped.wire.send(frame(SENDS.key, Type.STREAM, stream.serial, Status.CONTINUE, b""))
    with pytest.raises(TimeoutError):
        async with stream:
            assert await stream.receive() is None
    with pytest.raises(RpcError, match="over"):
        await stream.finish()


async def test_sending_goes_on_where_the_server_reads_only_when_its_data_is_taken(
    stopped: Stopped,
) -> None:
    stream = await stopped.open()
    size = 3_000_000

    async def sends_all_and_then_reads() -> None:
        piece = frame(SENDS.key, Type.STREAM, stream.serial, Status.CONTINUE, FULL[:200_000])
        for _ in range(20):
            await stopped.wire.send(piece)
        left = size
        while left:
            left -= len((await stopped.wire.receive()).payload)

    server = asyncio.create_task(sends_all_and_then_reads())
    async with asyncio.timeout(5):
        await stream.send(b"x" * size)
        await server
    assert stream.is_full
    await eventually(lambda: stopped.connection.is_paused, "nothing is waited for any more")
    stream.take(Type.STREAM, Status.OK, b"")


async def test_a_client_that_does_not_read_its_stream_shows_life(
    stopped: Stopped, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calling, "_LIFE_INTERVAL", 0.01)
    await stopped.wire.send(PING_FRAME)
    await stopped.wire.receive()
    await stopped.fill(await stopped.open())
    for _ in range(3):
        answer = await stopped.wire.receive()
        assert (answer.program, answer.procedure) == (PONG.program.number, PONG.number)


async def test_a_client_that_does_not_read_takes_the_silence_for_its_own(stopped: Stopped) -> None:
    stream = await stopped.open()
    await stopped.fill(stream)
    stopped.connection.heard()
    assert stopped.connection.heard()
