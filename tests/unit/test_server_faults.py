"""Faults of a server: what becomes of a call that is struck, and of all others."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import pytest

from aiovirt.rpc.server import Client
from aiovirt.rpc.server.faults import Ending, Fault
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.keepalive import PING_FRAME
from aiovirt.rpc.wire.program import Procedure
from tests.unit.house import (
    ECHO,
    HOOK,
    UNBOUND,
    WAIT,
    House,
    MakeHouse,
    Number,
    Text,
    call,
    eventually,
    failure,
    result,
)

Decide = Callable[[Any], "Fault | None"]


class Struck:
    """Faults by a function of the arguments. asked: the arguments that it was asked about."""

    def __init__(self, decide: Decide, *, muted: bool = False) -> None:
        self._decide = decide
        self._muted = muted
        self.asked: list[Any] = []

    def of_call(self, client: Client, procedure: Procedure[Any, Any], args: Any) -> Fault | None:
        self.asked.append(args)
        return self._decide(args)

    def opens(self, client: Client, procedure: Procedure[Any, Any], args: Any, serial: int) -> None:
        """Only calls are struck."""

    def of_packet(self, client: Client, key: bytes, serial: int) -> Fault | None:
        return None

    def mutes(self, client: Client) -> bool:
        return self._muted


def always(**fields: Any) -> Struck:
    """Every call has this fault."""
    return Struck(lambda args: Fault("rule", **fields))


@pytest.fixture
async def house(make_house: MakeHouse) -> House:
    return await make_house()


async def test_a_call_without_a_fault_is_answered_as_ever(house: House) -> None:
    faults = Struck(lambda args: None)
    house.server.set_faults(faults)
    wire = await house.wire()
    await wire.send(call(ECHO, Text("a"), 1), call(ECHO, Text("b"), 2))
    assert [result(ECHO, one).text for one in await wire.replies(2)] == ["a", "b"]
    assert [one.text for one in faults.asked] == ["a", "b"]


async def test_nothing_is_asked_once_the_faults_are_gone(house: House) -> None:
    faults = Struck(lambda args: None)
    house.server.set_faults(faults)
    house.server.set_faults(None)
    wire = await house.wire()
    await wire.send(call(ECHO, Text("a")))
    assert result(ECHO, await wire.receive()).text == "a"
    assert faults.asked == []
    assert house.server.fast_table is house.server.table


@pytest.mark.parametrize("procedure", [HOOK, WAIT])
async def test_an_error_is_the_answer_and_nothing_is_done(
    house: House, procedure: Procedure[Number, Number]
) -> None:
    house.server.set_faults(always(error=RpcError(ErrorCode.NO_MEMORY, "out of memory", domain=12)))
    wire = await house.wire()
    await wire.send(call(procedure, Number(7)))
    error = failure(await wire.receive())
    assert (error.code, error.domain, error.message) == (ErrorCode.NO_MEMORY, 12, "out of memory")
    assert house.stage.started == []


async def test_a_procedure_that_nothing_serves_can_be_struck(house: House) -> None:
    wire = await house.wire()
    await wire.send(call(UNBOUND))
    refused = failure(await wire.receive())
    house.server.set_faults(Struck(lambda args: None))
    await wire.send(call(UNBOUND))
    assert failure(await wire.receive()).message == refused.message
    house.server.set_faults(always(error=RpcError(ErrorCode.NO_MEMORY, "out of memory")))
    await wire.send(call(UNBOUND))
    assert failure(await wire.receive()).message == "out of memory"
    assert house.server.counts()[UNBOUND].errors == 3


async def test_a_wait_holds_a_worker_and_no_other_call(make_house: MakeHouse) -> None:
    house = await make_house(min_workers=1, max_workers=1)
    gate = asyncio.Event()

    async def wait() -> None:
        await gate.wait()

    house.server.set_faults(
        Struck(lambda args: Fault("rule", wait=wait) if args == Number(1) else None)
    )
    wire = await house.wire()
    await wire.send(call(HOOK, Number(1), 1))
    await eventually(lambda: not house.server.workers.ready)
    await wire.send(call(HOOK, Number(2), 2))
    await eventually(lambda: house.server.workers.queue_depth == 1)
    assert house.stage.started == []
    gate.set()
    assert [one.serial for one in await wire.replies(2)] == [1, 2]
    assert house.stage.started == [1, 2]


async def test_a_call_waits_no_longer_for_a_client_that_sends_nothing_more(
    make_house: MakeHouse,
) -> None:
    house = await make_house(min_workers=1, max_workers=1)
    waiting = asyncio.Event()

    async def wait() -> None:
        waiting.set()
        await asyncio.Event().wait()

    house.server.set_faults(Struck(lambda args: Fault("rule", wait=wait)))
    wire = await house.wire()
    await wire.send(call(HOOK, Number(1), 1) + call(HOOK, Number(2), 2))
    await waiting.wait()
    assert house.stage.started == []
    wire.sock.shutdown(socket.SHUT_WR)
    assert [one.serial for one in await wire.replies(2)] == [1, 2]
    assert house.stage.started == [1, 2]


async def test_a_call_that_waits_ends_with_its_client(house: House) -> None:
    held = asyncio.Event()

    async def wait() -> None:
        held.set()
        await asyncio.Event().wait()

    house.server.set_faults(always(wait=wait))
    wire = await house.wire()
    await wire.send(call(WAIT, Number(1)))
    await held.wait()
    (client,) = house.server.registry
    client.abort()
    await eventually(lambda: house.server.workers.stats().free == house.server.workers.minimum)
    assert house.stage.started == []


@pytest.mark.parametrize("procedure", [HOOK, WAIT])
async def test_a_dropped_reply_is_not_sent_and_the_work_is_done(
    house: House, procedure: Procedure[Number, Number]
) -> None:
    house.stage.release(1, 2)
    house.server.set_faults(
        Struck(lambda args: Fault("rule", ending=Ending.DROPPED) if args.value == 1 else None)
    )
    wire = await house.wire()
    await wire.send(call(procedure, Number(1), 1))
    await eventually(lambda: house.stage.started == [1])
    await wire.send(call(procedure, Number(2), 2))
    assert (await wire.receive()).serial == 2
    (client,) = house.server.registry
    assert client.in_flight == 0
    assert house.server.counts()[procedure].calls == 2


@pytest.mark.parametrize("size", [0, 3])
async def test_a_cut_reply_is_sent_in_part_and_the_connection_closed(
    house: House, size: int
) -> None:
    house.server.set_faults(always(ending=Ending.CUT, cut=size))
    wire = await house.wire()
    await wire.send(call(HOOK, Number(1)))
    loop = asyncio.get_running_loop()
    received = b""
    while data := await loop.sock_recv(wire.sock, 1000):
        received += data
    assert len(received) == (size or 16)
    assert house.stage.started == [1]


@pytest.mark.parametrize(
    ("ending", "started"), [(Ending.CLOSED_BEFORE, []), (Ending.CLOSED_AFTER, [1])]
)
@pytest.mark.parametrize("procedure", [HOOK, WAIT])
async def test_a_connection_is_closed_before_or_after_the_work(
    house: House, procedure: Procedure[Number, Number], ending: Ending, started: list[int]
) -> None:
    house.stage.release(1)
    house.server.set_faults(always(ending=ending))
    wire = await house.wire()
    await wire.send(call(procedure, Number(1)))
    assert await wire.ended() == []
    assert house.stage.started == started
    assert len(house.server.registry) == 0
    assert house.server.counts()[procedure].errors == 1


async def test_a_muted_ping_has_no_answer_and_a_call_has_one(house: House) -> None:
    house.server.set_faults(Struck(lambda args: None, muted=True))
    wire = await house.wire()
    await wire.send(PING_FRAME, call(ECHO, Text("a")))
    assert result(ECHO, await wire.receive()).text == "a"
    house.server.set_faults(None)
    await wire.ping()


async def test_a_muted_ping_at_the_request_limit_has_no_answer(make_house: MakeHouse) -> None:
    house = await make_house(max_client_requests=1)
    house.server.set_faults(Struck(lambda args: None, muted=True))
    wire = await house.wire()
    await wire.send(call(WAIT, Number(1)))
    await eventually(lambda: house.stage.started == [1])
    await wire.send(call(ECHO, Text("a"), 2), PING_FRAME)  # both wait
    (client,) = house.server.registry
    await eventually(lambda: client.unconsumed)
    house.stage.release(1)
    assert [one.serial for one in await wire.replies(2)] == [1, 2]


async def test_the_end_of_the_daemon_is_told_to_a_call_whose_reply_would_be_dropped(
    make_house: MakeHouse,
) -> None:
    house = await make_house(grace=0.0)
    house.server.set_faults(always(ending=Ending.DROPPED))
    wire = await house.wire()
    await wire.send(call(WAIT, Number(1)))
    await eventually(lambda: house.stage.started == [1])
    house.daemon.shutdown()
    assert failure(await wire.receive()).code == ErrorCode.OPERATION_ABORTED
