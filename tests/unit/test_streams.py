"""Streams: our server and our client, and our server and raw packets as libvirt's client sends them."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from aiovirt.rpc.client import Connection, ConnectionLost, connect_unix
from aiovirt.rpc.server import Client, Daemon, Handlers, ServerOptions, Stream, WithStream
from aiovirt.rpc.server.stream_turns import TURNS
from aiovirt.rpc.server.streams import STREAMS_MAX, TAKE_HIGH
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.program import Program
from aiovirt.rpc.wire.stream import PACKET_SIZE, Hole, hole_packet, parse_hole
from tests.unit.house import Wire, eventually, failure

FLOW = Program("flow", 0x7E577E58, 1)


@xdr.struct
class Number:
    """A number."""

    value: xdr.UInt


RECEIVES = FLOW.procedure(1, "RECEIVES", Number, Number, stream=True)
SENDS = FLOW.procedure(2, "SENDS", Number, Number, stream=True)
REFUSES = FLOW.procedure(3, "REFUSES", Number, Number, stream=True)
ECHO = FLOW.procedure(4, "ECHO", Number, Number)

Serve = Callable[[Stream], Coroutine[Any, Any, None]]


class FlowHouse:
    """A server whose streams do what the test says."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.daemon = Daemon("flow", grace=5)
        self.server = self.daemon.add_server(ServerOptions("flow"))
        self.serve: Serve = self._nothing
        self.ended: list[str] = []
        bound = Handlers(FLOW)
        bound.bind(RECEIVES, self._receives)
        bound.bind(SENDS, self._sends)
        bound.bind(REFUSES, self._refuses)
        bound.bind(ECHO, lambda client, args: args)
        self.server.add_program(bound)
        self.server.listen_unix(path)

    async def _nothing(self, stream: Stream) -> None:
        pass

    async def _watched(self, stream: Stream) -> None:
        try:
            await self.serve(stream)
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise
        self.ended.append("returned")

    async def _receives(self, client: Client, args: Number) -> WithStream[Number]:
        return WithStream(Number(args.value + 1), self._watched, receives=True)

    def _sends(self, client: Client, args: Number) -> WithStream[Number]:
        return WithStream(Number(args.value + 1), self._watched)

    async def _refuses(self, client: Client, args: Number) -> WithStream[Number]:
        raise RpcError(ErrorCode.OPERATION_DENIED, "not today")

    @property
    def client(self) -> Client:
        (client,) = self.server.registry
        return client

    async def wire(self) -> Wire:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.connect(self.path)
        return Wire(sock)


@contextlib.asynccontextmanager
async def open_flow_house(folder: Path) -> AsyncIterator[FlowHouse]:
    """A running one in a folder."""
    house = FlowHouse(str(folder / "sock"))
    ready = asyncio.Event()
    serving = asyncio.create_task(house.daemon.serve(ready.set))
    await ready.wait()
    yield house
    house.daemon.shutdown()
    house.daemon.shutdown()
    await serving


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[FlowHouse]:
    async with open_flow_house(tmp_path) as house:
        yield house


@pytest.fixture
async def connection(house: FlowHouse) -> AsyncIterator[Connection]:
    async with connect_unix(house.path) as connection:
        yield connection


# From server to client ---------------------------------------------------------------------------


async def test_the_server_sends_and_the_client_takes_it_all(
    house: FlowHouse, connection: Connection
) -> None:
    whole = bytes(range(256)) * 3000

    async def serve(stream: Stream) -> None:
        await stream.send(whole[:10])
        await stream.send(b"")
        await stream.send(whole[10:])

    house.serve = serve
    async with await connection.open_stream(SENDS, Number(41)) as stream:
        assert stream.result == Number(42)
        assert b"".join([data async for data in stream]) == whole
    assert house.ended == ["returned"]
    assert house.client.streams == 0
    assert await connection.call(ECHO, Number(1)) == Number(1)


async def test_holes_come_in_their_place(house: FlowHouse, connection: Connection) -> None:
    async def serve(stream: Stream) -> None:
        await stream.send(b"a")
        await stream.send_hole(1 << 40)
        await stream.send(b"b")

    house.serve = serve
    async with await connection.open_stream(SENDS, Number(0)) as stream:
        assert [item async for item in stream] == [b"a", Hole(1 << 40), b"b"]


async def test_a_refused_call_opens_nothing(house: FlowHouse, connection: Connection) -> None:
    with pytest.raises(RpcError, match="not today"):
        await connection.open_stream(REFUSES, Number(0))
    assert house.client.streams == 0


