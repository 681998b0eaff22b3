"""The calling side: many calls in flight, and every way in which one can end."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator

import pytest

from aiovirt.rpc.client import Connection, ConnectionLost, connect_tcp, connect_unix
from aiovirt.rpc.transport import Keepalive
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.keepalive import PING, PING_FRAME, PONG, PONG_FRAME
from aiovirt.rpc.wire.message import MAX_FRAME, Message, Status, Type, frame
from tests.unit.house import (
    ECHO,
    HOOK,
    NEWS,
    PATIENCE,
    STUBBORN,
    UNBOUND,
    WAIT,
    House,
    Number,
    Text,
    Wire,
    eventually,
)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[Connection, Wire]]:
    """A connection, and the raw other end of it: the test is the server."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    connection, wire = Connection(ours, "the test"), Wire(theirs)
    yield connection, wire
    connection.abort()
    wire.close()


def answer(asked: Message, payload: bytes, status: int = Status.OK) -> bytes:
    """The reply to a call that was received."""
    return Message(
        asked.program, asked.version, asked.procedure, Type.REPLY, asked.serial, status, payload
    ).pack()


Pair = tuple[Connection, Wire]


class TestCalls:
    async def test_replies_find_their_calls_in_any_order(self, house: House) -> None:
        house.server.max_client_requests = 50
        house.server.workers.set(maximum=50)
        connection = await house.connect()
        calls = [asyncio.create_task(connection.call(WAIT, Number(n))) for n in range(50)]
        await eventually(lambda: len(house.stage.started) == 50)
        for number in reversed(range(50)):
            house.stage.release(number)
            assert await calls[number] == Number(number)

    async def test_calls_of_one_turn_leave_in_one_write(self, pair: Pair) -> None:
        connection, wire = pair
        calls = [asyncio.create_task(connection.call(HOOK, Number(n))) for n in range(3)]
        await eventually(lambda: len(connection._waiting) == 3)
        data = await asyncio.get_running_loop().sock_recv(wire.sock, 1 << 16)
        assert len(data) == 3 * 32
        for call in calls:
            call.cancel()

    async def test_more_calls_and_replies_than_all_buffers_hold_do_not_block_each_other(
        self, house: House
    ) -> None:
        connection = await house.connect()
        text = Text("x" * 2000)
        async with asyncio.timeout(PATIENCE):
            answers = await asyncio.gather(*(connection.call(ECHO, text) for _ in range(2000)))
        assert answers == [text] * 2000

    async def test_an_error_reply_is_raised_and_the_connection_lives(self, house: House) -> None:
        connection = await house.connect()
        with pytest.raises(RpcError) as caught:
            await connection.call(UNBOUND, None)
        assert caught.value.code == ErrorCode.NO_SUPPORT
        assert await connection.call(ECHO, Text("still here")) == Text("still here")

    async def test_arguments_that_do_not_fit_are_refused_here(self, house: House) -> None:
        connection = await house.connect()
        with pytest.raises(xdr.XdrError):
            await connection.call(WAIT, Number(-1))
        assert not connection._waiting
        assert house.stage.started == []

    async def test_a_reply_split_at_any_byte_is_understood(self, pair: Pair) -> None:
        connection, wire = pair
        length = len(Message(0, 0, 0, payload=xdr.encode(Text("abc"))).pack())
        for cut in range(1, length):
            call = asyncio.create_task(connection.call(ECHO, Text("abc")))
            asked = await wire.receive()
            reply = answer(asked, asked.payload)
            connection.received(bytearray(reply[:cut]), cut)
            connection.received(bytearray(reply[cut:]), length - cut)
            assert await call == Text("abc")

    async def test_serials_start_again_at_one_and_skip_those_in_use(self, pair: Pair) -> None:
        connection, wire = pair
        first = asyncio.create_task(connection.call(HOOK, Number(0)))
        assert (await wire.receive()).serial == 1
        connection._serial = 0xFFFFFFFE
        more = [asyncio.create_task(connection.call(HOOK, Number(n))) for n in (1, 2, 3)]
        asked = [await wire.receive() for _ in more]
        assert [one.serial for one in asked] == [0xFFFFFFFF, 2, 3]
        for one in asked:
            await wire.send(answer(one, one.payload))
        assert await asyncio.gather(*more) == [Number(1), Number(2), Number(3)]
        first.cancel()


