"""Replies with descriptors, on the calling side: against our server and against raw bytes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiovirt.rpc.client import Connection, ConnectionLost
from aiovirt.rpc.server import Client, Daemon, Handlers, ServerOptions, WithFds
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.message import MIN_FRAME, Status, Type, frame
from aiovirt.rpc.wire.program import Program
from tests.unit.house import eventually

LENDER = Program("lender", 0x7E577E59, 1)


@xdr.struct
class Number:
    """A number."""

    value: xdr.UInt


LEND = LENDER.procedure(1, "LEND", Number, Number, reply_fds=True)
ECHO = LENDER.procedure(2, "ECHO", Number, Number)


def lend(client: Client, args: Number) -> WithFds[Number]:
    """As many pipes' reading ends as are asked for; each pipe holds its number."""
    if args.value > 32:
        raise RpcError(ErrorCode.INVALID_ARG, "so many are not to be had")
    readers = []
    for number in range(args.value):
        reader, writer = os.pipe()
        os.write(writer, b"%d" % number)
        os.close(writer)
        readers.append(reader)
    return WithFds(args, readers)


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
    async with await Connection.open_unix(path) as connection:
        result, descriptors = await connection.call_for_descriptors(LEND, Number(count))
        assert result == Number(count)
        assert contents(descriptors) == [b"%d" % number for number in range(count)]
        assert await connection.call(ECHO, Number(7)) == Number(7)


async def test_many_calls_at_once_get_each_their_own(path: str) -> None:
    async with await Connection.open_unix(path) as connection:
        lent = [connection.call_for_descriptors(LEND, Number(count % 4)) for count in range(40)]
        plain = [connection.call(ECHO, Number(count)) for count in range(40)]
        answers, echoes = await asyncio.gather(asyncio.gather(*lent), asyncio.gather(*plain))
        assert [len(descriptors) for _, descriptors in answers] == [n % 4 for n in range(40)]
        for _, descriptors in answers:
            assert contents(descriptors) == [b"%d" % n for n in range(len(descriptors))]
        assert echoes == [Number(count) for count in range(40)]


async def test_a_refusal_brings_none(path: str) -> None:
    async with await Connection.open_unix(path) as connection:
        with pytest.raises(RpcError, match="not to be had"):
            await connection.call_for_descriptors(LEND, Number(33))
        _, descriptors = await connection.call_for_descriptors(LEND, Number(1))
        assert contents(descriptors) == [b"0"]


async def test_those_of_a_call_given_up_are_closed(path: str) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    async with await Connection.open_unix(path) as connection:
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
    async with await Connection.open_unix(path) as connection:
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


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda peer, serial: peer.sock.send(peer.reply(serial) + b"\0\0"), "did not come"),
        (lambda peer, serial: peer.sock.send(peer.reply(serial, 33)), "does not decode"),
        (lambda peer, serial: peer.sock.send(peer.reply(serial + 1)), "nobody asked for"),
        (lambda peer, serial: peer.send_descriptor(), "had not announced"),
        (
            lambda peer, serial: peer.sock.send(
                frame(LEND.key, Type.REPLY, serial, Status.OK, xdr.encode(Number(9)))
            ),
            "without descriptors",
        ),
        (lambda peer, serial: (peer.sock.send(peer.reply(serial)), peer.sock.close()), "closed"),
    ],
)
async def test_what_breaks_the_protocol_ends_the_connection(answer: object, why: str) -> None:
    peer = Peer()
    serial = await peer.called()
    assert callable(answer)
    answer(peer, serial)
    with pytest.raises(ConnectionLost, match=why):
        await peer.calling
    peer.sock.close()
