"""Clients as they come: each function is one life of one client, from connecting to its end.

All take the path of a socket and a source of chance. A client that keeps the rules checks what it
is told and raises when that is wrong; the others do not care what becomes of them. Whatever a
server may do to a client that breaks the rules (closing it, at any moment) is no failure here.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from aiovirt.admin.protocol import (
    CONNECT_GET_LIB_VERSION,
    CONNECT_LIST_SERVERS,
    CONNECT_OPEN,
    FlagsArgs,
    ListServersArgs,
)
from aiovirt.rpc.wire.keepalive import PING_FRAME
from aiovirt.rpc.wire.message import MIN_FRAME, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure

PATIENCE: Final = 10.0
"""Seconds that a call of a client that keeps the rules may take."""

Behaviour = Callable[[str, random.Random], Awaitable[None]]


@asynccontextmanager
async def _connected(path: str) -> AsyncIterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as link:
        link.connect(path)  # its backlog is longer than there are clients here
        yield link


def _call(procedure: Procedure[Any, Any], args: object, serial: int) -> bytes:
    return frame(procedure.key, Type.CALL, serial, Status.OK, procedure.encode_args(args))


def _versions(serials: range) -> bytes:
    return b"".join(_call(CONNECT_GET_LIB_VERSION, None, serial) for serial in serials)


_MANY: Final = _versions(range(2, 500))


async def _receive(link: socket.socket, size: int) -> bytes:
    """Exactly so many bytes; fewer when the server closes before."""
    loop, data = asyncio.get_running_loop(), b""
    while len(data) < size:
        more = await loop.sock_recv(link, size - len(data))
        if not more:
            break
        data += more
    return data


async def _reply(link: socket.socket) -> tuple[int, int]:
    """The serial and the status of the next frame. Raises ConnectionResetError at the end."""
    head = await _receive(link, MIN_FRAME)
    if len(head) < MIN_FRAME:
        raise ConnectionResetError("the server closed the connection")
    length, _, _, _, _, serial, status = struct.unpack(">7I", head)
    await _receive(link, length - MIN_FRAME)
    return serial, status


async def _expect(link: socket.socket, serials: range, status: Status) -> None:
    """One reply to each serial, in any order. Raises AssertionError and TimeoutError."""
    async with asyncio.timeout(PATIENCE):
        replies = [await _reply(link) for _ in serials]
    assert sorted(replies) == [(serial, status) for serial in serials]


async def polite(path: str, chance: random.Random) -> None:
    """Opens, asks a few things one by one, and leaves."""
    loop = asyncio.get_running_loop()
    async with _connected(path) as link:
        await loop.sock_sendall(link, _call(CONNECT_OPEN, FlagsArgs(0), 1))
        await _expect(link, range(1, 2), Status.OK)
        for serial in range(2, chance.randint(2, 8)):
            ask = _call(CONNECT_LIST_SERVERS, ListServersArgs(1, 0), serial)
            await loop.sock_sendall(link, ask)
            await _expect(link, range(serial, serial + 1), Status.OK)


async def eager(path: str, chance: random.Random) -> None:
    """Sends many more calls at once than it may have under way, and takes every reply."""
    loop = asyncio.get_running_loop()
    serials = range(2, chance.randint(20, 200))
    async with _connected(path) as link:
        await loop.sock_sendall(link, _call(CONNECT_OPEN, FlagsArgs(0), 1) + _versions(serials))
        await _expect(link, range(1, serials.stop), Status.OK)


async def slow(path: str, chance: random.Random) -> None:
    """Sends a call in small pieces, pings among them, and expects an answer all the same."""
    loop = asyncio.get_running_loop()
    async with _connected(path) as link:
        await loop.sock_sendall(link, PING_FRAME)
        await _expect(link, range(1), Status.OK)
        data = _call(CONNECT_OPEN, FlagsArgs(0), 7)
        while data:
            size = chance.randint(1, 9)
            await loop.sock_sendall(link, data[:size])
            data = data[size:]
            await asyncio.sleep(chance.random() / 50)
        await _expect(link, range(7, 8), Status.OK)


async def mistaken(path: str, chance: random.Random) -> None:
    """Calls what does not exist: each is refused, and the connection lives."""
    loop = asyncio.get_running_loop()
    async with _connected(path) as link:
        for serial in range(1, 4):
            head = (MIN_FRAME, chance.getrandbits(31), 1, chance.getrandbits(31), 0, serial, 0)
            await loop.sock_sendall(link, struct.pack(">7I", *head))
            await _expect(link, range(serial, serial + 1), Status.ERROR)


async def half_closed(path: str, chance: random.Random) -> None:
    """Says that it has nothing more to say, and leaves when the server has hung up."""
    loop = asyncio.get_running_loop()
    async with _connected(path) as link:
        await loop.sock_sendall(link, _versions(range(1, chance.randint(2, 5))))
        link.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(PATIENCE):
            while await loop.sock_recv(link, 4096):
                pass


async def stalled(path: str, chance: random.Random) -> None:
    """Calls, sometimes until no more goes out, reads nothing, and is gone after a while."""
    async with _connected(path) as link:
        with suppress(BlockingIOError, ConnectionError):
            link.send(_call(CONNECT_OPEN, FlagsArgs(0), 1))
            link.send(_MANY)
            while chance.random() < 0.9:
                link.send(_MANY)
        await asyncio.sleep(chance.random() / 2)


async def vanishing(path: str, chance: random.Random) -> None:
    """Leaves in the middle of a frame, sometimes one that was announced as a very long one."""
    data = _versions(range(1, 4))
    if chance.random() < 0.5:
        data += struct.pack(">I", 30_000_000) + bytes(chance.randint(0, 50_000))
    else:
        data = data[: chance.randint(1, len(data) - 1)]
    async with _connected(path) as link:
        with suppress(BlockingIOError, ConnectionError):
            link.send(data)


async def garbage(path: str, chance: random.Random) -> None:
    """Says things that are no frames, or frames full of nonsense."""
    data = chance.randbytes(chance.randint(1, 2000))
    if chance.random() < 0.5:
        head = struct.pack(
            ">4I", MIN_FRAME + len(data) // 4 * 4, 0x06900690, 1, chance.randint(0, 25)
        )
        data = head + struct.pack(">3I", chance.randint(0, 7), 5, chance.randint(0, 3)) + data
    async with _connected(path) as link:
        with suppress(BlockingIOError, ConnectionError):
            link.send(data)
            await asyncio.sleep(chance.random() / 20)


async def generous(path: str, chance: random.Random) -> None:
    """Hands over descriptors that nobody asked for."""
    async with _connected(path) as link:
        with suppress(BlockingIOError, ConnectionError):
            for serial in range(1, chance.randint(2, 6)):
                data = _versions(range(serial, serial + 1))
                socket.send_fds(link, [data], [0] * chance.randint(1, 4))
            await asyncio.sleep(chance.random() / 20)


async def silent(path: str, chance: random.Random) -> None:
    """Connects, and that is all."""
    async with _connected(path):
        await asyncio.sleep(chance.random() / 5)


ADMIN: Final[tuple[Behaviour, ...]] = (
    polite,
    eager,
    slow,
    mistaken,
    half_closed,
    stalled,
    vanishing,
    garbage,
    generous,
    silent,
)
"""What clients of the admin socket do."""

MAIN: Final[tuple[Behaviour, ...]] = (vanishing, garbage, generous, silent, stalled, half_closed)
"""What clients of any other socket do: they have no business with its program."""
