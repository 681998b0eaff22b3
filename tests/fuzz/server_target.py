"""The receiving side of a server: a real client of `rpc.server`, and what it answers to any bytes."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from typing import Final

from aiovirt.rpc.server import Client, Daemon, Server, ServerOptions
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RemoteError
from aiovirt.rpc.wire.keepalive import PING_FRAME, PONG_FRAME
from aiovirt.rpc.wire.message import MIN_FRAME, Message, Status, Type, frame
from aiovirt.rpc.wire.stream import hole_packet
from tests.fuzz import pairs
from tests.fuzz.encodings import examples
from tests.fuzz.mutation import WORDS
from tests.fuzz.stubs import FUZZ, GIVEN, GIVEN_LATER, SEND, TAKE, Stubs
from tests.fuzz.target import Target, expect

#: Bits of the first byte, above two for the request limit.
_STRANGER: Final = 4  # it has not authenticated
_SILENT: Final = 8  # it goes without waiting for its answers
_DEAF: Final = 16  # it reads nothing before all is sent
_DESCRIPTORS: Final = 32  # descriptors come along with every piece

_ANSWERS: Final = (Type.REPLY, Type.REPLY_WITH_FDS, Type.STREAM, Type.STREAM_HOLE)


class _Watched(Client):
    """A client that hides no failure."""

    __slots__ = ()

    def _failed(self, error: Exception) -> None:
        pairs.problems.append(error)
        super()._failed(error)


class House:
    """A server with stub handlers for every program; nobody listens, clients are put in."""

    def __init__(self) -> None:
        self.daemon = Daemon("fuzz")
        self.server: Server = self.daemon.add_server(
            ServerOptions("fuzz", min_workers=1, max_workers=3, prio_workers=1, max_clients=10)
        )
        self.stubs = Stubs()
        for handlers in self.stubs.all():
            self.server.add_program(handlers)
        self.null = os.open(os.devnull, os.O_RDONLY)

    async def visit(self, data: bytes) -> None:
        """One client, from its coming to its going."""
        options = data[0] if data else 0
        server = self.server
        server.request_limit = 1 + (options & 3)
        self.stubs.gate.clear()
        opened = len(os.listdir("/proc/self/fd"))
        ours, theirs = pairs.pair()
        client = _Watched(
            server,
            ours,
            server.registry.next_id(),
            authenticated=not options & _STRANGER,
        )
        server.registry.add(client)
        client.start()
        client.accept_descriptors()
        answers = bytearray()
        for piece in pairs.pieces(data):
            if not pairs.send(theirs, piece, [self.null] if options & _DESCRIPTORS else []):
                break
            await pairs.loop_iterations()
            self.is_bounded(client, len(data))
            if not options & _DEAF:
                answers += pairs.read(theirs)
        if not options & _SILENT:
            self.stubs.gate.set()
            await self.settled(client, lambda: pairs.read(theirs), answers)
        theirs.close()
        self.stubs.gate.set()  # calls that wait are executed, though nobody receives an answer
        await pairs.until(lambda: client.closed, "a server notices that a client is gone")
        self.check_answers(answers, len(data))
        await self.is_empty()
        still = len(os.listdir("/proc/self/fd"))
        expect(still == opened, "every descriptor that came is closed again")

    async def settled(self, client: Client, read: Callable[[], bytes], answers: bytearray) -> None:
        """Wait until calls that were let go have been answered, and what waited behind them."""

        def quiet() -> bool:
            answers.extend(read())
            return client.closed or not (client.in_flight or client.unsent)

        await pairs.until(quiet, "every call that may go on is answered")
        await pairs.loop_iterations()
        answers += read()

    def is_bounded(self, client: Client, sent: int) -> None:
        """What a client that sent so many bytes may have at any time."""
        limit = client.server.request_limit
        expect(client.in_flight <= limit, "no more calls are under way than the limit allows")
        expect(len(client.unconsumed) <= sent, "no more is kept than was sent")
        if client.closed:
            expect(not client.unconsumed and not client.in_flight, "a closed client has nothing")

    async def is_empty(self) -> None:
        """Nothing is left of a client that went."""
        await pairs.until(lambda: len(asyncio.all_tasks()) == 1, "no task outlives its client")
        stats = self.server.workers.stats()
        expect(len(self.server.registry) == 0, "a client that went is not listed")
        expect(stats.free == stats.current, "every worker is free again")
        expect(stats.queue_depth == 0, "no call waits for a worker")

    def check_answers(self, answers: bytearray, sent: int) -> None:
        """Whatever was sent, what comes back are whole messages that decode."""
        replies = 0
        pos = 0
        while len(answers) - pos >= MIN_FRAME:
            size = int.from_bytes(answers[pos : pos + 4], "big")
            expect(size >= MIN_FRAME, "an answer has a possible length")
            if pos + size > len(answers):
                break
            message = Message.unpack(answers[pos : pos + size])
            pos += size
            if message.type in (Type.REPLY, Type.REPLY_WITH_FDS):
                replies += 1
            if message.type == Type.REPLY_WITH_FDS:
                pos += int.from_bytes(message.payload[:4], "big")
            self._check_answer(message)
        expect(replies <= sent // MIN_FRAME, "a call has one reply")

    def _check_answer(self, message: Message) -> None:
        if message.type == Type.MESSAGE:
            expect(message.pack() == PONG_FRAME, "the only thing said without a call is a PONG")
            return
        expect(message.type in _ANSWERS, "a server answers, and calls nobody")
        if message.status == Status.ERROR:
            error = xdr.decode(RemoteError, message.payload)
            ours = message.program == FUZZ.number and message.procedure == 7
            expect(error.code != ErrorCode.INTERNAL_ERROR or ours, "nothing fails inside")
        elif message.type == Type.REPLY:
            key = message.pack()[4:16]
            binding = self.server.table[key]
            binding.procedure.decode_result(message.payload, 0, len(message.payload))


_check: Final = pairs.visits(House)


def frames() -> list[bytes]:
    """A call of every procedure with every example of its arguments, and what no call is."""
    from tests.property.wire_values import programs

    calls = [
        frame(procedure.key, Type.CALL, 1, Status.OK, example)
        for program in (*programs(), FUZZ)
        for procedure in program
        for example in examples(procedure.args)
    ]
    with_descriptors = [
        frame(procedure.key, Type.CALL_WITH_FDS, 2, Status.OK, bytes((0, 0, 0, count)) + bytes(4))
        + bytes(count)
        for procedure in (SEND, GIVEN, GIVEN_LATER)
        for count in (0, 1, 32)
    ]
    packets = [
        frame(procedure.key, Type.STREAM, serial, status, payload)
        for procedure in (SEND, TAKE)
        for serial in (1, 2)
        for status in Status
        for payload in (b"", b"some data")
    ]
    holes = [hole_packet(TAKE.key, serial, 512) for serial in (1, 2)]
    return [*calls, *with_descriptors, *packets, *holes, PING_FRAME]


def server_target() -> Target:
    """A client of a server, which may send anything."""
    pool = frames()

    def seeds() -> Iterator[bytes]:
        for number, one in enumerate(pool):
            yield bytes((number & 3, 0)) + one
        for at in range(0, len(pool), 8):
            yield bytes((3, at & 7)) + b"".join(pool[at : at + 8])

    return Target(
        "server", _check, seeds, 8, WORDS, pairs.mutator(pool), max_len=2048, slack=4 << 20
    )