async def test_what_serve_raises_reaches_the_client(
    house: FlowHouse, connection: Connection
) -> None:
    async def serve(stream: Stream) -> None:
        await stream.send(b"so far")
        raise RpcError(ErrorCode.SYSTEM_ERROR, "the disk is gone")

    house.serve = serve
    stream = await connection.open_stream(SENDS, Number(0))
    assert await stream.receive() == b"so far"
    with pytest.raises(RpcError, match="the disk is gone") as error:
        await stream.receive()
    assert error.value.code == ErrorCode.SYSTEM_ERROR
    assert house.client.streams == 0


async def test_a_mistake_in_serve_is_told_without_its_details(
    house: FlowHouse, connection: Connection
) -> None:
    async def serve(stream: Stream) -> None:
        raise LookupError("secret")

    house.serve = serve
    stream = await connection.open_stream(SENDS, Number(0))
    with pytest.raises(RpcError, match="LookupError") as error:
        await stream.receive()
    assert "secret" not in error.value.message


async def test_a_client_that_does_not_take_its_data_stops_the_server_not_its_own_calls(
    house: FlowHouse, connection: Connection
) -> None:
    sent = 0

    async def serve(stream: Stream) -> None:
        nonlocal sent
        for _ in range(1000):
            await stream.send(b"x" * PACKET_SIZE)
            sent += PACKET_SIZE

    house.serve = serve
    stream = await connection.open_stream(SENDS, Number(0))
    await eventually(lambda: stream.is_full)
    before = -1
    while before != sent:  # it comes to rest
        before = sent
        for _ in range(200):
            await asyncio.sleep(0)
    assert sent < 100 * PACKET_SIZE
    other = await connect_unix(house.path)
    assert await other.call(ECHO, Number(5)) == Number(5)
    await other.close()
    got = 0
    async for data in stream:
        assert isinstance(data, bytes)
        got += len(data)
    assert got == 1000 * PACKET_SIZE
    await stream.finish()


async def test_the_client_aborts(house: FlowHouse, connection: Connection) -> None:
    async def serve(stream: Stream) -> None:
        while True:
            await stream.send(b"x" * 1000)

    house.serve = serve
    async with await connection.open_stream(SENDS, Number(0)) as stream:
        await stream.receive()
    await eventually(lambda: house.ended)
    assert house.ended == ["CancelledError"]
    assert house.client.streams == 0
    assert await connection.call(ECHO, Number(1)) == Number(1)


async def test_a_client_that_finishes_early_is_answered(
    house: FlowHouse, connection: Connection
) -> None:
    async def serve(stream: Stream) -> None:
        await asyncio.Event().wait()

    house.serve = serve
    stream = await connection.open_stream(SENDS, Number(0))
    await stream.finish()
    await eventually(lambda: house.ended == ["CancelledError"])


async def test_giving_up_the_opening_leaves_nothing_behind(
    house: FlowHouse, connection: Connection
) -> None:
    async def serve(stream: Stream) -> None:
        await asyncio.Event().wait()

    house.serve = serve
    opening = asyncio.create_task(connection.open_stream(SENDS, Number(0)))
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await connection.call(ECHO, Number(1)) == Number(1)
    await eventually(lambda: house.client.streams == 0)


# From client to server ---------------------------------------------------------------------------


async def test_the_client_sends_and_finishes(house: FlowHouse, connection: Connection) -> None:
    got: list[bytes | Hole] = []

    async def serve(stream: Stream) -> None:
        while (item := await stream.receive()) is not None:
            got.append(item)
        assert await stream.receive() is None

    house.serve = serve
    stream = await connection.open_stream(RECEIVES, Number(0))
    await stream.send(b"abc")
    await stream.send_hole(7)
    await stream.send(b"y" * 200_000)
    await stream.finish()
    assert got[:2] == [b"abc", Hole(7)]
    assert b"".join(item for item in got[2:] if isinstance(item, bytes)) == b"y" * 200_000
    assert house.ended == ["returned"]


async def test_both_directions_at_once(house: FlowHouse, connection: Connection) -> None:
    async def serve(stream: Stream) -> None:
        while (item := await stream.receive()) is not None:
            assert isinstance(item, bytes)
            await stream.send(item.upper())

    house.serve = serve
    stream = await connection.open_stream(RECEIVES, Number(0))
    for word in (b"one", b"two"):
        await stream.send(word)
        assert await stream.receive() == word.upper()
    await stream.finish()


