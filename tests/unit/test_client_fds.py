"""Replies with descriptors, on the calling side: against our server and against raw bytes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.rpc.client import Connection, ConnectionLost, connect_unix
from aiovirt.rpc.server import Client, Daemon, Handlers, ServerOptions, WithFds
from aiovirt.rpc.transport import SocketLink
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.framing import Framer
from aiovirt.rpc.wire.message import MIN_FRAME, Message, Status, Type, frame
from aiovirt.rpc.wire.program import Program
from tests.unit.house import eventually

LENDER = Program("lender", 0x7E577E59, 1)


@xdr.struct
class Number:
    """A number."""

    value: xdr.UInt


LEND = LENDER.procedure(1, "LEND", Number, Number, reply_fds=True)
GIVE = LENDER.procedure(3, "GIVE", Number, Number, call_fds=True)
ECHO = LENDER.procedure(2, "ECHO", Number, Number)


def lend(client: Client, args: Number) -> WithFds[Number]:
    """As many pipes' reading ends as are asked for; each pipe holds its number."""
    if args.value > 32:
        raise RpcError(ErrorCode.INVALID_ARG, "so many are not to be had")
    return WithFds(args, lend_pipes(args.value))


def lend_pipes(count: int) -> list[int]:
    """Reading ends of pipes; each holds its number."""
    readers = []
    for number in range(count):
        reader, writer = os.pipe()
        os.write(writer, b"%d" % number)
        os.close(writer)
        readers.append(reader)
    return readers


@pytest.fixture
async def path(tmp_path: Path) -> AsyncIterator[str]:
    daemon = Daemon("lender", grace=5)
    server = daemon.add_server(ServerOptions("lender"))
    bound = Handlers(LENDER)
    bound.bind(LEND, lend)
    bound.bind(ECHO, lambda client, args: args)
    server.add_program(bound)
    server.listen_unix(str(tmp_path / "sock"))
    ready = asyncio.Event()
    serving = asyncio.create_task(daemon.serve(ready.set))
    await ready.wait()
    yield str(tmp_path / "sock")
    daemon.shutdown()
    daemon.shutdown()
    await serving


def contents(descriptors: list[int]) -> list[bytes]:
    """What each holds; closes them."""
    found = []
    for descriptor in descriptors:
        assert not os.get_inheritable(descriptor)
        with open(descriptor, "rb") as file:
            found.append(file.read())
    return found


@pytest.mark.parametrize("count", [0, 1, 2, 32])
async def test_they_come_in_order(path: str, count: int) -> None:
    async with connect_unix(path) as connection:
        result, descriptors = await connection.call_for_descriptors(LEND, Number(count))
        assert result == Number(count)
        assert contents(descriptors) == [b"%d" % number for number in range(count)]
        assert await connection.call(ECHO, Number(7)) == Number(7)


async def test_many_calls_at_once_get_each_their_own(path: str) -> None:
    async with connect_unix(path) as connection:
        lent = [connection.call_for_descriptors(LEND, Number(count % 4)) for count in range(40)]
        plain = [connection.call(ECHO, Number(count)) for count in range(40)]
        answers, echoes = await asyncio.gather(asyncio.gather(*lent), asyncio.gather(*plain))
        assert [len(descriptors) for _, descriptors in answers] == [n % 4 for n in range(40)]
        for _, descriptors in answers:
            assert contents(descriptors) == [b"%d" % n for n in range(len(descriptors))]
        assert echoes == [Number(count) for count in range(40)]


async def test_a_refusal_brings_none(path: str) -> None:
    async with connect_unix(path) as connection:
        with pytest.raises(RpcError, match="not to be had"):
            await connection.call_for_descriptors(LEND, Number(33))
        _, descriptors = await connection.call_for_descriptors(LEND, Number(1))
        assert contents(descriptors) == [b"0"]


async def test_those_of_a_call_given_up_are_closed(path: str) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with connect_unix(path) as connection:
        await connection.call(ECHO, Number(0))
        before = open_files()
        lending = asyncio.create_task(connection.call_for_descriptors(LEND, Number(5)))
        await asyncio.sleep(0)
        lending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await lending
        await connection.call(ECHO, Number(0))
        await eventually(lambda: open_files() == before)


