"""A call that comes alone, after another one that came alone, is answered as one among others."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

import pytest

from aiovirt.rpc.server import Client, Counts
from aiovirt.rpc.transport.pauses import PAUSE_INPUT_ENDED
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.keepalive import PING_FRAME
from aiovirt.rpc.wire.message import MAX_PAYLOAD, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure
from tests.unit.house import (
    ECHO,
    HOOK,
    HOOK_LATER,
    LARGE,
    MISFIT,
    TEST,
    UNBOUND,
    House,
    Number,
    Text,
    call,
    eventually,
    open_house,
)

BEFORE = call(ECHO, Text("before"), 1)
AFTER = call(ECHO, Text("after"), 3)
KINDS = {
    "a good call": call(ECHO, Text("it"), 2),
    "a good call without an argument's text": call(ECHO, Text(""), 2),
    "a call that is refused": call(HOOK, Number(13), 2),
    "a call that breaks its handler": call(HOOK, Number(14), 2),
    "a call whose handler says good-bye": call(HOOK, Number(15), 2),
    "a call whose handler closes after its reply": call(HOOK, Number(16), 2),
    "a call with a result that does not fit its type": call(MISFIT, None, 2),
    "a call with a large result": call(LARGE, Number(200_000), 2),
    "a call with a result that no message carries": call(LARGE, Number(MAX_PAYLOAD), 2),
    "a call with broken arguments": call(ECHO, serial=2, payload=b"\0\0\0\4ab"),
    "a call without arguments": call(ECHO, serial=2, payload=b""),
    "a call that takes a worker": call(HOOK_LATER, Number(1), 2),
    "a call that nothing serves": call(UNBOUND, None, 2),
    "a call of an unknown procedure": frame(ECHO.key[:-1] + b"\x63", Type.CALL, 2, 0, b""),
    "a call with a status": call(ECHO, Text("it"), 2, status=Status.ERROR),
    "a reply": call(ECHO, Text("it"), 2, kind=Type.REPLY),
    "a ping": PING_FRAME,
    "a frame that is impossible": b"\0\0\0\1" + bytes(24),
}
Outcome = tuple[list[bytes], bool, Counts, dict[Procedure[Any, Any], Counts]]


def _act(client: Client, number: int) -> None:
    match number:
        case 13:
            raise RpcError(ErrorCode.OPERATION_DENIED, "not now")
        case 14:
            raise ZeroDivisionError
        case 15:
            client.disconnect()
        case 16:
            client.close_after_reply()


def _ordinary(house: House, client: Client) -> None:
    pass


def _reader(house: House, client: Client) -> None:
    client.readonly = True


def _stranger(house: House, client: Client) -> None:
    client.authenticated = False


def _faulty(house: House, client: Client) -> None:
    house.server.fast_table = {}


def _busy(house: House, client: Client) -> None:
    house.server.request_limit = 1


def _together(house: House, client: Client) -> None:
    house.server.answer_together()


async def _outcome(
    parts: list[bytes], prepare: Callable[[House, Client], None]
) -> tuple[Outcome, bool]:
    """What becomes of a client's calls, and whether its last one was expected to come alone."""
    async with open_house(grace=0) as house:
        house.stage.hook = _act
        wire, client = await house.seat()
        prepare(house, client)
        alone = False
        for part in parts:
            alone = client._one_by_one
            client.received(bytearray(part), len(part))
            if client.closed or client._paused & PAUSE_INPUT_ENDED:
                break
        wire.sock.shutdown(socket.SHUT_WR)
        replies = await wire.ended()
        packed = sorted(one.pack() for one in replies)
        return (packed, client.closed, client.counts, house.server.counts()), alone


@pytest.mark.parametrize(
    "prepare",
    [_ordinary, _reader, _stranger, _faulty, _busy, _together],
    ids=lambda one: one.__name__,
)
@pytest.mark.parametrize("kind", KINDS)
async def test_it_makes_no_difference_whether_a_call_comes_alone(
    kind: str, prepare: Callable[[House, Client], None]
) -> None:
    frames = [BEFORE, KINDS[kind], AFTER]
    joined, _ = await _outcome([b"".join(frames)], prepare)
    apart, _ = await _outcome(frames, prepare)
    assert apart == joined