async def test_packets_that_nobody_takes_stop_the_client(
    house: FlowHouse, connection: Connection
) -> None:
    go = asyncio.Event()
    taken = 0

    async def serve(stream: Stream) -> None:
        nonlocal taken
        await go.wait()
        while (item := await stream.receive()) is not None:
            assert isinstance(item, bytes)
            taken += len(item)

    house.serve = serve
    stream = await connection.open_stream(RECEIVES, Number(0))
    sending = asyncio.create_task(stream.send(b"z" * (8 << 20)))
    (client,) = house.server.registry
    await eventually(lambda: client._paused)
    (inner,) = client._streams._open.values()  # type: ignore[union-attr]
    for _ in range(100):
        await asyncio.sleep(0)
    assert inner.waiting < 2 * TAKE_HIGH
    assert not sending.done()
    go.set()
    await sending
    await stream.finish()
    assert taken == 8 << 20


async def test_a_stream_that_takes_nothing_says_so(
    house: FlowHouse, connection: Connection
) -> None:
    async def serve(stream: Stream) -> None:
        await asyncio.Event().wait()

    house.serve = serve
    stream = await connection.open_stream(SENDS, Number(0))
    await stream.send(b"data")
    with pytest.raises(RpcError, match="takes no data"):
        await stream.receive()
    with pytest.raises(RpcError, match="takes no data"):
        await stream.send(b"more")
    assert house.ended == ["CancelledError"]


# Ends --------------------------------------------------------------------------------------------


async def test_a_client_that_goes_ends_its_streams(house: FlowHouse) -> None:
    async def serve(stream: Stream) -> None:
        await asyncio.Event().wait()

    house.serve = serve
    connection = await connect_unix(house.path)
    stream = await connection.open_stream(SENDS, Number(0))
    connection.abort()
    with pytest.raises(ConnectionLost):
        await stream.receive()
    await eventually(lambda: house.ended == ["CancelledError"])


async def test_the_end_of_the_daemon_is_told(house: FlowHouse, connection: Connection) -> None:
    async def serve(stream: Stream) -> None:
        await stream.send(b"hello")
        await asyncio.Event().wait()

    house.serve = serve
    stream = await connection.open_stream(SENDS, Number(0))
    assert await stream.receive() == b"hello"
    house.daemon.shutdown()
    with pytest.raises(RpcError, match="daemon flow ends") as error:
        await stream.receive()
    assert error.value.code == ErrorCode.OPERATION_ABORTED


async def test_a_client_may_not_open_streams_without_end(
    house: FlowHouse, connection: Connection
) -> None:
    async def serve(stream: Stream) -> None:
        await asyncio.Event().wait()

    house.serve = serve
    streams = [await connection.open_stream(SENDS, Number(0)) for _ in range(STREAMS_MAX)]
    with pytest.raises(RpcError, match="64 open streams"):
        await connection.open_stream(SENDS, Number(0))
    await streams[0].abort()
    await connection.open_stream(SENDS, Number(0))


async def test_streams_of_one_connection_do_not_mix(
    house: FlowHouse, connection: Connection
) -> None:
    count = 0

    async def serve(stream: Stream) -> None:
        nonlocal count
        count += 1
        mark = b"%d" % count
        for _ in range(50):
            await stream.send(mark * 5000)

    house.serve = serve
    streams = [await connection.open_stream(SENDS, Number(0)) for _ in range(5)]

    async def take(stream: Any) -> set[int]:
        return {byte async for data in stream for byte in data}

    found = await asyncio.gather(*map(take, streams))
    assert [len(marks) for marks in found] == [1] * 5
    assert len(set.union(*found)) == 5


# As libvirt's client does it ---------------------------------------------------------------------


def _packet(procedure: Any, status: int, payload: bytes = b"", serial: int = 9) -> bytes:
    return frame(procedure.key, Type.STREAM, serial, status, payload)


async def _opened(house: FlowHouse, procedure: Any) -> Wire:
    wire = await house.wire()
    await wire.send(frame(procedure.key, Type.CALL, 9, 0, procedure.encode_args(Number(0))))
    reply = await wire.receive()
    assert (reply.type, reply.serial, reply.status) == (Type.REPLY, 9, Status.OK)
    return wire


async def test_a_download_on_the_wire(house: FlowHouse) -> None:
    async def serve(stream: Stream) -> None:
        await stream.send(b"data")
        await stream.send_hole(5)

    house.serve = serve
    wire = await _opened(house, SENDS)
    data, hole, end = await wire.replies(3)
    assert (data.type, data.serial, data.status, data.payload) == (3, 9, 2, b"data")
    assert (hole.type, hole.status, parse_hole(hole.payload)) == (6, 2, Hole(5))
    assert (end.type, end.status, end.payload) == (3, 2, b"")
    await wire.send(_packet(SENDS, Status.OK))
    confirmed = await wire.receive()
    assert (confirmed.type, confirmed.serial, confirmed.status) == (3, 9, 0)
    assert confirmed.payload == b""
    # What comes for a stream that is over is dropped.
    await wire.send(_packet(SENDS, Status.OK), _packet(SENDS, Status.CONTINUE, b"late"))
    await wire.ping()
    wire.close()