class TestGivingUp:
    async def test_a_call_that_times_out_leaves_the_connection_usable(self, house: House) -> None:
        connection = await house.connect()
        with pytest.raises(TimeoutError):
            await connection.call(WAIT, Number(1), timeout=0)
        house.stage.release(1)
        assert await connection.call(ECHO, Text("on")) == Text("on")

    async def test_the_late_reply_to_a_cancelled_call_is_dropped(self, pair: Pair) -> None:
        connection, wire = pair
        given_up = asyncio.create_task(connection.call(HOOK, Number(1)))
        asked = await wire.receive()
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert not connection._waiting
        call = asyncio.create_task(connection.call(HOOK, Number(2)))
        next_asked = await wire.receive()
        await wire.send(answer(asked, asked.payload), answer(next_asked, next_asked.payload))
        assert await call == Number(2)

    async def test_a_call_cancelled_in_the_turn_of_its_reply_harms_nobody(self, pair: Pair) -> None:
        connection, wire = pair
        given_up = asyncio.create_task(connection.call(HOOK, Number(1)))
        asked = await wire.receive()
        given_up.cancel()
        reply = answer(asked, asked.payload)
        connection.received(bytearray(reply), len(reply))
        with pytest.raises(asyncio.CancelledError):
            await given_up
        assert not connection.closed

    async def test_all_that_wait_learn_that_the_connection_is_lost(self, house: House) -> None:
        connection = await house.connect()
        calls = [asyncio.create_task(connection.call(STUBBORN, Number(n))) for n in range(4)]
        await eventually(lambda: len(house.stage.started) == 4)
        for client in house.server.registry:
            client.abort()
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, ConnectionLost)
            assert house.path in str(outcome)
        with pytest.raises(ConnectionLost):
            await connection.call(ECHO, Text("too late"))
        assert connection.end_reason


class TestOddPeers:
    @pytest.mark.parametrize("length", [0, 27, MAX_FRAME + 1, 0xFFFFFFFF])
    async def test_a_bad_length_loses_the_connection(self, pair: Pair, length: int) -> None:
        connection, wire = pair
        call = asyncio.create_task(connection.call(HOOK, Number(1)))
        await wire.receive()
        await wire.send(length.to_bytes(4, "big"))
        with pytest.raises(ConnectionLost, match="impossible"):
            await call

    @pytest.mark.parametrize(
        ("payload", "status"),
        [(b"", Status.OK), (b"\0\0", Status.ERROR), (b"\0\0\0\1", Status.CONTINUE), (b"", 9)],
    )
    async def test_a_reply_that_makes_no_sense_loses_the_connection(
        self, pair: Pair, payload: bytes, status: int
    ) -> None:
        connection, wire = pair
        calls = [asyncio.create_task(connection.call(HOOK, Number(n))) for n in (1, 2)]
        asked = await wire.receive()
        await wire.send(answer(asked, payload, status))
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, ConnectionLost)
        assert connection.closed

    async def test_a_reply_in_another_procedures_name_loses_the_connection(
        self, pair: Pair
    ) -> None:
        connection, wire = pair
        call = asyncio.create_task(connection.call(HOOK, Number(1)))
        asked = await wire.receive()
        asked.procedure = ECHO.number
        await wire.send(answer(asked, asked.payload))
        with pytest.raises(ConnectionLost):
            await asyncio.wait_for(call, PATIENCE)

    async def test_messages_nobody_asked_for_are_ignored(self, pair: Pair) -> None:
        connection, wire = pair
        await wire.send(
            frame(HOOK.key, Type.REPLY, 77, Status.OK, b"\0\0\0\1"),
            frame(HOOK.key, Type.CALL, 1, Status.OK, b"\0\0\0\1"),
            frame(HOOK.key, Type.STREAM, 1, Status.OK, b"bytes"),
            frame(NEWS.key, Type.MESSAGE, 0, Status.OK, b""),
            frame(HOOK.key, 12345, 0, -1, b""),
        )
        call = asyncio.create_task(connection.call(HOOK, Number(5)))
        asked = await wire.receive()
        await wire.send(answer(asked, asked.payload))
        assert await call == Number(5)

    async def test_a_peer_that_pings_and_never_reads_cannot_fill_our_memory(
        self, pair: Pair
    ) -> None:
        connection, _ = pair
        pings = bytearray(PING_FRAME * 5000)
        for _ in range(40):
            connection.received(pings, len(pings))
            await asyncio.sleep(0)
        assert connection.unsent < 1 << 20


