"""Descriptors that go out with a reply."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from aiovirt.rpc.server import Client, Daemon, Handlers, Server, ServerOptions, WithFds
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.message import Message, Type
from aiovirt.rpc.wire.program import Program

GIVER = Program("giver", 0x2000BEEF, 1)


@xdr.struct
class Number:
    """A number."""

    number: xdr.UInt


GIVE = GIVER.procedure(1, "GIVE", Number, Number, reply_fds=True)
GIVE_LATER = GIVER.procedure(2, "GIVE_LATER", Number, Number, reply_fds=True)


def _files(number: int) -> WithFds[Number]:
    """`number` descriptors; the n-th reads as the digit n."""
    made = []
    for digit in range(number):
        out, into = os.pipe()
        os.write(into, str(digit).encode())
        os.close(into)
        made.append(out)
    return WithFds(Number(number), made)


def _give(client: Client, args: Number) -> WithFds[Number]:
    return _files(args.number)


async def _give_later(client: Client, args: Number) -> WithFds[Number]:
    await asyncio.sleep(0)
    return _files(args.number)


@pytest.fixture
async def server() -> Server:
    server = Daemon("giver").add_server(ServerOptions("giver"))
    handlers = Handlers(GIVER)
    handlers.bind(GIVE, _give)
    handlers.bind(GIVE_LATER, _give_later)
    server.add_program(handlers)
    return server


@contextmanager
def _no_descriptor_is_left_open() -> Iterator[None]:
    before = set(os.listdir("/proc/self/fd"))
    yield
    assert set(os.listdir("/proc/self/fd")) <= before


def _connect(server: Server) -> tuple[Client, socket.socket]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    client = Client(server, ours, server.registry.next_id())
    server.registry.add(client)
    client.start()
    return client, theirs


def _call(serial: int, number: int, procedure: int = 1) -> bytes:
    payload = xdr.encode(Number(number))
    return Message(GIVER.number, 1, procedure, Type.CALL, serial, 0, payload).pack()


def _read_reply(peer: socket.socket) -> tuple[Message, list[int]]:
    """A reply and its descriptors, read as libvirt does: never past the frame."""
    head = _exactly(peer, 4)
    message = Message.unpack(head + _exactly(peer, int.from_bytes(head, "big") - 4))
    descriptors: list[int] = []
    if message.type == Type.REPLY_WITH_FDS:
        for _ in range(int.from_bytes(message.payload[:4], "big")):
            byte, got, _, _ = socket.recv_fds(peer, 1, 1)
            assert len(byte) == 1
            descriptors += got
    return message, descriptors


def _exactly(peer: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = peer.recv(size - len(data))
        assert piece
        data += piece
    return data


async def _replies(peer: socket.socket, count: int) -> list[tuple[Message, list[int]]]:
    def read() -> list[tuple[Message, list[int]]]:
        return [_read_reply(peer) for _ in range(count)]

    return await asyncio.wait_for(asyncio.to_thread(read), 20)


async def _something_unsent(client: Client) -> None:
    while not client.unsent:  # noqa: ASYNC110  # the kernel gives no event for a full socket
        await asyncio.sleep(0)


def _contents(descriptors: list[int]) -> list[bytes]:
    contents = [os.read(descriptor, 9) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    return contents


@pytest.mark.parametrize("procedure", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 32])
async def test_descriptors_arrive_in_order_behind_their_reply(
    server: Server, procedure: int, count: int
) -> None:
    client, peer = _connect(server)
    await asyncio.to_thread(int)  # its thread and its descriptors are there before we count
    with _no_descriptor_is_left_open():
        peer.sendall(_call(7, count, procedure))
        ((message, descriptors),) = await _replies(peer, 1)
        assert (message.type, message.serial, message.status) == (Type.REPLY_WITH_FDS, 7, 0)
        assert message.payload == count.to_bytes(4, "big") * 2
        assert _contents(descriptors) == [str(digit).encode() for digit in range(count)]
    client.abort()
    peer.close()


async def test_replies_with_descriptors_keep_their_place_in_a_full_socket(
    server: Server,
) -> None:
    client, peer = _connect(server)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    await asyncio.to_thread(int)
    with _no_descriptor_is_left_open():
        peer.sendall(b"".join(_call(serial, serial % 4) for serial in range(200)))
        for at, (message, descriptors) in enumerate(await _replies(peer, 200)):
            assert message.serial == at
            assert _contents(descriptors) == [str(digit).encode() for digit in range(at % 4)]
    client.abort()
    peer.close()


async def test_descriptors_of_a_client_that_goes_are_closed(server: Server) -> None:
    client, peer = _connect(server)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4608)
    served = server.calls_served
    with _no_descriptor_is_left_open():
        peer.sendall(b"".join(_call(serial, 3) for serial in range(100)))
        await asyncio.wait_for(_something_unsent(client), 20)
        assert server.calls_served > served
        client.abort()
    peer.close()


async def test_more_descriptors_than_a_message_carries_are_refused(server: Server) -> None:
    with pytest.raises(ValueError, match="32"):
        WithFds(Number(0), range(33))
