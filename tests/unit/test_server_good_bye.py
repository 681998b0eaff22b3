"""The end of what a client sends: what came whole before it is executed, answered and then closed.

A client can close its side and still read, close its connection, say CLOSE, or send nonsense. In all of
these nothing more comes from it. `TestForcedDisconnect` in test_server_disconnect.py has the other end,
which cancels.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from aiovirt.rpc.client import connect_unix
from aiovirt.rpc.server import Stream, slow_path
from aiovirt.rpc.server.read_ahead import READ_AHEAD
from aiovirt.rpc.server.slices import SLICE
from aiovirt.rpc.transport import link
from aiovirt.rpc.transport.tls import TlsFilter
from aiovirt.rpc.wire.message import Status, Type, frame
from tests.unit import test_tls as tls
from tests.unit.house import (
    ECHO,
    HOOK,
    HOOK_LATER,
    LARGE,
    UNBOUND,
    WAIT,
    House,
    MakeHouse,
    Number,
    Text,
    Wire,
    call,
    eventually,
    result,
)
from tests.unit.test_streams import RECEIVES, SENDS, FlowHouse
from tests.unit.test_streams import Number as FlowNumber
from tests.unit.test_streams import house as flow  # noqa: F401  # a fixture, used by its name


def _half_close(wire: Wire) -> None:
    wire.sock.shutdown(socket.SHUT_WR)


def _hang_up(wire: Wire) -> None:
    wire.close()


ENDS = pytest.mark.parametrize("end", [_half_close, _hang_up])
End = Callable[[Wire], None]


# Calls -------------------------------------------------------------------------------------------


@ENDS
@pytest.mark.parametrize("procedure", [HOOK, HOOK_LATER])
async def test_a_call_is_executed_for_a_client_that_sends_and_goes_at_once(
    house: House, procedure: type[HOOK], end: End
) -> None:
    for number in range(50):
        wire = await house.wire()
        wire.sock.send(call(procedure, Number(number)))
        end(wire)
    await eventually(lambda: sorted(house.stage.started) == list(range(50)))
    await eventually(lambda: not len(house.server.registry))


@pytest.mark.parametrize("workers", [1, 5])
@ENDS
async def test_calls_beyond_the_request_limit_and_the_slice_are_executed_in_order(
    make_house: MakeHouse, end: End, workers: int
) -> None:
    house = await make_house(max_client_requests=1, min_workers=workers, max_workers=workers)
    count = 5 * SLICE
    wire, client = await house.seat()
    calls = b"".join(call((HOOK, HOOK_LATER)[n % 2], Number(n), n) for n in range(1, count + 1))
    assert len(calls) < READ_AHEAD
    await wire.send(calls)
    end(wire)
    if end is _half_close:
        assert [reply.serial for reply in await wire.ended()] == list(range(1, count + 1))
    await eventually(lambda: client.closed)
    assert house.stage.started == list(range(1, count + 1))


async def test_a_half_closed_client_gets_its_replies_and_then_the_end(house: House) -> None:
    wire, client = await house.seat()
    await wire.send(call(WAIT, Number(1), 1), call(ECHO, Text("x"), 2), call(WAIT, Number(3), 3))
    _half_close(wire)
    await eventually(lambda: client.input_over)
    assert result(ECHO, await wire.receive()).text == "x"
    assert (client.in_flight, client.closed) == (2, False)
    house.stage.release(3)
    assert (await wire.receive()).serial == 3
    house.stage.release(1)
    assert [reply.serial for reply in await wire.ended()] == [1]
    assert len(house.server.registry) == 0


async def test_a_half_closed_client_reads_large_replies_slowly(house: House) -> None:
    wire, client = await house.seat()
    await wire.send(*(call(LARGE, Number(1_000_000), n) for n in range(1, 21)))
    _half_close(wire)
    await eventually(lambda: client.input_over or client.unsent)
    assert [reply.serial for reply in await wire.ended()] == list(range(1, 21))


async def test_half_a_frame_at_the_end_is_dropped(house: House) -> None:
    wire, _ = await house.seat()
    await wire.send(call(HOOK_LATER, Number(1)), call(HOOK, Number(2))[:-1])
    _half_close(wire)
    assert [reply.serial for reply in await wire.ended()] == [1]
    assert house.stage.started == [1]


async def test_what_came_before_nonsense_is_executed_and_answered(house: House) -> None:
    wire, _ = await house.seat()
    await wire.send(call(HOOK_LATER, Number(1)), call(HOOK, Number(2), 2), b"\xff" * 28)
    assert sorted(reply.serial for reply in await wire.ended()) == [1, 2]


async def test_what_came_before_a_close_is_executed_and_answered(house: House) -> None:
    wire, client = await house.seat()
    house.stage.hook = lambda client, number: client.close_after_reply()
    await wire.send(call(WAIT, Number(1), 1), call(HOOK, Number(2), 2), call(ECHO, Text("no"), 3))
    assert (await wire.receive()).serial == 2
    assert not client.closed
    house.stage.release(1)
    assert [reply.serial for reply in await wire.ended()] == [1]


async def test_a_client_that_is_gone_has_its_calls_finished_and_its_replies_dropped(
    house: House,
) -> None:
    wire, client = await house.seat()
    await wire.send(call(WAIT, Number(1), 1), *(call(LARGE, Number(500_000), n) for n in (2, 3, 4)))
    await eventually(lambda: client.unsent)
    wire.close()
    await eventually(lambda: not client.unsent)
    assert not client.closed
    house.stage.release(1)
    await eventually(lambda: client.closed)
    assert house.stage.finished == [1]
    assert house.server.counts()[WAIT].errors == 0


async def test_calls_that_waited_for_unread_replies_are_executed_when_the_client_goes(
    house: House,
) -> None:
    wire, client = await house.seat()
    await wire.send(
        *(call(LARGE, Number(500_000), n) for n in range(1, 9)), call(HOOK_LATER, Number(9), 9)
    )
    await eventually(lambda: client.unsent)
    assert house.stage.started == []
    wire.close()
    await eventually(lambda: client.closed)
    assert house.stage.started == [9]


async def test_calls_without_effect_are_passed_over_at_once_when_the_client_is_gone(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at: list[int] = []
    call_one = slow_path._call
    monkeypatch.setattr(
        slow_path, "_call", lambda *args: (looked_at.append(args[1].serial), call_one(*args))
    )
    wire, client = await house.seat()
    await wire.send(*(call(LARGE, Number(500_000), n) for n in range(1, 9)))
    await eventually(lambda: client.unsent)
    reads = [call(ECHO, Text("x"), n) for n in range(100, 600)]
    await wire.send(*reads, call(UNBOUND, None, 600), call(HOOK_LATER, Number(9), 9), *reads)
    wire.close()
    await eventually(lambda: client.closed)
    assert house.stage.started == [9]
    assert not set(looked_at) & set(range(100, 601))
    assert house.server.counts()[ECHO].errors == 1000
    assert house.server.tallies()[ECHO].buckets[-1] == 0, "none of them took longer than all bounds"


# Bounds ------------------------------------------------------------------------------------------


async def test_such_a_client_counts_until_it_is_done(make_house: MakeHouse) -> None:
    house = await make_house(max_clients=1, max_anonymous_clients=1)
    wire, client = await house.seat()
    await wire.send(call(WAIT, Number(1)))
    wire.close()
    await eventually(lambda: client.input_over)
    other = await house.wire()
    await asyncio.sleep(0)
    assert [one.id for one in house.server.registry] == [client.id]
    house.stage.release(1)
    await other.ping()
    assert client.closed


async def test_one_that_takes_none_of_its_replies_is_closed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link.SocketLink.expect_progress, "__defaults__", (0.01,))
    wire, client = await house.seat()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    await wire.send(call(LARGE, Number(40_000)))
    _half_close(wire)
    await eventually(lambda: client.closed)


async def test_it_gets_no_events_and_no_pings(make_house: MakeHouse) -> None:
    house = await make_house(keepalive_interval=1, keepalive_count=1)
    wire, client = await house.seat()
    client.start_keepalive()
    await wire.send(call(WAIT, Number(1)))
    _half_close(wire)
    await eventually(lambda: client.input_over)
    assert not client.keeps_alive
    assert not client.write_event(b"x" * 28)
    house.stage.release(1)
    assert [reply.serial for reply in await wire.ended()] == [1]


async def test_the_daemons_end_still_cancels_after_its_grace(make_house: MakeHouse) -> None:
    house = await make_house(grace=0)
    wire, client = await house.seat()
    await wire.send(call(WAIT, Number(1)))
    _half_close(wire)
    await eventually(lambda: client.input_over)
    house.daemon.shutdown()
    (reply,) = await wire.ended()
    assert reply.status == Status.ERROR
    await eventually(lambda: house.stage.finished == [1])


# Streams -----------------------------------------------------------------------------------------


async def test_a_stream_that_the_client_had_finished_is_served_to_its_end(
    flow: FlowHouse,  # noqa: F811  # the fixture
) -> None:
    got: list[object] = []
    gate = asyncio.Event()

    async def serve(stream: Stream) -> None:
        await gate.wait()
        while (item := await stream.receive()) is not None:
            got.append(item)

    flow.serve = serve
    wire = await flow.wire()
    await wire.send(call(RECEIVES, FlowNumber(1), 7))
    await wire.receive()
    client = flow.client
    await wire.send(
        frame(RECEIVES.key, Type.STREAM, 7, Status.CONTINUE, b"all of it"),
        frame(RECEIVES.key, Type.STREAM, 7, Status.OK, b""),
    )
    wire.close()
    await eventually(lambda: client.input_over)
    assert not client.closed
    gate.set()
    await eventually(lambda: client.closed)
    assert (got, flow.ended) == ([b"all of it"], ["returned"])


@ENDS
@pytest.mark.parametrize("procedure", [SENDS, RECEIVES])
async def test_a_stream_that_the_client_cannot_finish_any_more_ends(
    flow: FlowHouse,  # noqa: F811  # the fixture
    procedure: type[SENDS],
    end: End,
) -> None:
    async def serve(stream: Stream) -> None:
        await asyncio.Event().wait()

    flow.serve = serve
    wire = await flow.wire()
    await wire.send(call(procedure, FlowNumber(1), 7))
    await wire.receive()
    client = flow.client
    await wire.send(frame(procedure.key, Type.STREAM, 7, Status.CONTINUE, b""))
    end(wire)
    await eventually(lambda: client.closed and flow.ended == ["CancelledError"])


# The calling side --------------------------------------------------------------------------------


async def test_a_reply_that_came_before_the_end_is_not_lost_to_a_write_that_fails(
    tmp_path: Path,
) -> None:
    path = str(tmp_path / "sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen()
        async with connect_unix(path) as connection:
            peer = Wire(listening.accept()[0])
            peer.sock.setblocking(False)
            one = asyncio.create_task(connection.call(ECHO, Text("one")))
            message = await peer.receive()
            await peer.send(frame(ECHO.key, Type.REPLY, message.serial, Status.OK, message.payload))
            peer.close()
            connection.write(b"x" * 28)  # before the loop has looked at the socket
            assert (await one).text == "one"
            await connection.wait_closed()


# TLS ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("polite", [True, False], ids=["close-notify", "cut"])
async def test_a_half_closed_tls_client_gets_its_replies(tmp_path: Path, polite: bool) -> None:
    pki = tls.Pki(tmp_path / "pki")
    async with tls.open_house(tmp_path, pki.files("server")) as house:
        gate = asyncio.Event()

        async def late(client: object, args: tls.Data) -> tls.Data:
            await gate.wait()
            return args

        binding = house.server.table[tls.ECHO.key]
        binding.handler, binding.direct, binding.inline = late, False, False
        connection = await house.connect(pki.files("client"))
        waiting = asyncio.create_task(connection.call(tls.ECHO, tls.Data(b"all of it" * 10_000)))
        (client,) = house.server.registry
        await eventually(lambda: client.in_flight)
        assert isinstance(connection.filter, TlsFilter)
        if polite:
            with contextlib.suppress(ssl.SSLWantReadError):
                connection.filter.engine.unwrap()
            connection.write(connection.filter.to_peer.read(), raw=True)
        else:
            connection.sock.shutdown(socket.SHUT_WR)
        await eventually(lambda: client.input_over)
        gate.set()
        assert (await waiting).data == b"all of it" * 10_000
        await connection.wait_closed()
        await eventually(lambda: client.closed)
