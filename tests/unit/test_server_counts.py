"""Every procedure counts its calls; at debug level every call leaves one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiovirt.rpc.logs import LogControl
from aiovirt.rpc.server import Client, Counts, Handlers, WithStream
from aiovirt.rpc.server.streams import Stream
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.keepalive import PING_FRAME
from aiovirt.rpc.wire.message import MAX_PAYLOAD, MIN_FRAME, Message, Type
from aiovirt.rpc.wire.program import Program
from tests.unit.house import (
    ECHO,
    HOOK,
    HOOK_LATER,
    LARGE,
    MISFIT,
    TEST,
    UNBOUND,
    WAIT,
    House,
    Number,
    Text,
    Wire,
    call,
    eventually,
)

FLOW = Program("flow", 0x7E577E60, 1)
POUR = FLOW.procedure(1, "POUR", Number, Number, stream=True)


async def _pour(stream: Stream) -> None:
    await stream.send(b"drop")


def refuse(client: Client, number: int) -> None:
    raise RpcError(ErrorCode.OPERATION_DENIED, "not now")


async def ask(wire: Wire, *frames: bytes) -> list[Message]:
    await wire.send(*frames)
    return await wire.replies(len(frames))


def sizes(sent: list[bytes], got: list[Message]) -> tuple[int, int]:
    return sum(map(len, sent)), sum(len(message.pack()) for message in got)


class TestCounts:
    async def test_a_new_server_has_counted_nothing(self, house: House) -> None:
        assert house.server.counts() == {}
        assert house.server.unknown_calls == Counts(0, 0, 0, 0)

    @pytest.mark.parametrize("together", [True, False], ids=["in one read", "one by one"])
    async def test_each_procedure_counts_its_own(self, house: House, *, together: bool) -> None:
        house.stage.hook = lambda client, number: (
            refuse(client, number) if number % 3 == 0 else None
        )
        wire = await house.wire()
        sent: dict[Any, list[bytes]] = {ECHO: [], HOOK: [], HOOK_LATER: [], UNBOUND: []}
        order = []
        for n in range(1, 41):
            procedure = [ECHO, HOOK, ECHO, ECHO, HOOK_LATER, UNBOUND, HOOK, HOOK][n * n % 8]
            args = {ECHO: Text("x" * n), UNBOUND: None}.get(procedure, Number(n))
            sent[procedure].append(call(procedure, args, n))
            order.append(sent[procedure][-1])
        if together:
            replies = await ask(wire, *order)
        else:
            replies = [(await ask(wire, one))[0] for one in order]
        await eventually(lambda: house.server.in_flight == 0)
        counts = house.server.counts()
        for procedure, frames in sent.items():
            mine = [reply for reply in replies if reply.procedure == procedure.number]
            errors = sum(reply.status for reply in mine)
            if frames:
                assert counts[procedure] == (len(frames), errors, *sizes(frames, mine))
        assert set(counts) == {procedure for procedure, frames in sent.items() if frames}

    async def test_pings_between_calls_are_not_counted(self, house: House) -> None:
        wire = await house.wire()
        one = call(ECHO, Text("one"))
        await wire.send(one, PING_FRAME, one, one, PING_FRAME)
        replies = [one for one in await wire.replies(5) if one.type == Type.REPLY]
        assert house.server.counts() == {ECHO: (3, 0, *sizes([one] * 3, replies))}

    async def test_arguments_that_do_not_decode_are_an_error_of_their_procedure(
        self, house: House
    ) -> None:
        wire = await house.wire()
        bad = [call(ECHO, payload=b"\0"), call(WAIT, payload=b"\0")]
        replies = await ask(wire, *bad)
        counts = house.server.counts()
        assert counts[ECHO] == (1, 1, *sizes(bad[:1], replies[:1]))
        assert counts[WAIT] == (1, 1, *sizes(bad[1:], replies[1:]))

    async def test_a_result_that_does_not_encode_is_an_error(self, house: House) -> None:
        await ask(await house.wire(), call(MISFIT))
        assert house.server.counts()[MISFIT][:2] == (1, 1)

    async def test_a_result_that_is_too_large_counts_as_what_was_sent_instead(
        self, house: House
    ) -> None:
        house.server.table[LARGE.key].answer = lambda *call: bytes(MIN_FRAME + MAX_PAYLOAD + 1)
        one = call(LARGE, Number(1))
        replies = await ask(await house.wire(), one)
        assert house.server.counts()[LARGE] == (1, 1, *sizes([one], replies))

    async def test_what_nobody_knows_is_counted_by_the_server(self, house: House) -> None:
        strange = [
            Message(TEST.number, TEST.version, 999, Type.CALL, 7).pack(),
            Message(0x12345678, 1, 1, Type.CALL, 7).pack(),
            Message(TEST.number, TEST.version, 50, Type.CALL, 7).pack(),
        ]
        replies = await ask(await house.wire(), *strange)
        assert house.server.unknown_calls == (3, 3, *sizes(strange, replies))
        assert house.server.counts() == {}

    async def test_a_call_whose_client_is_disconnected_is_an_error_without_a_reply(
        self, house: House
    ) -> None:
        wire, client = await house.seat()
        one = call(WAIT, Number(1))
        await wire.send(one)
        await eventually(lambda: house.stage.started == [1])
        client.abort()
        assert house.server.counts()[WAIT] == (1, 1, len(one), 0)

    async def test_many_reads_and_writes_lose_nothing(self, house: House) -> None:
        wire = await house.wire()
        one = call(LARGE, Number(40_000))
        await wire.send(*[one] * 300)
        replies = await wire.replies(300)
        assert house.server.counts() == {LARGE: (300, 0, *sizes([one] * 300, replies))}
        assert house.server.calls_served == 300

    def test_counts_add_up(self) -> None:
        assert Counts(1, 2, 3, 4) + Counts(10, 20, 30, 40) == Counts(11, 22, 33, 44)


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Any]:
    """Everything at level 1; call it for the lines about calls."""
    path = tmp_path / "log"
    control = LogControl("test", level=1, outputs=f"1:file:{path}")

    def read() -> list[str]:
        control.flush(10)
        return [line for line in path.read_text().splitlines() if "rpc.server.call" in line]

    yield read
    control.close()


class TestLines:
    async def test_every_call_leaves_one_line_however_it_ends(
        self, house: House, lines: Any
    ) -> None:
        house.server.add_program(self._flow())
        house.stage.hook = lambda client, number: refuse(client, number) if number == 13 else None
        wire, client = await house.seat()
        frames = [
            call(ECHO, Text("secret"), 1),
            call(HOOK, Number(13), 2),
            call(HOOK_LATER, Number(3), 3),
            call(UNBOUND, serial=4),
            call(ECHO, serial=5, payload=b"\0"),
            Message(TEST.number, TEST.version, 999, Type.CALL, 6).pack(),
            Message(0x12345678, 1, 1, Type.CALL, 7).pack(),
            call(POUR, Number(8), 8),
            call(WAIT, Number(9), 9),
        ]
        await wire.send(*frames)
        await eventually(lambda: house.stage.started[-1:] == [9])
        house.stage.release(9)
        await eventually(lambda: len(lines()) == len(frames))
        found = {
            serial: line for line in lines() for serial in range(10) if f"serial={serial} " in line
        }
        assert len(found) == len(frames)
        for line in found.values():
            assert f"server=main client={client.id} " in line
            assert " ms=" in line
            assert "secret" not in line
        for serial, words in {
            1: f"program=test procedure=ECHO serial=1 received={len(frames[0])} sent=40 status=ok",
            2: "procedure=HOOK serial=2 received=32",
            4: "procedure=UNBOUND",
            6: "program=test procedure=999",
            7: "program=0x12345678 procedure=1",
            8: "program=flow procedure=POUR",
        }.items():
            assert words in found[serial], found[serial]
        for serial, status in {2: 29, 3: "ok", 4: 3, 5: 39, 6: 39, 7: 39, 8: "ok", 9: "ok"}.items():
            assert f"status={status} " in found[serial], found[serial]

    async def test_a_queued_call_and_one_that_is_cancelled_leave_one_too(
        self, house: House, lines: Any
    ) -> None:
        house.server.workers.set(minimum=1, maximum=1)
        wire, client = await house.seat()
        await wire.send(
            call(WAIT, Number(1), 1), call(ECHO, Text("x"), 2), call(WAIT, Number(3), 3)
        )
        await eventually(lambda: house.server.workers.queue_depth == 2)
        house.stage.release(1)
        await wire.replies(2)
        await eventually(lambda: house.stage.started == [1, 3])
        client.abort()
        first, second, third = lines()
        assert "status=ok" in first
        assert "status=ok" in second
        assert "client gone" in third

    async def test_counts_and_replies_are_the_same_with_lines_as_without(
        self, house: House, lines: Any
    ) -> None:
        one = call(LARGE, Number(50_000))
        wire = await house.wire()
        await wire.send(*[one] * 100)
        replies = await wire.replies(100)
        assert house.server.counts() == {LARGE: (100, 0, *sizes([one] * 100, replies))}
        assert len(lines()) == 100

    async def test_without_debug_nothing_is_written(self, house: House, tmp_path: Path) -> None:
        control = LogControl("test", level=2, outputs=f"2:file:{tmp_path}/log")
        try:
            await ask(await house.wire(), call(ECHO, Text("x")), call(UNBOUND, serial=2))
        finally:
            control.close()
        assert "rpc.server.call" not in (tmp_path / "log").read_text()

    def _flow(self) -> Handlers:
        handlers = Handlers(FLOW)
        handlers.bind(POUR, lambda client, args: WithStream(args, _pour))
        return handlers
