"""What a server does with each kind of message, however the bytes arrive."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiovirt.rpc.logs import LogControl
from aiovirt.rpc.server import Client
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, ErrorLevel, RpcError
from aiovirt.rpc.wire.keepalive import KEEPALIVE, PING, PING_FRAME, PONG
from aiovirt.rpc.wire.message import MAX_FDS, MAX_FRAME, Message, Status, Type, frame
from tests.unit.house import (
    ECHO,
    HOOK,
    HOOK_LATER,
    LARGE,
    MISFIT,
    MISFIT_LATER,
    OPEN_TO_ALL,
    TEST,
    UNBOUND,
    WAIT,
    House,
    Number,
    Text,
    call,
    eventually,
    failure,
    result,
)

ANY_TEXT = Text("grüße")


class TestReading:
    async def test_a_stream_split_at_any_byte_gives_the_same_replies(self, house: House) -> None:
        stream = call(ECHO, Text("one"), 1) + call(ECHO, Text("second"), 2)
        wire, client = await house.seat()
        for cut in range(1, len(stream)):
            # Both halves go through the very method that reads call, one after the other.
            for half in (stream[:cut], stream[cut:]):
                client.received(bytearray(half), len(half))
            replies = await wire.replies(2)
            assert [result(ECHO, reply) for reply in replies] == [Text("one"), Text("second")]
            assert [reply.serial for reply in replies] == [1, 2]

    async def test_a_stream_of_single_bytes_is_understood(self, house: House) -> None:
        wire, client = await house.seat()
        for byte in call(ECHO, ANY_TEXT, 1) + PING_FRAME + call(ECHO, ANY_TEXT, 2):
            client.received(bytearray([byte]), 1)
        first, pong, second = await wire.replies(3)
        assert (first.serial, pong.procedure, second.serial) == (1, PONG.number, 2)

    async def test_many_calls_in_one_write_are_all_answered_in_order(self, house: House) -> None:
        wire = await house.wire()
        await wire.send(*(call(ECHO, Text(str(n)), n) for n in range(1, 201)))
        replies = await wire.replies(200)
        assert [result(ECHO, reply).text for reply in replies] == [str(n) for n in range(1, 201)]

    async def test_a_frame_larger_than_one_read_is_put_together(self, house: House) -> None:
        wire = await house.wire()
        large = Text("x" * 3_000_000)
        sending = asyncio.create_task(wire.send(call(ECHO, large, 9)))
        assert result(ECHO, await wire.receive()) == large
        await sending

    async def test_bytes_behind_the_arguments_are_ignored(self, house: House) -> None:
        wire = await house.wire()
        payload = xdr.encode(ANY_TEXT) + b"more than was asked for"
        await wire.send(call(ECHO, payload=payload))
        assert result(ECHO, await wire.receive()) == ANY_TEXT


class TestRefusals:
    @pytest.mark.parametrize(
        "bad",
        [
            Message(0x12345678, 1, 1, Type.CALL, 7).pack(),
            Message(TEST.number, TEST.version + 1, 1, Type.CALL, 7).pack(),
            Message(TEST.number, TEST.version, 999, Type.CALL, 7).pack(),
            Message(TEST.number, TEST.version, -1, Type.CALL, 7).pack(),
            Message(KEEPALIVE.number, 1, PING.number, Type.CALL, 7).pack(),
            call(ECHO, ANY_TEXT, 7, status=Status.ERROR),
            call(ECHO, ANY_TEXT, 7, status=Status.CONTINUE),
            call(ECHO, ANY_TEXT, 7, status=-5),
            call(ECHO, serial=7, payload=b""),
            call(ECHO, serial=7, payload=b"\0\0\0\5abc"),
            call(ECHO, serial=7, payload=b"\xff\xff\xff\xff"),
            call(WAIT, serial=7, payload=b"\0\0"),
            call(ECHO, serial=7, kind=Type.CALL_WITH_FDS, payload=b"\0\0\0\0\0"),
        ],
        ids=[
            "program",
            "version",
            "procedure",
            "negative procedure",
            "keepalive as a call",
            "status error",
            "status continue",
            "status nonsense",
            "no arguments",
            "arguments cut short",
            "hostile length",
            "arguments of a coroutine",
            "arguments, with descriptors",
        ],
    )
    async def test_a_call_that_cannot_be_made_gets_an_rpc_error_and_the_connection_lives(
        self, house: House, bad: bytes
    ) -> None:
        wire = await house.wire()
        await wire.send(bad, call(ECHO, ANY_TEXT, 8))
        refused, answered = await wire.replies(2)
        sent = Message.unpack(bad)
        assert (refused.program, refused.version, refused.procedure, refused.serial) == (
            sent.program,
            sent.version,
            sent.procedure,
            7,
        )
        error = failure(refused)
        assert (error.code, error.domain, error.level) == (
            ErrorCode.RPC,
            ErrorDomain.RPC,
            ErrorLevel.ERROR,
        )
        assert result(ECHO, answered) == ANY_TEXT

    @pytest.mark.parametrize(
        "kind",
        [Type.REPLY, Type.MESSAGE, Type.STREAM, Type.REPLY_WITH_FDS, Type.STREAM_HOLE, 7, -1],
    )
    async def test_a_message_no_client_should_send_is_dropped_without_a_word(
        self, house: House, kind: int
    ) -> None:
        wire = await house.wire()
        await wire.send(call(ECHO, ANY_TEXT, 7, kind=kind))
        await wire.ping()

    async def test_an_unknown_keepalive_message_is_dropped(self, house: House) -> None:
        wire = await house.wire()
        await wire.send(Message(KEEPALIVE.number, 1, 3, Type.MESSAGE).pack())
        await wire.send(Message(KEEPALIVE.number, 1, PONG.number, Type.MESSAGE).pack())
        await wire.ping()

    @pytest.mark.parametrize("length", [0, 1, 27, MAX_FRAME + 1, 0xFFFFFFFF])
    async def test_a_bad_length_ends_the_connection_after_the_replies_before_it(
        self, house: House, length: int
    ) -> None:
        wire = await house.wire()
        await wire.send(call(ECHO, ANY_TEXT, 1), length.to_bytes(4, "big"), b"rest")
        (reply,) = await wire.ended()
        assert result(ECHO, reply) == ANY_TEXT

    async def test_the_longest_legal_length_is_waited_for(self, house: House) -> None:
        wire, client = await house.seat()
        await wire.send(MAX_FRAME.to_bytes(4, "big"), b"x" * 1000)
        await eventually(lambda: client._tail is not None and len(client._tail) == 1004)
        assert not client.closed


class TestDescriptors:
    async def test_the_bytes_that_stand_for_descriptors_are_skipped(self, house: House) -> None:
        for count in (0, 1, MAX_FDS):
            wire = await house.wire()
            payload = count.to_bytes(4, "big") + xdr.encode(ANY_TEXT)
            one = call(ECHO, serial=1, kind=Type.CALL_WITH_FDS, payload=payload)
            await wire.send(one, b"\0" * count, call(ECHO, Text("next"), 2))
            first, second = await wire.replies(2)
            assert (result(ECHO, first), result(ECHO, second).text) == (ANY_TEXT, "next")

    async def test_they_are_skipped_however_the_bytes_arrive(self, house: House) -> None:
        payload = (3).to_bytes(4, "big") + xdr.encode(ANY_TEXT)
        one = call(ECHO, serial=1, kind=Type.CALL_WITH_FDS, payload=payload)
        stream = one + b"fds" + call(ECHO, Text("next"), 2)
        wire, client = await house.seat()
        for cut in range(1, len(stream)):
            for half in (stream[:cut], stream[cut:]):
                client.received(bytearray(half), len(half))
            assert [reply.serial for reply in await wire.replies(2)] == [1, 2]
        for byte in stream:
            client.received(bytearray([byte]), 1)
        assert [reply.serial for reply in await wire.replies(2)] == [1, 2]

    async def test_they_are_skipped_behind_a_refused_call_too(self, house: House) -> None:
        wire = await house.wire()
        bad = call(UNBOUND, serial=1, kind=Type.CALL_WITH_FDS, payload=b"\0\0\0\2")
        await wire.send(bad, b"ab", call(ECHO, ANY_TEXT, 2))
        refused, answered = await wire.replies(2)
        assert failure(refused).code == ErrorCode.NO_SUPPORT
        assert result(ECHO, answered) == ANY_TEXT

    @pytest.mark.parametrize("payload", [b"", b"\0\0\0", b"\0\0\0\x21", b"\xff\xff\xff\xff"])
    async def test_a_count_that_is_missing_or_above_32_ends_the_connection(
        self, house: House, payload: bytes
    ) -> None:
        wire = await house.wire()
        await wire.send(call(ECHO, serial=1, kind=Type.CALL_WITH_FDS, payload=payload))
        assert await wire.ended() == []


class TestHandlersThatFail:
    @pytest.mark.parametrize("procedure", [HOOK, HOOK_LATER])
    async def test_an_exception_becomes_an_internal_error_and_is_logged(
        self, house: House, procedure: xdr.Any, tmp_path: Path
    ) -> None:
        def break_down(client: Client, number: int) -> None:
            raise KeyError("a bug in a handler")

        house.stage.hook = break_down
        wire = await house.wire()
        control = LogControl("test", outputs=f"4:file:{tmp_path}/log")
        try:
            await wire.send(call(procedure, Number(1)))
            error = failure(await wire.receive())
        finally:
            control.close()
        assert (error.code, error.domain) == (ErrorCode.INTERNAL_ERROR, ErrorDomain.RPC)
        assert "a bug in a handler" not in error.message
        assert "a bug in a handler" in (tmp_path / "log").read_text()
        await wire.ping()

    @pytest.mark.parametrize("procedure", [MISFIT, MISFIT_LATER])
    async def test_a_result_that_does_not_encode_is_the_daemons_failure_and_is_logged(
        self, house: House, procedure: xdr.Any, tmp_path: Path
    ) -> None:
        wire = await house.wire()
        control = LogControl("test", outputs=f"4:file:{tmp_path}/log")
        try:
            await wire.send(call(procedure))
            error = failure(await wire.receive())
        finally:
            control.close()
        assert error.code == ErrorCode.INTERNAL_ERROR
        assert "arguments" not in error.message
        assert procedure.name in (tmp_path / "log").read_text()
        await wire.ping()

    @pytest.mark.parametrize("procedure", [HOOK, HOOK_LATER])
    async def test_a_refusal_travels_as_it_was_raised(
        self, house: House, procedure: xdr.Any
    ) -> None:
        def refuse(client: Client, number: int) -> None:
            raise RpcError(
                ErrorCode.NO_CLIENT, "nobody", domain=ErrorDomain.ADMIN, level=ErrorLevel.WARNING
            )

        house.stage.hook = refuse
        wire = await house.wire()
        await wire.send(call(procedure, Number(1)))
        error = failure(await wire.receive())
        assert (error.code, error.domain, error.level, error.message) == (
            ErrorCode.NO_CLIENT,
            ErrorDomain.ADMIN,
            ErrorLevel.WARNING,
            "nobody",
        )

    @pytest.mark.parametrize("procedure", [HOOK, HOOK_LATER])
    @pytest.mark.parametrize(
        "text", ["x" * xdr.STRING_MAX, "\0", "\udcff"], ids=["huge", "NUL", "not UTF-8"]
    )
    async def test_any_text_of_a_refusal_reaches_the_client_in_some_form(
        self, house: House, procedure: xdr.Any, text: str
    ) -> None:
        def refuse(client: Client, number: int) -> None:
            raise RpcError(ErrorCode.NO_SERVER, f"no server '{text}'")

        house.stage.hook = refuse
        wire = await house.wire()
        await wire.send(call(procedure, Number(1)))
        error = failure(await wire.receive())
        assert error.code == ErrorCode.NO_SERVER
        assert error.message.startswith("no server '")

    @pytest.mark.parametrize("procedure", [HOOK, HOOK_LATER])
    @pytest.mark.parametrize(
        "error",
        [RpcError(1 << 40, "a code"), RpcError(ErrorCode.RPC, "\ud800")],
        ids=["code", "surrogate"],
    )
    async def test_a_refusal_that_cannot_travel_still_ends_its_call(
        self, house: House, procedure: xdr.Any, error: RpcError
    ) -> None:
        def refuse(client: Client, number: int) -> None:
            raise error

        house.stage.hook = refuse
        wire = await house.wire()
        await wire.send(call(procedure, Number(1)), call(ECHO, ANY_TEXT, 2))
        answers = {reply.serial: reply for reply in await wire.replies(2)}
        assert failure(answers[1]).code == ErrorCode.INTERNAL_ERROR
        assert result(ECHO, answers[2]) == ANY_TEXT
        assert (house.server.in_flight, house.server.workers.stats().free) == (0, 5)


class TestHandlersThatDisconnect:
    @pytest.mark.parametrize("procedure", [HOOK, HOOK_LATER])
    async def test_a_handler_may_close_its_own_client(
        self, house: House, procedure: xdr.Any
    ) -> None:
        house.stage.hook = lambda client, number: client.abort()
        wire = await house.wire()
        other = await house.connect()
        await wire.send(call(procedure, Number(1)))
        assert await wire.ended() == []
        assert house.stage.started == [1]
        assert (await other.call(ECHO, ANY_TEXT)) == ANY_TEXT
        assert len(house.server.registry) == 1

    async def test_nothing_behind_the_call_that_closed_its_client_runs(self, house: House) -> None:
        house.stage.hook = lambda client, number: client.abort()
        wire = await house.wire()
        await wire.send(*(call(HOOK, Number(n), n) for n in range(1, 9)))
        await wire.ended()
        assert house.stage.started == [1]

    async def test_a_handler_may_close_another_client_in_the_middle_of_a_batch(
        self, house: House
    ) -> None:
        victim_wire, victim = await house.seat()
        await victim_wire.send(call(WAIT, Number(100)), b"\0\0\0\x30 half a frame")
        await eventually(lambda: victim._tail is not None)
        house.stage.hook = lambda client, number: victim.abort() if number == 2 else None
        wire = await house.wire()
        await wire.send(*(call(HOOK, Number(n), n) for n in range(1, 5)))
        assert [reply.serial for reply in await wire.replies(4)] == [1, 2, 3, 4]
        assert await victim_wire.ended() == []
        assert (house.server.workers.stats().free, house.server.in_flight) == (5, 0)

    async def test_a_good_bye_is_answered_and_what_stands_behind_it_is_not_read(
        self, house: House
    ) -> None:
        house.stage.hook = lambda client, number: client.close_after_reply()
        wire = await house.wire()
        await wire.send(call(ECHO, ANY_TEXT, 1), call(HOOK, Number(2), 2), call(HOOK, Number(3), 3))
        assert [reply.serial for reply in await wire.ended()] == [1, 2]
        assert house.stage.started == [2]

    async def test_a_good_bye_that_waited_for_a_worker_closes_as_well(self, house: House) -> None:
        house.server.workers.set(minimum=1, maximum=1)
        house.stage.hook = lambda client, number: client.close_after_reply()
        other = await house.wire()
        await other.send(call(WAIT, Number(1)))
        await eventually(lambda: house.stage.started == [1])
        wire = await house.wire()
        await wire.send(call(HOOK, Number(2), 2))
        await eventually(lambda: house.server.workers.queue_depth == 1)
        house.stage.release(1)
        assert [reply.serial for reply in await wire.ended()] == [2]

    async def test_a_good_bye_reaches_a_client_that_reads_late(self, house: House) -> None:
        house.stage.hook = lambda client, number: client.close_after_reply()
        wire, client = await house.seat()
        served = 0
        while not client.unsent:  # until the kernel takes no more
            await wire.send(call(LARGE, Number(20_000), 1))
            served += 1
            await eventually(lambda served=served: house.server.calls_served == served)
        await wire.send(call(HOOK, Number(2), 2))
        await eventually(lambda: house.stage.started == [2])
        assert not client.closed
        assert [reply.serial for reply in await wire.ended()] == [1] * served + [2]

    async def test_a_good_bye_behind_replies_that_are_not_read_is_heard_later(
        self, house: House
    ) -> None:
        house.stage.hook = lambda client, number: client.close_after_reply()
        wire, client = await house.seat()
        await wire.send(call(LARGE, Number(2_000_000), 1), call(HOOK, Number(2), 2))
        await eventually(lambda: client.unsent)
        assert house.stage.started == []
        assert [reply.serial for reply in await wire.ended()] == [1, 2]


class TestWhoMayCall:
    async def test_without_authentication_only_open_procedures_answer(self, house: House) -> None:
        wire, client = await house.seat()
        client.authenticated = False
        house.server.registry.anonymous += 1
        await wire.send(call(ECHO, ANY_TEXT, 1), call(OPEN_TO_ALL, Number(5), 2))
        refused, answered = await wire.replies(2)
        assert failure(refused).code == ErrorCode.RPC
        assert result(OPEN_TO_ALL, answered) == Number(5)
        await wire.ping()
        house.server.registry.authenticated(client)
        await wire.send(call(ECHO, ANY_TEXT, 3))
        assert result(ECHO, await wire.receive()) == ANY_TEXT

    async def test_a_peer_that_is_not_admitted_is_cut_off_and_takes_no_place(
        self, house: House
    ) -> None:
        house.server.admit = lambda peer: False
        wire = await house.wire()
        assert await wire.ended() == []
        assert len(house.server.registry) == 0
        house.server.admit = lambda peer: peer.pid > 0
        await (await house.wire()).ping()

    async def test_ids_grow_and_are_never_used_again(self, house: House) -> None:
        seen: list[int] = []
        for _ in range(5):
            wire, client = await house.seat()
            seen.append(client.id)
            wire.close()
            await eventually(lambda client=client: client.closed)
        assert seen == [1, 2, 3, 4, 5]


async def test_a_frame_that_was_being_sent_when_the_peer_left_is_no_matter(house: House) -> None:
    wire, client = await house.seat()
    await wire.send(frame(ECHO.key, Type.CALL, 1, Status.OK, b"")[:-3])
    wire.close()
    await eventually(lambda: client.closed)
    assert len(house.server.registry) == 0