async def test_the_wrong_way_to_call_is_refused(path: str) -> None:
    async with connect_unix(path) as connection:
        with pytest.raises(TypeError, match="call_for_descriptors"):
            await connection.call(LEND, Number(1))


# Raw bytes ---------------------------------------------------------------------------------------


class Peer:
    """The serving end, by hand."""

    def __init__(self) -> None:
        theirs, self.sock = socket.socketpair()
        theirs.setblocking(False)
        self.connection = Connection(theirs, "peer")
        self.calling = asyncio.create_task(self.connection.call_for_descriptors(LEND, Number(2)))

    async def called(self) -> int:
        """Wait for the call: its serial."""
        self.sock.setblocking(False)
        data = b""
        while len(data) < MIN_FRAME:
            data += await asyncio.get_running_loop().sock_recv(self.sock, 4096)
        return int.from_bytes(data[20:24], "big")

    def reply(self, serial: int, count: int = 2) -> bytes:
        body = count.to_bytes(4, "big") + xdr.encode(Number(9))
        return frame(LEND.key, Type.REPLY_WITH_FDS, serial, Status.OK, body)

    def send_descriptor(self) -> None:
        reader, writer = os.pipe()
        socket.send_fds(self.sock, [b"\0"], [reader])
        os.close(reader)
        os.close(writer)


async def test_a_reply_may_come_byte_by_byte() -> None:
    peer = Peer()
    serial = await peer.called()
    for byte in peer.reply(serial):
        peer.sock.send(bytes([byte]))
        await asyncio.sleep(0)
    for _ in range(2):
        assert not peer.calling.done()
        peer.send_descriptor()
        await asyncio.sleep(0)
    result, descriptors = await peer.calling
    assert result == Number(9)
    assert len(contents(descriptors)) == 2
    peer.connection.abort()
    peer.sock.close()


