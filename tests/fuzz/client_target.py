"""The receiving side of a caller: a real `rpc.client` connection with calls under way."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator
from typing import Any, Final

from aiovirt.admin.protocol import (
    CLIENT_GET_INFO,
    CONNECT_GET_LOGGING_FILTERS,
    CONNECT_LIST_SERVERS,
    CONNECT_OPEN,
)
from aiovirt.rpc.client import Connection, ConnectionLost
from aiovirt.rpc.transport import Direction
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import RemoteError, RpcError
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG_FRAME
from aiovirt.rpc.wire.message import Status, Type, frame
from aiovirt.rpc.wire.program import Procedure
from aiovirt.rpc.wire.stream import hole_packet
from tests.fuzz import pairs
from tests.fuzz.encodings import examples
from tests.fuzz.mutation import WORDS
from tests.fuzz.stubs import DESCRIPTORS, OPEN, SEND, Amount
from tests.fuzz.target import Target, expect
from tests.property.wire_values import full

#: Calls that are under way, in the order of their serials, which begin with 1.
_PLAIN: Final[tuple[Procedure[Any, Any], ...]] = (
    CONNECT_LIST_SERVERS,
    CONNECT_GET_LOGGING_FILTERS,
    CLIENT_GET_INFO,
)
_WITH_DESCRIPTORS: Final = len(_PLAIN) + 1
_STREAM: Final = _WITH_DESCRIPTORS + 1
_GIVEN_UP: Final = _STREAM + 1
#: What the server may tell without being asked. Its table does not matter.
_EVENT: Final = OPEN

#: Bits of the first byte: descriptors that come along with every piece, whether we read streams, and
#: whether somebody watches.
_DESCRIPTORS: Final = 3
_DEAF: Final = 4
_TAPPED: Final = 8


async def _visit(data: bytes) -> None:
    options = data[0] if data else 0
    ours, theirs = pairs.pair()
    connection = Connection(ours, "fuzz")
    events: list[Any] = []
    connection.on_event(_EVENT, events.append)
    seen: list[Any] = []
    if options & _TAPPED:
        connection.tap(lambda *message: seen.append(message))
    null = os.open(os.devnull, os.O_RDONLY)
    tasks = [asyncio.ensure_future(connection.call(each, full(each.args))) for each in _PLAIN]
    tasks += [
        asyncio.ensure_future(_descriptors(connection)),
        asyncio.ensure_future(_stream(connection, deaf=bool(options & _DEAF))),
    ]
    given_up = asyncio.ensure_future(connection.call(CONNECT_OPEN, full(CONNECT_OPEN.args)))
    await pairs.loop_iterations(1)
    given_up.cancel()
    await _feed(theirs, data, [null] * (options & _DESCRIPTORS))
    expect(len(events) <= len(data), "an event has a frame")
    if options & _TAPPED:
        came = sum(direction is Direction.IN for direction, *_ in seen)
        expect(len(events) <= came <= len(data), "a tap sees every message once")
    theirs.close()
    await pairs.until(lambda: connection.closed, "a caller notices that its server is gone")
    os.close(null)
    await pairs.until(lambda: len(asyncio.all_tasks()) == 1, "every call comes to an end")
    for procedure, task in zip(_PLAIN, tasks, strict=False):
        _check_outcome(task, procedure.result)
    for task in tasks[len(_PLAIN) :]:
        _check_outcome(task, Amount)


async def _feed(theirs: socket.socket, data: bytes, descriptors: list[int]) -> None:
    for piece in pairs.pieces(data):
        if not pairs.send(theirs, piece, descriptors):
            break
        await pairs.loop_iterations()
        pairs.read(theirs)


async def _descriptors(connection: Connection) -> Amount:
    result, descriptors = await connection.call_for_descriptors(DESCRIPTORS, Amount(1))
    for descriptor in descriptors:
        os.close(descriptor)
    return result


async def _stream(connection: Connection, *, deaf: bool) -> Amount:
    stream = await connection.open_stream(SEND, Amount(1))
    if deaf:
        await connection.wait_closed()
    async with stream:
        async for item in stream:
            expect(bool(item), "what a stream brings is not empty")
    return stream.result


def _check_outcome(task: asyncio.Future[Any], kind: type) -> None:
    error = task.exception()
    if error is not None:
        expect(isinstance(error, (RpcError, ConnectionLost)), f"a call ends with {error!r}")
    else:
        expect(isinstance(task.result(), kind), "a call has the result that its table says")


def _check(data: bytes) -> None:
    pairs.run(lambda: _visit(data))


def _replies(procedure: Procedure[Any, Any], serial: int) -> Iterator[bytes]:
    kind = Type.REPLY_WITH_FDS if procedure.reply_fds else Type.REPLY
    count = b"\0\0\0\1" if procedure.reply_fds else b""
    behind = b"\0" if procedure.reply_fds else b""
    for example in examples(procedure.result):
        yield frame(procedure.key, kind, serial, Status.OK, count + example) + behind
    for example in examples(RemoteError):
        yield frame(procedure.key, Type.REPLY, serial, Status.ERROR, example)


def _frames() -> list[bytes]:
    made = [PING_FRAME, PONG_FRAME, hole_packet(SEND.key, _STREAM, 512)]
    called: tuple[Procedure[Any, Any], ...] = (*_PLAIN, DESCRIPTORS, SEND, CONNECT_OPEN)
    for serial, procedure in enumerate(called, 1):
        made += _replies(procedure, serial)
    made += [
        frame(SEND.key, Type.STREAM, _STREAM, status, payload)
        for status in Status
        for payload in (b"", b"some data", *examples(RemoteError)[:1])
    ]
    made.append(frame(_EVENT.key, Type.MESSAGE, 0, Status.OK, xdr.encode(Amount(1))))
    return made


def client_target() -> Target:
    """A server of a caller, which may send anything."""
    pool = _frames()

    def seeds() -> Iterator[bytes]:
        for one in pool:
            yield b"\0\0" + one
            yield b"\1\3" + one
            yield b"\x09\2" + one
        for at in range(0, len(pool), 8):
            yield b"\0\5" + b"".join(pool[at : at + 8])

    return Target(
        "client", _check, seeds, 7, WORDS, pairs.mutator(pool), max_len=2048, slack=4 << 20
    )