async def test_a_client_that_sends_one_call_at_a_time_is_known(house: House) -> None:
    _, alone = await _outcome([BEFORE, BEFORE], _ordinary)
    assert alone
    _, alone = await _outcome([BEFORE + BEFORE, BEFORE], _ordinary)
    assert not alone
    _, alone = await _outcome([BEFORE, BEFORE + BEFORE, BEFORE], _ordinary)
    assert not alone


async def test_a_handler_that_ends_its_own_connection_is_counted_and_not_answered(
    house: House,
) -> None:
    house.stage.hook = lambda client, number: client.abort("by its own call")
    wire, client = await house.seat()
    for part in (BEFORE, call(HOOK, Number(1), 2)):
        client.received(bytearray(part), len(part))
    assert [one.serial for one in await wire.ended()] == [1]
    assert house.server.counts()[HOOK].calls == 1


class TestAnsweringTogether:
    async def test_replies_of_one_turn_are_sent_at_its_end_in_the_order_of_the_calls(
        self, house: House
    ) -> None:
        house.server.answer_together()
        wire, client = await house.seat()
        other, other_client = await house.seat()
        for serial in (1, 2):
            for one in (client, other_client):
                sent = call(ECHO, Text("x"), serial)
                one.received(bytearray(sent), len(sent))
        assert client.unsent
        assert other_client.unsent
        assert [one.serial for one in await wire.replies(2)] == [1, 2]
        assert [one.serial for one in await other.replies(2)] == [1, 2]
        assert not client.unsent

    async def test_a_reply_that_waits_is_sent_before_a_good_bye(self, house: House) -> None:
        house.server.answer_together()
        wire, client = await house.seat()
        sent = call(ECHO, Text("x"), 1)
        client.received(bytearray(sent), len(sent))
        client.end_when_sent("that is all")
        assert [one.serial for one in await wire.ended()] == [1]
        assert client.closed

    async def test_a_reply_to_a_client_that_half_closed_is_sent(self, house: House) -> None:
        house.server.answer_together()
        wire, _ = await house.seat()
        await wire.send(call(ECHO, Text("x"), 1))
        wire.sock.shutdown(socket.SHUT_WR)
        assert [one.serial for one in await wire.ended()] == [1]

    async def test_a_reply_to_a_client_that_is_gone_is_dropped(self, house: House) -> None:
        house.server.answer_together()
        wire, client = await house.seat()
        sent = call(ECHO, Text("x"), 1)
        client.received(bytearray(sent), len(sent))
        client.abort("gone")
        other, _ = await house.seat()
        await other.ping()
        assert await wire.ended() == []

    @pytest.mark.parametrize("procedure", [HOOK, HOOK_LATER], ids=["at once", "with a worker"])
    @pytest.mark.parametrize("watched", [False, True], ids=["held", "not held"])
    async def test_what_has_to_come_before_a_reply_is_done_before_it(
        self, house: House, procedure: Any, watched: bool
    ) -> None:
        wire, client = await house.seat()
        if watched:  # such a reply goes through the tap, and is not held
            client.tap(lambda *message: None)
        due: list[int] = []
        done: list[int] = []

        def before() -> None:
            assert _waiting(wire.sock) <= len(done) * len(call(HOOK, Number(1), 1))
            done.extend(due)
            due.clear()

        house.stage.hook = lambda client, number: due.append(number)
        house.server.answer_together(before)
        calls = [call(procedure, Number(number), number) for number in range(1, 9)]
        for sent in (calls[0], calls[1], b"".join(calls[2:6])):
            client.received(bytearray(sent), len(sent))
            await eventually(lambda: not due)
        for sent in calls[6:]:
            client.received(bytearray(sent), len(sent))
        assert [one.serial for one in await wire.replies(8)] == list(range(1, 9))
        assert done == list(range(1, 9))

    async def test_a_large_reply_is_sent_as_the_client_takes_it(self, house: House) -> None:
        house.server.answer_together()
        wire, _ = await house.seat()
        await wire.send(call(LARGE, Number(3_000_000), 1), call(ECHO, Text("x"), 2))
        large, small = await wire.replies(2)
        assert len(large.payload) > 3_000_000
        assert small.serial == 2


def _waiting(sock: socket.socket) -> int:
    """Bytes that have come and are not read."""
    try:
        return len(sock.recv(1 << 16, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except BlockingIOError:
        return 0


def test_every_kind_is_of_the_test_program() -> None:
    assert all(
        one[4:8] in (TEST.number.to_bytes(4, "big"), PING_FRAME[4:8], bytes(4))
        for one in KINDS.values()
    )
