"""Faults of open streams: packets that are late, that end the stream, or that end the connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aiovirt.rpc.client import Connection, ConnectionLost, connect_unix
from aiovirt.rpc.server import Client, Stream
from aiovirt.rpc.server.faults import Ending, Fault
from aiovirt.rpc.server.streams import TAKE_HIGH
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.program import Procedure
from tests.unit.house import eventually
from tests.unit.test_streams import RECEIVES, SENDS, FlowHouse, Number, open_flow_house

GONE = RpcError(ErrorCode.OPERATION_FAILED, "the line is dead")


class Packets:
    """Faults of packets, by their count from 1. opened: the serials of the streams."""

    def __init__(self, decide: Callable[[int], Fault | None]) -> None:
        self._decide = decide
        self._count = 0
        self.opened: list[int] = []

    def of_call(self, client: Client, procedure: Procedure[Any, Any], args: Any) -> Fault | None:
        return None

    def opens(self, client: Client, procedure: Procedure[Any, Any], args: Any, serial: int) -> None:
        self.opened.append(serial)

    def of_packet(self, client: Client, key: bytes, serial: int) -> Fault | None:
        assert serial in self.opened
        self._count += 1
        return self._decide(self._count)

    def mutes(self, client: Client) -> bool:
        return False


def second(**fields: Any) -> Packets:
    """The second packet has this fault."""
    return Packets(lambda count: Fault("rule", **fields) if count == 2 else None)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[FlowHouse]:
    async with open_flow_house(tmp_path) as house:
        yield house


@pytest.fixture
async def connection(house: FlowHouse) -> AsyncIterator[Connection]:
    async with connect_unix(house.path) as connection:
        yield connection


@pytest.fixture
def got(house: FlowHouse) -> list[object]:
    """What the server receives, with None at the end; the server sends "one", "two" and "three"."""
    got: list[object] = []

    async def serve(stream: Stream) -> None:
        if stream.receives:
            while (data := await stream.receive()) is not None:
                got.append(data)
            got.append(None)
        else:
            for data in (b"one", b"two", b"three"):
                await stream.send(data)

    house.serve = serve
    return got


async def test_packets_wait_for_a_late_one_and_keep_their_order(
    house: FlowHouse, connection: Connection, got: list[object]
) -> None:
    release = asyncio.Event()

    async def wait() -> None:
        await release.wait()

    house.server.set_faults(second(wait=wait))
    stream = await connection.open_stream(RECEIVES, Number(0))
    for data in (b"one", b"two", b"three"):
        await stream.send(data)
    finishing = asyncio.ensure_future(stream.finish())
    await eventually(lambda: got == [b"one"])
    assert not finishing.done()
    release.set()
    await finishing
    assert got == [b"one", b"two", b"three", None]
    assert house.client.streams == 0


async def test_a_client_whose_packets_are_late_is_not_read_for_ever(
    house: FlowHouse, connection: Connection, got: list[object]
) -> None:
    release = asyncio.Event()

    async def wait() -> None:
        await release.wait()

    house.server.set_faults(second(wait=wait))
    stream = await connection.open_stream(RECEIVES, Number(0))
    piece = bytes(TAKE_HIGH // 2)
    sending = [asyncio.ensure_future(stream.send(piece)) for _ in range(20)]
    await eventually(lambda: house.client._paused)
    release.set()
    await asyncio.gather(*sending)
    await stream.finish()
    assert got.pop() is None
    assert sum(len(item) for item in got if isinstance(item, bytes)) == 20 * len(piece)


async def used(stream: Any, procedure: Any) -> None:
    """Send three packets, take what comes, and finish."""
    if procedure is RECEIVES:
        for data in (b"one", b"two", b"three"):
            await stream.send(data)
    else:
        async for data in stream:
            assert data == b"one"
    await stream.finish()


@pytest.mark.parametrize("procedure", [RECEIVES, SENDS])
async def test_a_stream_ends_with_an_error(
    house: FlowHouse, connection: Connection, got: list[object], procedure: Any
) -> None:
    house.server.set_faults(second(error=GONE))
    stream = await connection.open_stream(procedure, Number(0))
    with pytest.raises(RpcError, match="the line is dead"):
        await used(stream, procedure)
    assert None not in got
    await eventually(lambda: house.client.streams == 0)


@pytest.mark.parametrize("ending", [Ending.CUT, Ending.CLOSED_BEFORE])
@pytest.mark.parametrize("procedure", [RECEIVES, SENDS])
async def test_a_connection_ends_in_the_middle_of_a_stream(
    house: FlowHouse, connection: Connection, got: list[object], procedure: Any, ending: Ending
) -> None:
    house.server.set_faults(second(ending=ending))
    stream = await connection.open_stream(procedure, Number(0))
    with pytest.raises(ConnectionLost):
        await used(stream, procedure)
    assert None not in got
    await eventually(lambda: not list(house.server.registry))
