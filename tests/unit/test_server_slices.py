"""Slices: whoever sends very much at once leaves room for the others."""

from __future__ import annotations

import asyncio
import socket
from itertools import groupby

from aiovirt.rpc.server.client import Client
from aiovirt.rpc.server.slices import SLICE
from aiovirt.rpc.transport.passage import READ_SIZE
from aiovirt.rpc.transport.pauses import PAUSE_SLICE
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG
from tests.unit.house import ECHO, HOOK, HOOK_LATER, House, Number, Text, call, eventually, result


def flood(first: int, count: int) -> bytes:
    return b"".join(call(HOOK, Number(n), n) for n in range(first, first + count))


async def test_who_comes_while_a_flood_is_handled_waits_for_a_turn_and_not_for_all_of_it(
    house: House,
) -> None:
    flooder, other = await house.wire(), await house.wire()
    await other.ping()

    def come(client: Client, number: int) -> None:
        if number == 0:
            other.sock.send(call(HOOK, Number(9999)))

    house.stage.hook = come
    await flooder.send(flood(0, 2000))
    assert result(HOOK, await other.receive()) == Number(9999)
    assert house.stage.started.index(9999) <= 2 * SLICE
    assert [reply.serial for reply in await flooder.replies(2000)] == list(range(2000))


async def test_floods_share_what_time_there_is(house: House) -> None:
    wires = [await house.wire() for _ in range(3)]
    for n, wire in enumerate(wires):
        wire.sock.send(flood(10_000 * n, 2000))
    for wire in wires:
        await wire.replies(2000)
    runs = [len(list(run)) for _, run in groupby(house.stage.started, lambda n: n // 10_000)]
    assert max(runs) <= 2 * SLICE
    assert sum(runs) == 6000


async def test_whatever_a_flood_is_made_of_all_is_answered_and_little_is_held(house: House) -> None:
    wire, client = await house.seat()
    held: list[int] = []
    paused: set[int] = set()

    def look(client: Client, number: int) -> None:
        held.append(len(client._tail or b""))
        paused.add(client._paused)

    house.stage.hook = look
    pieces = [
        (
            call(HOOK, Number(n), n)
            + call(ECHO, Text("x" * (n % 300)), n)
            + (PING_FRAME if n % 7 == 0 else b"")
            + (call(HOOK_LATER, Number(n), n) if n % 50 == 0 else b"")
        )
        for n in range(5000)
    ]
    sending = asyncio.create_task(wire.send(*pieces))
    replies = await wire.replies(10_000 + 715 + 100)
    await sending
    for procedure, serials in (
        (HOOK, list(range(5000))),
        (ECHO, list(range(5000))),
        (HOOK_LATER, list(range(0, 5000, 50))),
    ):
        number = procedure.number
        program = procedure.program.number
        came = [one.serial for one in replies if (one.program, one.procedure) == (program, number)]
        assert came == serials
    assert sum(one.program == PONG.program.number for one in replies) == 715
    assert max(held) < READ_SIZE + 1024  # one read, behind the beginning of a frame
    assert any(why & PAUSE_SLICE for why in paused), "it was never too fast"
    await eventually(lambda: not client._paused)
    await wire.ping()


async def test_all_is_answered_that_came_before_its_sender_said_that_there_is_no_more(
    house: House,
) -> None:
    flooder, _ = await house.seat()
    await flooder.send(flood(0, 1500))
    flooder.sock.shutdown(socket.SHUT_WR)
    assert [reply.serial for reply in await flooder.ended()] == list(range(1500))
    assert len(house.server.registry) == 0


async def test_all_is_done_of_what_was_read_though_its_sender_goes(house: House) -> None:
    flooder, _ = await house.seat()
    await flooder.send(flood(0, 1500))
    flooder.close()
    await eventually(lambda: len(house.server.registry) == 0)
    assert house.stage.started == list(range(1500))


async def test_who_is_closed_while_it_waits_keeps_nobody(house: House) -> None:
    flooder, gone = await house.seat()
    other = await house.wire()
    house.stage.hook = lambda client, number: client.abort() if number == 100 else None
    await flooder.send(flood(0, 2000))
    await eventually(lambda: gone.closed)
    await other.send(flood(5000, 1000))
    assert len(await other.replies(1000)) == 1000
    assert 1999 not in house.stage.started


async def test_a_client_that_waits_for_its_turn_can_be_closed(house: House) -> None:
    flooder, doomed = await house.seat()

    def close(client: Client, number: int) -> None:
        if number == 0:
            asyncio.get_running_loop().call_soon(doomed.abort)

    house.stage.hook = close
    await flooder.send(flood(0, 2000))
    await flooder.ended()
    assert 0 < len(house.stage.started) <= 3 * SLICE
    assert len(house.server.registry) == 0
    other = await house.wire()
    await other.send(flood(5000, 1000))
    assert len(await other.replies(1000)) == 1000
