"""The end of what a client sends is not the end of what it asked for.

libvirt's daemons execute each call that arrived whole, and a client that has only closed its
writing side gets its replies. A forced disconnect is another thing, and cancels.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from aiovirt.daemons.logd import protocol
from aiovirt.rpc.wire.message import Status, Type, frame
from tests.unit.house import HOOK_LATER, PATIENCE, WAIT, MakeHouse, Number, call, eventually, result
from tests.unit.log_house import GUEST, open_log_house


async def test_calls_of_a_client_that_goes_at_once_are_executed(make_house: MakeHouse) -> None:
    house = await make_house()
    wire = await house.wire()
    await wire.send(*(call(HOOK_LATER, Number(n), n) for n in range(1, 21)))
    wire.close()
    async with asyncio.timeout(PATIENCE):
        await eventually(lambda: house.stage.started == list(range(1, 21)))


async def test_a_half_closed_client_gets_its_replies_and_is_then_closed(
    make_house: MakeHouse,
) -> None:
    house = await make_house()
    wire = await house.wire()
    await wire.send(call(WAIT, Number(1), 1), call(WAIT, Number(2), 2), call(WAIT, Number(3))[:-2])
    wire.sock.shutdown(socket.SHUT_WR)
    await eventually(lambda: house.stage.started == [1, 2])
    house.stage.release(1, 2)
    replies = await wire.replies(2)
    assert sorted(result(WAIT, reply).value for reply in replies) == [1, 2]
    assert await wire.ended() == []
    assert house.stage.started == [1, 2], "half a call is none"


async def test_calls_beyond_the_request_limit_of_a_client_that_went_have_their_turn(
    make_house: MakeHouse,
) -> None:
    house = await make_house(max_client_requests=2)
    wire = await house.wire()
    house.stage.release(*range(1, 9))
    await wire.send(*(call(WAIT, Number(n), n) for n in range(1, 9)))
    wire.close()
    await eventually(lambda: house.stage.finished == list(range(1, 9)))


async def test_such_a_client_is_gone_after_its_last_call(make_house: MakeHouse) -> None:
    house = await make_house()
    wire, _ = await house.seat()
    await wire.send(call(WAIT, Number(1), 1))
    wire.close()
    await eventually(lambda: house.stage.started == [1])
    assert len(house.server.registry) == 1
    house.stage.release(1)
    await eventually(lambda: not len(house.server.registry))


async def test_a_forced_disconnect_still_cancels(make_house: MakeHouse) -> None:
    house = await make_house()
    wire, client = await house.seat()
    await wire.send(call(WAIT, Number(1), 1))
    await eventually(lambda: house.stage.started == [1])
    client.abort()
    await eventually(lambda: house.stage.finished == [1])
    assert await wire.ended() == []


async def test_lines_that_were_added_by_clients_that_went_at_once_are_all_there(
    tmp_path: Path,
) -> None:
    async with open_log_house(tmp_path) as house:
        lines = [f"line {number:02}\n" for number in range(50)]
        for number, line in enumerate(lines):
            args = protocol.AppendArgs("t", GUEST, house.path, line, 0)
            payload = protocol.DOMAIN_APPEND_LOG_FILE.encode_args(args)
            key = protocol.DOMAIN_APPEND_LOG_FILE.key
            with socket.socket(socket.AF_UNIX) as sock:
                sock.connect(house.socket)
                sock.sendall(frame(key, Type.CALL, 1, Status.OK, payload))
            await asyncio.sleep(0)
            if number % 10 == 0:
                await asyncio.sleep(0.001)
        await eventually(lambda: sorted("".join(house.texts()).splitlines(True)) == lines)