class TestEvents:
    async def test_an_event_reaches_its_callback_and_only_that(self, pair: Pair) -> None:
        connection, wire = pair
        heard: list[Text] = []
        connection.on_event(NEWS, heard.append)
        for word in ("first", "second"):
            await wire.send(frame(NEWS.key, Type.MESSAGE, 0, Status.OK, xdr.encode(Text(word))))
        await eventually(lambda: len(heard) == 2)
        assert heard == [Text("first"), Text("second")]

    async def test_an_event_may_have_many_callbacks_and_each_can_be_taken_back(
        self, pair: Pair, caplog: pytest.LogCaptureFixture
    ) -> None:
        connection, wire = pair
        heard: list[tuple[int, Text]] = []

        def fail(text: Text) -> None:
            raise RuntimeError("a mistake of its own")

        connection.on_event(NEWS, lambda text: heard.append((1, text)))
        connection.on_event(NEWS, fail)
        take_back = connection.on_event(NEWS, lambda text: heard.append((2, text)))
        news = frame(NEWS.key, Type.MESSAGE, 0, Status.OK, xdr.encode(Text("a")))
        await wire.send(news)
        await eventually(lambda: len(heard) == 2)
        take_back()
        take_back()
        await wire.send(news, PING_FRAME)
        await wire.receive()
        await eventually(lambda: len(heard) == 3)
        assert [number for number, _ in heard] == [1, 2, 1]
        assert [record.args for record in caplog.records] == [("NEWS",), ("NEWS",)]

    async def test_an_event_that_does_not_decode_ends_the_connection(self, pair: Pair) -> None:
        connection, wire = pair
        connection.on_event(NEWS, lambda text: None)
        await wire.send(frame(NEWS.key, Type.MESSAGE, 0, Status.OK, b"\0"))
        await asyncio.wait_for(connection.wait_closed(), PATIENCE)
        assert "NEWS" in connection.end_reason

    async def test_a_callback_may_close_the_connection(self, pair: Pair) -> None:
        connection, wire = pair
        connection.on_event(NEWS, lambda text: connection.abort("enough"))
        news = frame(NEWS.key, Type.MESSAGE, 0, Status.OK, xdr.encode(Text("")))
        await wire.send(news * 3)
        await asyncio.wait_for(connection.wait_closed(), PATIENCE)
        assert connection.end_reason == "enough"


class TestWhatPeopleSee:
    async def test_a_connection_says_where_it_goes_and_what_it_waits_for(
        self, house: House
    ) -> None:
        connection = await house.connect()
        assert repr(connection) == f"<Connection unix:{house.path} 0 calls in flight>"
        calls = [asyncio.create_task(connection.call(WAIT, Number(n))) for n in range(3)]
        await asyncio.sleep(0)
        assert repr(connection) == f"<Connection unix:{house.path} 3 calls in flight>"
        house.stage.release(0, 1, 2)
        await asyncio.gather(*calls)
        await connection.close()
        assert repr(connection) == f"<Connection unix:{house.path} ended: closed here>"


