"""The handing over of connections: their timers, their large buffers, and those that do not work."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from aiovirt.rpc.server import Access, Client
from aiovirt.rpc.server import restart as handing
from aiovirt.rpc.server.restart import DaemonState, restore, save
from aiovirt.rpc.server.restart_buffers import OutgoingBuffers, read_back
from aiovirt.rpc.wire.message import Type, frame
from tests.unit.house import (
    ECHO,
    HOOK,
    LARGE,
    House,
    MakeHouse,
    Number,
    Text,
    Wire,
    call,
    eventually,
    open_house,
    result,
)


def _document(house: House, buffers: OutgoingBuffers | None = None) -> DaemonState:
    """What the house hands over; its own descriptors stay its own."""
    for server in house.daemon.servers.values():
        server.pause()
    state = save(house.daemon, os.dup, buffers or OutgoingBuffers(rehearsal=False))
    return msgspec.json.decode(msgspec.json.encode(state), type=DaemonState)


@asynccontextmanager
async def _heir(state: DaemonState, **options: Any) -> AsyncIterator[House]:
    """A house that has taken over what another handed over."""
    async with open_house(**options) as heir:
        restore(heir.daemon, state)
        yield heir


def _only(house: House) -> Client:
    (client,) = house.server.registry
    return client


# Timers ------------------------------------------------------------------------------------------


async def test_the_time_to_authenticate_goes_on(house: House) -> None:
    service = house.server.take_over(_listening(house.path + "-auth"), Access(auth="sasl"), None)
    service.update()
    wire = await _connect(house.path + "-auth")
    await eventually(lambda: len(house.server.registry))
    client = _only(house)
    assert client.deadline is not None
    client._deadline.cancel()
    client.expect_authentication(0.05)
    state = _document(house)
    assert state.servers[0].clients[0].deadline < 0.1
    async with _heir(state) as heir:
        taken = _only(heir)
        await eventually(lambda: taken.closed)
    wire.close()


async def test_a_client_of_an_older_document_has_the_whole_time(house: House) -> None:
    service = house.server.take_over(_listening(house.path + "-auth"), Access(auth="sasl"), None)
    service.update()
    wire = await _connect(house.path + "-auth")
    await eventually(lambda: len(house.server.registry))
    state = _document(house)
    state.servers[0].clients[0].deadline = None
    async with _heir(state) as heir:
        assert 59 < (_only(heir).deadline or 0) <= 60.001  # differences of floats
    wire.close()


async def test_unanswered_pings_are_still_unanswered(make_house: MakeHouse) -> None:
    house = await make_house(keepalive_interval=1000, keepalive_count=3)
    wire, client = await house.seat()
    client.start_keepalive(2, 0.02)
    client.heard()  # what came until now is not new
    state = _document(house)
    (saved,) = state.servers[0].clients
    assert (saved.keepalive, saved.pings) == (True, 2)
    assert saved.next_ping is not None
    assert saved.next_ping < 0.1
    async with _heir(state) as heir:
        taken = _only(heir)
        await eventually(lambda: taken.keepalive_progress and taken.keepalive_progress[0] == 3)
    wire.close()


async def test_the_last_bytes_of_a_client_have_the_time_that_is_left(house: House) -> None:
    wire, client = await house.seat()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await wire.send(call(LARGE, Number(40_000)))
    await eventually(lambda: client.unsent)
    client.end_when_sent("closed by the client")
    client._linger.cancel()
    client._linger = None
    client.expect_progress(0.02)
    state = _document(house)
    async with _heir(state) as heir:
        taken = _only(heir)
        await eventually(lambda: taken.closed)
    wire.close()


async def test_the_timeout_of_an_idle_daemon_goes_on(house: House) -> None:
    house.daemon.set_timeout(1000, left=0.05)
    state = _document(house)
    assert state.timeout_left is not None
    assert state.timeout_left < 0.1
    async with _heir(state) as heir:
        heir.daemon.set_timeout(state.timeout, left=state.timeout_left)
        await eventually(lambda: heir.daemon.is_ending)


async def test_a_daemon_that_is_not_idle_has_no_time_left_of_its_timeout(house: House) -> None:
    house.daemon.set_timeout(1000)
    wire, _ = await house.seat()
    assert _document(house).timeout_left is None
    wire.close()


# The end of what comes in ------------------------------------------------------------------------


async def test_what_a_half_closed_client_had_sent_is_executed_by_the_heir(house: House) -> None:
    wire, client = await house.seat()
    house.server.pause()
    data = call(HOOK, Number(1), 1) + call(ECHO, Text("x"), 2)
    client.read_later(bytearray(data))
    await wire.send(call(HOOK, Number(3), 3))  # it stays in the socket
    wire.sock.shutdown(socket.SHUT_WR)
    house.server.draining = True
    client.input_ended("the peer closed the connection")
    state = _document(house)
    async with _heir(state) as heir:
        taken = _only(heir)
        await eventually(lambda: taken.closed)
        assert heir.stage.started == [1]
    client.abort()
    assert [reply.serial for reply in await wire.ended()] == [1, 2]


# Large buffers -----------------------------------------------------------------------------------


async def test_large_buffers_travel_beside_the_document(house: House) -> None:
    wire, client = await house.seat()
    long = frame(ECHO.key, Type.CALL, 5, 0, ECHO.encode_args(Text("y" * 300_000)))
    await wire.send(call(LARGE, Number(1_000_000), 4))
    await eventually(lambda: client.unsent)
    client.read_later(bytearray(long[:200_000]))
    buffers = OutgoingBuffers(rehearsal=False)
    state = _document(house, buffers)
    assert len(msgspec.json.encode(state)) < 4096
    assert not client.unconsumed
    async with _heir(state) as heir:
        client.abort()
        assert (await wire.receive()).serial == 4
        await wire.send(long[200_000:])
        reply = await wire.receive()
        assert (reply.serial, result(ECHO, reply).text) == (5, "y" * 300_000)
        assert len(heir.server.registry) == 1


async def test_buffers_that_were_moved_are_put_back_when_the_daemon_goes_on(house: House) -> None:
    wire, client = await house.seat()
    long = call(ECHO, Text("y" * 300_000), 5)
    await wire.send(long[:200_000])
    await eventually(lambda: len(client.unconsumed) == 200_000)
    buffers = OutgoingBuffers(rehearsal=False)
    _document(house, buffers)
    assert not client.unconsumed
    buffers.put_back()
    house.server.resume()
    await wire.send(long[200_000:])
    assert result(ECHO, await wire.receive()).text == "y" * 300_000


async def test_a_rehearsal_moves_nothing(house: House) -> None:
    wire, client = await house.seat()
    await wire.send(call(ECHO, Text("y" * 300_000), 5)[:200_000])
    await eventually(lambda: len(client.unconsumed) == 200_000)
    state = _document(house, OutgoingBuffers(rehearsal=True))
    assert (state.buffers, state.servers[0].clients[0].received) == (-1, b"")
    assert len(client.unconsumed) == 200_000


def test_buffers_are_read_back_in_any_order_and_their_memory_is_freed() -> None:
    buffers = OutgoingBuffers(rehearsal=False)
    contents = [os.urandom(5000 + 100_000 * number) for number in range(5)]
    places = [buffers.take(bytearray(content))[1] for content in contents]
    descriptor = os.dup(buffers.descriptor)
    found = read_back(descriptor, filter(None, places))
    assert [bytes(found[place]) for place in places if place] == contents
    assert os.fstat(buffers.descriptor).st_size == 0


def test_buffers_that_are_cut_off_are_refused() -> None:
    buffers = OutgoingBuffers(rehearsal=False)
    _, place = buffers.take(bytearray(10_000))
    assert place is not None
    os.ftruncate(buffers.descriptor, 5000)
    with pytest.raises(ValueError, match="a buffer of 10000 bytes has only 5000"):
        read_back(os.dup(buffers.descriptor), [place])


# One thing that does not work --------------------------------------------------------------------


async def test_a_client_that_cannot_be_saved_costs_itself_and_its_descriptors(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    seats = [await house.seat() for _ in range(3)]
    broken = seats[1][1]
    real = handing._descriptors

    def descriptors(client: Client) -> list[int]:
        return [*real(client), 1 << 20] if client is broken else real(client)

    monkeypatch.setattr(handing, "_descriptors", descriptors)
    state = _document(house)
    saved = [client.id for client in state.servers[0].clients]
    assert saved == [seats[0][1].id, seats[2][1].id]


async def test_a_client_that_cannot_be_restored_costs_itself(house: House) -> None:
    seats = [await house.seat() for _ in range(3)]
    state = _document(house)
    state.servers[0].clients[1].descriptor = 1 << 20
    async with _heir(state) as heir:
        assert [client.id for client in heir.server.registry] == [seats[0][1].id, seats[2][1].id]


# -------------------------------------------------------------------------------------------------


def _listening(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen()
    return listening


async def _connect(path: str) -> Wire:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    sock.connect(path)
    return Wire(sock)
