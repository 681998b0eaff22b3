"""Forced disconnects, keepalive, and work that will not end: nobody else pays for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiovirt.rpc.server import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode
from aiovirt.rpc.wire.keepalive import PING, PONG_FRAME
from tests.unit.house import (
    BLOCK,
    ECHO,
    ECHO_URGENT,
    HOOK,
    PATIENCE,
    STUBBORN,
    WAIT,
    WAIT_URGENT,
    House,
    MakeHouse,
    Number,
    Text,
    call,
    eventually,
    failure,
    result,
)


class TestForcedDisconnect:
    @pytest.mark.parametrize("procedure", [WAIT, STUBBORN, BLOCK])
    async def test_it_frees_the_workers_at_once_and_queued_calls_run(
        self, make_house: MakeHouse, procedure: Any
    ) -> None:
        house = await make_house(min_workers=2, max_workers=2, prio_workers=0)
        stuck, victim = await house.seat()
        await stuck.send(*(call(procedure, Number(n), n) for n in (1, 2, 3)))
        await eventually(lambda: house.stage.started == [1, 2])
        other = await house.wire()
        await other.send(call(WAIT, Number(4), 4), call(ECHO, Text("me too"), 5))
        await other.ping()
        assert house.server.workers.stats().queue_depth == 3
        house.stage.release(4)
        victim.abort()
        stats = house.server.workers.stats()
        assert (stats.queue_depth, victim.in_flight) == (0, 0)
        answers = {reply.serial: reply for reply in await other.replies(2)}
        assert result(WAIT, answers[4]) == Number(4)
        assert result(ECHO, answers[5]).text == "me too"
        assert 3 not in house.stage.started
        assert await stuck.ended() == []
        assert house.server.workers.stats().free == 2

    @pytest.mark.parametrize("procedure", [WAIT, STUBBORN, BLOCK])
    async def test_it_frees_the_workers_of_a_client_that_has_hung_up_already(
        self, make_house: MakeHouse, procedure: Any
    ) -> None:
        house = await make_house(min_workers=1, max_workers=1, prio_workers=0)
        stuck, victim = await house.seat()
        await stuck.send(call(procedure, Number(1)))
        await eventually(lambda: house.stage.started == [1])
        other = await house.wire()
        await other.send(call(ECHO, Text("next")))
        await other.ping()
        stuck.close()
        await eventually(lambda: victim.input_over)
        victim.abort()
        assert result(ECHO, await other.receive()).text == "next"

    async def test_the_late_end_of_given_up_work_disturbs_nobody(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(min_workers=1, max_workers=1, prio_workers=0)
        stuck, victim = await house.seat()
        await stuck.send(call(STUBBORN, Number(1)))
        await eventually(lambda: house.stage.started == [1])
        victim.abort()
        other = await house.wire()
        await other.send(call(WAIT, Number(2)))
        await eventually(lambda: house.stage.started == [1, 2])
        house.stage.release(1)
        await eventually(lambda: house.stage.finished == [1])
        await asyncio.sleep(0)
        assert house.server.workers.stats().free == 0
        house.stage.release(2)
        await other.receive()
        assert house.server.workers.stats().free == 1

    async def test_a_cancelled_coroutine_learns_of_it(self, house: House) -> None:
        wire, client = await house.seat()
        await wire.send(call(WAIT, Number(1)))
        await eventually(lambda: house.stage.started == [1])
        client.abort()
        await eventually(lambda: house.stage.finished == [1])

    async def test_a_call_that_has_not_begun_never_does(self, house: House) -> None:
        wire, client = await house.seat()
        data = call(WAIT, Number(1))
        client.received(bytearray(data), len(data))
        client.abort()
        await wire.ended()
        other = await house.connect()
        await other.call(HOOK, Number(2))
        assert house.stage.started == [2]
        assert house.server.workers.stats().free == 5

    async def test_priority_calls_run_while_every_ordinary_worker_is_stuck(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(min_workers=2, max_workers=2, prio_workers=1)
        wire = await house.wire()
        await wire.send(call(BLOCK, Number(1), 1), call(STUBBORN, Number(2), 2))
        await eventually(lambda: house.stage.started == [1, 2])
        other = await house.wire()
        await other.send(call(ECHO, Text(""), 3), call(ECHO_URGENT, Text("urgent"), 4))
        assert result(ECHO_URGENT, await other.receive()).text == "urgent"
        await other.send(call(WAIT_URGENT, Number(5), 5), call(ECHO_URGENT, Text("too late"), 6))
        await eventually(lambda: house.stage.started == [1, 2, 5])
        await other.ping()
        house.stage.release(5)
        assert [reply.serial for reply in await other.replies(2)] == [5, 6]
        await other.ping()
        assert house.server.workers.stats().queue_depth == 1

    async def test_more_stuck_threads_than_any_pool_has_do_not_stop_the_next(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(min_workers=1, max_workers=1, max_client_requests=1)
        for number in range(40):
            wire, client = await house.seat()
            await wire.send(call(BLOCK, Number(number)))
            await eventually(lambda number=number: house.stage.started[-1:] == [number])
            client.abort()
        house.stage.release(100)
        wire = await house.wire()
        await wire.send(call(BLOCK, Number(100)))
        assert result(BLOCK, await wire.receive()) == Number(100)


class TestBlockingWork:
    async def test_its_result_and_its_exception_come_back(self) -> None:
        assert await run_blocking(lambda a, b: a + b, 1, 2) == 3
        with pytest.raises(ZeroDivisionError):
            await run_blocking(lambda: 1 // 0)

    async def test_even_an_exception_that_futures_refuse(self) -> None:
        def stop() -> None:
            raise StopIteration

        with pytest.raises(RuntimeError, match="StopIteration"):
            await asyncio.wait_for(run_blocking(stop), PATIENCE)

    async def test_threads_are_used_again(self) -> None:
        import threading

        # Other tests may have left idle threads, which are used before a new one is made.
        used = {await run_blocking(threading.get_ident) for _ in range(60)}
        assert len(used) <= 20


class TestKeepalive:
    async def test_a_client_is_pinged_only_when_it_asked(self, make_house: MakeHouse) -> None:
        house = await make_house(keepalive_interval=0.001, keepalive_count=2)
        asked, client = await house.seat()
        silent, other = await house.seat()
        client.start_keepalive()
        got = await asked.ended()
        assert [message.procedure for message in got] == [PING.number] * 2
        assert not other.closed
        await silent.ping()

    async def test_a_client_that_answers_lives(self, make_house: MakeHouse) -> None:
        house = await make_house(keepalive_interval=0.001, keepalive_count=100)
        wire, client = await house.seat()
        client.start_keepalive()
        client.start_keepalive()
        for _ in range(200):
            assert (await wire.receive()).procedure == PING.number
            await wire.send(PONG_FRAME)
        assert not client.closed

    async def test_calls_count_as_life(self, make_house: MakeHouse) -> None:
        house = await make_house(keepalive_interval=0.001, keepalive_count=100)
        wire, client = await house.seat()
        client.start_keepalive()
        pings = 0
        while pings < 200:
            pings += (await wire.receive()).procedure == PING.number
            await wire.send(call(ECHO, Text("")))
        assert not client.closed

    async def test_an_interval_of_minus_one_sends_none(self, make_house: MakeHouse) -> None:
        house = await make_house(keepalive_interval=-1)
        wire, client = await house.seat()
        client.start_keepalive()
        assert client._keepalive is None
        await wire.ping()

    async def test_a_silent_client_with_calls_in_flight_frees_its_workers(
        self, make_house: MakeHouse
    ) -> None:
        house = await make_house(keepalive_interval=0.001, keepalive_count=1)
        wire, client = await house.seat()
        await wire.send(call(STUBBORN, Number(1)))
        await eventually(lambda: house.stage.started == [1])
        client.start_keepalive()
        await eventually(lambda: client.closed)
        assert house.server.workers.stats().free == 5


async def test_a_coroutine_that_cancels_itself_gets_a_reply(house: House) -> None:
    def cancel(client: object, number: int) -> None:
        raise asyncio.CancelledError

    from house import HOOK_LATER

    house.stage.hook = cancel
    wire = await house.wire()
    await wire.send(call(HOOK_LATER, Number(1)))
    assert failure(await wire.receive()).code == ErrorCode.OPERATION_ABORTED
    assert house.server.workers.stats().free == 5