class TestKeepalive:
    async def test_a_ping_is_answered(self, pair: Pair) -> None:
        _, wire = pair
        await wire.send(PING_FRAME * 2)
        assert [one.procedure for one in await wire.replies(2)] == [PONG.number] * 2

    async def test_a_silent_peer_is_given_up_after_its_pings(self, pair: Pair) -> None:
        connection, wire = pair
        connection.start_keepalive(0.001, 3)
        call = asyncio.create_task(connection.call(HOOK, Number(1)))
        with pytest.raises(ConnectionLost, match="no sign of life"):
            await call
        got = await wire.ended()
        assert [one.procedure for one in got].count(PING.number) == 3

    async def test_a_peer_that_answers_is_kept(self, pair: Pair) -> None:
        connection, wire = pair
        connection.start_keepalive(0.001, 100)
        for _ in range(200):
            assert (await wire.receive()).procedure == PING.number
            await wire.send(PONG_FRAME)
        assert not connection.closed
        connection.start_keepalive(0, 0)
        assert connection._keepalive is None

    async def test_a_count_of_zero_sends_no_ping_and_spares_who_talks(self) -> None:
        class Peer:
            looks = pings = 0
            over = asyncio.Event()

            def heard(self) -> bool:
                self.looks += 1
                return self.looks < 5

            def ping(self) -> None:
                self.pings += 1

            def abort(self, reason: str = "") -> None:
                self.over.set()

        peer = Peer()
        Keepalive(peer, 0.001, 0)
        await asyncio.wait_for(peer.over.wait(), PATIENCE)
        assert (peer.looks, peer.pings) == (5, 0)


class TestOpeningAndClosing:
    async def test_close_sends_what_was_written_first(self, house: House) -> None:
        house.stage.hook = lambda client, number: None
        connection = await house.connect()
        calls = [asyncio.create_task(connection.call(HOOK, Number(n))) for n in range(1000)]
        await asyncio.sleep(0)
        await connection.close()
        await eventually(lambda: len(house.stage.started) == 1000)
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, (Number, ConnectionLost))

    async def test_close_is_for_ever_and_twice_is_no_matter(self, house: House) -> None:
        async with await house.connect() as connection:
            pass
        await connection.close()
        with pytest.raises(ConnectionLost, match="closed here"):
            await connection.call(ECHO, Text(""))
        await eventually(lambda: len(house.server.registry) == 0)

    async def test_close_ends_though_the_server_waits_for_us_to_read(self, house: House) -> None:
        connection = await house.connect()
        calls = [asyncio.create_task(connection.call(HOOK, Number(n))) for n in range(20_000)]
        await asyncio.sleep(0)
        await asyncio.wait_for(connection.close(), PATIENCE)
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(outcome, (Number, ConnectionLost))

    async def test_a_full_backlog_is_waited_for(self) -> None:
        with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
            listener = stack.enter_context(socket.socket(socket.AF_UNIX))
            listener.bind(f"{folder}/sock")
            listener.listen(0)
            while True:
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
                stack.enter_context(sock)
                try:
                    sock.connect(f"{folder}/sock")
                except BlockingIOError:
                    break
            opening = asyncio.ensure_future(connect_unix(f"{folder}/sock"))
            with pytest.raises(TimeoutError):
                await connect_unix(f"{folder}/sock", timeout=0.001)
            assert not opening.done()
            listener.accept()[0].close()
            connection = await asyncio.wait_for(opening, PATIENCE)
            connection.abort()

    async def test_the_error_names_the_socket_that_is_not_there(self) -> None:
        with pytest.raises(FileNotFoundError) as caught:
            await connect_unix("/nowhere/sock")
        assert caught.value.filename == "/nowhere/sock"
        with pytest.raises(OSError, match=r"[Tt]oo long") as caught_os:
            await connect_unix("/" + "x" * 200)
        assert caught_os.value.filename == "/" + "x" * 200

    async def test_tcp_reaches_a_server_too(self, house: House) -> None:
        (service,) = house.server.listen_tcp("127.0.0.1", 0)
        service.update()
        host, port = service.sock.getsockname()
        async with connect_tcp(host, port) as connection:
            assert await connection.call(ECHO, Text("over TCP")) == Text("over TCP")
            (client,) = house.server.registry
            assert not client.is_local
            assert client.address().startswith("127.0.0.1:")
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(ConnectionRefusedError):
            await connect_tcp("127.0.0.1", port)