async def test_an_upload_on_the_wire(house: FlowHouse) -> None:
    got = []

    async def serve(stream: Stream) -> None:
        while (item := await stream.receive()) is not None:
            got.append(item)

    house.serve = serve
    wire = await _opened(house, RECEIVES)
    await wire.send(
        _packet(RECEIVES, Status.CONTINUE, b"one"),
        hole_packet(RECEIVES.key, 9, 3),
        _packet(RECEIVES, Status.CONTINUE, b"two"),
        _packet(RECEIVES, Status.OK),
    )
    confirmed = await wire.receive()
    assert (confirmed.type, confirmed.status, confirmed.payload) == (3, 0, b"")
    assert got == [b"one", Hole(3), b"two"]
    wire.close()


async def test_an_abort_on_the_wire(house: FlowHouse) -> None:
    async def serve(stream: Stream) -> None:
        await asyncio.Event().wait()

    house.serve = serve
    wire = await _opened(house, SENDS)
    await wire.send(_packet(SENDS, Status.ERROR))
    confirmed = await wire.receive()
    assert (confirmed.type, confirmed.status, confirmed.payload) == (3, 0, b"")
    wire.close()


async def test_a_stream_that_is_aborted_before_it_began_gives_back_what_was_taken_for_it(
    house: FlowHouse,
) -> None:
    async def serve(stream: Stream) -> None:
        await stream.send(b"never sent")
        await asyncio.Event().wait()

    house.serve = serve
    wire = await house.wire()
    opening = frame(SENDS.key, Type.CALL, 9, Status.OK, SENDS.encode_args(Number(1)))
    await wire.send(opening, _packet(SENDS, Status.ERROR))
    await eventually(lambda: house.ended == ["CancelledError"])
    assert [(one.type, one.status) for one in await wire.replies(2)] == [
        (Type.REPLY, Status.OK),
        (Type.STREAM, Status.OK),
    ]


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (_packet(RECEIVES, 7), "status OK, ERROR or CONTINUE"),
        (frame(RECEIVES.key, Type.STREAM_HOLE, 9, 2, b"short"), "does not decode"),
        (frame(RECEIVES.key, Type.STREAM_HOLE, 9, 2, bytes(12)), "impossible"),
    ],
)
async def test_nonsense_ends_the_stream_and_not_the_connection(
    house: FlowHouse, what: bytes, text: str
) -> None:
    async def serve(stream: Stream) -> None:
        while await stream.receive() is not None:
            pass

    house.serve = serve
    wire = await _opened(house, RECEIVES)
    await wire.send(what)
    answer = await wire.receive()
    assert (answer.type, answer.status) == (Type.STREAM, Status.ERROR)
    answer.type = Type.REPLY
    assert text in failure(answer).message
    await wire.ping()
    wire.close()


async def test_few_streams_of_a_client_have_something_ready_at_once(house: FlowHouse) -> None:
    ready: list[int] = []
    gate = asyncio.Event()

    async def made(number: int) -> bytes:
        ready.append(number)
        return b"x"

    async def serve(stream: Stream) -> None:
        async with stream.turn() as turn:
            await turn.wait_for(made(stream.serial))
            await gate.wait()

    house.serve = serve
    peer = await house.wire()
    for serial in range(2 * TURNS + 3):
        await peer.send(frame(SENDS.key, Type.CALL, serial, Status.OK, bytes(4)))
    await eventually(lambda: ready and house.client.streams == 2 * TURNS + 3)
    for _ in range(10):
        await asyncio.sleep(0)
    assert TURNS <= len(ready) <= 2 * TURNS
    gate.set()
    await eventually(lambda: len(ready) == 2 * TURNS + 3)
    peer.close()


async def test_streams_whose_disk_hangs_let_others_have_their_turn(house: FlowHouse) -> None:
    ready: list[int] = []
    hung = asyncio.Event()

    async def made(number: int) -> None:
        if number < 2 * TURNS:
            await hung.wait()
        ready.append(number)

    async def serve(stream: Stream) -> None:
        async with stream.turn() as turn:
            await turn.wait_for(made(stream.serial))

    house.serve = serve
    peer = await house.wire()
    for serial in range(2 * TURNS + 2):
        await peer.send(frame(SENDS.key, Type.CALL, serial, Status.OK, bytes(4)))
    await eventually(lambda: ready == [2 * TURNS, 2 * TURNS + 1])
    hung.set()
    await eventually(lambda: len(ready) == 2 * TURNS + 2)
    peer.close()