def _with_descriptors(peer: Peer, frame: bytes, count: int) -> None:
    peer.sock.send(frame)
    for _ in range(count):
        peer.send_descriptor()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda peer, serial: peer.sock.send(peer.reply(serial) + b"\0\0"), "only 0 came"),
        (lambda peer, serial: peer.sock.send(peer.reply(serial, 33)), "33 descriptors"),
        (lambda peer, serial: _with_descriptors(peer, peer.reply(serial + 1), 2), "nobody asked"),
        (lambda peer, serial: _with_descriptors(peer, peer.reply(serial, 1), 2), "not announced"),
        (lambda peer, serial: peer.send_descriptor(), "not announced"),
        (
            lambda peer, serial: peer.sock.send(
                frame(LEND.key, Type.REPLY, serial, Status.OK, xdr.encode(Number(9)))
            ),
            "without descriptors",
        ),
        (
            lambda peer, serial: _with_descriptors(
                peer,
                frame(LEND.key, Type.REPLY_WITH_FDS, serial, Status.ERROR, bytes(3) + b"\2"),
                2,
            ),
            "with status 1",
        ),
        (lambda peer, serial: (peer.sock.send(peer.reply(serial)), peer.sock.close()), "closed"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection(answer: object, why: str) -> None:
    before = len(os.listdir("/proc/self/fd"))
    peer = Peer()
    serial = await peer.called()
    assert callable(answer)
    answer(peer, serial)
    if why == "not announced":
        await peer.connection.wait_closed()
        assert why in peer.connection.end_reason
        await asyncio.gather(peer.calling, return_exceptions=True)
        if not peer.calling.exception():
            os.close(peer.calling.result()[1][0])
    else:
        with pytest.raises(ConnectionLost, match=why):
            await peer.calling
    peer.sock.close()
    assert len(os.listdir("/proc/self/fd")) == before


# With calls --------------------------------------------------------------------------------------


class Taker:
    """The serving end of calls that bring descriptors, by hand."""

    def __init__(self) -> None:
        theirs, ours = socket.socketpair()
        theirs.setblocking(False)
        self.connection = Connection(theirs, "peer")
        ours.setblocking(False)
        self.link = Kept(asyncio.get_running_loop(), ours)
        self.link.accept_descriptors()
        self.link.start()


class Kept(SocketLink):
    """Keeps whole messages and takes the descriptors of each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
        super().__init__(loop, sock)
        self.framer = Framer()
        self.got: list[tuple[Message, list[bytes]]] = []

    @property
    def unconsumed(self) -> bytes:
        return self.framer.tail

    def received(self, data: bytearray, size: int) -> None:
        for message in self.framer.feed(data, size):
            self.got.append((message, contents(list(self.take_descriptors(message.descriptors)))))
            if message.procedure == GIVE.number:
                body = xdr.encode(Number(1))
                self.write(frame(GIVE.key, Type.REPLY, message.serial, Status.OK, body))

    def ended(self, reason: str) -> None:
        pass


async def test_a_call_brings_its_descriptors_in_order_and_keeps_its_place() -> None:
    taker = Taker()
    lent = lend_pipes(32)
    before = len(os.listdir("/proc/self/fd"))
    calls = [
        asyncio.create_task(taker.connection.call(GIVE, Number(at), descriptors=lent[: at % 33]))
        for at in range(66)
    ]
    await asyncio.gather(*calls)
    for descriptor in lent:
        os.close(descriptor)
    assert [message.serial for message, _ in taker.link.got] == list(range(1, 67))
    for at, (message, found) in enumerate(taker.link.got):
        count = at % 33
        assert message.type == (Type.CALL_WITH_FDS if count else Type.CALL)
        assert len(found) == count
        if count == 32:  # the first that reads them finds them
            assert message.payload == count.to_bytes(4, "big") + xdr.encode(Number(at))
    assert len(os.listdir("/proc/self/fd")) == before - 32
    taker.connection.abort()
    taker.link.abort()


async def test_what_cannot_travel_is_refused_before_anything_is_sent() -> None:
    taker = Taker()
    connection = taker.connection
    (one,) = lend_pipes(1)
    with pytest.raises(TypeError, match="takes no descriptors"):
        await connection.call(ECHO, Number(1), descriptors=[one])
    with pytest.raises(ValueError, match="32"):
        await connection.call(GIVE, Number(1), descriptors=[one] * 33)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Bad file descriptor"):
        await connection.call(GIVE, Number(1), descriptors=[one, 1 << 20])
    assert len(os.listdir("/proc/self/fd")) == before
    os.close(one)
    assert not connection._waiting
    assert await connection.call(GIVE, Number(1)) == Number(1)
    assert len(taker.link.got) == 1
    connection.abort()
    taker.link.abort()


async def test_a_link_that_has_many_waiting_is_not_read_until_some_are_taken() -> None:
    class Slow(Kept):
        def received(self, data: bytearray, size: int) -> None:
            for _ in self.framer.frames(data, 0):
                pass
            self.kept += data[:size]

        kept = bytearray()

        @property
        def unconsumed(self) -> bytes:
            return bytes(self.kept)

    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = Slow(asyncio.get_running_loop(), ours)
    link.kept = bytearray()
    link.accept_descriptors()
    link.start()
    null = os.open(os.devnull, os.O_RDONLY)
    for _ in range(5):
        body = (32).to_bytes(4, "big") + xdr.encode(Number(1))
        theirs.send(frame(GIVE.key, Type.CALL_WITH_FDS, 1, Status.OK, body))
        for _ in range(32):
            socket.send_fds(theirs, [b"\0"], [null])
    await eventually(lambda: link.is_paused)
    assert len(link.waiting_descriptors) == 65
    for _ in range(5):
        await eventually(lambda: len(link.waiting_descriptors) >= 32)
        for descriptor in link.take_descriptors(32):
            assert not os.get_inheritable(descriptor)
            os.close(descriptor)
        assert link.waiting_descriptors == [] or not link.is_paused
    link.abort()
    theirs.close()
    os.close(null)


async def test_those_that_wait_when_a_link_ends_are_closed() -> None:
    before = len(os.listdir("/proc/self/fd"))
    taker = Taker()
    body = (2).to_bytes(4, "big") + xdr.encode(Number(1))
    call = frame(GIVE.key, Type.CALL_WITH_FDS, 1, Status.OK, body)
    taker.connection.sock.send(call)
    null = os.open(os.devnull, os.O_RDONLY)
    socket.send_fds(taker.connection.sock, [b"\0"], [null])
    await eventually(lambda: len(taker.link.waiting_descriptors) == 1)
    assert taker.link.unconsumed == call + b"\0"
    taker.link.abort()
    taker.connection.abort()
    os.close(null)
    assert len(os.listdir("/proc/self/fd")) == before
